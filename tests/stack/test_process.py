"""Server: started, polled, stopped, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from otel_accubooks.stack.process import Server, StartError


def shell(script: str, folder: Path, ready: Callable[[], bool] | None = None) -> Server:
    """A server that is a shell script, ready when it has made the file `ready`."""
    mark = folder / "ready"
    return Server(
        "the script",
        ["/bin/sh", "-c", script],
        log=folder / "script.log",
        cwd=folder,
        ready=ready or mark.exists,
    )


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_start_waits_until_it_is_ready(tmp_path: Path) -> None:
    """When start returns, the server can be used."""
    server = shell("sleep 0.5; touch ready; exec sleep 60", tmp_path)
    with server.start():
        assert (tmp_path / "ready").exists()
        assert server.running


def test_one_that_ends_is_an_error_with_its_status_and_last_words(tmp_path: Path) -> None:
    """The message names the server and shows why it ended, so that nobody has to look for a log."""
    server = shell("echo the port is taken; exit 3", tmp_path)
    with pytest.raises(StartError, match=r"the script ended with status 3[\s\S]*port is taken"):
        server.start()


def test_one_that_is_never_ready_is_an_error_and_is_ended(tmp_path: Path) -> None:
    """A server that hangs is not left behind."""
    server = shell("echo waiting; exec sleep 60", tmp_path)
    with pytest.raises(StartError, match=r"not ready after 0\.3 s[\s\S]*waiting"):
        server.start(timeout=0.3)
    assert not server.running


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The message says which program could not be run."""
    server = Server("it", ["/no/such"], log=tmp_path / "log", ready=lambda: True)
    with pytest.raises(StartError, match="it: cannot run /no/such"):
        server.start()


def test_an_unknown_user_is_named(tmp_path: Path) -> None:
    """The message says which operating system user is missing."""
    server = Server("it", ["true"], log=tmp_path / "log", ready=lambda: True, user="nobody-here")
    with pytest.raises(StartError, match="user 'nobody-here'"):
        server.start()


def test_the_log_shown_is_of_this_start_alone(tmp_path: Path) -> None:
    """After a restart, the words of an earlier life are in the file and not in the message."""
    server = shell("echo life $$; touch ready; exec sleep 60", tmp_path)
    server.start()
    server.stop()
    (tmp_path / "ready").unlink()
    server.start()
    first, second = (tmp_path / "script.log").read_text().splitlines()
    assert first != second
    assert server.log_tail() == second
    server.stop()


def test_stop_asks_politely_and_waits(tmp_path: Path) -> None:
    """What a server does at its end is done when stop returns."""
    script = "trap 'sleep 0.3; touch saved; exit' TERM; touch ready; while :; do sleep 0.1; done"
    server = shell(script, tmp_path).start()
    server.stop()
    assert (tmp_path / "saved").exists()


def test_stop_asks_with_the_signal_that_the_server_wants(tmp_path: Path) -> None:
    """Some servers take SIGTERM for `when everybody has gone`."""
    # Not SIGINT: where it is ignored, as in what a shell runs in the background, no shell takes it.
    script = "trap 'touch saved; exit' USR1; touch ready; while :; do sleep 0.1; done"
    server = shell(script, tmp_path)
    server.stop_signal = signal.SIGUSR1
    server.start()
    server.stop()
    assert (tmp_path / "saved").exists()


def test_stop_ends_one_that_does_not_listen(tmp_path: Path) -> None:
    """After the time that it was given it is killed, with its children."""
    script = "trap '' TERM; sleep 60 & echo $! > child; touch ready; while :; do sleep 0.1; done"
    server = shell(script, tmp_path).start()
    server.stop(timeout=0.5)
    assert not server.running
    child = int((tmp_path / "child").read_text())
    wait_for(lambda: gone(child))


def test_children_get_the_time_that_is_left(tmp_path: Path) -> None:
    """A child that is still writing when its parent has ended is waited for."""
    script = "trap 'exit' TERM; (trap '' TERM; sleep 1; touch saved) & touch ready; wait"
    server = shell(script, tmp_path).start()
    server.stop()
    assert (tmp_path / "saved").exists()


def test_kill_ends_it_at_once_and_it_can_be_started_again(tmp_path: Path) -> None:
    """An outage is a kill, and its end is a start."""
    server = shell("touch ready; exec sleep 60", tmp_path).start()
    first = server.pid
    server.kill()
    assert not server.running
    server.start()
    assert server.running
    assert server.pid != first
    server.stop()


def test_everything_may_be_asked_twice(tmp_path: Path) -> None:
    """A second start, stop or kill does nothing, and neither does a stop before the first start."""
    server = shell("touch ready; exec sleep 60", tmp_path)
    server.stop()
    server.kill()
    with server.start() as again:
        pid = again.pid
        assert server.start().pid == pid
    server.stop()
    server.kill()
    assert not server.running


def test_leaving_the_context_stops_it(tmp_path: Path) -> None:
    """An error in a test leaves no server behind."""
    server = shell("touch ready; exec sleep 60", tmp_path)
    with pytest.raises(ZeroDivisionError), server:
        raise ZeroDivisionError
    assert not server.running


def test_a_ready_that_cannot_connect_yet_is_asked_again(tmp_path: Path) -> None:
    """A readiness check may simply try to connect."""
    answers = iter([ConnectionRefusedError(), True])

    def ready() -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with shell("exec sleep 60", tmp_path, ready=ready) as server:
        assert server.running


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_server_outlives_the_process_that_started_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    """However that process ends, even unable to say anything, its servers and theirs end too."""
    script = tmp_path / "starts.py"
    script.write_text(
        "import sys, time, threading\n"
        "from pathlib import Path\n"
        "from otel_accubooks.stack.process import Server\n"
        "folder = Path(sys.argv[1])\n"
        "shell = 'sleep 60 & echo $! > child; touch ready; wait'\n"
        "server = Server('s', ['/bin/sh', '-c', shell], log=folder / 'log', cwd=folder,\n"
        "                ready=(folder / 'ready').exists)\n"
        "thread = threading.Thread(target=server.start)\n"  # whose end must not be the server's
        "thread.start(); thread.join()\n"
        "print(server.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with parent:
        assert parent.stdout
        server = int(parent.stdout.readline())
        child = int((tmp_path / "child").read_text())
        assert not gone(server)
        os.kill(parent.pid, number)
    wait_for(lambda: gone(server) and gone(child))


def test_a_signal_amid_the_start_leaves_no_child_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C right after the fork is heard once the child is known, and ended with the rest."""
    started: list[int] = []
    popen = subprocess.Popen

    def interrupted(*args: object, **options: object) -> object:
        process = popen(*args, **options)  # type: ignore[call-overload]
        started.append(process.pid)
        os.kill(os.getpid(), signal.SIGINT)
        return process

    server = shell("touch ready; sleep 1000", tmp_path)
    server.start()
    server.kill()  # whoever watches over the children is there by now
    monkeypatch.setattr(subprocess, "Popen", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            server.start()
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(started) == 1
    assert gone(started[0])
