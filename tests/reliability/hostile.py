"""Clients that mean harm, and senders that send anything: what they do, and what is to hold meanwhile."""

from __future__ import annotations

import os
import random
import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil

from otel_accubooks.contract.metrics import TIERS
from otel_accubooks.export.spawn import ask_to_send
from otel_accubooks.instrument.exchange import METHODS, OTHER_METHOD, UNMATCHED
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.stack.binaries import find_collector, find_prometheus3
from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.ports import free_port, tcp_open
from otel_accubooks.stack.postgres import Postgres
from otel_accubooks.stack.process import Server
from otel_accubooks.stack.prometheus import Prometheus
from otel_accubooks.stack.redis import Redis
from tests.reliability.hostile_app import APP, RULES

ROUTES = {
    UNMATCHED, "/item/<path:name>", "/tier", "/sql", "/text", "/texts/<int:number>", "/redis", "/key",
    "/queues/<int:number>", "/static/<path:filename>",
}  # fmt: skip
BIN = Path(sys.executable).parent
SERIES_LIMIT = 2000
MIB = 2**20
_VARYING = re.compile(rb"(?im)^(date|set-cookie|server): [^\r\n]*\r\n")


@dataclass
class Memory:
    """Resident bytes of each kind of process, by the moment at which they were looked at."""

    seen: dict[str, dict[str, int]] = field(default_factory=dict)

    def row(self, who: str) -> str:
        """In MiB, at each moment."""
        return " | ".join(f"{found.get(who, 0) / MIB:.0f}" for found in self.seen.values())


class Stand:
    """The application twice, with telemetry and bare, and the real way of its metrics to Prometheus."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.memory = Memory()
        self._running = ExitStack()

    def __enter__(self) -> Stand:
        with ExitStack() as running:
            enter = running.enter_context
            self.postgres = enter(Postgres(self.folder / "postgres"))
            self.redis = enter(Redis(self.folder / "redis"))
            self.prometheus = enter(Prometheus(self.folder / "prometheus", find_prometheus3()))
            env = {"PROMETHEUS_URL": self.prometheus.url}
            self.gateway = enter(
                Collector(self.folder / "gateway", find_collector(), ["prometheus"], env=env)
            )
            (self.folder / "app.py").write_text(APP)
            (self.folder / "rules.toml").write_text(RULES)
            self.bare, self.ours = free_port(), free_port()
            enter(self._application("bare", self.bare))
            self.server = enter(self._application("ours", self.ours))
            self._running = running.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()

    def _application(self, name: str, port: int) -> Server:
        env = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "DATABASE_URL": self.postgres.dsn,
            "REDIS_URL": self.redis.url,
            "PYTHONHASHSEED": "0",  # the order of Allow
            "REACHED": str(self.folder / f"reached-{name}"),
            "OTEL_SERVICE_NAME": "attacked",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.gateway.otlp_url,
            "OTEL_ACCUBOOKS_STATE_DIR": str(self.state),
            "OTEL_ACCUBOOKS_RULES": str(self.folder / "rules.toml"),
        }
        argv = [
            str(BIN / "gunicorn"),
            "-w",
            "2",
            "-k",
            "gthread",
            "--threads",
            "4",
            "--keep-alive",
            "30",
        ]
        argv += ["-b", f"127.0.0.1:{port}", "app:app"]
        if name == "ours":
            argv = [str(BIN / "opentelemetry-instrument"), *argv]
        return Server(
            name,
            argv,
            log=self.folder / f"{name}.log",
            env=env,
            cwd=self.folder,
            ready=lambda: tcp_open(port),
        )

    # What is looked at ---------------------------------------------------------------------------

    def look(self, moment: str) -> None:
        """Notes the memory of the application, of its exporter and of the gateway."""
        found = {"gateway": psutil.Process(self.gateway.pid).memory_info().rss}
        workers = psutil.Process(self.server.pid).children(recursive=True)
        found["application"] = max((one.memory_info().rss for one in workers), default=0)
        for process in psutil.process_iter(["cmdline", "environ", "memory_info"]):
            words = " ".join(process.info["cmdline"] or ())
            ours = (process.info["environ"] or {}).get("OTEL_ACCUBOOKS_STATE_DIR") == str(
                self.state
            )
            if ours and "otel_accubooks" in words and "gunicorn" not in words:
                found["exporter"] = process.info["memory_info"].rss
        self.memory.seen[moment] = found

    def reached(self) -> int:
        """How many requests came as far as the application with telemetry."""
        return (self.folder / "reached-ours").stat().st_size

    def arrived(self) -> float:
        """How many of them Prometheus has."""
        for folder in self.state.iterdir():
            ask_to_send(StateFolder(folder))
        found = self.prometheus.query('sum(http_requests_total{job="attacked"})')
        return found[0][1] if found else 0.0

    def wait_until_exact(self, seconds: float = 60) -> None:
        """Until Prometheus has what reached the application. Raises AssertionError."""
        give_up = time.monotonic() + seconds
        while (have := self.arrived()) != self.reached():
            assert time.monotonic() < give_up, f"{have} arrived of {self.reached()}"
            time.sleep(1)

    def series(self) -> dict[str, int]:
        """How many series each metric of the application has in Prometheus."""
        chosen = '{job="attacked", le=~"|.Inf", __name__!~"ALERTS.*"}'
        found = self.prometheus.query(f"count by (__name__) ({chosen})")
        return {labels["__name__"]: round(number) for labels, number in found}

    def labels(self, name: str) -> set[str]:
        """All values of a label of the application's metrics in Prometheus."""
        found = self.prometheus.query(f'count by ({name}) ({{job="attacked", {name}!=""}})')
        return {labels[name] for labels, _ in found}

    def refused_otherwise(self, rng: random.Random) -> tuple[int, list[str]]:
        """How many broken requests both applications were sent, and which were answered otherwise."""
        number, others = 0, []
        for what, request in requests(rng):
            bare, ours = self.answers(request)
            number += 1
            if bare != ours:
                others.append(f"{what}: {request[:60]!r}: {ours[:100]!r}, bare {bare[:100]!r}")
        return number, others

    def holds(self) -> dict[str, int]:
        """What has to hold after everything; the series of each metric."""
        self.wait_until_exact()
        series = self.series()
        assert max(series.values()) <= SERIES_LIMIT + 1, series
        assert self.labels("route") <= ROUTES, self.labels("route")
        assert self.labels("method") <= {*METHODS, OTHER_METHOD}
        assert self.labels("tier") <= {*TIERS, "unknown"}
        assert self.gateway.running
        return series

    def answers(self, request: bytes) -> tuple[bytes, bytes]:
        """What the bare application answers, and the one with telemetry."""
        return answer(self.bare, request), answer(self.ours, request)


def answer(port: int, request: bytes, seconds: float = 20) -> bytes:
    """All that is answered to these bytes, without what differs from moment to moment."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            whole = b""
            while part := connection.recv(65536):
                whole += part
        except ConnectionError:
            return b"reset"
    return _VARYING.sub(b"", whole)


def post(path: bytes, body: bytes, *headers: bytes, method: bytes = b"POST") -> bytes:
    """A request as it goes over the wire."""
    lines = [method + b" " + path + b" HTTP/1.1", *headers]
    if not any(line.lower().startswith(b"host:") for line in headers):
        lines.append(b"Host: books.example")
    lines += [b"Connection: close", b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def requests(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """What no client should send, each with what it is."""
    big = b"x" * 65_536
    for host in (
        b"evil.example",
        b"",
        b"a\x00b",
        b"\xff\xfe",
        b"../../x",
        b"[::1",
        b"a:99999999",
        big,
        b'"><',
    ):
        yield "forged Host", post(b"/item/1", b"", b"Host: " + host)
    yield "two Hosts", post(b"/item/1", b"", b"Host: a", b"Host: b")
    for method in (
        b"FOO",
        b"GET\x00",
        b"\xff",
        b"get",
        b"_OTHER",
        b"A" * 30,
        b"PROPFIND",
        b"TRACE",
    ):
        yield "method", post(b"/item/1", b"", method=method)
    for path in (b"/item/%00", b"/item/%ff%fe", b"/item/\xff\xfe", b"//item//", b"/item/../../etc",
            b"/item/%2e%2e",
                 b"/item/" + big, b"*", b"http://evil.example/item/1", b"/item/%F0%9F%92%A3", b"/item/%zz",
                 b"/\x7f", b"/item/a?%00=\xff", b"/?" + big, b"/item/%0d%0aX-Evil:1"):  # fmt: skip
        yield "path", post(path, b"", method=b"GET")
    for name in (
        b"X-Tier: ",
        b"Cookie: session=",
        b"X-User: ",
        b"Authorization: ",
        b"traceparent: ",
        b"Accept: ",
    ):
        for value in (
            big,
            b"\xff\xfe",
            b"a\x00b",
            b"PRO\x1f",
            b"'; DROP TABLE",
            rng.randbytes(60).hex().encode(),
        ):
            yield "header", post(b"/tier", b"{}", b"Content-Type: application/json", name + value)
    for body in (b'{"tier": "' + rng.randbytes(9).hex().encode() + b'"}', b'{"tier": {"tier": "PRO"}}',
            b'{"tier": null}',
                 b'{"tier": 1e999}', b'{"tier": ["PRO"]}', b'"PRO"', b"[" * 50_000, b'{"tier": "\\ud800"}',
                 b'{"tier": "\\u0000\\u001f"}', b"\xff", b'{"tier": "' + big + b'"}',
                 b'{"tier": ' + b"9" * 5000 + b"}"):  # fmt: skip
        yield (
            "JSON",
            post(b"/tier", body, b"Content-Type: application/json", b"X-User: \xff" + body[:9]),
        )
    for sql in (b"SELECT '" + b"x" * 3 * MIB + b"'", b"\x00", b"SELECT '\x00'", b"\xff\xfe",
            b"SELECT '\xff'", b"", b";;;;",
                b"(" * 100_000, b"/*" * 2000, b"$a$" * 50_001, b"'" * 99_999, b"WITH " * 50_000,
                b"SELECT 1 --" + big):  # fmt: skip
        yield "SQL", post(b"/sql", sql)
        yield "SQL", post(b"/text", sql)
    for command in (b"\xff\xfe a", b"GET \xff", b"SET \x00 \xff", b"", b"  ", b"GET", b"GET " + big,
            b"EVAL \xff 0",
                    b"ge\xc3\xa4t a", b"\xf0\x9f\x92\xa3", b"MGET " + b"k " * 5000,
                    b"CLIENT \x00"):  # fmt: skip
        yield "Redis", post(b"/redis", command)
        yield "Redis", post(b"/key", command)
    for name in (b"\xff", b"a\x00", b"", b"q" * 1000, "é".encode()):
        yield "queue", post(b"/queues/3", name)


def distinct_urls(port: int, number: int, salt: str, connections: int = 4) -> int:
    """GETs `number` URLs of which there is one each; returns how many were answered.

    Every second has a route, the others none; methods that nobody knows come in between.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(connections) as pool:
        parts = [range(one, number, connections) for one in range(connections)]
        return sum(pool.map(lambda part: _some_urls(port, part, salt), parts))


_AT_ONCE = 40


def _some_urls(port: int, numbers: range, salt: str) -> int:
    answered = 0
    waiting = list(numbers)
    while waiting:
        now, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            for number in now:
                method = _word(number) if number % 97 == 0 else "GET"
                path = f"/item/{salt}{number}" if number % 2 else f"/{salt}/{number}"
                last = "Connection: close\r\n" if number == now[-1] else ""
                head = (
                    f"{method} {path}?q={number} HTTP/1.1\r\nHost: h{number}.example\r\n{last}\r\n"
                )
                connection.sendall(head.encode())
                answered += _one_answer(connection)
    return answered


def _one_answer(connection: socket.socket) -> int:
    whole = b""
    while b"\r\n\r\n" not in whole:
        part = connection.recv(65536)
        if not part:
            return 0
        whole += part
    head, _, body = whole.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
    while len(body) < length:
        body += connection.recv(65536)
    return 1


def _word(number: int) -> str:
    """A method of which there is one, in letters: gunicorn knows no others."""
    return "XX" + str(number).translate(str.maketrans("0123456789", "ABCDEFGHIJ"))
