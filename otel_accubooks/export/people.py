"""Users and sessions: how many there are now, and what follows from that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from otel_accubooks.contract import metrics as m
from otel_accubooks.recorder.totals import Point, Totals
from otel_accubooks.recorder.visits import Sessions, Visits


class Numbers(NamedTuple):
    """How many users were active, how many of them used a trust component, and open sessions."""

    users: int
    trusting: int
    sessions: int


class AllHosts(Protocol):
    """What is known of users on all hosts of the service."""

    def numbers(self, visits: Visits, found: dict[int, Sessions], now: float) -> Numbers | None:
        """The numbers over all hosts, these visits among them; None where they are not known."""


def points(
    totals: Totals, found: dict[int, Sessions], now: float, hosts: AllHosts | None
) -> Iterator[Point]:
    """The gauges of users and sessions, once there may be any; `now` is Unix seconds.

    The share of users who trust is no data while nobody is active, since it is a share of nobody.
    """
    if not any(totals.of(m.USER_SESSION_DURATION_SECONDS)):
        return
    visits = totals.visits
    here = Numbers(
        len(visits.active(now)),
        len(visits.trusting(now)),
        sum(1 for sessions in found.values() if sessions.open),
    )
    there = hosts.numbers(visits, found, now) if hosts is not None else None
    users, trusting, sessions = there or here
    yield Point(m.ACTIVE_USERS_CONCURRENT, (), value=float(users))
    yield Point(m.USER_SESSIONS_ACTIVE, (), value=float(sessions))
    if users and any(totals.of(m.TRUST_LAYER_USAGE_TOTAL)):
        yield Point(m.TRUST_LAYER_USAGE_PERCENT, (), value=100.0 * trusting / users)
