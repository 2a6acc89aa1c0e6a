"""Which sampled span a value belongs to, for exemplars that link from metrics to traces."""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import get_current_span

from otel_accubooks.recorder import exemplars

# Where upstream's instrumentor keeps the span of a request, which has ended before its body is sent.
SPAN_OF_REQUEST = "opentelemetry-flask.span_key"


def link_exemplars() -> None:
    """From now on, histograms that are made remember sampled spans."""
    exemplars.sampled = sampled


def sampled(request: Any) -> exemplars.Span | None:
    """Trace id and span id of the span of `request`, or without one of the current span.

    None where that is not sampled.
    """
    span = None if request is None else request.environ.get(SPAN_OF_REQUEST)
    context = (span or get_current_span()).get_span_context()
    if not context.is_valid or not context.trace_flags.sampled:
        return None
    return context.trace_id, context.span_id
