"""Datadog's intake of metrics and spans on this machine: its wire format, its limits, its refusals.

As a program: python -m otel_accubooks.stack.datadog_intake --port 8126
In a test:    with DatadogIntake() as intake: ...; intake.value("http_requests_total", route="/x")
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from otel_accubooks.stack.datadog_payloads import message_class
from otel_accubooks.stack.datadog_traces import Span, payload_class, spans_of
from otel_accubooks.stack.http_body import BadBody, Limits
from otel_accubooks.stack.sink import Reply, Request, Sink, serve

MEGABYTE = 1024 * 1024
# https://docs.datadoghq.com/api/latest/metrics/#submit-metrics
SERIES_LIMITS = Limits(sent=512_000, decoded=5 * MEGABYTE)
# What the Datadog Agent's serializer keeps to, lest its payloads be dropped; here for all the rest.
OTHER_LIMITS = Limits(sent=2 * MEGABYTE + MEGABYTE // 2, decoded=4 * MEGABYTE)
# The intake keeps points that are up to an hour old; their seconds are remembered for as long.
SECONDS_REMEMBERED = 3600

Type = Literal["count", "rate", "gauge", "distribution"]
TYPES: dict[int, Type] = {0: "gauge", 1: "count", 2: "rate", 3: "gauge"}


@dataclasses.dataclass
class Series:
    """What has come for one metric, type and set of tags; the host is a tag, as Datadog shows it.

    `value` of a count is the sum of all its points, none removed; of a gauge or rate, the latest.
    `overwritten` counts the points that came for a second which an earlier point of this series
    had. Datadog keeps the last of those alone: where it is above 0, it shows less than `value`.
    """

    metric: str
    type: Type
    tags: tuple[str, ...]
    unit: str = ""
    value: float = 0.0
    points: int = 0
    overwritten: int = 0
    last_timestamp: int = 0
    _seconds: dict[int, None] = dataclasses.field(default_factory=dict, repr=False)

    def add(self, value: float, timestamp: int) -> None:
        """Take one point; `timestamp` in seconds."""
        if self.type == "count":
            self.value += value
        elif timestamp >= self.last_timestamp:
            self.value = value
        self.points += 1
        self.last_timestamp = max(self.last_timestamp, timestamp)
        self.overwritten += timestamp in self._seconds
        self._seconds[timestamp] = None
        if len(self._seconds) > SECONDS_REMEMBERED:
            del self._seconds[next(iter(self._seconds))]

    def as_json(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "type": self.type,
            "tags": list(self.tags),
            "unit": self.unit,
            "value": self.value,
            "points": self.points,
            "overwritten": self.overwritten,
            "last_timestamp": self.last_timestamp,
        }


@dataclasses.dataclass
class Distribution:
    """The sketches that have come for one metric and set of tags, merged as Datadog merges them.

    `bins` has the count of every bin by its key, on the logarithmic scale of Datadog's sketches.
    """

    metric: str
    tags: tuple[str, ...]
    type: Type = "distribution"
    count: int = 0
    sum: float = 0.0
    min: float = float("inf")
    max: float = float("-inf")
    bins: dict[int, int] = dataclasses.field(default_factory=dict)
    points: int = 0
    last_timestamp: int = 0

    def add(self, sketch: Any) -> None:
        """Take one decoded Dogsketch, or a Distribution, whose values are not in bins."""
        self.count += sketch.cnt
        self.sum += sketch.sum
        self.min = min(self.min, sketch.min)
        self.max = max(self.max, sketch.max)
        keys, numbers = getattr(sketch, "k", ()), getattr(sketch, "n", ())
        for key, number in zip(keys, numbers, strict=True):
            self.bins[key] = self.bins.get(key, 0) + number
        self.points += 1
        self.last_timestamp = max(self.last_timestamp, sketch.ts)

    def as_json(self) -> dict[str, Any]:
        rest = {"tags": list(self.tags), "bins": sorted(self.bins.items())}
        return dataclasses.asdict(self) | rest


class DatadogIntake(Sink):
    """The intake as a server in a thread. It does not notice that a payload has come twice."""

    name = "datadog intake"
    limits = OTHER_LIMITS
    limits_of_path: ClassVar[Mapping[str, Limits]] = {"/api/v2/series": SERIES_LIMITS}

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self._series: dict[tuple[str, Type, tuple[str, ...]], Series] = {}
        self._distributions: dict[tuple[str, tuple[str, ...]], Distribution] = {}
        self._spans: list[Span] = []

    def series(self, metric: str | None = None, **tags: str) -> list[Series]:
        """Counts, gauges and rates of a metric (or of all) that carry these tags, among others."""
        with self.lock:
            return [
                dataclasses.replace(series)
                for series in self._series.values()
                if metric in (None, series.metric) and _carries(series.tags, tags)
            ]

    def value(self, metric: str, **tags: str) -> float:
        """The sum of `value` over the matching series; 0 if there is none."""
        return sum(series.value for series in self.series(metric, **tags))

    def distributions(self, metric: str | None = None, **tags: str) -> list[Distribution]:
        """Distributions of a metric (or of all) that carry these tags, among others."""
        with self.lock:
            return [
                dataclasses.replace(distribution, bins=dict(distribution.bins))
                for distribution in self._distributions.values()
                if metric in (None, distribution.metric) and _carries(distribution.tags, tags)
            ]

    def count_of(self, metric: str, **tags: str) -> int:
        """The number of values in the matching distributions; 0 if there is none."""
        return sum(distribution.count for distribution in self.distributions(metric, **tags))

    def spans(self) -> list[Span]:
        """All spans that have come."""
        with self.lock:
            return list(self._spans)

    def snapshot(self, name: str | None = None) -> list[dict[str, Any]]:
        found: list[Series | Distribution] = [*self.series(name), *self.distributions(name)]
        found.sort(key=lambda series: (series.metric, series.type, series.tags))
        return [series.as_json() for series in found]

    def refusal(self, status: int, reason: str, headers: Mapping[str, str]) -> Reply:  # noqa: ARG002
        return Reply(status, {"errors": [reason]})

    def answer(self, request: Request) -> Reply:
        if not (request.headers.get("dd-api-key") or request.query.get("api_key")):
            return Reply(403, {"errors": ["Forbidden"]})
        if request.path == "/api/v1/validate":
            return Reply(200, {"valid": True})
        if (request.method, request.path) == ("POST", "/api/v2/series"):
            self._take_series(_decoded(request, message_class("MetricPayload")()))
            return Reply(202, {"errors": []})
        if (request.method, request.path) == ("POST", "/api/beta/sketches"):
            self._take_sketches(_decoded(request, message_class("SketchPayload")()))
            return Reply(202, b"")
        if (request.method, request.path) == ("POST", "/api/v0.2/traces"):
            spans = spans_of(_decoded(request, payload_class()()))
            with self.lock:
                self._spans += spans
            return Reply(202, {})
        # Events, host metadata and the like: taken, and to be seen in /_accubooks/requests.
        return Reply(202, {"status": "ok"})

    def _take_series(self, payload: Any) -> None:
        for series in payload.series:
            if not series.metric:
                raise BadBody(400, "a series has no metric name")
            if series.type not in TYPES:
                raise BadBody(400, f"{series.metric}: type is {series.type}: expected 0 to 3")
        with self.lock:
            for series in payload.series:
                hosts = [resource.name for resource in series.resources if resource.type == "host"]
                tags = _tags(series.tags, hosts)
                key = (series.metric, TYPES[series.type], tags)
                taken = self._series.setdefault(key, Series(*key))
                taken.unit = series.unit or taken.unit
                for point in series.points:
                    taken.add(point.value, point.timestamp)

    def _take_sketches(self, payload: Any) -> None:
        for sketch in payload.sketches:
            if not sketch.metric:
                raise BadBody(400, "a sketch has no metric name")
            if not (sketch.dogsketches or sketch.distributions):
                raise BadBody(400, f"{sketch.metric}: a sketch is empty")
            if any(len(dogsketch.k) != len(dogsketch.n) for dogsketch in sketch.dogsketches):
                raise BadBody(400, f"{sketch.metric}: a sketch has not as many keys as counts")
        with self.lock:
            for sketch in payload.sketches:
                key = (sketch.metric, _tags(sketch.tags, [sketch.host]))
                taken = self._distributions.setdefault(key, Distribution(*key))
                for sketched in (*sketch.dogsketches, *sketch.distributions):
                    taken.add(sketched)


def _decoded(request: Request, empty: Any) -> Any:
    """The body in `empty`, a message of Datadog's; raises BadBody."""
    from google.protobuf import json_format
    from google.protobuf.message import DecodeError

    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    name = type(empty).__name__
    try:
        if kind == "application/x-protobuf":
            empty.ParseFromString(request.body)
        elif kind == "application/json" and name == "MetricPayload":
            json_format.Parse(request.body, empty, ignore_unknown_fields=True)
        else:
            raise BadBody(415, f"Content-Type {kind!r} is not taken by {request.path}")
    except (DecodeError, json_format.ParseError, UnicodeDecodeError) as error:
        raise BadBody(400, f"the body is not a {name}: {error}") from error
    return empty


def _tags(tags: Any, hosts: list[str]) -> tuple[str, ...]:
    return tuple(sorted({*tags, *(f"host:{host}" for host in hosts if host)}))


def _carries(tags: tuple[str, ...], wanted: Mapping[str, str]) -> bool:
    return all(f"{name}:{value}" in tags for name, value in wanted.items())


if __name__ == "__main__":
    serve(DatadogIntake, default_port=8126)
