"""An OTLP/HTTP receiver of metrics and spans that remembers what it was sent.

As a program: python -m otel_accubooks.stack.otlp_receiver --port 4318
In a test:    with OtlpReceiver() as sink: ...; sink.value("http_requests_total", route="/x")
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from otel_accubooks.stack.http_body import BadBody, Limits
from otel_accubooks.stack.otlp_spans import Span, spans_of
from otel_accubooks.stack.sink import Reply, Request, Sink, serve

# The collector's own OTLP receiver takes 20 MiB.
LIMITS = Limits(sent=20 * 1024 * 1024, decoded=64 * 1024 * 1024)
REQUESTS_REMEMBERED = 1000
PROTOBUF = "application/x-protobuf"

Kind = Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]
Temporality = Literal["unspecified", "delta", "cumulative"]
TEMPORALITIES: tuple[Temporality, ...] = ("unspecified", "delta", "cumulative")


@dataclasses.dataclass
class Series:
    """All points of one metric, instance and set of attributes, in one kind and temporality.

    `value`: of a gauge the latest, of a cumulative sum the latest, of deltas their sum, and of a
    histogram or summary its count; `sum` and `bucket_counts` are kept in the same way. `resets`
    says how often a cumulative monotonic value went backwards. Times are nanoseconds since 1970.
    """

    name: str
    kind: Kind
    temporality: Temporality
    instance: str
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    unit: str = ""
    monotonic: bool = False
    value: float = 0
    sum: float = 0.0
    bounds: tuple[float, ...] = ()
    bucket_counts: tuple[int, ...] = ()
    points: int = 0
    resets: int = 0
    start_time_unix_nano: int = 0
    time_unix_nano: int = 0
    exemplars: tuple[tuple[str, str, float], ...] = ()  # of all points: trace id, span id, value

    def add(self, point: Any) -> None:
        """Take one decoded data point. Raises BadBody if it contradicts itself."""
        value, total = _value_and_sum(point, self.kind)
        bounds, buckets = _buckets(point, self.kind)
        if self.temporality == "delta":
            value, total = self.value + value, self.sum + total
            if self.bucket_counts and bounds == self.bounds:
                buckets = tuple(a + b for a, b in zip(self.bucket_counts, buckets, strict=True))
        elif self.monotonic and value < self.value:
            self.resets += 1
        self.value, self.sum, self.bounds, self.bucket_counts = value, total, bounds, buckets
        self.points += 1
        self.start_time_unix_nano = point.start_time_unix_nano
        self.time_unix_nano = max(self.time_unix_nano, point.time_unix_nano)
        self.exemplars += tuple(
            (found.trace_id.hex(), found.span_id.hex(), found.as_double)
            for found in getattr(point, "exemplars", ())
        )


class OtlpReceiver(Sink):
    """The receiver as a server in a thread; `headers` has those of the last accepted requests."""

    name = "otlp receiver"
    limits = LIMITS

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.headers: deque[Mapping[str, str]] = deque(maxlen=REQUESTS_REMEMBERED)
        self._series: dict[tuple[Any, ...], Series] = {}
        self._spans: list[Span] = []

    @property
    def endpoint(self) -> str:
        """The value for OTEL_EXPORTER_OTLP_ENDPOINT."""
        return self.url

    def series(self, name: str | None = None, **attributes: Any) -> list[Series]:
        """The series of a metric (or of all) that carry these attributes, among others."""
        with self.lock:
            return [
                dataclasses.replace(series)
                for series in self._series.values()
                if name in (None, series.name) and attributes.items() <= series.attributes.items()
            ]

    def value(self, name: str, **attributes: Any) -> float:
        """The sum of `value` over the matching series; 0 if there is none."""
        return sum(series.value for series in self.series(name, **attributes))

    def spans(self, name: str | None = None, **attributes: Any) -> list[Span]:
        """The spans of a name (or all) that carry these attributes, among others."""
        with self.lock:
            return [
                span
                for span in self._spans
                if name in (None, span.name) and attributes.items() <= span.attributes.items()
            ]

    def snapshot(self, name: str | None = None) -> list[dict[str, Any]]:
        return [dataclasses.asdict(series) for series in self.series(name)]

    def refusal(self, status: int, reason: str, headers: Mapping[str, str]) -> Reply:
        """A google.rpc.Status, as the protocol asks."""
        from google.protobuf import json_format
        from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

        message = Status(message=reason)
        sent = {name.lower(): value for name, value in headers.items()}
        if sent.get("content-type") == PROTOBUF:
            return Reply(status, message.SerializeToString(), PROTOBUF)
        return Reply(status, json_format.MessageToDict(message))

    def answer(self, request: Request) -> Reply:
        if request.method == "POST" and request.path == "/v1/metrics":
            self._take_metrics(request)
        elif request.method == "POST" and request.path == "/v1/traces":
            self._take_spans(request)
        else:
            there_is = (
                f"there is no {request.method} {request.path}: "
                "expected POST /v1/metrics or /v1/traces"
            )
            return self.refusal(404, there_is, request.headers)
        # The empty response of either service is no bytes at all.
        if request.headers["content-type"].startswith(PROTOBUF):
            return Reply(200, b"", PROTOBUF)
        return Reply(200, {})

    def _take_metrics(self, request: Request) -> None:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
            ExportMetricsServiceRequest,
        )

        points = _points(_decoded(request, ExportMetricsServiceRequest()))
        with self.lock:
            for series, point in points:
                self._take(series, point)
            self.headers.append(request.headers)

    def _take_spans(self, request: Request) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        spans = spans_of(_decoded(request, ExportTraceServiceRequest()), _attributes)
        with self.lock:
            self._spans += spans
            self.headers.append(request.headers)

    def _take(self, fresh: Series, point: Any) -> None:
        key = (
            fresh.name,
            fresh.kind,
            fresh.temporality,
            fresh.instance,
            frozenset((name, repr(value)) for name, value in fresh.attributes.items()),
        )
        series = self._series.setdefault(key, fresh)
        series.resource, series.unit = fresh.resource, fresh.unit
        series.add(point)


def _decoded(request: Request, empty: Any) -> Any:
    """The body in `empty`, a message of the protocol; raises BadBody."""
    from google.protobuf import json_format
    from google.protobuf.message import DecodeError

    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == PROTOBUF:
            empty.ParseFromString(request.body)
        elif kind == "application/json":
            json_format.Parse(request.body, empty, ignore_unknown_fields=True)
        else:
            raise BadBody(415, f"Content-Type {kind!r}: expected {PROTOBUF} or application/json")
    except (DecodeError, json_format.ParseError, UnicodeDecodeError) as error:
        raise BadBody(400, f"the body is not an {type(empty).__name__}: {error}") from error
    return empty


def _points(request: Any) -> list[tuple[Series, Any]]:
    """Every data point of a request with the empty series that it belongs to; raises BadBody."""
    found = []
    for resource_metrics in request.resource_metrics:
        resource = _attributes(resource_metrics.resource.attributes)
        instance = str(resource.get("service.instance.id", ""))
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                kind: Kind | None = metric.WhichOneof("data")
                if kind is None:
                    raise BadBody(400, f"metric {metric.name!r} has no data")
                data = getattr(metric, kind)
                # A summary is cumulative by definition; a gauge has no temporality.
                code = getattr(data, "aggregation_temporality", 2 if kind == "summary" else 0)
                monotonic = getattr(data, "is_monotonic", kind not in ("gauge", "sum"))
                for point in data.data_points:
                    series = Series(
                        metric.name,
                        kind,
                        TEMPORALITIES[code],
                        instance,
                        _attributes(point.attributes),
                        resource,
                        metric.unit,
                        monotonic,
                    )
                    _check(series, point)
                    found.append((series, point))
    return found


def _check(series: Series, point: Any) -> None:
    if series.kind == "histogram" and point.bucket_counts:
        if len(point.bucket_counts) != len(point.explicit_bounds) + 1:
            raise BadBody(400, f"{series.name}: expected one bucket more than bounds")
        if sum(point.bucket_counts) != point.count:
            raise BadBody(400, f"{series.name}: the buckets do not add up to the count")


def _value_and_sum(point: Any, kind: Kind) -> tuple[float, float]:
    if kind not in ("gauge", "sum"):
        return point.count, point.sum
    value: float = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
    return value, 0.0


def _buckets(point: Any, kind: Kind) -> tuple[tuple[float, ...], tuple[int, ...]]:
    if kind != "histogram":
        return (), ()
    return tuple(point.explicit_bounds), tuple(point.bucket_counts)


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    """OTLP's key-value pairs as a dict of plain Python values."""
    return {pair.key: _plain(pair.value) for pair in pairs}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(entry) for entry in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


if __name__ == "__main__":
    serve(OtlpReceiver, default_port=4318)
