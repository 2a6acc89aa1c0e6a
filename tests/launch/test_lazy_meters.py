"""Stand-ins for instruments: everything that the API offers, once per process."""

from __future__ import annotations

import os

import pytest
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_accubooks.launch import arrival
from otel_accubooks.launch.lazy_meters import LazyMeter


class Real:
    """A usual provider; `made` counts how often the real meter was asked for."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self._meter = MeterProvider([self.reader], shutdown_on_exit=False).get_meter("real")
        self.made = 0
        self.stand_in = LazyMeter("mine", None, None, self._find, lambda one: one.real())

    def _find(self, _: LazyMeter) -> Meter:
        self.made += 1
        return self._meter

    def values(self) -> dict[str, float]:
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        metrics = data.resource_metrics[0].scope_metrics[0].metrics
        points = {metric.name: next(iter(metric.data.data_points)) for metric in metrics}
        return {name: getattr(p, "value", getattr(p, "sum", 0)) for name, p in points.items()}


@pytest.fixture
def real() -> Real:
    return Real()


def test_every_kind_of_instrument_reaches_the_sdk(real: Real) -> None:
    """Counters, histograms, gauges, and those that are observed."""

    def one(_: CallbackOptions) -> list[Observation]:
        return [Observation(1)]

    meter = real.stand_in
    meter.create_counter("counter").add(1, {"a": "b"})
    meter.create_up_down_counter("up_down").add(-1)
    meter.create_histogram("histogram", explicit_bucket_boundaries_advisory=[1, 2]).record(1.5)
    meter.create_gauge("gauge").set(4)
    meter.create_observable_counter("observed_counter", [one])
    meter.create_observable_up_down_counter("observed_up_down", [one])
    meter.create_observable_gauge("observed_gauge", [one])
    assert real.values() == {
        "counter": 1,
        "up_down": -1,
        "histogram": 1.5,
        "gauge": 4,
        "observed_counter": 1,
        "observed_up_down": 1,
        "observed_gauge": 1,
    }


def test_an_instrument_is_made_when_it_first_records_and_once(real: Real) -> None:
    """Also where the application makes it anew in each request."""
    counter = real.stand_in.create_counter("counter")
    assert real.made == 0
    for _ in range(3):
        assert real.stand_in.create_counter("counter") is counter
        counter.add(1)
    assert real.made == 1
    assert real.values() == {"counter": 3}


def test_a_child_has_one_of_its_own(real: Real) -> None:
    """After a fork the real meter is looked for again, in the child alone."""
    counter = real.stand_in.create_counter("counter")
    counter.add(1)
    child = os.fork()
    if not child:
        counter.add(1)
        counter.add(1)
        os._exit(real.made)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert real.made == 1


def test_what_cannot_be_made_raises_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A meter that fails costs one line, and its instruments do nothing."""
    monkeypatch.setattr(arrival, "_said", set())
    monkeypatch.setattr(arrival.recorder, "folder", None)

    def find(_: LazyMeter) -> Meter:
        raise ValueError("as in life")

    meter = LazyMeter("mine", None, None, find, lambda one: one.real())
    meter.create_counter("first").add(1)
    meter.create_histogram("second").record(1)
    meter.create_observable_gauge("third")
    assert [record.getMessage() for record in caplog.records] == [
        "otel-accubooks: an instrument of the application cannot be made: as in life"
    ]
