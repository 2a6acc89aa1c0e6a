"""Datadog's trace payload: as much of it as says which spans arrived.

Source of the names, numbers and types: datadog/trace/*.proto of the Go module
github.com/DataDog/datadog-agent/pkg/proto, which the collector's exporter is compiled with. What is not
in the table is skipped.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from otel_accubooks.stack.datadog_payloads import Field, file_descriptor, message_classes

PACKAGE = "datadog.trace"
MESSAGES: dict[str, tuple[Field, ...]] = {
    "AgentPayload": (
        Field("hostName", 1, "string"),
        Field("tracerPayloads", 5, ".TracerPayload", repeated=True),
    ),
    "TracerPayload": (Field("chunks", 6, ".TraceChunk", repeated=True),),
    "TraceChunk": (Field("spans", 3, ".Span", repeated=True),),
    "Span": (
        Field("service", 1, "string"),
        Field("name", 2, "string"),
        Field("resource", 3, "string"),
        Field("traceID", 4, "uint64"),  # the lower half
        Field("spanID", 5, "uint64"),
        Field("parentID", 6, "uint64"),
    ),
}


@dataclasses.dataclass(frozen=True)
class Span:
    """One span. `resource` is what Datadog groups by; `trace_id` is the lower half of the id."""

    service: str
    name: str
    resource: str
    trace_id: int
    span_id: int


@functools.cache
def payload_class() -> type[Any]:
    """The protobuf class of what is posted to /api/v0.2/traces."""
    return message_classes(file_descriptor(MESSAGES, PACKAGE))[f"{PACKAGE}.AgentPayload"]


def spans_of(payload: Any) -> list[Span]:
    """The spans of a decoded payload."""
    return [
        Span(span.service, span.name, span.resource, span.traceID, span.spanID)
        for tracer in payload.tracerPayloads
        for chunk in tracer.chunks
        for span in chunk.spans
    ]
