"""One application twice, under the launcher and bare, and what may go wrong around its telemetry."""

from __future__ import annotations

import os
import re
import resource
import signal
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil

from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.ports import LOOPBACK, free_port, tcp_open
from otel_accubooks.stack.process import Server

BIN = Path(sys.executable).parent
PATIENCE = 60.0
INTERVAL_MS = 1000
WORKERS = 2

APP = """
import os
import psycopg2
import psycopg2.pool
import redis
from flask import Flask, abort, jsonify

app = Flask(__name__)
pool = psycopg2.pool.ThreadedConnectionPool(1, 4, os.environ["DSN"])
cache = redis.Redis.from_url(os.environ["REDIS"], socket_timeout=5)

@app.get("/sum/<int:number>")
def total(number):
    kept = cache.get("sum:%d" % number)
    connection = pool.getconn()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT sum(n) FROM generate_series(1, %s) n", (number,))
            found = cursor.fetchone()[0]
    finally:
        pool.putconn(connection)
    cache.set("sum:%d" % number, found, ex=60)
    return jsonify(number=number, sum=int(found), kept=kept is not None)

@app.get("/boom")
def boom():
    raise RuntimeError("as in life")

@app.get("/teapot")
def teapot():
    abort(418)
"""

# Whose worker has loaded the application.
SERVER_HOOKS = """
def post_worker_init(worker):
    open("ready-%d" % worker.pid, "w").close()
"""

SCRIPT = """
import os, time
import redis
cache = redis.Redis.from_url(os.environ["REDIS"])
for number in range(5):
    cache.get("script:%d" % number)
time.sleep(float(os.environ.get("SCRIPT_SECONDS", "1.5")))
"""


def eventually(condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """True as soon as `condition` holds; False if it does not within the time."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


@dataclass
class Seen:
    """What came of one way in which things were broken; times in seconds, latencies in ms."""

    requests: int = 0
    differing: int = 0
    latencies: dict[str, list[float]] = field(default_factory=lambda: {"bare": [], "ours": []})
    stops: dict[str, float] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    counted: float | None = None

    def forget_latencies(self) -> None:
        """Of the first requests after a start, which import what they need."""
        for times in self.latencies.values():
            times.clear()

    def row(self, what: str) -> str:
        """A row of the page's table."""
        p50 = {side: statistics.median(times) for side, times in self.latencies.items()}
        p99 = {
            side: sorted(times)[len(times) * 99 // 100] for side, times in self.latencies.items()
        }
        stops = " / ".join(f"{self.stops[s]:.2f}" for s in ("ours", "bare") if s in self.stops)
        exact = "-" if self.counted is None else f"{self.counted:.0f} of {self.requests}"
        return (
            f"| {what} | {self.requests} | {self.differing} | {p50['ours']:.2f} / {p50['bare']:.2f} "
            f"| {p99['ours']:.1f} / {p99['bare']:.1f} | {stops or '-'} | {len(self.lines)} | {exact} |"
        )


HEAD = (
    "| what was broken | requests | answered otherwise than bare | p50, ms | p99, ms | stop, s "
    "| lines | counted afterwards |\n|---|---|---|---|---|---|---|---|"
)


class Side:
    """One of the two deployments: gunicorn with 2 workers."""

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        *,
        launcher: bool,
        before: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.env = {**env, "PATH": f"{BIN}:{os.environ['PATH']}"}
        self.port = free_port()
        self.client = httpx.Client(
            base_url=f"http://{LOOPBACK}:{self.port}", trust_env=False, timeout=30
        )
        self.log_path = folder / "server.log"
        launch = [sys.executable, "-c", _LAUNCHER] if launcher else []
        gunicorn = [str(BIN / "gunicorn"), "-w", str(WORKERS), "-b", f"{LOOPBACK}:{self.port}"]
        self.server = Server(
            "gunicorn",
            [*before, *launch, *gunicorn, "app:app"],
            log=self.log_path,
            env=self.env,
            cwd=folder,
            ready=lambda: tcp_open(self.port),
        )

    def log(self) -> str:
        return self.log_path.read_text()

    def lines(self) -> list[str]:
        """What we had to say."""
        return [line for line in self.log().splitlines() if "otel-accubooks" in line]

    def processes(self) -> list[psutil.Process]:
        first = psutil.Process(self.server.pid)
        return [first, *first.children(recursive=True)]

    def stop(self, timeout: float = 60) -> float:
        """Seconds from SIGTERM to the end of all processes. AssertionError if they stay."""
        processes = self.processes()
        self.client.close()
        begun = time.monotonic()
        os.kill(self.server.pid, signal.SIGTERM)
        ended = threading.Thread(target=self.server._process.wait, daemon=True)  # type: ignore[union-attr]
        ended.start()
        _, left = psutil.wait_procs(processes, timeout)
        took = time.monotonic() - begun
        self.server.kill()
        assert not left, f"still there {timeout:.0f} s after SIGTERM: {left}"
        return took


_LAUNCHER = (
    "import sys; sys.argv[0] = 'opentelemetry-instrument';"
    "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
)


class Pair:
    """The application under the launcher, and bare beside it; both have the same servers behind them."""

    def __init__(
        self,
        folder: Path,
        services: Mapping[str, str],
        endpoint: str,
        *,
        env: Mapping[str, str] | None = None,
        both: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
    ) -> None:
        """`services` has DSN and REDIS. `env` is for ours alone, `before` goes before both commands."""
        self.state = folder / "state"
        self.seen = Seen()
        plain = {n: v for n, v in os.environ.items() if not n.startswith(("OTEL_", "PYTHONPATH"))}
        plain |= {**services, **(both or {})}
        ours = {
            **plain,
            "OTEL_SERVICE_NAME": "unnoticed",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
            "OTEL_METRIC_EXPORT_INTERVAL": str(INTERVAL_MS),
            "OTEL_ACCUBOOKS_STATE_DIR": str(self.state),
            **(env or {}),
        }
        self.sides: dict[str, Side] = {}
        for name, environment in (("bare", plain), ("ours", ours)):
            place = folder / name
            place.mkdir()
            (place / "app.py").write_text(APP)
            (place / "gunicorn.conf.py").write_text(SERVER_HOOKS)
            self.sides[name] = Side(
                place,
                environment,
                launcher=name == "ours",
                before=before,
            )

    @property
    def ours(self) -> Side:
        return self.sides["ours"]

    @property
    def bare(self) -> Side:
        return self.sides["bare"]

    def __enter__(self) -> Pair:
        with ExitStack() as stack:
            for side in self.sides.values():
                side.server.start()
                stack.callback(side.server.kill)
            self._running = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()

    def is_up(self) -> bool:
        """True once each worker has the application: what both answer then is no start any more."""
        ready = [len([*side.folder.glob("ready-*")]) for side in self.sides.values()]
        if min(ready) < WORKERS:
            return False
        self._ask("/nowhere")
        return True

    def ask(self, rounds: int, pause: float = 0.0) -> None:
        """The same requests of both, in turns, each answer compared; some of them fail in both."""
        for number in range(rounds):
            for path in (f"/sum/{number % 50 + 1}", f"/sum/{number % 7 + 1}"):
                self._ask(path)
            if number % 10 == 0:
                for path in ("/boom", "/teapot", "/nowhere"):
                    self._ask(path)
            if pause:
                time.sleep(pause)

    def _ask(self, path: str) -> None:
        order = ("bare", "ours") if self.seen.requests % 2 else ("ours", "bare")
        found: dict[str, Any] = {}
        for side in order:
            begun = time.perf_counter()
            try:
                answer = self.sides[side].client.get(path)
                # Whether the other one's request had just filled the cache.
                found[side] = answer.status_code, re.sub(r'"kept":\w+', "", answer.text)
            except httpx.HTTPError as error:
                found[side] = (repr(error),)
            self.seen.latencies[side].append(1000 * (time.perf_counter() - begun))
        self.seen.requests += 1
        self.seen.differing += found["bare"] != found["ours"]

    def stop(self) -> Seen:
        """Both are asked to end; what was seen."""
        self.seen.stops = {name: side.stop() for name, side in self.sides.items()}
        self.seen.lines = self.ours.lines()
        return self.seen

    def gone(self) -> bool:
        """True once the exporter has sent all and taken its folder along."""
        return not self.state.exists() or not any(self.state.iterdir())

    def counted(self, sink: OtlpReceiver) -> float:
        return sink.value("http_requests_total")


@dataclass
class Way:
    """One way in which things are broken, and mended after the end of the application.

    `ours` and `both` are variables, `prefix` goes before both commands, and `begin` breaks what is
    to be broken in applications that run. Without `mend` nothing can be sent in the end.
    """

    name: str
    endpoint: str = ""
    ours: Mapping[str, str] = field(default_factory=dict)
    both: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    begin: Callable[[Pair], object] = lambda _: None
    meanwhile: Callable[[Pair], object] = lambda _: None
    mend: Callable[[], object] | None = lambda: None
    is_said: bool = True


def live_through(
    way: Way, folder: Path, services: Mapping[str, str], sink: OtlpReceiver, rounds: int = 40
) -> Seen:
    """A life of both applications, from their start to their end, while things are broken."""
    folder.mkdir()
    (folder / "state").mkdir()
    endpoint = way.endpoint or sink.url
    given = {"env": way.ours, "both": way.both, "before": way.prefix}
    with Pair(folder, services, endpoint, **given) as pair:  # type: ignore[arg-type]
        assert eventually(pair.is_up), "a worker does not answer"
        way.begin(pair)
        pair.ask(5)
        pair.seen.forget_latencies()
        pair.ask(rounds, pause=0.05)
        if way.is_said:
            assert eventually(pair.ours.lines), f"{way.name}: nothing is said"
        way.meanwhile(pair)
        pair.ask(rounds, pause=0.05)
        seen = pair.stop()
        if way.mend is not None:
            way.mend()
            eventually(lambda: pair.counted(sink) >= seen.requests)
            seen.counted = pair.counted(sink)
    return seen


def script_seconds(folder: Path, env: Mapping[str, str], *, launcher: bool) -> float:
    """How long SCRIPT, which counts something and ends, took."""
    (folder / "script.py").write_text(SCRIPT)
    launch = [sys.executable, "-c", _LAUNCHER] if launcher else []
    command = [*launch, sys.executable, str(folder / "script.py")]
    begun = time.monotonic()
    subprocess.run(command, env={**env}, cwd=folder, check=True, timeout=60)
    return time.monotonic() - begun


class System:
    """A wall clock that can be set, and a kernel that can refuse processes: see unnoticed.c."""

    def __init__(self, folder: Path) -> None:
        library = folder / "unnoticed.so"
        source = Path(__file__).with_suffix(".c")
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
        subprocess.run(command, check=True, timeout=60)
        self._told = folder / "told"
        self._told.write_bytes(bytes(16))
        self.env = {"LD_PRELOAD": str(library), "UNNOTICED": str(self._told)}

    def set(self, *, ahead: int = 0, no_process: bool = False) -> None:
        """The clock is `ahead` by so many seconds; there is no process or thread to be had."""
        with self._told.open("r+b") as file:
            file.write(struct.pack("ll", ahead, no_process))


def descriptors(pair: Pair, more: int) -> None:
    """Each worker may open so many descriptors more than it has."""
    for side in pair.sides.values():
        for worker in psutil.Process(side.server.pid).children():
            most = max(map(int, os.listdir(f"/proc/{worker.pid}/fd"))) + 1 + more
            resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (most, most))


def address_space(pair: Pair, more: int) -> None:
    """Each worker may have so many bytes of address space more than it has."""
    for side in pair.sides.values():
        for worker in psutil.Process(side.server.pid).children():
            most = worker.memory_info().vms + more
            resource.prlimit(worker.pid, resource.RLIMIT_AS, (most, most))


def in_mounts(command: str) -> list[str]:
    """What goes before a command so that it sees what `command` mounts, and nobody else does."""
    return ["unshare", "-m", "sh", "-c", f'{command}; exec "$@"', "sh"]
