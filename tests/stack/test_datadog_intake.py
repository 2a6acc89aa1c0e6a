"""The local intake takes what Datadog takes, refuses what Datadog refuses, and counts exactly."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard
from google.protobuf import descriptor_pb2

from otel_accubooks.stack.datadog_intake import DatadogIntake
from otel_accubooks.stack.datadog_payloads import (
    ENUMS,
    MESSAGES,
    PACKAGE,
    SOURCE_MODULE,
    file_descriptor,
    message_class,
)
from otel_accubooks.stack.datadog_traces import Span, payload_class
from otel_accubooks.stack.files import COLLECTOR
from otel_accubooks.stack.gobuild import find_go

GO_MOD = COLLECTOR / "go.mod"
CODERS = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}


@pytest.fixture
def intake() -> Iterator[DatadogIntake]:
    with DatadogIntake() as started:
        yield started


def post(
    intake: DatadogIntake,
    path: str,
    body: bytes,
    kind: str = "application/x-protobuf",
    coding: str = "identity",
) -> httpx.Response:
    headers = {"DD-API-KEY": "k", "Content-Type": kind, "Content-Encoding": coding}
    content = CODERS[coding](body)
    return httpx.post(f"{intake.url}{path}", content=content, headers=headers, trust_env=False)


def post_series(intake: DatadogIntake, *series: dict[str, Any]) -> httpx.Response:
    body = json.dumps({"series": series}).encode()
    return post(intake, "/api/v2/series", body, "application/json")


def series(metric: str, kind: int, *points: tuple[int, float], tags: tuple[str, ...] = ()) -> Any:
    return {
        "metric": metric,
        "type": kind,
        "points": [{"timestamp": at, "value": value} for at, value in points],
        "tags": tags,
        "resources": [{"type": "host", "name": "h"}],
    }


def published_descriptor(folder: Path) -> descriptor_pb2.FileDescriptorProto:
    """What Datadog's own generated code says of its payloads, in the collector's version of it."""
    version = re.search(rf"{SOURCE_MODULE} (\S+)", GO_MOD.read_text())
    assert version, f"{GO_MOD} does not name {SOURCE_MODULE}"
    argv = [find_go(GO_MOD), "mod", "download", "-json", f"{SOURCE_MODULE}@{version[1]}"]
    answer = subprocess.run(argv, cwd=folder, capture_output=True, check=True, text=True)
    source = Path(json.loads(answer.stdout)["Dir"]) / "gogen" / "agent_payload.pb.go"
    array = re.search(r"var fileDescriptor_\w+ = \[\]byte\{(.*?)\n\}", source.read_text(), re.S)
    assert array, f"{source} has no file descriptor"
    packed = bytes.fromhex("".join(re.findall(r"\b0x([0-9a-f]{2})\b", array[1])))
    return descriptor_pb2.FileDescriptorProto.FromString(gzip.decompress(packed))


def flat(file: descriptor_pb2.FileDescriptorProto) -> dict[str, Any]:
    """Messages by full name as {(field name, number, type, label)}, enums as {(name, number)}."""
    found: dict[str, Any] = {}

    def add(prefix: str, message: descriptor_pb2.DescriptorProto) -> None:
        name = f"{prefix}{message.name}"
        found[name] = {
            (field.name, field.number, field.type, field.type_name, field.label)
            for field in message.field
        }
        for enum in message.enum_type:
            found[f"{name}.{enum.name}"] = {(value.name, value.number) for value in enum.value}
        for nested in message.nested_type:
            add(f"{name}.", nested)

    for message in file.message_type:
        add("", message)
    return found


def test_our_table_is_what_datadog_publishes(tmp_path: Path) -> None:
    """Every message, field, number, type and enum value is Datadog's own, and none is missing."""
    published = published_descriptor(tmp_path)
    assert published.package == PACKAGE
    theirs = flat(published)
    ours = flat(file_descriptor())
    assert set(ours) == {*MESSAGES, *ENUMS}
    # Events travel on another path, as other payloads.
    rest = {name for name in theirs if not name.startswith("EventsPayload")}
    assert ours == {name: theirs[name] for name in rest}


@pytest.mark.parametrize("coding", CODERS)
@pytest.mark.parametrize("kind", ["application/x-protobuf", "application/json"])
def test_series_are_taken_in_every_form(intake: DatadogIntake, kind: str, coding: str) -> None:
    """Protobuf and JSON, in each content coding, come to the same."""
    sent = {"series": [series("m", 1, (10, 2.5), (11, 4), tags=("b:2", "a:1"))]}
    payload = message_class("MetricPayload")()
    payload.series.add(metric="m", type=1, tags=["b:2", "a:1"])
    payload.series[0].points.add(timestamp=10, value=2.5)
    payload.series[0].points.add(timestamp=11, value=4)
    payload.series[0].resources.add(type="host", name="h")
    as_json = kind == "application/json"
    body = json.dumps(sent).encode() if as_json else payload.SerializeToString()
    answer = post(intake, "/api/v2/series", body, kind, coding)
    assert (answer.status_code, answer.json()) == (202, {"errors": []})
    assert intake.snapshot() == [
        {
            "metric": "m",
            "type": "count",
            "tags": ["a:1", "b:2", "host:h"],
            "unit": "",
            "value": 6.5,
            "points": 2,
            "overwritten": 0,
            "last_timestamp": 11,
        }
    ]


def test_a_count_is_the_sum_and_a_gauge_the_latest(intake: DatadogIntake) -> None:
    """Counts add up; a gauge is its latest point by time, also when an older one comes late."""
    post_series(intake, series("c", 1, (20, 5)), series("g", 3, (20, 5)))
    post_series(intake, series("c", 1, (10, 7)), series("g", 3, (10, 7)))
    assert (intake.value("c"), intake.value("g")) == (12, 5)


def test_a_payload_that_comes_twice_counts_twice(intake: DatadogIntake) -> None:
    """Nothing is deduplicated, and points that Datadog would overwrite are told."""
    for _ in range(2):
        post_series(intake, series("c", 1, (10, 3)))
    assert [(found.value, found.overwritten) for found in intake.series("c")] == [(6, 1)]


def test_tags_select_series(intake: DatadogIntake) -> None:
    """A query by tags adds up exactly the series that carry them."""
    for route, status, count in (("/a", "200", 1), ("/a", "500", 2), ("/b", "200", 4)):
        post_series(intake, series("c", 1, (1, count), tags=(f"route:{route}", f"s:{status}")))
    assert intake.value("c") == 7
    assert intake.value("c", route="/a") == 3
    assert intake.value("c", route="/a", s="500") == 2
    assert intake.value("c", route="/c") == 0


def test_sketches_are_merged(intake: DatadogIntake) -> None:
    """Sketches of one metric and tag set become one: count, sum, extremes and bins."""
    for keys, numbers, low, high in (([1, 5], [2, 3], 0.5, 8.0), ([5, 6], [1, 1], 4.0, 9.0)):
        payload = message_class("SketchPayload")()
        sketch = payload.sketches.add(metric="d", host="h", tags=["t:1"])
        sketch.dogsketches.add(
            ts=7, cnt=sum(numbers), sum=10.5, min=low, max=high, k=keys, n=numbers
        )
        body = payload.SerializeToString()
        assert post(intake, "/api/beta/sketches", body, coding="deflate").status_code == 202
    assert intake.snapshot() == [
        {
            "metric": "d",
            "type": "distribution",
            "tags": ["host:h", "t:1"],
            "count": 7,
            "sum": 21.0,
            "min": 0.5,
            "max": 9.0,
            "bins": [(1, 2), (5, 4), (6, 1)],
            "points": 2,
            "last_timestamp": 7,
        }
    ]


def test_who_has_no_key_is_refused(intake: DatadogIntake) -> None:
    """Without a key everything is 403, with one the key is valid, by header or in the query."""
    url = f"{intake.url}/api/v1/validate"
    assert httpx.get(url, trust_env=False).status_code == 403
    assert httpx.post(f"{intake.url}/api/v2/series", trust_env=False).status_code == 403
    for answer in (
        httpx.get(url, headers={"DD-API-KEY": "k"}, trust_env=False),
        httpx.get(url, params={"api_key": "k"}, trust_env=False),
    ):
        assert (answer.status_code, answer.json()) == (200, {"valid": True})


@pytest.mark.parametrize(
    ("path", "kind", "body", "reason"),
    [
        ("/api/v2/series", "application/x-protobuf", b"\xff\xff", "not a MetricPayload"),
        ("/api/v2/series", "application/json", b'{"series":[{"points":', "not a MetricPayload"),
        ("/api/v2/series", "application/json", b'{"series":[{"points":7}]}', "not a MetricPay"),
        ("/api/v2/series", "application/json", b'{"series":[{"type":1}]}', "no metric name"),
        ("/api/v2/series", "application/json", b'{"series":[{"metric":"m","type":9}]}', "0 to 3"),
        ("/api/beta/sketches", "application/x-protobuf", b"\x0a\x7f", "not a SketchPayload"),
        ("/api/beta/sketches", "application/x-protobuf", b"\x0a\x03\x0a\x01m", "empty"),
    ],
)
def test_a_malformed_payload_is_refused(
    intake: DatadogIntake, path: str, kind: str, body: bytes, reason: str
) -> None:
    """What is not a payload is answered with 400 and the reason, and nothing of it is kept."""
    answer = post(intake, path, body, kind)
    assert answer.status_code == 400
    assert reason in answer.json()["errors"][0]
    assert intake.snapshot() == []


def test_a_payload_beyond_datadogs_limits_is_refused(intake: DatadogIntake) -> None:
    """More than 5 MiB of series, however well compressed, is 413, as in Datadog's documentation."""
    body = json.dumps({"series": [series("m", 1, (1, 1), tags=("x" * 6_000_000,))]}).encode()
    answer = post(intake, "/api/v2/series", body, "application/json", "gzip")
    assert answer.status_code == 413


def test_what_it_does_not_read_is_taken_and_counted(intake: DatadogIntake) -> None:
    """Host metadata and the like are accepted, and show in the list of requests."""
    assert post(intake, "/intake/", b"{}", "application/json").status_code == 202
    assert intake.requests["POST", "/intake/", 202] == 1


def test_many_clients_at_once_lose_nothing(intake: DatadogIntake) -> None:
    """Eight clients with 25 payloads each make 200."""

    def client() -> None:
        body = {"series": [series("c", 1, (1, 1))]}
        with httpx.Client(headers={"DD-API-KEY": "k"}, trust_env=False) as session:
            for _ in range(25):
                session.post(f"{intake.url}/api/v2/series", json=body).raise_for_status()

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert intake.value("c") == 200


def test_metrics_are_shown_over_http(intake: DatadogIntake) -> None:
    """The query endpoint gives what the object gives, of all metrics or of one."""
    post_series(intake, series("a", 1, (1, 2)), series("b", 3, (1, 4)))
    url = f"{intake.url}/_accubooks/metrics"
    everything = httpx.get(url, trust_env=False).json()
    assert [(row["metric"], row["type"], row["value"]) for row in everything] == [
        ("a", "count", 2),
        ("b", "gauge", 4),
    ]
    assert httpx.get(url, params={"metric": "b"}, trust_env=False).json() == everything[1:]


def test_spans_are_taken(intake: DatadogIntake) -> None:
    """Those of a trace payload are told; what is no such payload is refused."""
    payload = payload_class()(hostName="h")
    span = payload.tracerPayloads.add().chunks.add().spans.add(service="shop", name="flask.server")
    span.resource, span.traceID, span.spanID = "GET /x", 2**64 - 1, 7
    body = payload.SerializeToString()
    assert post(intake, "/api/v0.2/traces", body, coding="gzip").status_code == 202
    assert post(intake, "/api/v0.2/traces", b"\xff\xff").status_code == 400
    assert intake.spans() == [Span("shop", "flask.server", "GET /x", 2**64 - 1, 7)]
