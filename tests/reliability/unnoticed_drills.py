"""Everything that may go wrong around the telemetry of an application, one life of it for each."""

from __future__ import annotations

import os
import socket
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.ports import LOOPBACK, free_port
from otel_accubooks.stack.postgres import Postgres
from otel_accubooks.stack.redis import Redis
from tests.reliability import page
from tests.reliability.unnoticed import (
    HEAD,
    Pair,
    Seen,
    System,
    Way,
    address_space,
    descriptors,
    in_mounts,
    live_through,
    script_seconds,
)
from tests.reliability.unwell import MODES, Collector

ROUNDS = 12
SCRIPTS = 3
SILENT_RESOLVER = "127.0.0.99"


def none_left(pair: Pair) -> None:
    """One descriptor, for a request, once all that both want to have open is open."""
    pair.ask(ROUNDS)
    time.sleep(3)
    descriptors(pair, 1)


class Drill:
    """What all ways have in common; each gets a sink of its own."""

    def __init__(self, folder: Path, services: Mapping[str, str]) -> None:
        self.folder = folder
        self.services = services
        self.system = System(folder)
        self.rows: list[str] = []
        self.lines: list[str] = []
        self.seen: dict[str, Seen] = {}

    def live(self, way: Way, sink: OtlpReceiver) -> None:
        """One life; its row. AssertionError where the application noticed, or a count is missing."""
        number = len(self.rows)
        seen = live_through(way, self.folder / str(number), self.services, sink, ROUNDS)
        self.seen[way.name] = seen
        self.rows.append(seen.row(way.name))
        self.lines += [f"- {way.name}: `{line}`" for line in seen.lines]
        print(self.rows[-1], flush=True)
        for line in seen.lines:
            print("   ", line, flush=True)

    def collectors(self) -> None:
        self._with_sink(Way("nothing", is_said=False))
        for mode in MODES:
            with OtlpReceiver() as sink:
                collector = Collector(sink)
                collector.mode = mode

                def mend(ill: Collector = collector) -> None:
                    ill.mode = "works"

                self.live(Way(f"the collector: {mode}", collector.url, mend=mend), sink)
                collector.close()
        self._refused()
        with socket.create_server((LOOPBACK, 0)) as silent:
            url = f"https://{LOOPBACK}:{silent.getsockname()[1]}"
            self._with_sink(Way("TLS that is never answered", url, mend=None))
        self._with_sink(Way("a name unknown to DNS", "http://collector.invalid:4318", mend=None))
        self._silent_resolver()

    def _with_sink(self, way: Way) -> None:
        with OtlpReceiver() as sink:
            self.live(way, sink)

    def _refused(self) -> None:
        port = free_port()
        with OtlpReceiver() as sink:
            started: list[Collector] = []
            way = Way(
                "no collector, which is started in the end",
                f"http://{LOOPBACK}:{port}",
                mend=lambda: started.append(Collector(sink, port)),
            )
            self.live(way, sink)
            started.pop().close()

    def _silent_resolver(self) -> None:
        resolv = self.folder / "resolv.conf"
        resolv.write_text(f"nameserver {SILENT_RESOLVER}\n")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind((SILENT_RESOLVER, 53))
            prefix = in_mounts(f"mount --bind {resolv} /etc/resolv.conf")
            url = "http://collector.example:4318"
            self._with_sink(Way("a resolver that never answers", url, prefix=prefix, mend=None))

    def systems(self) -> None:
        state = self.folder / "mounted"
        state.mkdir()
        ours = {"OTEL_ACCUBOOKS_STATE_DIR": str(state)}
        mounts = {
            "the state folder on a full tmpfs": f"mount -t tmpfs -o size=16k tmpfs {state}",
            "the state folder on a read-only file system": f"mount -t tmpfs -o ro tmpfs {state}",
        }
        for name, command in mounts.items():
            self._with_sink(Way(name, ours=ours, prefix=in_mounts(command)))
        nothing = in_mounts("umount /dev/shm || mount -t tmpfs -o ro tmpfs /dev/shm")
        default = {"OTEL_ACCUBOOKS_STATE_DIR": ""}
        self._with_sink(Way("no /dev/shm", ours=default, prefix=nothing, is_said=False))
        more = 4 * 2**20
        limited = Way("4 MiB left", begin=lambda p: address_space(p, more), is_said=False)
        limited.name = "4 MiB of address space left"
        self._with_sink(limited)
        self.system.set(no_process=True)
        free = self.system
        self._with_sink(
            Way(
                "no process and no thread to be had",
                both=free.env,
                meanwhile=lambda _: free.set(),
            )
        )
        self._clock()
        self._with_sink(Way("no descriptor left", begin=none_left, is_said=False))

    def _clock(self) -> None:
        def meanwhile(pair: Pair) -> None:
            for hours in (-5, 7, -48, 0):
                self.system.set(ahead=3600 * hours)
                pair.ask(ROUNDS)
                time.sleep(2)  # intervals
                pair.ask(ROUNDS)

        way = Way("the clock set by -5, 7, -48 h", both=self.system.env, is_said=False)
        way.meanwhile = meanwhile
        with OtlpReceiver() as sink:
            self.live(way, sink)
            assert [s.name for s in sink.series() if s.value < 0 or s.sum < 0 or s.resets] == []
            longest = max(s.value for s in sink.series("system_uptime_seconds"))
            assert longest < 3600
            spent = sum(s.sum for s in sink.series("http_request_duration_ms"))
            assert spent < 3_600_000

    def signals(self) -> None:
        """Spans and log records too, which are in the memory of each process: who waits for them?"""
        ours = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "otlp"}
        with OtlpReceiver() as sink:
            collector = Collector(sink)
            collector.mode = "hangs"

            def mend() -> None:
                collector.mode = "works"

            self.live(Way("hangs, with spans and logs", collector.url, ours, mend=mend), sink)
            collector.close()

    def scripts(self) -> str:
        """A script that counts and ends: how long it takes bare, with a collector, and without."""
        folder = self.folder / "scripts"
        folder.mkdir()
        plain = {n: v for n, v in os.environ.items() if not n.startswith("OTEL_")}
        plain |= self.services
        took: dict[str, list[float]] = {}
        with OtlpReceiver() as sink:
            collector = Collector(sink)
            for _ in range(SCRIPTS):
                for kind in ("bare", "works", "hangs", "a body that never ends", "absent"):
                    collector.mode = kind if kind in MODES else "works"
                    url = f"http://{LOOPBACK}:9" if kind == "absent" else collector.url
                    env = {
                        **plain,
                        "OTEL_SERVICE_NAME": "script",
                        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
                    }
                    env["OTEL_ACCUBOOKS_STATE_DIR"] = str(folder / kind.replace(" ", "-"))
                    seconds = script_seconds(folder, env, launcher=kind != "bare")
                    took.setdefault(kind, []).append(seconds)
            collector.close()
        middle = {kind: statistics.median(times) for kind, times in took.items()}
        cells = [
            f"| {kind} | {middle[kind]:.2f} | {middle[kind] - middle['works']:+.2f} |"
            for kind in took
        ]
        head = "| a script that counts and ends | s | more than with a collector |\n|---|---|---|"
        return "\n".join([head, *cells])


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    folder = tmp_path_factory.mktemp("services")
    with Postgres(folder) as postgres, Redis(folder) as redis:
        yield {"DSN": postgres.dsn, "REDIS": redis.url}


def test_the_application_never_notices(tmp_path: Path, services: Mapping[str, str]) -> None:
    """Same answers, one line, exact counts afterwards; latencies and ends beside bare are figures."""
    drill = Drill(tmp_path, services)
    drill.collectors()
    drill.signals()
    drill.systems()
    scripts = drill.scripts()
    load = os.getloadavg()[0]
    page.write(
        "The application never notices",
        "A Flask application with PostgreSQL and Redis on gunicorn with 2 workers, under the launcher and "
        "bare beside it. The same requests went to both in turns, while this was broken; a tenth of them "
        "fail in both. p50, p99 and stop (SIGTERM to the end of all processes) are ours / bare. Counted "
        "afterwards: once mended, after both had ended (-: it was not mended). A process waits 1.5 s at "
        "most at its end, and a server after its workers no longer than one of them alone.\n\n"
        + "\n".join([HEAD, *drill.rows])
        + f"\n\n{scripts}\n\nThe lines that were logged:\n\n"
        + "\n".join(drill.lines)
        + f"\n\nThe machine was shared: its load was {load:.0f} on {os.cpu_count()} cores.",
    )
    for name, seen in drill.seen.items():
        assert seen.differing == 0, name
        assert seen.counted in (None, seen.requests), name
        assert len(seen.lines) <= (3 if "spans" in name else 1), (name, seen.lines)
