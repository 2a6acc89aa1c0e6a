"""What an application may call to count its business events, where it would rather call than rule.

Every function is one line for the caller: it never raises, never blocks, and where telemetry is off
it does nothing that anybody would notice.
"""

from __future__ import annotations

from typing import Any

from otel_accubooks.instrument import users
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.rules import BUSINESS_COUNTERS
from otel_accubooks.instrument.tally import tally, text_of, told_once

__all__ = ["count", "session_ended", "user_seen"]


def count(name: str, /, amount: int = 1, **labels: Any) -> None:
    """Adds `amount` to the business counter `name`; `labels` are exactly the labels it has.

    A tier that is none of the contract's is counted as "unknown". A wrong name, label or amount is
    counted nowhere and logged once.

    >>> from otel_accubooks import business
    >>> business.count("scenarios_created_total", tier="PRO")
    >>> business.count("support_tickets_total", amount=3, priority="high")
    """
    try:
        metric = BUSINESS_COUNTERS.get(name)
        if metric is None:
            known = ", ".join(sorted(BUSINESS_COUNTERS))
            told_once(f"business.count: {name!r} is no business counter, expected one of {known}")
        elif labels.keys() != set(metric.label_names):
            found, expected = ", ".join(labels) or "none", ", ".join(metric.label_names)
            told_once(f"business.count: {name} was given labels {found}, expected {expected}")
        elif not _is_count(amount):
            expected = "a whole number from 0 on"
            told_once(f"business.count: {name} was given {amount!r}, expected {expected}")
        else:
            tally(metric, tuple(labels[label] for label in metric.label_names), float(amount))
    except Exception:
        failed("business.count")


def _is_count(amount: object) -> bool:
    # Counters are whole numbers on the wire: half a ticket would be lost there.
    return isinstance(amount, (int, float)) and 0 <= amount < 2**53 and amount == int(amount)


def user_seen(user_id: Any) -> None:
    """Notes a sign of life of a user, for the numbers of active users and sessions.

    `user_id` is anything whose text tells users apart; it leaves the process only as a keyed hash.

    >>> from otel_accubooks import business
    >>> business.user_seen(4711)
    """
    try:
        if (user := text_of(user_id)) is not None:
            users.of_request(user)
    except Exception:
        failed("business.user_seen")


def session_ended(user_id: Any) -> None:
    """Notes that a user signed out. The next `user_seen` begins another session.

    >>> from otel_accubooks import business
    >>> business.session_ended(4711)
    """
    try:
        if (user := text_of(user_id)) is not None:
            users.left(user)
    except Exception:
        failed("business.session_ended")
