"""What the tests of process models share: an application that tells the truth, load, and kills.

Before and after each operation the application appends one byte to a file. What it began and what it
finished is known from that, whoever is killed when: the backend has to have something in between, and
where nothing was killed both are the same.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from conftest import Service, eventually
from test_life import exporters, last_export

from otel_accubooks.stack.process import Server

ROUTE = "/do/<int:number>"
COUNTER = "tier_limit_hits_total"  # a business counter with a label that takes any value

TRUTH = f"""
import os
from otel_accubooks import business

HERE = os.path.dirname(os.path.abspath(__file__))

def mark(what):
    fd = os.open(os.path.join(HERE, "truth", what), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, b".")
    os.close(fd)

def operation(kind):
    mark("begun-" + kind)
    business.count("{COUNTER}", tier="FREE", limit_type=kind)
    mark("done-" + kind)
"""

APP = """
import time
from flask import Flask
from truth import mark, operation

operation("import")
app = Flask(__name__)

@app.get("/do/<int:number>")
def do(number):
    mark("begun-http")
    import late
    operation("request")
    time.sleep(number % 4 / 1000)
    return "done"
"""

LATE = """
from truth import operation
operation("late import")
"""


class Truth:
    """What the application wrote down itself, by kind of operation."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the application's; its modules are written into it."""
        self._files = folder / "truth"
        self._files.mkdir()
        (folder / "truth.py").write_text(TRUTH)
        (folder / "late.py").write_text(LATE)
        (folder / "app.py").write_text(APP)

    def begun(self, kind: str) -> int:
        """How many operations of this kind were begun."""
        return self._size(f"begun-{kind}")

    def done(self, kind: str) -> int:
        """How many of them came to their end: these are counted for certain."""
        return self._size(f"done-{kind}")

    def kinds(self) -> list[str]:
        """The kinds that were begun and counted by `operation`."""
        return sorted(p.name.removeprefix("done-") for p in self._files.glob("done-*"))

    def _size(self, name: str) -> int:
        try:
            return (self._files / name).stat().st_size
        except FileNotFoundError:
            return 0


class Deployed:
    """One service of a process model, and the truth about it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.truth = Truth(service.folder)

    def counted(self, kind: str) -> float:
        """What the backend has of a kind of operation."""
        return self.service.sink.value(COUNTER, limit_type=kind)

    def check_exact(self, *kinds: str) -> None:
        """Nothing was killed: every operation of every kind is in the backend, once.

        Nothing else was counted, no total ever ran backwards, and `kinds` are those that there were.
        """
        self.service.ended()
        truth = {kind: self.truth.begun(kind) for kind in self.truth.kinds()}
        assert truth.keys() == set(kinds)
        assert truth == {kind: self.truth.done(kind) for kind in truth}
        found = self.service.sink.series(COUNTER)
        assert truth == {kind: self.counted(kind) for kind in truth}, found
        assert sum(truth.values()) == self.service.sink.value(COUNTER), found
        self.check_monotonic()

    def check_bounds(self, *kinds: str) -> None:
        """Something was killed: all that was finished counts once, and nothing that was not begun."""
        self.service.ended()
        assert set(kinds) == set(self.truth.kinds())
        for kind in kinds:
            done, begun = self.truth.done(kind), self.truth.begun(kind)
            print(f"{kind}: {done} done <= {self.counted(kind):g} counted <= {begun} begun")
            assert 0 < done <= self.counted(kind) <= begun, kind
        self.check_monotonic()

    def check_monotonic(self) -> None:
        """No total of any series ever ran backwards, and all came from few instances."""
        assert [s for s in self.service.sink.series() if s.resets] == []

    def instances(self) -> set[str]:
        """The instance ids that the backend has seen."""
        return {series.instance for series in self.service.sink.series(COUNTER)}


class Load:
    """Clients that ask for as long as it goes on; `sent` and `answered` are how often."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.sent = self.answered = 0
        self._threads = [threading.Thread(target=self._client) for _ in range(clients)]

    def _client(self) -> None:
        while not self._stopped.is_set():
            self.ask()

    def ask(self) -> bool:
        """One request on a connection of its own; True if its answer arrived whole."""
        with self._lock:
            self.sent += 1
            number = self.sent
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            client.request("GET", f"/do/{number}")
            answer = client.getresponse()
            whole = answer.status == 200 and answer.read() == b"done"
        except (OSError, http.client.HTTPException):
            time.sleep(0.01)  # nobody listens at the moment
            return False
        finally:
            client.close()
        with self._lock:
            self.answered += whole
        return whole

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()


def requests(port: int, number: int, clients: int = 4) -> None:
    """So many requests, from several clients at once, each of which has to be answered."""
    load = Load(port)
    failed = []

    def client(share: int) -> None:
        failed.extend(n for n in range(share) if not load.ask())

    threads = [threading.Thread(target=client, args=(number // clients,)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failed, load.answered) == ([], number)


def random_moments(
    progress: Callable[[], int],
    times: int,
    *,
    apart: tuple[int, int] = (5, 30),
    within: float = 0.02,
) -> Iterator[random.Random]:
    """Yields `times` times: each after `progress()` has grown by a number of `apart`, by chance.

    And after a part of `within` seconds, so that it is any moment of an operation.
    """
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"random seed {seed}")
    chance = random.Random(seed)
    for _ in range(times):
        goal = progress() + chance.randint(*apart)
        assert eventually(lambda goal=goal: progress() >= goal, 60), "the load stands still"
        time.sleep(chance.random() * within)
        yield chance


def kill_one(chance: random.Random, find: Callable[[], list[psutil.Process]]) -> None:
    """SIGKILL for one of the processes that `find` finds; waits until there is one to be killed."""

    def killed() -> bool:
        with contextlib.suppress(psutil.Error):
            victims = find()
            if victims:
                chance.choice(victims).kill()
                return True
        return False

    assert eventually(killed, 60), "there was no process to be killed"


def stop_container(service: Service, server: Server) -> None:
    """SIGTERM to everybody, the exporter too, and SIGKILL to all at once when `server` has ended.

    So it is where `server` is the first process of a container. The folder goes, too.
    """
    # Two exports never have the same second: the last one must not have to wait for the next.
    assert eventually(lambda: last_export(service) < int(time.time()), 60)
    everybody = [psutil.Process(server.pid), *exporters(service)]
    everybody += everybody[0].children(recursive=True)
    _signal(everybody, signal.SIGTERM)
    assert eventually(lambda: not server.running, 60)
    _signal(everybody, signal.SIGKILL)
    psutil.wait_procs(everybody, 30)
    server.stop()
    shutil.rmtree(service.state, ignore_errors=True)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def children(pid: int) -> list[psutil.Process]:
    """The living children of a process, without those that multiprocessing keeps for itself."""
    try:
        found = psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []
    return [child for child in found if _works(child)]


def _works(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        if process.status() != psutil.STATUS_ZOMBIE:
            return "resource_tracker" not in " ".join(process.cmdline())
    return False
