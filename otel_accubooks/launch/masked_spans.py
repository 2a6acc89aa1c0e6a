"""Spans without the values that came with a request, a query or an exception.

Upstream's instrumentors put them there: query strings, literals in SQL, and what exceptions say, which
a database fills with the row that it refused.
"""

from __future__ import annotations

import re
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status

from otel_accubooks.instrument.guard import say_failed
from otel_accubooks.instrument.sql import without_values

_ADDRESSES = ("http.target", "http.url", "url.full")
_STATEMENTS = ("db.statement", "db.query.text")
_SYSTEMS = ("db.system", "db.system.name")
_LEFT_OUT = ("url.query", "db.statement.parameters", "exception.message")
_PARAMETER = "db.query.parameter."
_STACK = "exception.stacktrace"
_FRAME = re.compile(r'^ +File ".*", line \d+, in .*$', re.MULTILINE)


def masked(span: ReadableSpan) -> bool:
    """Takes the values out of a span that has ended; False where that fails. Never raises."""
    try:
        span._attributes = _masked(span._attributes)
        span._events = [_without_values(event) for event in span.events]
        if span.status.description:
            span._status = Status(span.status.status_code)
    except Exception:
        say_failed("masking a span")
        return False
    return True


def _without_values(event: Event) -> Event:
    return Event(event.name, _masked(event.attributes), event.timestamp)


def _masked(attributes: Any) -> Any:
    if not attributes or not any(map(_concerned, attributes)):
        return attributes
    postgresql = "postgresql" in map(attributes.get, _SYSTEMS)
    kept = {
        key: _value(key, value, postgresql)
        for key, value in attributes.items()
        if not _left_out(key)
    }
    made = BoundedAttributes(attributes=kept, immutable=True)
    made.dropped = getattr(attributes, "dropped", 0)
    return made


def _concerned(key: str) -> bool:
    return key in _ADDRESSES or key in _STATEMENTS or key == _STACK or _left_out(key)


def _left_out(key: str) -> bool:
    return key in _LEFT_OUT or key.startswith(_PARAMETER)


def _value(key: str, value: Any, postgresql: bool) -> Any:
    if not _concerned(key):
        return value
    # Bytes are what execute_values of psycopg2 sends.
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    if key in _STATEMENTS:
        return without_values(text, postgresql=postgresql)
    return "\n".join(_FRAME.findall(text)) if key == _STACK else re.split("[?#]", text)[0]
