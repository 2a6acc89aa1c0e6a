"""Spans that a process sends: by a batch processor that is its own, and that never fails it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_accubooks.instrument import guard
from otel_accubooks.launch import arrival, process_end
from otel_accubooks.launch.batches import LogBatches, SpanBatches


class Names(SpanExporter):
    """Remembers in which process it was made, and what it was given."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.names: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.names += [span.name for span in spans]
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        pass


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of no service."""
    monkeypatch.setattr(arrival.recorder, "folder", None)
    monkeypatch.setattr(arrival, "_said", set())


def test_each_process_has_an_exporter_of_its_own() -> None:
    """A child sends its spans by its own, and none of its parent's; the end of a process flushes."""
    made: list[Names] = []

    def make() -> Names:
        made.append(Names())
        return made[-1]

    provider = TracerProvider(shutdown_on_exit=False, meter_provider=NoOpMeterProvider())
    provider.add_span_processor(SpanBatches(make))
    tracer = provider.get_tracer("mine")
    assert made == []
    tracer.start_span("parent").end()
    child = os.fork()
    if not child:
        tracer.start_span("child").end()
        process_end.flush_all()
        right = [one.pid for one in made] == [made[0].pid, os.getpid()]
        os._exit(0 if right and made[1].names == ["child"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    process_end.flush_all()
    assert [one.names for one in made] == [["parent"]]


def test_an_exporter_that_cannot_be_made_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It costs one line, not the request in which the first span ended."""

    def make() -> Names:
        raise OSError("no such certificate")

    provider = TracerProvider(shutdown_on_exit=False, meter_provider=NoOpMeterProvider())
    provider.add_span_processor(SpanBatches(make))
    for _ in range(3):
        provider.get_tracer("mine").start_span("one").end()
    assert provider.force_flush()
    assert [record.getMessage() for record in caplog.records] == [
        "otel-accubooks: spans are not sent: no such certificate"
    ]


@pytest.mark.parametrize(("batches", "signal"), [(SpanBatches, "on_end"), (LogBatches, "on_emit")])
def test_what_fails_at_the_end_of_a_span_stays_here(
    batches: Any, signal: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would catch it between us and the application."""
    monkeypatch.setattr(guard, "_told", set())
    made = batches(Names)
    monkeypatch.setattr(made, "_batches", None)
    for _ in range(3):
        getattr(made, signal)(object())
    assert [record.levelname for record in caplog.records] == ["WARNING"]
