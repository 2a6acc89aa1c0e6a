"""Batches of spans and of log records, as the SDK makes them, but by each process for itself.

The SDK's own batch processors are made before a server forks, with their thread and their connection.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otel_accubooks.export.resource import INSTANCE_ID, instance_id
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.polling import threads_run
from otel_accubooks.launch.arrival import say_once, watch
from otel_accubooks.launch.masked_spans import masked
from otel_accubooks.launch.per_process import PerProcess, prepare_for_forks
from otel_accubooks.launch.process_end import SECONDS, at_end
from otel_accubooks.recorder.identity import service_identity
from otel_accubooks.recorder.process import recorder


class SpanBatches(SpanProcessor):
    """Sends the spans of each process by a batch processor of its own, made at its first span."""

    def __init__(self, exporter: Callable[[], Any]) -> None:
        """`exporter` makes one; it is called in each process."""
        self._batches = PerProcess(
            lambda: _batches(BatchSpanProcessor, exporter, "spans", "TRACES")
        )

    def on_end(self, span: ReadableSpan) -> None:
        try:
            batches = self._batches.get()
            if batches is not None:
                batches.on_end(span)
        except Exception:
            failed("handing on a span")

    def shutdown(self) -> None:
        _end(self._batches.known())

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        batches = self._batches.known()
        return batches is None or bool(batches.force_flush(timeout_millis))


class LogBatches(LogRecordProcessor):
    """The same for log records."""

    def __init__(self, exporter: Callable[[], Any]) -> None:
        """`exporter` makes one; it is called in each process."""
        self._batches = PerProcess(
            lambda: _batches(BatchLogRecordProcessor, exporter, "log records", "LOGS")
        )

    def on_emit(self, log_record: Any) -> None:
        try:
            batches = self._batches.get()
            if batches is not None:
                batches.on_emit(log_record)
        except Exception:
            failed("handing on a log record")

    def shutdown(self) -> None:
        _end(self._batches.known())

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        batches = self._batches.known()
        return batches is None or bool(batches.force_flush(timeout_millis))


def _batches(kind: Any, exporter: Callable[[], Any], what: str, signal: str) -> Any:
    """A batch processor for this process; None where there can be none. Never raises."""
    if not threads_run():
        say_once(signal, f"{what} are not sent: start uWSGI with --enable-threads")
        return None
    try:
        return _made(kind, exporter(), what, signal)
    except Exception as error:
        say_once(signal, f"{what} are not sent: {error}")
        return None


def _made(kind: Any, exporter: Any, what: str, signal: str) -> Any:
    prepare_for_forks()
    watch(exporter, what, signal)
    _tell_service(exporter)
    if signal == "TRACES":
        _mask(exporter)
    # Without this, the SDK's metrics of itself would be among those of the application.
    known = "meter_provider" in inspect.signature(kind).parameters
    made = kind(exporter, **({"meter_provider": NoOpMeterProvider()} if known else {}))
    at_end(lambda seconds: _end(made, seconds))
    return made


def _end(batches: Any, seconds: float = SECONDS) -> None:
    """Sends what is left; waits no longer than `seconds`."""
    if batches is not None:
        # The processor's own `shutdown` takes no time limit, and waits half a minute.
        inner = getattr(batches, "_batch_processor", None)
        if inner is None:
            batches.shutdown()
        else:
            inner.shutdown(timeout_millis=int(seconds * 1000))


def _tell_service(exporter: Any) -> None:
    """Lets everything that is sent carry the instance id that the service's metrics carry.

    That is known late, since the folder is made by the first record; and the SDK makes up another
    id for each process.
    """
    original = exporter.export

    def export(batch: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        instance = _service_instance()
        if instance is not None and batch:
            resource = batch[0].resource.merge(Resource({INSTANCE_ID: instance}))
            batch = [_with_resource(entry, resource) for entry in batch]
        return original(batch, *args, **kwargs)

    exporter.export = export


def _mask(exporter: Any) -> None:
    """Lets spans leave without the values that are in them."""
    original = exporter.export

    def export(batch: Sequence[ReadableSpan], *args: Any, **kwargs: Any) -> Any:
        return original([span for span in batch if masked(span)], *args, **kwargs)

    exporter.export = export


def _service_instance() -> str | None:
    given = service_identity(os.environ).get(INSTANCE_ID)
    if given is not None or recorder.folder is None:
        return given
    try:
        return instance_id(recorder.folder.path, recorder.folder.origin())
    except OSError:
        return None  # nothing has been recorded: there are no metrics to go with


def _with_resource(entry: Any, resource: Resource) -> Any:
    if dataclasses.is_dataclass(entry) and not isinstance(entry, type):
        return dataclasses.replace(entry, resource=resource)
    entry._resource = resource  # it has ended, and a copy would lose what was dropped
    return entry
