"""Input that nobody would write: for each reader of ours what may come, and what must hold of it."""

from __future__ import annotations

import math
import tempfile
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from otel_accubooks.contract.metrics import BY_NAME, METRICS, SQL_VERBS
from otel_accubooks.contract.unsent import UNSENT
from otel_accubooks.export.collection import Collection
from otel_accubooks.export.encoding import Encoder
from otel_accubooks.instrument.rules import Rules, RulesError
from otel_accubooks.instrument.rules_check import check_rules
from otel_accubooks.instrument.sql import text_of, verb
from otel_accubooks.launch.settings import read_settings
from otel_accubooks.monitoring.exposition import openmetrics_text, prometheus_text
from otel_accubooks.recorder import layout
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.folding import Folding
from otel_accubooks.recorder.header import Header, publish
from otel_accubooks.recorder.reader import SegmentReader
from otel_accubooks.recorder.root import Root
from otel_accubooks.recorder.segment import SegmentError
from otel_accubooks.recorder.totals import Point, Totals

# SQL ---------------------------------------------------------------------------------------------

_PIECES = [
    "select",
    "insert",
    "update",
    "delete",
    "with",
    "as",
    "recursive",
    "merge",
    "table",
    "values",
    "explain",
    "(",
    ")",
    ",",
    ";",
    "'",
    "''",
    '"',
    "\\",
    "$",
    "$$",
    "$a$",
    "E'",
    "e'\\'",
    "--",
    "/*",
    "*/",
    "/*/",
    "*",
    "-",
    "/",
    "\n",
    "\r",
    "\t",
    "\x00",
    "\x1f",
    "é",
    "\u017f",
    "\ufb01",
    "\u2460",
    "\u2024",
    "1",
    "1e",
    "%s",
    ":a",
    "\ud800",
    "search",
    "depth",
    "first",
    "by",
    "set",
]
sql_texts = st.one_of(
    st.text(max_size=400),
    st.lists(st.sampled_from([*_PIECES, " "]), max_size=200).map("".join),
    st.lists(st.sampled_from(_PIECES), max_size=200).map(" ".join),
    st.builds(lambda piece, times: piece * times, st.sampled_from(_PIECES), st.integers(0, 20_000)),
)
queries = st.one_of(sql_texts, st.binary(max_size=400), st.binary(max_size=40).map(bytearray))


def sql_holds(query: Any) -> None:
    """A verb of the contract, whatever it is; the same where it is longer by a comment."""
    found = verb(text_of(query))
    assert found in SQL_VERBS
    if isinstance(query, str) and len(query) < 1000:
        assert verb(f"/* ; ' */ -- \"\n{query}") == found


# Rules -------------------------------------------------------------------------------------------

_RULE_LINES = [
    "[user]", "[[request]]", "[[job]]", "[[exception]]", "[[log]]", "[[lookup]]", "[request]", "[]",
    "[[user]]", "[request.labels]", 'id = "session.user_id"', 'id = 7', 'id = ["session"]',
    'tier = "header.X-Tier"', 'tier = "before.session"', 'logout = { method = "POST", route = "/x" }',
    'logout = { method = [] }', 'method = "POST"', 'method = []', 'route = "/a"', "route = 1979-05-27",
    'status = "2xx"', "status = 201", "status = nan", 'status = "²xx"', "status = 1e400", "status = true",
    'count = "scenarios_created_total"', 'count = "forecasts_generated_total"', "count = {}",
    'labels = { tier = "kwargs.tier" }', 'labels = { tier = { value = "PRO" } }', "labels = []",
    'labels = { tier = { value = [] } }', 'labels = { tier = { value = "PRO", more = 1 } }',
    'function = "a.b"', 'function = "a..b"', 'outcome = "success"', 'class = "KeyError"', "class = 0x7f",
    'logger = "a"', 'level = "ERROR"', 'level = {}', 'gauge = "users_by_tier"', 'gauge = "nps_score"',
    'sql = "SELECT 1"', 'sql = "a;b"', "sql = '''", "'''", '"""', 'redis = ["GET", "a"]', "redis = [[]]",
    'redis = ["HGETALL", "a"]', "redis = []", 'redis_url = "A"', 'redis_url = "redis://:secret@h"',
    'database = "D"', 'every = "5m"', 'every = "999999h"', "every = 1", "user = 1", "request = [1]",
    "request = 1", "job = [{}]", 'a."b".c = 1', "\0", "\x7f", "=", "# ]", "nothing = 1", "x = " + "[" * 200,
]  # fmt: skip
rules_texts = st.one_of(
    st.text(max_size=200), st.lists(st.sampled_from(_RULE_LINES), max_size=25).map("\n".join)
)


def rules_hold(text: str) -> None:
    """Rules, or a refusal in which each line names file and line; nothing else, and no secret."""
    try:
        assert isinstance(check_rules("r.toml", text), Rules)
    except RulesError as refused:
        for line in str(refused).split("\n"):
            assert line.startswith("r.toml:"), line
            assert ", expected " in line or "cannot be read as TOML" in line
        shown = str(refused)
    else:
        return
    assert "secret" not in shown


# Settings ----------------------------------------------------------------------------------------

_NAMES = [
    "OTEL_METRICS_EXPORTER", "OTEL_TRACES_EXPORTER", "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_METRICS_EXEMPLAR_FILTER", "OTEL_ACCUBOOKS_RULES", "OTEL_ACCUBOOKS_STATE_DIR",
    "OTEL_ACCUBOOKS_SERIES_LIMIT", "OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES", "OTEL_ACCUBOOKS_CACHE_REDIS",
    "OTEL_ACCUBOOKS_MONITORING_PREFIX", "OTEL_ACCUBOOKS_MONITORING_TOKEN", "OTEL_ACCUBOOKS_TEST_ERRORS",
    "OTEL_ACCUBOOKS_REDIS_URL", "OTEL_ACCUBOOKS_SECRET",
]  # fmt: skip
# What an environment can hold: no NUL; bytes that are not UTF-8 are lone surrogates.
_GIVEN = st.text(st.characters(exclude_characters="\0"), max_size=60)
_VALUES = st.one_of(
    _GIVEN,
    st.sampled_from([
        "", " ", "none", "otlp", "otlp,prometheus", ",", "0", "-1", "1e3", "inf", "nan", "9" * 5000, "²",
        "1_000", "true", "/", "//", "/a/../b", "/api/monitoring/", "redis://", "redis://[", "redis://h:x/0",
        "redis://h:99999999/0", "redis://u:p@h/0?db=x", "unix://", "unix://p?db=é", "rediss://h/\uff19",
        "redis://[::1]:6379/0", "redis://h/0#f", "service.name=a,service.name", "service.name=%ff", "=,=",
        "a=b=c,%", "x" * 100_000, "\udcff", "~", "\n",
    ]),
)  # fmt: skip
environments = st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=8)


def settings_hold(env: dict[str, str]) -> None:
    """Settings that can be used, with one line for what was wrong."""
    found = read_settings(env)
    assert 1 <= found.interval_seconds <= 3600
    assert found.series_limit > 0
    assert found.cache_budget_bytes > 0
    assert found.folder.is_absolute()
    assert found.monitoring_prefix is None or found.monitoring_prefix.startswith("/")
    assert all("\n" not in problem for problem in found.problems)
    assert not found.test_errors or found.monitoring_tokens
    # What was set to close something never leaves it open.
    if env.get("OTEL_ACCUBOOKS_MONITORING_TOKEN", "").strip():
        assert found.monitoring_tokens


# Exposition --------------------------------------------------------------------------------------

_LABELS = st.text(max_size=30).map(
    lambda text: text.encode("utf-8", "replace").decode().replace("\x1f", " ")
)
_NUMBERS = st.one_of(
    st.floats(), st.sampled_from([math.inf, -math.inf, math.nan, 2.0**53, 1e300, 5e-324, -0.0])
)
_SUMS = st.floats(0.0, allow_infinity=False)
_COUNTS = st.integers(0, 2**53).map(float)


@st.composite
def _points(draw: st.DrawFn) -> Point:
    metric = draw(st.sampled_from(METRICS))
    labels = tuple(draw(_LABELS) for _ in metric.labels)
    if metric.type == "histogram":
        counts = [draw(_COUNTS) for _ in range(len(metric.buckets) + 1)]
        return Point(metric, labels, counts=counts, total=draw(_SUMS))
    value = draw(_COUNTS if metric.type == "counter" else _NUMBERS)
    return Point(metric, labels, value=value)


pages = st.lists(_points(), max_size=6, unique_by=lambda p: (p.metric.name, p.labels))


def exposition_holds(points: list[Point]) -> None:
    """prometheus_client reads back what was written, in both formats, number for number."""
    for families in (
        text_string_to_metric_families(prometheus_text(points)),
        openmetrics_families(openmetrics_text(points)),
    ):
        read = {
            (sample.name, *sorted(sample.labels.items())): float(sample.value)
            for family in families
            for sample in family.samples
            if not sample.name.endswith("_bucket") and not sample.name.endswith("_created")
        }
        told = {key: value for point in points for key, value in _told(point)}
        assert read.keys() == told.keys()
        for key, value in told.items():
            assert read[key] == value or (math.isnan(value) and math.isnan(read[key]))


def _told(point: Point) -> Iterable[tuple[tuple[Any, ...], float]]:
    labels = sorted((name, str(value)) for name, value in point.attributes.items())
    if point.metric.type == "histogram":
        yield (f"{point.metric.name}_count", *labels), float(int(sum(point.counts)))
        yield (f"{point.metric.name}_sum", *labels), float(point.total)
    else:
        yield (point.metric.name, *labels), float(point.value)


# Merging -----------------------------------------------------------------------------------------

_ODD = st.sampled_from(
    [
        0.0,
        1.0,
        7.0,
        -1.0,
        0.5,
        1e18,
        2.0**63,
        2.0**64,
        1e300,
        math.inf,
        -math.inf,
        math.nan,
        1.7e9,
        5e-324,
    ]
)
_KINDS = [*range(10), *(kind | layout.OVERFLOW for kind in range(1, 9)), 2**32 - 1]
_KEYS = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda name, labels: layout.SEPARATOR.join([name, *labels]).encode("utf-8", "replace"),
        st.sampled_from([*BY_NAME, *UNSENT, "visits", "counted"]),
        st.lists(st.sampled_from(["", "a", "GET", "PRO", "\n", "x" * 300]), max_size=4),
    ),
    st.sampled_from(
        [b"segment-1-a", b"base", b"segment-\xff", b"../base", b"\0", b"segment-1-good"]
    ),
)


def _shape(name: str) -> tuple[int, int]:
    metric = BY_NAME[name]
    size = {"counter": 2, "histogram": 3 + len(metric.buckets), "gauge": 1}[metric.type]
    return layout.KINDS[metric.type], size


@st.composite
def _right_record(draw: st.DrawFn) -> tuple[int, bytes, list[float]]:
    """A record of the right shape, with odd numbers in it."""
    name = draw(st.sampled_from([*BY_NAME]))
    kind, size = _shape(name)
    labels = tuple(draw(st.sampled_from(["a", "b", "GET"])) for _ in BY_NAME[name].labels)
    row = draw(st.lists(_ODD, min_size=size, max_size=size))
    return kind, layout.make_key(name, labels), row


_records = st.one_of(
    _right_record(),
    st.tuples(st.sampled_from(_KINDS), _KEYS, st.lists(_ODD, max_size=24)),
)


class Bytes(bytes):
    """A file's content, shown without its zeros."""

    def __repr__(self) -> str:
        return f"{bytes(self[:80])!r}...{bytes(self[layout.HEADER_BYTES :])!r}"


@st.composite
def _segments(draw: st.DrawFn) -> bytes:
    header = bytearray(layout.HEADER_BYTES)
    odd = st.sampled_from([0, 1, 7, 2**32 - 1])
    wide = st.sampled_from([0, 1, 2000, 2**63, 2**64 - 1])
    root = Root(draw(odd), draw(wide), draw(_ODD))
    Header(draw(odd), draw(wide), root, draw(wide), (draw(wide), draw(wide))).write(header)
    body = b""
    for kind, key, values in draw(st.lists(_records, max_size=8)):
        size = layout.record_bytes(len(values), key)
        head = layout.HEAD.pack(size, kind, len(values), len(key))
        body += (head + array("d", values).tobytes() + key).ljust(size, b"\0")
    used = layout.HEADER_BYTES + len(body) + draw(st.sampled_from([0, 0, 0, 0, -8, 8, -3, 2**40]))
    publish(memoryview(header).cast("Q"), max(0, used))
    content = bytearray(header + body)
    for at, piece in draw(
        st.lists(st.tuples(st.integers(0, 700), st.binary(max_size=8)), max_size=2)
    ):
        place = at if at < 100 else layout.HEADER_BYTES + at - 100
        content[place : place + len(piece)] = piece
    return Bytes(
        content[: draw(st.sampled_from([len(content)] * 6 + [5, 4096, len(content) // 2]))]
    )


folders = st.lists(_segments(), max_size=4)


class Nothing:
    """The host without a number."""

    def points(self, pids: set[int]) -> list[Point]:
        return []


GOOD = BY_NAME["cache_hits_total"]


def merging_holds(contents: list[bytes], good: bytes, as_base: bool) -> None:
    """It ends, is said once for each file, can be sent and shown, and counts what is whole once.

    `good` is a segment with 3 of GOOD; the others may have more of it, or be the base.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = StateFolder(Path(scratch) / "service")
        folder.make()
        for number, content in enumerate(contents):
            name = folder.base.name if as_base and number == 0 else f"segment-{number + 1}-odd"
            (folder.path / name).write_bytes(content)
        expected = 3 + sum(_alone(path) for path in folder.path.iterdir())
        (folder.path / "segment-1-whole").write_bytes(good)
        told: list[str] = []
        folding = Folding(folder, told.append)
        collection = Collection(folding.reader, Nothing())
        encoder = Encoder(Resource({}))
        seen = set()
        for _ in range(3):
            points = collection.collect()
            encoder.request(points, 1e9).SerializeToString()
            list(text_string_to_metric_families(prometheus_text(points)))
            openmetrics_text(points)
            seen.add(sum(point.value for point in points if point.metric is GOOD))
            folding.fold()
            folding.keep_sessions(collection.totals, collection.sessions, collection.now)
        assert len(told) == len(set(told)) <= len(contents) + 1
        again = sum(p.value for p in Folding(folder, told.append).reader.read().of(GOOD))
        assert seen == {again}, (seen, again, told)
        assert again == expected, (again, expected, told)


def _alone(path: Path) -> float:
    """How many of GOOD a file has by itself; none where it is refused."""
    totals = Totals()
    try:
        totals.add(SegmentReader(path))
    except SegmentError:
        return 0.0
    return sum(point.value for point in totals.of(GOOD))


def good_segment(folder: Path, record_and_die: Callable[..., None]) -> bytes:
    """A segment with 3 of GOOD, as a process leaves it."""
    service = StateFolder(folder / "good")
    service.make()
    record_and_die(service, lambda recorder: recorder.counter(GOOD).labels().add(3))
    (name,) = service.segments()
    return SegmentReader(service.path / name).content()
