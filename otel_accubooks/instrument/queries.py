"""How long queries take, by what they do. One observation is one call that sends SQL."""

from __future__ import annotations

from otel_accubooks.contract.metrics import DB_QUERY_DURATION_MS
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.sql import text_of, verb
from otel_accubooks.recorder.process import recorder
from otel_accubooks.recorder.series import Histogram

REMEMBERED_QUERIES = 1024
LONGEST = 4096

_durations = recorder.histogram(DB_QUERY_DURATION_MS)
_by_query: dict[str, Histogram] = {}
# The series of a text that was seen lately, or None: for callers to whom a call is dear.
remembered = _by_query.get


def _series_of(query: object) -> Histogram:
    # Only plain text of moderate length: hashing and keeping 10 MB would cost more than scanning.
    text = query if type(query) is str else text_of(query)
    if len(text) > LONGEST:
        return _durations.labels(verb(text))
    series = _by_query.get(text)
    if series is None:
        if len(_by_query) >= REMEMBERED_QUERIES:
            # All at once: to find the oldest one costs more than to look at those in use once more.
            _by_query.clear()
        series = _by_query[text] = _durations.labels(verb(text))
    return series


def query_ended(query: object, began: float) -> None:
    """Records a query: text, bytes, or what its driver composes them of. Never raises.

    `began` is the `perf_counter` before it was sent.
    """
    try:
        _series_of(query).record_since(began)
    except Exception:
        failed("recording a query")


def query_of(args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    """The query of a call, wherever it was passed; empty where the driver will refuse the call."""
    return args[0] if args else kwargs.get("query", "")
