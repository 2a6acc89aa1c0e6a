"""Requests of which most was encoded before: each says what the SDK's encoder says of the same points."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.http import metric_exporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricsData
from opentelemetry.sdk.resources import Resource

from otel_accubooks.contract import metrics as m
from otel_accubooks.export import encoding
from otel_accubooks.export.encoding import Encoder, Prepared, accept_prepared
from otel_accubooks.export.points import metrics_data
from otel_accubooks.recorder.exemplars import Exemplar
from otel_accubooks.recorder.totals import Point

RESOURCE = Resource({"service.name": "x", "host.name": "höst"})
METRICS = [
    m.HTTP_REQUESTS_TOTAL,
    m.HTTP_REQUEST_DURATION_MS,
    m.CACHE_HITS_TOTAL,
    m.CACHE_OPERATION_DURATION_MS,
    m.FORECAST_QUEUE_DEPTH,
]
EXEMPLARS = st.none() | st.builds(
    Exemplar,
    st.floats(0, 1e9),
    st.floats(1, 2e9),
    st.integers(1, 2**128 - 1).map(lambda number: f"{number:032x}"),
    st.integers(1, 2**64 - 1).map(lambda number: f"{number:016x}"),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)


@st.composite
def points(draw: st.DrawFn) -> Point:
    """One series with any numbers."""
    metric = draw(st.sampled_from(METRICS))
    overflow = metric.type != "gauge" and draw(st.booleans())
    labels = () if overflow else tuple(draw(TEXTS) for _ in metric.labels)
    point = Point(metric, labels, overflow=overflow)
    if metric.type != "gauge":
        point.start = draw(st.floats(0, 2e9))
        point.value = draw(st.integers(0, 2**53)) * 1.0
    else:
        point.value = draw(st.floats(allow_nan=False))
    if metric.type == "histogram":
        size = len(metric.buckets) + 1
        counts = st.lists(st.integers(0, 2**40).map(float), min_size=size, max_size=size)
        point.counts, point.total = draw(counts), draw(st.floats(-1e9, 1e9))
        found = st.lists(EXEMPLARS, min_size=size, max_size=size).map(tuple)
        point.exemplars = draw(st.just(()) | found)
    return point


def unlike(found: list[Point]) -> list[Point]:
    """One point of each series."""
    return [*{(p.metric.name, p.labels, p.overflow): p for p in found}.values()]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(points(), max_size=8).map(unlike), min_size=2, max_size=4), st.booleans())
def test_each_export_decodes_as_the_sdks(exports: list[list[Point]], delta: bool) -> None:
    """Whatever series come, go and change from one export to the next, in either temporality."""
    encoder = Encoder(RESOURCE, delta=delta)
    # The same series again with another number, as nearly all are.
    again = [[replace(point, value=7.0, start=3.0) for point in some] for some in exports]
    # And the very same points, of series in which nothing happened.
    quiet = [some for some in exports for _ in range(3)]
    for at, some in enumerate([*quiet, *again, *exports], 1):
        ours = ExportMetricsServiceRequest.FromString(
            encoder.request(some, at * 1.5).SerializeToString()
        )
        assert ours == encode_metrics(metrics_data(some, RESOURCE, at * 1.5, delta=delta))


def test_nothing_is_kept_of_series_that_went() -> None:
    """What an encoder keeps is bounded by what there is."""
    encoder = Encoder(RESOURCE)
    for number in range(5):
        encoder.request([Point(m.CALCULATION_ERRORS_TOTAL, (str(number),), value=1)], 1.0)
    (kept,) = encoder._series.values()
    assert [*kept] == [(("4",), False)]


def test_whoever_answers_requests_need_not_wait_for_an_export(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There are pauses in it, more with more series, up to a number."""
    pauses: list[float] = []
    monkeypatch.setattr(encoding, "pause", lambda: pauses.append(None))
    encoder, numbers = Encoder(RESOURCE), []
    for size in (1, 2_000, 20_000, 40_000):
        some = [Point(m.CALCULATION_ERRORS_TOTAL, (str(n),), value=1) for n in range(size)]
        encoder.request(some, 1.0)
        pauses.clear()
        encoder.request(some, 2.0)
        numbers.append(len(pauses))
    assert numbers[0] < numbers[1] < numbers[2] == numbers[3]


def prepared(calls: list[str]) -> Prepared:
    """Notes which form somebody took."""
    some = [Point(m.CACHE_HITS_TOTAL, (), 1.0, 5.0)]

    def request() -> Any:
        calls.append("request")
        return Encoder(RESOURCE).request(some, 2.0)

    def data() -> MetricsData:
        calls.append("data")
        return metrics_data(some, RESOURCE, 2.0)

    return Prepared(request, data)


def test_the_otlp_exporter_takes_what_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sends the request as it is, and any other data as before."""
    monkeypatch.setattr(metric_exporter, "encode_metrics", encode_metrics)
    exporter = OTLPMetricExporter(endpoint="http://localhost:1")
    calls: list[str] = []
    assert accept_prepared(exporter)
    assert accept_prepared(exporter)  # another one of the same kind
    encode: Any = metric_exporter.encode_metrics  # type: ignore[attr-defined]
    given = prepared(calls)
    assert encode(given) == encode(
        metrics_data([Point(m.CACHE_HITS_TOTAL, (), 1.0, 5.0)], RESOURCE, 2.0)
    )
    assert calls == ["request"]


def test_other_exporters_get_the_sdks_data(capsys: pytest.CaptureFixture[str]) -> None:
    """Who knows nothing of it finds the same points."""
    exporter, calls = ConsoleMetricExporter(out=sys.stdout), []  # type: ignore[var-annotated]
    assert not accept_prepared(exporter)
    exporter.export(prepared(calls))
    assert "cache_hits_total" in capsys.readouterr().out
    assert encode_metrics(prepared(calls)) == prepared(calls).request()
    assert "data" in calls
