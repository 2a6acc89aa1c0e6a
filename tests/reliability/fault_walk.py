"""A process that walks the hooks: in a forked child for each fault, it does a step of the application.

A trace function raises at one line of ours, the first time that it runs below one hook. It raises in
a first run and in a second one; the third has no fault. Started by `faults.walk`, in a process of
its own, since a child is to have what a child of a server has: one thread, and nothing recorded yet.
"""

from __future__ import annotations

import json
import logging
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from tests.reliability import hooks

PACKAGE = str(hooks.PACKAGE)
LIMIT_SECONDS = 60.0
KINDS: dict[str, Callable[[], Exception]] = {
    "RuntimeError": lambda: RuntimeError("injected"),
    "MemoryError": lambda: MemoryError("injected"),
    "OSError": lambda: OSError(28, "injected"),
    "KeyError": lambda: KeyError("injected"),
    "TypeError": lambda: TypeError("injected"),
    "RecursionError": lambda: RecursionError("injected"),
    "AssertionError": lambda: AssertionError("injected"),
    "ImportError": lambda: ImportError("injected"),
}
RULES = """
[user]
id = "g.user.id"
logout = { method = "POST", route = "/logout" }

[[request]]
method = "POST"
route = "/ok/<int:number>"
status = "2xx"
count = "scenarios_created_total"
labels = { tier = "json.tier" }

[[request]]
method = "POST"
route = "/ok/<int:number>"
status = "201"
count = "tier_limit_hits_total"
labels = { tier = "before.session.tier", limit_type = "header.X-User" }

[[job]]
function = "tests.reliability.fault_queues.succeed"
outcome = "success"
count = "forecasts_generated_total"
labels = { tier = "kwargs.tier" }

[[job]]
function = "tests.reliability.fault_queues.c_succeed"
outcome = "success"
count = "forecasts_generated_total"
labels = { tier = "result.plan.tier" }

[[exception]]
class = "tests.reliability.fault_step.LedgerError"
count = "calculation_errors_total"
labels = { kind = { value = "ledger" } }

[[lookup]]
gauge = "users_by_tier"
sql = "SELECT 'PRO', 7"
every = "60s"

[[log]]
logger = "books"
level = "ERROR"
count = "tenant_isolation_violations_total"
labels = { kind = { value = "query" } }
"""

Key = tuple[str, str, str, int]  # the hook, and file, function and line below it


def named(frame: FrameType) -> str:
    """A function of ours: its file within the package, and its name there."""
    file = frame.f_code.co_filename[len(PACKAGE) + 1 :]
    return f"{file}:{hooks.name_of(file, frame.f_code.co_firstlineno, frame.f_code.co_name)}"


def hook_of(frame: FrameType) -> FrameType:
    """The function of ours that something else called, and that led to this one."""
    while (outer := frame.f_back) is not None and outer.f_code.co_filename.startswith(PACKAGE):
        frame = outer
    return frame


class Tracing:
    """Sees every line of ours that runs in the threads of this process."""

    def __init__(self, seen: Callable[[Key], None]) -> None:
        self._seen = seen

    def _call(self, frame: FrameType, _: str, __: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        hook, here = named(hook_of(frame)), named(frame)
        file, _, name = here.partition(":")

        def line(frame: FrameType, event: str, _: Any) -> Any:
            if event == "line":
                self._seen((hook, file, name, frame.f_lineno))
            return line

        return line

    def __enter__(self) -> None:
        threading.settrace(self._call)
        sys.settrace(self._call)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]


class Lines(logging.Handler):
    """What this package logs."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def raised(error: BaseException) -> list[Any]:
    """An exception as the application sees it: functions of its own and of the libraries alone."""
    frames = traceback.extract_tb(error.__traceback__)
    names = [each.name for each in frames if not each.filename.startswith(PACKAGE)]
    context = error.__context__
    return [type(error).__name__, str(error), names, context and type(context).__name__]


def outcome(step: Callable[[], Any]) -> Any:
    """What a step says, as JSON has it."""
    try:
        said = step()
    except BaseException as error:
        said = ["the step ended", *raised(error)]
    return json.loads(json.dumps(said, default=repr))


def in_child(work: Callable[[], Any]) -> Any:
    """What `work` gives in a forked child of this process; a text where it died or hung."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            with os.fdopen(writing, "w") as pipe:
                json.dump(work(), pipe)
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        told, deadline = b"", time.monotonic() + LIMIT_SECONDS
        while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            part = pipe.read(1 << 16)
            if not part:
                break
            told += part
        else:
            os.kill(pid, signal.SIGKILL)
            told = b'"hung"'
    _, status = os.waitpid(pid, 0)
    return json.loads(told) if told else f"died: {status}"


class Walk:
    """The steps, bare and measured, and the faults in them."""

    runs = (True, True, False)  # of a child: with the fault, and without

    def __init__(self, folder: Path, steps: dict[str, Callable[[], Any]]) -> None:
        self._folder = folder
        self.steps = steps
        self.bare = {name: in_child(partial(outcome, step)) for name, step in steps.items()}
        self.run: set[str] = set()  # functions of ours that a step has run
        self._instrument()

    def _instrument(self) -> None:
        from otel_accubooks.instrument import business
        from otel_accubooks.instrument.rules_check import check_rules
        from otel_accubooks.launch.instrumentors import INSTRUMENTORS
        from otel_accubooks.recorder.process import recorder

        recorder.folder = self._state()
        business.apply(check_rules("rules.toml", RULES))
        for kind in INSTRUMENTORS.values():
            for library, ours in kind.libraries.items():
                if library in sys.modules:
                    import_module(ours).instrument(sys.modules[library])

    def _state(self) -> Any:
        from otel_accubooks.recorder.folder import StateFolder

        return StateFolder(self._folder / str(os.getpid()) / "services" / "one")

    def _begin(self) -> Lines:
        """In a child: a folder of its own, and an ear for what is logged."""
        self._own_folder()
        lines = Lines()
        log = logging.getLogger("otel_accubooks")
        log.addHandler(lines)
        # Heard whatever a worker of Celery does to the root logger, which prints it.
        log.setLevel(logging.WARNING)
        log.propagate = False
        errors = os.open(self._folder / f"{os.getpid()}.err", os.O_CREAT | os.O_RDWR)
        os.dup2(errors, 2)
        return lines

    def _own_folder(self) -> None:
        from otel_accubooks.recorder.process import recorder

        recorder.folder = self._state()

    def _end(self, lines: Lines) -> dict[str, Any]:
        from otel_accubooks.recorder.process import recorder

        free: list[bool] = []
        asking = threading.Thread(target=lambda: free.append(recorder.lock().acquire(timeout=5)))
        asking.start()
        asking.join()
        printed = (self._folder / f"{os.getpid()}.err").read_text(errors="replace")
        shutil.rmtree(self._folder / str(os.getpid()), ignore_errors=True)
        return {"lines": lines.texts, "free": free == [True], "printed": printed}

    def places(self, name: str) -> list[Key]:
        """The lines of ours that a step runs, by the hook that leads to them, in their order."""

        def work() -> Any:
            lines, found = self._begin(), {}
            with Tracing(lambda key: found.setdefault(key, True)):
                said = outcome(self.steps[name])
            return {"said": said, "keys": list(found), **self._end(lines)}

        told = in_child(work)
        if not isinstance(told, dict) or told["said"] != self.bare[name] or told["lines"]:
            raise SystemExit(f"{name} without a fault: {told} instead of {self.bare[name]}")
        self.run.update(f"{file}:{function}" for _, file, function, _ in told["keys"])
        keys = [tuple(key) for key in told["keys"] if key[2] != "<module>"]
        return [key for key in keys if not hooks.is_bare(*key[1:])]

    def fault(self, name: str, key: Key, kind: str) -> dict[str, Any]:
        """What a step says with a fault at `key`, twice, and then without."""
        fired = [0]

        def seen(found: Key) -> None:
            if found == key:
                fired[0] += 1
                raise KINDS[kind]()

        def work() -> Any:
            lines, said, logged = self._begin(), [], []
            for faulty in self.runs:
                if faulty:
                    with Tracing(seen):
                        said.append(outcome(self.steps[name]))
                else:
                    said.append(outcome(self.steps[name]))
                logged.append(len(lines.texts))
            return {"said": said, "logged": logged, "fired": fired[0], **self._end(lines)}

        told = in_child(work)
        return told if isinstance(told, dict) else {"said": [told] * 3}

    def judged(self, name: str, key: Key, kind: str) -> dict[str, Any]:
        """The fault, and what is wrong with what came of it: nothing, if all is well."""
        told = self.fault(name, key, kind)
        wrong = [
            f"run {number}: {said} instead of {self.bare[name]}"
            for number, said in enumerate(told["said"], 1)
            if said != self.bare[name]
        ]
        texts = told.get("lines", [])
        if len(set(texts)) != len(texts):
            wrong.append(f"logged again: {texts}")
        if not told.get("free", True):
            wrong.append("the lock is held")
        if "otel_accubooks" in told.get("printed", "") or "injected" in told.get("printed", ""):
            wrong.append(f"printed: {told['printed'][-600:]}")
        return {
            **{"step": name, "hook": key[0], "place": f"{key[1]}:{key[3]}", "kind": kind},
            **{"wrong": wrong, "logged": len(texts), "fired": told.get("fired", -1)},
        }


def chosen(found: Iterable[tuple[str, Key]], sample: int, seed: int) -> list[tuple[str, Key]]:
    """The first place below each hook, and `sample` of the first ones of each function there.

    Where there are not as many, of all others too; none where `sample` is negative.
    """
    first: dict[tuple[str, str], tuple[str, Key]] = {}
    rest = []
    for name, key in found:
        if first.setdefault((key[0], f"{key[1]}:{key[2]}"), (name, key)) != (name, key):
            rest.append((name, key))
    below = {place[0]: entry for place, entry in reversed(first.items())}
    entries = [entry for entry in first.values() if entry not in below.values()]
    dice = random.Random(seed)
    dice.shuffle(entries)
    dice.shuffle(rest)
    return [*below.values(), *[*entries, *rest][: max(sample, 0)]]


# Not walked: modules, which the step itself imports; what runs in the thread of an exporter; and what
# the application itself calls to make meters of its own.
BESIDE = {
    *(f"launch/{name}.py:<module>" for name in ("user_meters", "process_end", "instrumentors")),
    *(
        f"launch/{name}.py:<module>"
        for name in ("distro", "configurator", "redis_imports", "start")
    ),
    *(f"launch/{name}.py:<module>" for name in ("per_process", "lazy_meters", "arrival")),
    *("launch/arrival.py:_Heard.filter", "launch/arrival.py:watch.<locals>.export"),
    *("launch/user_meters.py:Sending._run", "launch/user_meters.py:UserMeters.get_meter"),
    "launch/lazy_meters.py:LazyCounter.add",
    *(f"launch/lazy_meters.py:LazyMeter.create_{kind}" for kind in ("counter", "observable_gauge")),
}


class StartWalk(Walk):
    """As Walk, of processes that the launcher starts. One folder is theirs, and nobody exports."""

    runs = (True, False)

    def _instrument(self) -> None:
        from otel_accubooks.launch import start
        from otel_accubooks.recorder.folder import StateFolder
        from otel_accubooks.recorder.locks import ExporterLock
        from tests.reliability import fault_start

        (self._folder / "rules.toml").write_text(RULES[RULES.index("[[log]]") :])
        given = {
            "OTEL_ACCUBOOKS_STATE_DIR": str(self._folder / "state"),
            "OTEL_ACCUBOOKS_RULES": str(self._folder / "rules.toml"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
            "OTEL_SERVICE_NAME": "books",
        }
        os.environ.update(given)
        folder = StateFolder(start.settings().folder)
        folder.make()
        self._lock = ExporterLock(folder)
        if not self._lock.take():
            raise SystemExit("somebody exports already")
        start._settings = None
        fault_start.launched = True

    def _own_folder(self) -> None:
        pass  # the launcher's

    def places(self, name: str) -> list[Key]:
        # The hooks in libraries are walked by steps of their own.
        places = super().places(name)
        return [key for key in places if key[0].startswith("launch/") and key[0] not in BESIDE]


def walk_of(which: str, folder: Path) -> Walk:
    """`steps`, `workers` (of Celery) or `starts`."""
    if which == "starts":
        from tests.reliability import fault_start

        # What the libraries import themselves, so that a child does not spend its time on it.
        for name in (
            "werkzeug.serving",
            "jinja2",
            "click",
            "itsdangerous",
            "asyncio",
            "ssl",
            "kombu",
        ):
            import_module(name)
        return StartWalk(folder, fault_start.STEPS)
    from tests.reliability import fault_steps

    return Walk(folder, fault_steps.STEPS if which == "steps" else fault_steps.WORKERS)


def main(which: str, out: str, kinds: str, sample: int, seed: int, part: int, parts: int) -> None:
    """Walks, and writes what it found to `out`; without a sample, all places."""
    with tempfile.TemporaryDirectory(prefix="accubooks-faults-") as folder:
        walk = walk_of(which, Path(folder))
        names = list(walk.steps)
        found = list({key: (name, key) for name in names for key in walk.places(name)}.values())
        places = chosen(found, sample, seed) if sample else found
        all_kinds = kinds.split(",")
        results = []
        for number, (name, key) in enumerate(places):
            if number % parts == part:
                for kind in all_kinds if not sample else [all_kinds[number % len(all_kinds)]]:
                    results.append(walk.judged(name, key, kind))
        below = sorted({key[0] for _, key in found})
        text = {
            **{"below": below, "run": sorted(walk.run), "places": len(found), "results": results},
        }
        Path(out).write_text(json.dumps(text, indent=1))


if __name__ == "__main__":
    given = sys.argv[1:]
    main(*given[:3], *map(int, given[3:]))
