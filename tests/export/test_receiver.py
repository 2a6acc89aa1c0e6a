"""Whether a receiver may be a new one, and what it is sent then."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.resources import Resource

from otel_accubooks.contract import metrics as m
from otel_accubooks.export.acknowledged import Acknowledged
from otel_accubooks.export.receiver import NotReceived, watched_session
from otel_accubooks.export.sending import Pusher, pushers
from otel_accubooks.recorder.totals import Point
from otel_accubooks.stack.ports import free_port


class Server(http.server.ThreadingHTTPServer):
    """Answers with `status`, keeps connections, and closes them when it is told to."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.status = 200
        self.kind = "text/plain"
        self.body = b""
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
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

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


@pytest.mark.parametrize(
    ("body", "received"),
    [(b"sending queue is full", True), (b"data refused due to high memory usage", False)],
)
def test_a_collector_that_refuses_may_have_passed_it_on(
    server: Server, body: bytes, received: bool
) -> None:
    """One of its backends may have taken what another's queue had no room for; its door takes nothing."""
    server.status, server.kind, server.body = 503, "application/x-protobuf", body
    session, adapter = watched_session()
    session.post(server.url, b"x")
    assert (adapter.received, adapter.answered) == (received, True)


def test_sending_begins_with_a_connection(server: Server) -> None:
    """It is said for each request that may be taken, and not where nobody can be reached."""
    session, adapter = watched_session()
    said: list[int] = []
    adapter.on_sending(lambda: said.append(1))
    with pytest.raises(NotReceived):
        session.post(f"http://127.0.0.1:{free_port()}", b"x")
    assert said == []
    session.post(server.url, b"x")
    session.post(server.url, b"x")
    assert len(said) == 2


class Exporter:
    """Takes, or does not, what it is given; remembers the values of counters."""

    def __init__(self, adapter: Adapter) -> None:
        self.taken: list[float] = []
        self.outcome = MetricExportResult.SUCCESS
        self._adapter = adapter

    def export(self, data: Any) -> MetricExportResult:
        (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
        self.taken.append(metric.data.data_points[0].value)
        if self.outcome is MetricExportResult.SUCCESS:
            self._adapter.sending()
            self._adapter.received = True
        return self.outcome


class Adapter:
    def __init__(self) -> None:
        self.received = self.answered = False
        self.is_dropped = False
        self.sending: Callable[[], None] = lambda: None

    def on_sending(self, callback: Callable[[], None]) -> None:
        self.sending = callback

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


def test_a_queue_that_is_full_is_no_new_receiver(tmp_path: Path, clock: None) -> None:
    """The other backends go on with the present, and never see a total run backwards."""
    pusher, exporter, adapter = made(tmp_path)
    pusher.send(point(3))
    exporter.outcome = MetricExportResult.FAILURE
    exporting = exporter.export

    def refused(data: Any) -> MetricExportResult:
        adapter.received = adapter.answered = True
        return exporting(data)

    pusher.exporter.export = refused  # type: ignore[method-assign]
    assert [pusher.send(point(value)) for value in (5, 8)] == [False, False]
    exporter.outcome = MetricExportResult.SUCCESS
    pusher.send(point(9))
    assert exporter.taken == [3, 5, 8, 9]


def test_an_exporter_killed_before_it_has_a_connection_has_sent_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its successor begins at nothing, however long the attempt took."""
    at_that_time: list[bool] = []

    def connecting(*_: object, **__: object) -> None:
        at_that_time.append((tmp_path / "received-otlp_proto_http").exists())
        raise ConnectionRefusedError

    monkeypatch.setattr("urllib3.util.connection.create_connection", connecting)
    (pusher,), _ = pushers({}, Resource({}), tmp_path, successor=False)
    assert not pusher.send(point(3))
    assert at_that_time == [False]


def killed_in_an_outage(tmp_path: Path, value: float) -> None:
    """3 were received; since then nobody could be reached, and the exporter was killed at `value`."""
    pusher, exporter, _ = made(tmp_path)
    pusher.send(point(3))
    exporter.outcome = MetricExportResult.FAILURE
    pusher.send(point(value))


def test_a_successor_in_an_outage_knows_what_was_received_before(
    tmp_path: Path, clock: None
) -> None:
    """However long it lasts, and whoever is killed meanwhile, nothing is lost to a new receiver."""
    killed_in_an_outage(tmp_path, 100)
    pusher, exporter, _ = made(tmp_path, successor=True)
    assert pusher.send(point(500))
    assert exporter.taken == [3, 500]


def test_an_exporter_killed_while_it_repeats_what_was_received(
    tmp_path: Path, clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its attempts may reach something, which is no answer: what it repeats holds for its successor."""
    pusher, exporter, adapter = made(tmp_path)
    pusher.send(point(3))
    exporter.outcome = MetricExportResult.FAILURE
    pusher.send(point(5))

    def killed(*_: object) -> MetricExportResult:
        adapter.sending()
        raise KeyboardInterrupt

    monkeypatch.setattr(exporter, "export", killed)
    with pytest.raises(KeyboardInterrupt):
        pusher.send(point(100))
    successor, exporter, _ = made(tmp_path, successor=True)
    assert successor.send(point(500))
    assert exporter.taken == [3, 500]


def test_what_was_kept_is_over_once_more_is_sent(tmp_path: Path, clock: None) -> None:
    """A total must not run backwards: the next successor is told nothing."""
    killed_in_an_outage(tmp_path, 100)
    made(tmp_path, successor=True)[0].send(point(500))
    pusher, exporter, _ = made(tmp_path, successor=True)
    pusher.send(point(600))
    assert exporter.taken == [600]


def test_a_successor_that_was_told_nothing_counts_from_its_first_look(
    tmp_path: Path, clock: None
) -> None:
    """Its predecessor had sent no more than that: what an outage costs does not grow with its length."""
    (tmp_path / "received").touch()
    pusher, exporter, _ = made(tmp_path, successor=True)
    exporter.outcome = MetricExportResult.FAILURE
    assert [pusher.send(point(value)) for value in (10, 500)] == [False, False]
    exporter.outcome = MetricExportResult.SUCCESS
    assert pusher.send(point(900))
    assert exporter.taken == [10, 10, 10, 900]


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
