"""What is remembered of queries: texts that were seen lately, so many and no more."""

from __future__ import annotations

from time import perf_counter

import pytest

from otel_accubooks.instrument import queries


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "REMEMBERED_QUERIES", 3)
    queries._by_query.clear()


def test_more_texts_than_there_is_room_for(recorded: object) -> None:
    """One more, and memory begins anew: what is in use comes back by itself."""
    for number in range(4):
        queries.query_ended(f"SELECT {number}", perf_counter())
    assert list(queries._by_query) == ["SELECT 3"]
    assert queries.remembered("SELECT 0") is None
    assert queries.remembered("SELECT 3") is queries._durations.labels("SELECT")


def test_a_text_of_enormous_length_is_not_kept(recorded: object) -> None:
    """It counts all the same."""
    series = queries._durations.labels("INSERT")
    series._attach(series)
    before = sum(series.kept()[2:])
    queries.query_ended("INSERT " + "x" * queries.LONGEST, perf_counter())
    assert not queries._by_query
    assert sum(series.kept()[2:]) == before + 1
