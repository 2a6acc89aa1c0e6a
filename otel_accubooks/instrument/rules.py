"""The rules: which events of an application count as business, and which of its data are gauges."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.metric import Metric

BUSINESS_COUNTERS = {
    metric.name: metric
    for metric in m.METRICS
    if metric.group == "business" and metric.type == "counter"
}
# The gauges over what an application stores, with the least and the greatest value of each. The other
# business gauges are derived from requests.
LOOKUP_GAUGES: dict[str, tuple[Metric, float, float]] = {
    metric.name: (metric, least, greatest)
    for metric, least, greatest in (
        (m.USERS_BY_TIER, 0.0, math.inf),
        (m.USERS_AT_TIER_LIMIT_PERCENT, 0.0, 100.0),
        (m.BETA_TRUST_RATE_PERCENT, 0.0, 100.0),
        (m.NPS_SCORE, -100.0, 100.0),
    )
}
# Those that answer one number, and the one that answers pairs; all of them only read.
REDIS_COMMANDS = ("GET", "HGET", "HLEN", "LLEN", "SCARD", "ZCARD", "ZCOUNT", "ZSCORE", "HGETALL")
PAIRS = "HGETALL"


class RulesError(ValueError):
    """A rules file that is not applied: a line for each fault, with file, line, found, expected."""


class Source(NamedTuple):
    """Where a value comes from: `root` as in the file (session, kwargs, ...), and the way on.

    `before.session` is the session as it was when the request came.
    """

    root: str
    path: tuple[str, ...]


class Count(NamedTuple):
    """The counter that an event adds one to; for each of its labels a source or a constant."""

    metric: Metric
    labels: tuple[Source | str, ...]


class RequestRule(NamedTuple):
    """A request to the URL rule `route`, answered with `status` ("201", or "2xx" for a class)."""

    method: str
    route: str
    status: str
    count: Count  # type: ignore[assignment]  # the method of tuples is not missed


class JobRule(NamedTuple):
    """A job of `function` (a dotted name) that ended with `outcome`, success or failure."""

    function: str
    outcome: str
    count: Count  # type: ignore[assignment]  # the method of tuples is not missed


class ExceptionRule(NamedTuple):
    """An exception of the class with this dotted name, or of a subclass."""

    name: str
    count: Count  # type: ignore[assignment]  # the method of tuples is not missed


class LogRule(NamedTuple):
    """A log record of `logger` or one below it, of `level` (a number of `logging`) or above."""

    logger: str
    level: int
    count: Count  # type: ignore[assignment]  # the method of tuples is not missed


class User(NamedTuple):
    """Who makes a request, and the (method, route) whose 2xx answer ends the session."""

    id: Source
    logout: tuple[str, str] | None


class Lookup(NamedTuple):
    """A gauge that is asked for each `every` seconds, by one `sql` query or one `redis` command.

    `target` is the environment variable with the address; of SQL, None is the application's own.
    `where` is its place in the file.
    """

    gauge: Metric
    sql: str
    redis: tuple[str, ...]
    target: str | None
    every: float
    where: str


class Rules(NamedTuple):
    """A whole file."""

    user: User | None = None
    requests: tuple[RequestRule, ...] = ()
    jobs: tuple[JobRule, ...] = ()
    exceptions: tuple[ExceptionRule, ...] = ()
    logs: tuple[LogRule, ...] = ()
    lookups: tuple[Lookup, ...] = ()

    def counts(self) -> Iterable[Count]:
        """What all rules count."""
        for rules in (self.requests, self.jobs, self.exceptions, self.logs):
            yield from (rule.count for rule in rules)
