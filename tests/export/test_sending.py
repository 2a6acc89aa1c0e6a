"""What is sent: points as OTLP has them, and each exemplar once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics.export import MetricExporter, MetricsData
from opentelemetry.sdk.metrics.export import MetricExportResult as Result
from opentelemetry.sdk.resources import Resource

from otel_accubooks.contract import metrics as m
from otel_accubooks.export import sending
from otel_accubooks.export.points import metrics_data
from otel_accubooks.export.sending import Pusher, pushers
from otel_accubooks.recorder.exemplars import Exemplar
from otel_accubooks.recorder.totals import Point


def test_points_are_encoded_as_they_are() -> None:
    """Counters are whole, a histogram's count is that of its buckets, gauges have no start."""
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

    points = [
        Point(m.CACHE_HITS_TOTAL, (), start=1.0, value=5),
        Point(m.CACHE_OPERATION_DURATION_MS, ("get",), 1.0, counts=[1, 0, 0, 0, 0, 0, 2], total=9),
        Point(m.FORECAST_QUEUE_DEPTH, ("q",), value=3),
        Point(m.HTTP_REQUESTS_TOTAL, (), start=1.0, value=2, overflow=True),
    ]
    request = encode_metrics(metrics_data(points, Resource({"service.name": "x"}), 10.0))
    (scope,) = request.resource_metrics[0].scope_metrics
    found = {metric.name: metric for metric in scope.metrics}
    assert found["cache_hits_total"].sum.is_monotonic
    assert found["cache_hits_total"].sum.data_points[0].as_int == 5
    assert found["cache_hits_total"].sum.data_points[0].start_time_unix_nano == 10**9
    histogram = found["cache_operation_duration_ms"].histogram.data_points[0]
    assert (histogram.count, histogram.sum) == (3, 9)
    assert list(histogram.explicit_bounds) == [1, 5, 10, 25, 50, 100]
    assert not histogram.HasField("min")
    gauge = found["forecast_queue_depth"].gauge.data_points[0]
    assert (gauge.as_double, gauge.start_time_unix_nano) == (3, 0)
    overflow = found["http_requests_total"].sum.data_points[0].attributes[0]
    assert (overflow.key, overflow.value.bool_value) == ("otel.metric.overflow", True)


FOUND = Exemplar(7.5, 9.5, "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7")
LATER = Exemplar(8.5, 9.75, "f" * 32, "f" * 16)


def test_exemplars_are_encoded_with_their_ids() -> None:
    """Value, time, trace and span of each bucket that has one, and no attribute."""
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

    point = Point(m.CACHE_OPERATION_DURATION_MS, ("get",), 1.0, counts=[0, 0, 1, 0, 0, 0, 0])
    point.exemplars = (None, None, FOUND, None, None, None, None)
    request = encode_metrics(metrics_data([point], Resource({}), 10.0))
    (metric,) = request.resource_metrics[0].scope_metrics[0].metrics
    (found,) = metric.histogram.data_points[0].exemplars
    assert (found.as_double, found.time_unix_nano) == (7.5, 9_500_000_000)
    assert (found.trace_id.hex(), found.span_id.hex()) == (FOUND.trace_id, FOUND.span_id)
    assert list(found.filtered_attributes) == []


class Sent(MetricExporter):
    """Remembers the values of the exemplars of each export; `result` is what it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[list[float]] = []
        self.result = Result.SUCCESS

    def export(self, metrics_data: MetricsData, *_: object, **__: object) -> Result:
        (metric,) = metrics_data.resource_metrics[0].scope_metrics[0].metrics
        self.values.append([e.value for p in metric.data.data_points for e in p.exemplars])
        return self.result

    def force_flush(self, timeout_millis: float = 0) -> bool:
        return True

    def shutdown(self, *_: object, **__: object) -> None:
        pass


def test_an_exemplar_is_sent_until_it_arrived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once acknowledged it is not sent again; what is not acknowledged comes again."""
    monkeypatch.setattr(sending.time, "sleep", lambda _: None)  # to the next second
    exporter = Sent()
    pusher = Pusher(exporter, Resource({}), tmp_path / "received")
    point = Point(m.CACHE_OPERATION_DURATION_MS, ("get",), 1.0, counts=[2, 0, 0, 0, 0, 0, 0])
    one = [replace(point, exemplars=(FOUND, *[None] * 6))]
    two = [replace(point, exemplars=(FOUND, LATER, *[None] * 5))]
    exporter.result = Result.FAILURE
    pusher.send(one)
    exporter.result = Result.SUCCESS
    for points in (one, one, two, two, [point]):
        pusher.send(points)
    assert exporter.values == [[7.5], [7.5], [], [8.5], [], []]


def test_an_exporter_that_fails_leaves_the_others(tmp_path: Path) -> None:
    """Each that cannot be had is one sentence."""
    env = {"OTEL_METRICS_EXPORTER": "telepathy,prometheus,otlp,console"}
    made, problems = pushers(env, Resource({}), tmp_path, successor=False)
    assert len(made) == 2
    (problem,) = problems
    assert problem.startswith("OTEL_METRICS_EXPORTER names 'telepathy', which is not installed")
