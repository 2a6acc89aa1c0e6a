"""Points as OTLP requests, where what stays of a series is encoded once.

The SDK's own encoder makes it; of each data point, what never changes (attributes, bounds) is kept as
bytes, which protobuf puts into the next request, beside the numbers of the moment. Of a series in which
nothing happens, the numbers are kept too, but for the time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import MetricExporter, MetricsData, ResourceMetrics
from opentelemetry.sdk.resources import Resource

from otel_accubooks.export.points import in_order, metrics_data
from otel_accubooks.recorder.pacing import parts, pause
from otel_accubooks.recorder.totals import Point

_AT_ONCE = 500  # series that are encoded for the first time: what the SDK needs for more is much
_LEAST_PART = 256
_MOST_PARTS = 50
_MOMENTARY = (
    ("as_int", "time_unix_nano"),
    ("as_double", "time_unix_nano"),
    ("bucket_counts", "count", "sum", "time_unix_nano"),
)
_FIELDS = dict(zip(("counter", "gauge", "histogram"), _MOMENTARY, strict=True))


class _Series:
    """A data point as bytes: what never changes, its start, and the numbers of the point `held`, if any."""

    __slots__ = ("held", "known", "last", "start")

    def __init__(self, known: bytes, start: float) -> None:
        self.known = known
        self.start = start
        self.held: Point | None = None
        self.last: Point | None = None  # the point of the last request


_Known = dict[tuple[tuple[str, ...], bool], _Series]


class Encoder:
    """Encodes the same service again and again, for one resource."""

    def __init__(self, resource: Resource, *, delta: bool = False) -> None:
        self._resource = resource
        self._delta = delta
        self._metrics: dict[str, bytes] = {}  # each without data points
        self._series: dict[str, _Known] = {}

    def request(self, points: Iterable[Point], now: float) -> Any:
        """What the SDK encodes of `metrics_data` of these points; `now` is Unix seconds.

        It is made in parts, with pauses before, between and after them.
        """
        pause()
        request = self._encode([], now)
        add_metric = request.resource_metrics[0].scope_metrics[0].metrics.add
        series: dict[str, _Known] = {}
        for of_metric in in_order(points):
            name = of_metric[0].metric.name
            series[name], kept = self._kept(of_metric, now)
            metric = add_metric()
            metric.MergeFromString(self._metrics[name])
            into, size = _data(metric).data_points, max(_LEAST_PART, len(kept) // _MOST_PARTS)
            for part in parts(len(kept), size, pause):
                self._fill(into, of_metric[part], kept[part], now)
        self._series = series
        pause()
        return request

    def _encode(self, points: list[Point], now: float) -> Any:
        return encode_metrics(metrics_data(points, self._resource, now, delta=self._delta))

    def _encoded(self, points: list[Point], now: float) -> Any:
        """The points, all of one metric, as the SDK's encoder has that metric."""
        return self._encode(points, now).resource_metrics[0].scope_metrics[0].metrics[0]

    def _kept(self, points: list[Point], now: float) -> tuple[_Known, list[_Series]]:
        """What is kept of the series of one metric, by series and in the order of the points."""
        metric = points[0].metric
        before = self._series.get(metric.name, {})
        keys = [(point.labels, point.overflow) for point in points]
        new = [point for point, key in zip(points, keys, strict=True) if key not in before]
        if new:
            before = before | self._first(new, now)
        kept = [before[key] for key in keys]
        # Of series that are not there any more, nothing is kept.
        gone = len(before) > len(points)
        return (dict(zip(keys, kept, strict=True)) if gone else before), kept

    def _first(self, points: list[Point], now: float) -> _Known:
        found = {}
        fields = (*_FIELDS[points[0].metric.type], "exemplars")
        for part in parts(len(points), _AT_ONCE, pause):
            some = points[part]
            metric = self._encoded(some, now)
            for point, one in zip(some, _data(metric).data_points, strict=True):
                for field in fields:
                    one.ClearField(field)
                found[point.labels, point.overflow] = _Series(one.SerializeToString(), point.start)
            del _data(metric).data_points[:]
            self._metrics[metric.name] = metric.SerializeToString()
        return found

    def _fill(self, into: Any, points: list[Point], kept: list[_Series], now: float) -> None:
        time = round(now * 1e9)
        add, kind = into.add, points[0].metric.type
        for point, series in zip(points, kept, strict=True):
            one = add()
            if point.exemplars and any(point.exemplars):
                one.CopyFrom(_data(self._encoded([point], now)).data_points[0])
                continue
            one.MergeFromString(series.known)
            one.time_unix_nano = time
            if point is series.held:
                continue
            if point.start != series.start and kind != "gauge":
                one.start_time_unix_nano = round(point.start * 1e9)
            if kind == "gauge":
                one.as_double = point.value
            elif kind == "counter":
                one.as_int = round(point.value)
            else:
                counts = [*map(round, point.counts)]
                one.bucket_counts[:] = counts  # in place of those that were kept
                one.count = sum(counts)
                one.sum = point.total
            if point is series.last:
                # Only now: of what changes each time, it would be in vain.
                series.known, series.held = one.SerializeToString(), point
                series.start = point.start
            series.last = point


def _data(metric: Any) -> Any:
    return getattr(metric, metric.WhichOneof("data"))


class Prepared(MetricsData):
    """Points that are encoded by an `Encoder`, or are the SDK's data for whoever does not know it."""

    request: Callable[[], Any]

    def __init__(self, request: Callable[[], Any], data: Callable[[], MetricsData]) -> None:
        object.__setattr__(self, "request", request)
        object.__setattr__(self, "_data", data)

    def __getattr__(self, name: str) -> list[ResourceMetrics]:
        if name != "resource_metrics":
            raise AttributeError(name)
        made: MetricsData = object.__getattribute__(self, "_data")()
        object.__setattr__(self, name, made.resource_metrics)
        return list(made.resource_metrics)


def _encode_prepared(data: MetricsData) -> Any:
    return data.request() if isinstance(data, Prepared) else encode_metrics(data)


def accept_prepared(exporter: MetricExporter) -> bool:
    """Lets an OTLP exporter take what is prepared; False for one that encodes in another way.

    The one private touch: it finds `encode_metrics` under that name in its module. Where it does not,
    it reads the SDK's data, and sends the same.
    """
    module = sys.modules.get(type(exporter).__module__)
    if getattr(module, "encode_metrics", None) not in (encode_metrics, _encode_prepared):
        return False
    module.encode_metrics = _encode_prepared  # type: ignore[union-attr]
    return True
