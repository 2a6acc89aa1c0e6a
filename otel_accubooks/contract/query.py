"""The words in which questions to a backend are asked: a small algebra, the same for every vendor.

A question is asked of each service on its own; `by` groups further. Each node says what it means over
the points of a service as they were sent. A series is one metric with one set of label values from one
instance; it exists from its first point until no point has come for five minutes. A window is the
seconds before the moment of asking. "No data" is an answer of its own: what is compared with it neither
fires nor resolves anything.
"""

from __future__ import annotations

from dataclasses import dataclass

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WINDOW = 5 * MINUTE

# A label of every series that no metric declares: who sent it, one process group on one host.
INSTANCE = "instance"


@dataclass(frozen=True)
class Where:
    """Keeps the series whose `label` is `value`, or starts with it where `prefix` is True."""

    label: str
    value: str
    prefix: bool = False

    def __str__(self) -> str:
        return f"{self.label}={self.value}{'*' if self.prefix else ''}"


@dataclass(frozen=True)
class Series:
    """The series of the metric of this name that pass every one of `where`."""

    metric: str
    where: tuple[Where, ...] = ()

    def __str__(self) -> str:
        return f"{self.metric}{{{', '.join(map(str, self.where))}}}" if self.where else self.metric


@dataclass(frozen=True)
class Growth:
    """How much counters grew in the window, added up; a counter that begins anew grows from 0.

    Several series sets in `of` are added together. With `per` it is the growth in as many seconds,
    on average over the window: per=1 a rate. A series that appears in the window grew from 0; one that
    comes back after a silence grew from where it was, or from 0 if it is lower now.
    """

    of: tuple[Series, ...]
    window: float = WINDOW
    per: float | None = None
    by: tuple[str, ...] = ()

    def __str__(self) -> str:
        per = "" if self.per is None else f" per {_span(self.per)}"
        return f"growth({' + '.join(map(str, self.of))}, {_span(self.window)}){per}{_by(self.by)}"


@dataclass(frozen=True)
class Share:
    """100 * growth of `part` / growth of `whole`, in the window. No data while the whole rests."""

    part: Series
    whole: tuple[Series, ...]
    window: float = WINDOW
    by: tuple[str, ...] = ()

    def __str__(self) -> str:
        whole = " + ".join(map(str, self.whole))
        return f"share({self.part} of {whole}, {_span(self.window)}){_by(self.by)}"


@dataclass(frozen=True)
class Last:
    """`scale` * the newest value of a gauge, added up over hosts as its metric's `hosts` says."""

    of: Series
    by: tuple[str, ...] = ()
    scale: float = 1.0

    def __str__(self) -> str:
        return f"{_times(self.scale)}last({self.of}){_by(self.by)}"


@dataclass(frozen=True)
class Peak:
    """The highest value that `of` had in the window."""

    of: Last
    window: float

    def __str__(self) -> str:
        return f"peak({self.of}, {_span(self.window)})"


@dataclass(frozen=True)
class Quantile:
    """The value that the share `q` of a histogram's observations in the window did not exceed.

    Interpolated linearly within its bucket; beyond the last bound, that bound. No data without
    observations.
    """

    q: float
    of: Series
    window: float = WINDOW
    by: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"p{100 * self.q:g}({self.of}, {_span(self.window)}){_by(self.by)}"


@dataclass(frozen=True)
class Mean:
    """Sum over count of a histogram's observations in the window. No data without observations."""

    of: Series
    window: float = WINDOW
    by: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"mean({self.of}, {_span(self.window)}){_by(self.by)}"


@dataclass(frozen=True)
class Quotient:
    """`scale` * dividend / divisor, of the same groups. No data where a side has none, or is 0."""

    dividend: Query
    divisor: Query
    scale: float = 1.0

    def __str__(self) -> str:
        return f"{_times(self.scale)}{self.dividend} / {self.divisor}"


@dataclass(frozen=True)
class Present:
    """1 while any of the series is there, 0 once all of them have ended.

    No data of what never was, in the `known` seconds before: who has it not, misses it not.
    """

    of: Series
    known: float = DAY

    def __str__(self) -> str:
        return f"present({self.of})"


@dataclass(frozen=True)
class Reachable:
    """1 while the service answers from outside, else 0: also where nothing is known of it any more.

    Each backend has a way of its own to look: a scrape, an HTTP check.
    """

    def __str__(self) -> str:
        return "reachable()"


@dataclass(frozen=True)
class Always:
    """1, at every moment at which questions are asked at all."""

    def __str__(self) -> str:
        return "always()"


Query = Growth | Share | Last | Peak | Quantile | Mean | Quotient | Present | Reachable | Always


def series_of(query: Query) -> tuple[Series, ...]:
    """Every series set that `query` reads, in the order of reading."""
    if isinstance(query, Growth):
        return query.of
    if isinstance(query, Share):
        return (query.part, *query.whole)
    if isinstance(query, Quotient):
        return (*series_of(query.dividend), *series_of(query.divisor))
    if isinstance(query, Peak):
        return (query.of.of,)
    return () if isinstance(query, (Reachable, Always)) else (query.of,)


def _times(scale: float) -> str:
    return "" if scale == 1.0 else f"{scale:g} * "


def _by(labels: tuple[str, ...]) -> str:
    return f" by {', '.join(labels)}" if labels else ""


def _span(seconds: float) -> str:
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
