"""Whether a receiver may be a new one, and what it is sent then."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.resources import Resource

from otel_accubooks.contract import metrics as m
from otel_accubooks.export.acknowledged import Acknowledged
from otel_accubooks.export.receiver import NotReceived, watched_session
from otel_accubooks.export.sending import Pusher
from otel_accubooks.recorder.totals import Point
from otel_accubooks.stack.ports import free_port


class Server(http.server.ThreadingHTTPServer):
    """Answers with `status`, keeps connections, and closes them when it is told to."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.status = 200
        self.connections: list[Any] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def close_connections(self) -> None:
        for connection in self.connections:
            connection.shutdown(2)
        self.connections.clear()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        self.server.connections.append(self.connection)
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status == 0:
            self.connection.shutdown(2)  # taken, and not answered
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.shutdown()
    made.server_close()


def test_a_connection_that_was_closed_is_noticed_before_anything_is_sent(server: Server) -> None:
    """The receiver behind it may be another one by now."""
    session, adapter = watched_session()
    assert session.post(server.url, b"x").ok
    assert not adapter.dropped()
    server.close_connections()
    while not adapter.dropped():
        pass  # until the end of the connection has arrived here
    with pytest.raises(NotReceived, match="closed the connection"):
        session.post(server.url, b"x")
    assert session.post(server.url, b"x").ok


def test_nobody_there_is_not_received() -> None:
    """It is certain that nothing was taken."""
    session, adapter = watched_session()
    with pytest.raises(NotReceived):
        session.post(f"http://127.0.0.1:{free_port()}", b"x")
    assert not adapter.received


@pytest.mark.parametrize(
    ("status", "received"), [(200, True), (500, True), (0, True), (429, False), (503, False)]
)
def test_what_may_have_been_taken(server: Server, status: int, received: bool) -> None:
    """Only a refusal by the receiver itself is certain; anything else may have come too late."""
    server.status = status
    session, adapter = watched_session()
    try:
        session.post(server.url, b"x")
    except requests.ConnectionError:
        assert status == 0
    assert adapter.received is received


class Exporter:
    """Takes, or does not, what it is given; remembers the values of counters."""

    def __init__(self, adapter: Adapter) -> None:
        self.taken: list[float] = []
        self.outcome = MetricExportResult.SUCCESS
        self._adapter = adapter

    def export(self, data: Any) -> MetricExportResult:
        (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
        self.taken.append(metric.data.data_points[0].value)
        self._adapter.received |= self.outcome is MetricExportResult.SUCCESS
        return self.outcome


class Adapter:
    def __init__(self) -> None:
        self.received = False
        self.is_dropped = False

    def dropped(self) -> bool:
        return self.is_dropped

    def close(self) -> None:
        self.is_dropped = False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look is a second later, so that nothing waits for one."""
    seconds = iter(range(1_000_000, 2_000_000))
    monkeypatch.setattr("otel_accubooks.export.sending.time.time", lambda: float(next(seconds)))


def point(value: float) -> list[Point]:
    return [Point(m.CACHE_HITS_TOTAL, (), start=1.0, value=value)]


def made(tmp_path: Path, *, successor: bool = False) -> tuple[Pusher, Exporter, Adapter]:
    adapter = Adapter()
    exporter = Exporter(adapter)
    arguments: Any = (exporter, Resource({}), tmp_path / "received", None, adapter)
    return Pusher(*arguments, successor=successor), exporter, adapter


def test_a_receiver_that_stays_is_sent_the_present(tmp_path: Path, clock: None) -> None:
    """One export, one total."""
    pusher, exporter, _ = made(tmp_path)
    assert [pusher.send(point(value)) for value in (3, 5)] == [True, True]
    assert exporter.taken == [3, 5]


def test_one_that_may_be_new_is_first_sent_what_was_acknowledged(
    tmp_path: Path, clock: None
) -> None:
    """0 for what was never acknowledged: so it counts all that was added since."""
    pusher, exporter, adapter = made(tmp_path)
    pusher.send(point(3))
    adapter.is_dropped = True
    pusher.send(point(5))
    assert exporter.taken == [3, 3, 5]


def test_what_was_refused_is_sent_from_the_last_acknowledged(tmp_path: Path, clock: None) -> None:
    """After an export that arrived nowhere, the receiver may have been replaced."""
    pusher, exporter, _ = made(tmp_path)
    pusher.send(point(3))
    exporter.outcome = MetricExportResult.FAILURE
    assert not pusher.send(point(5))
    exporter.outcome = MetricExportResult.SUCCESS
    assert pusher.send(point(8))
    assert exporter.taken == [3, 5, 3, 8]


def test_what_may_have_arrived_counts_as_received(tmp_path: Path, clock: None) -> None:
    """After a broken answer a total must not run backwards."""
    pusher, exporter, adapter = made(tmp_path)
    pusher.send(point(3))
    exporter.outcome = MetricExportResult.FAILURE
    taking = exporter.export

    def broken(data: Any) -> MetricExportResult:
        adapter.received = True
        return taking(data)

    pusher.exporter.export = broken  # type: ignore[method-assign]
    pusher.send(point(5))
    exporter.outcome = MetricExportResult.SUCCESS
    pusher.send(point(8))
    assert exporter.taken == [3, 5, 5, 8]


@pytest.mark.parametrize(("before", "taken"), [(False, [0, 7]), (True, [7])])
def test_a_successor_begins_at_nothing_only_if_nothing_was_received(
    tmp_path: Path, clock: None, before: bool, taken: list[float]
) -> None:
    """What its predecessor had sent last, that one alone knew."""
    if before:
        (tmp_path / "received").touch()
    pusher, exporter, _ = made(tmp_path, successor=True)
    assert pusher.send(point(7))
    assert exporter.taken == taken
    assert (tmp_path / "received").exists()


def test_deltas_are_what_was_added_since_the_last_acknowledgement(
    tmp_path: Path, clock: None
) -> None:
    """What was not acknowledged is in the next one; a successor goes on from there."""
    adapter = Adapter()
    exporter = Exporter(adapter)
    arguments: Any = (exporter, Resource({}), None)
    pusher = Pusher(*arguments, Acknowledged(tmp_path / "acknowledged"))
    pusher.send(point(3))
    exporter.outcome = MetricExportResult.FAILURE
    pusher.send(point(5))
    exporter.outcome = MetricExportResult.SUCCESS
    pusher.send(point(6))
    Pusher(*arguments, Acknowledged(tmp_path / "acknowledged")).send(point(10))
    assert exporter.taken == [3, 2, 3, 4]
