"""A station that a test alert has to come by: how it is looked for there, and for how long."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from otel_accubooks.contract.alert import Channel
from otel_accubooks.servers.api import ApiError
from otel_accubooks.trial.hop import Hop

EVERY_SECONDS = 1.0
# What is raised where an answer is not as its documentation has it.
_UNKNOWN = (LookupError, TypeError, ValueError, AttributeError)
# So much our clock may be ahead of theirs whom we ask what came since it began.
AHEAD_SECONDS = 600.0
# How a notification says that it begins, and that it is over: Alertmanager's, Datadog's, New Relic's.
_BEGINS = re.compile(r"\[FIRING|\bTriggered\b|\bACTIVATED\b")
_ENDS = re.compile(r"\[RESOLVED|\bRecovered\b|\bCLOSED\b")


@dataclass(frozen=True)
class Trial:
    """One run. Its number is in every notification, and tells it from every other run."""

    number: str = field(default_factory=lambda: secrets.token_hex(4))
    began: float = field(default_factory=time.time)
    _clock: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._clock

    def told(self, text: str, *, over: bool) -> bool:
        """Whether a notification is of this run, and says that it begins, or that it is over."""
        return self.number in text and bool((_ENDS if over else _BEGINS).search(text))


class Unreadable(Exception):
    """Whether it arrived cannot be told from here; the text says why, and what would help."""


class Elsewhere(Exception):
    """Nothing came so far, and where it comes may be somewhere else than where one can look."""


# How it was seen, or None while it was not. May raise Unreadable, Elsewhere, or ApiError.
Look = Callable[[], str | None]


@dataclass(frozen=True)
class Station:
    """`look` looks for the alert, `over` for its end; None where that leaves no trace.

    `missing` says what is wrong once it has not come in time. `question` asks a person what cannot
    be seen.
    """

    name: str
    look: Look
    missing: Callable[[], str]
    over: Look | None = None
    channel: Channel | None = None
    question: str = ""


def follow(
    trial: Trial,
    stations: Sequence[Station],
    limit: float,
    meanwhile: Callable[[], None],
    *,
    end: bool = False,
) -> Iterable[Hop]:
    """The hop of each station as soon as it is known; at the latest `limit` seconds from now.

    With `end` it is the alert's end that is looked for. `meanwhile` is called between two looks.
    """
    waiting = [station for station in stations if not end or station.over]
    give_up = time.monotonic() + limit
    problems: dict[str, Exception] = {}
    while waiting:
        for station in list(waiting):
            hop = _seen(trial, station, problems, end=end)
            if hop is None and time.monotonic() >= give_up:
                hop = _missed(station, limit, problems.get(station.name), end=end)
            if hop is not None:
                waiting.remove(station)
                yield hop
        if waiting:
            meanwhile()
            time.sleep(min(EVERY_SECONDS, max(give_up - time.monotonic(), 0)))


def _seen(
    trial: Trial, station: Station, problems: dict[str, Exception], *, end: bool
) -> Hop | None:
    look = station.over if end else station.look
    assert look is not None
    try:
        said = look()
    except Unreadable as error:
        return Hop(_name(station, end), "unseen", str(error), None, station.channel)
    except (Elsewhere, ApiError) as error:
        problems[station.name] = error
        return None
    except _UNKNOWN as error:
        told = (
            f"{station.name} answers in a way that is not known ({error!r}); is its address right?"
        )
        problems[station.name] = ApiError(told)
        return None
    problems.pop(station.name, None)
    if said is None:
        return None
    return Hop(_name(station, end), "arrived", said, trial.seconds, station.channel)


def _missed(station: Station, limit: float, problem: Exception | None, *, end: bool) -> Hop:
    """What is said of a station at which it was not seen in time."""
    if isinstance(problem, Elsewhere):
        return Hop(_name(station, end), "unseen", str(problem), None, station.channel)
    try:
        said = str(problem or "") or _why(station, limit, end=end)
    except (ApiError, *_UNKNOWN) as error:
        said = str(error)
    return Hop(_name(station, end), "missing", said, None, station.channel)


def _why(station: Station, limit: float, *, end: bool) -> str:
    if end:
        return f"not said to be over within {limit:.0f} s: look there, and end it by hand"
    return f"not seen within {limit:.0f} s: {station.missing()}"


def _name(station: Station, end: bool) -> str:
    return f"{station.name}: over" if end else station.name
