"""Spans leave without the values of requests, queries and exceptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from otel_accubooks.launch import arrival, masked_spans, process_end
from otel_accubooks.launch.batches import SpanBatches


class Kept(SpanExporter):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    """What a process of no service exports."""
    monkeypatch.setattr(arrival.recorder, "folder", None)
    monkeypatch.setattr(arrival, "_said", set())
    return Kept()


def provider(kept: Kept, **limits: int) -> TracerProvider:
    made = TracerProvider(
        shutdown_on_exit=False,
        meter_provider=NoOpMeterProvider(),
        span_limits=SpanLimits(**limits) if limits else None,
    )
    made.add_span_processor(SpanBatches(lambda: kept))
    return made


def exported(kept: Kept, attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes with which a span that has these leaves."""
    provider(kept).get_tracer("mine").start_span("one", attributes=attributes).end()
    process_end.flush_all()
    (span,) = kept.spans
    return dict(span.attributes or {})


@pytest.mark.parametrize("key", ["http.target", "http.url", "url.full"])
def test_an_address_has_no_query_string(kept: Kept, key: str) -> None:
    """Where a request went stays, what it was given not."""
    assert exported(kept, {key: "/a/b?token=hunter2#hunter2", "http.route": "/a/b"}) == {
        key: "/a/b",
        "http.route": "/a/b",
    }


@pytest.mark.parametrize("key", ["db.statement", "db.query.text"])
def test_a_statement_has_no_values(kept: Kept, key: str) -> None:
    """Literals and comments are taken out; placeholders and names stay."""
    assert exported(kept, {key: "SELECT 'hunter2', %s FROM t WHERE n = 7 -- hunter2"}) == {
        key: "SELECT ?, %s FROM t WHERE n = ?"
    }


def test_a_statement_may_be_bytes(kept: Kept) -> None:
    """As execute_values of psycopg2 has it."""
    assert exported(kept, {"db.statement": b"VALUES ('hunter2')"}) == {"db.statement": "VALUES (?)"}


@pytest.mark.parametrize("key", ["url.query", "db.statement.parameters", "db.query.parameter.name"])
def test_what_is_nothing_but_values_is_left_out(kept: Kept, key: str) -> None:
    """Query strings and parameters that have an attribute of their own."""
    assert exported(kept, {key: "hunter2", "db.system": "postgresql"}) == {
        "db.system": "postgresql"
    }


def test_an_exception_says_what_it_is_and_where(kept: Kept) -> None:
    """Not what it says: a database tells in it the row that it refused."""
    with pytest.raises(LookupError), provider(kept).get_tracer("mine").start_as_current_span("one"):
        raise LookupError("hunter2\nDETAIL: hunter2")
    process_end.flush_all()
    (span,) = kept.spans
    (event,) = span.events
    attributes = event.attributes or {}
    assert attributes["exception.type"] == "LookupError"
    assert "in test_an_exception_says_what_it_is_and_where" in str(
        attributes["exception.stacktrace"]
    )
    assert "hunter2" not in span.to_json()
    assert span.status.status_code is StatusCode.ERROR


def test_what_was_dropped_is_still_told(kept: Kept) -> None:
    """How many attributes a span had beyond its limit."""
    tracer = provider(kept, max_span_attributes=1).get_tracer("mine")
    tracer.start_span("one", attributes={"a": 1, "b": 2, "http.url": "http://h/?x"}).end()
    process_end.flush_all()
    assert kept.spans[0].dropped_attributes == 2


def test_a_span_that_cannot_be_masked_is_kept_back(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather none than one with everything in it; and nothing is raised."""

    def fail(_: str) -> str:
        raise ValueError("no")

    monkeypatch.setattr(masked_spans, "without_values", fail)
    tracer = provider(kept).get_tracer("mine")
    tracer.start_span("one", attributes={"db.statement": "SELECT 'hunter2'"}).end()
    tracer.start_span("two").end()
    process_end.flush_all()
    assert [span.name for span in kept.spans] == ["two"]


@pytest.mark.parametrize(
    "statement",
    [
        """SELECT * FROM t WHERE n = "hunter2" AND p = 7""",
        r"""SELECT * FROM t WHERE p = 'it\'s hunter2'""",
        """SELECT 1 # hunter2""",
    ],
)
def test_a_statement_of_another_database_has_no_values_either(kept: Kept, statement: str) -> None:
    """MySQL has other quotes and comments than PostgreSQL."""
    found = exported(kept, {"db.statement": statement, "db.system": "mysql"})["db.statement"]
    assert found.startswith("SELECT")
    assert "hunter2" not in found


def test_names_in_postgresql_stay(kept: Kept) -> None:
    """There a double quote is around a name."""
    statement = """SELECT "n" FROM t WHERE p = E'it\\'s hunter2' AND q = '#'"""
    found = exported(kept, {"db.statement": statement, "db.system": "postgresql"})["db.statement"]
    assert found == """SELECT "n" FROM t WHERE p = E? AND q = ?"""
