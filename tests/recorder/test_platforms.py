"""Systems that lack something: written for, and run here as far as it can be taken away."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from typing import Any

import pytest

from otel_accubooks.recorder import root
from otel_accubooks.recorder.fork import generation
from otel_accubooks.recorder.header import Header, publish, published
from otel_accubooks.recorder.root import Root, process_ticks

pytestmark = pytest.mark.usefixtures("bound")

NO_POSIX = """
import os, sys
sys.modules["fcntl"] = None
for name in ("register_at_fork", "geteuid", "getuid", "posix_spawn", "posix_fallocate", "fork"):
    delattr(os, name)
from pathlib import Path
from otel_accubooks.contract import metrics as m
from otel_accubooks.recorder.folder import StateFolder, default_parent
from otel_accubooks.recorder.memory import MemoryReader
from otel_accubooks.recorder.recorder import Recorder
from otel_accubooks.export import spawn
from otel_accubooks.launch import alone, start
recorder = Recorder(StateFolder(default_parent() / "one"))
recorder.counter(m.CACHE_HITS_TOTAL).labels().add(3)
assert recorder.segment is None
(point,) = MemoryReader(recorder).read().of(m.CACHE_HITS_TOTAL)
assert point.value == 3
"""


def test_without_posix_a_process_is_on_its_own() -> None:
    """No file locks, no fork, no users: everything is imported, and counts are kept in memory."""
    run = subprocess.run(
        [sys.executable, "-c", NO_POSIX], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
    assert "this system has no file locks" in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.fixture
def no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, where there is no /proc."""
    usual_open, usual_exists = builtins.open, os.path.exists

    def open_elsewhere(path: Any, *args: Any, **kwargs: Any) -> Any:
        if str(path).startswith("/proc"):
            raise FileNotFoundError(path)
        return usual_open(path, *args, **kwargs)

    monkeypatch.setattr(root, "open", open_elsewhere, raising=False)
    monkeypatch.setattr(
        os.path, "exists", lambda path: not str(path).startswith("/proc") and usual_exists(path)
    )


def test_a_process_is_told_apart_without_proc(no_proc: None) -> None:
    """By the time at which it was created; one that ended is not alive, waited for or not."""
    mine = Root.of_this_process()
    assert mine.ticks > 10**12  # milliseconds since 1970
    assert mine.alive()
    assert not Root(mine.pid, mine.ticks - 1, mine.started).alive()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert process_ticks(pid) is None  # a zombie
    os.waitpid(pid, 0)
    assert process_ticks(pid) is None


def test_a_zombie_is_not_alive() -> None:
    """Nor with /proc."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert process_ticks(pid) is None
    os.waitpid(pid, 0)


def test_without_a_page_that_forks_wipe_the_hook_does_it() -> None:
    """Elsewhere than on Linux, and on old kernels: in a new interpreter that believes it is there."""
    program = (
        "import sys; sys.platform = 'darwin'\n"
        "import os\n"
        "from otel_accubooks.recorder.fork import generation\n"
        "generation[0] = 5\n"
        "pid = os.fork()\n"
        "if pid == 0: os._exit(generation[0])\n"
        "assert os.waitpid(pid, 0)[1] == 0 and generation[0] == 5\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert generation is not None


def test_how_far_a_segment_is_written_is_one_word() -> None:
    """A number with bits in all bytes is published and read as a whole."""
    memory = bytearray(4096)
    header = Header(7, 8, Root(9, 10, 11.0), 12, (13, 14))
    header.write(memory)
    publish(memoryview(memory).cast("Q"), 0x0102030405060708)
    assert published(memoryview(memory).cast("Q")) == 0x0102030405060708
    assert Header.read(memory) == header
