"""Spans out of OTLP's messages, for whoever receives them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Span:
    """One span; ids are in hexadecimal, `scope` is the name of what made it."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    scope: str
    resource: Mapping[str, Any]
    attributes: Mapping[str, Any]

    @property
    def instance(self) -> str:
        """The service.instance.id."""
        return str(self.resource.get("service.instance.id", ""))


def spans_of(request: Any, attributes: Callable[[Iterable[Any]], dict[str, Any]]) -> list[Span]:
    """The spans of an ExportTraceServiceRequest; `attributes` decodes OTLP's key-value pairs."""
    found = []
    for resource_spans in request.resource_spans:
        resource = attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            found += [
                Span(
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    scope_spans.scope.name,
                    resource,
                    attributes(span.attributes),
                )
                for span in scope_spans.spans
            ]
    return found
