"""Programs that serve nothing: a script, and the children that `multiprocessing` makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import eventually
from models.harness import Deployed, children, kill_one, random_moments

from otel_accubooks.stack.process import Server

SCRIPT = """
import sys, time
from truth import operation

if __name__ == "__main__":
    for _ in range(int(sys.argv[1])):
        operation("script")
        time.sleep(0.001)
"""

# Children end normally or at once; further ones are started for as long as the file is there.
PARENT = """
import multiprocessing, os, sys, time
from truth import operation

def child(how):
    for _ in range(40):
        operation("child")
        time.sleep(0.001)
    operation(how)
    if how == "at once":
        os._exit(0)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    while True:
        operation("parent")
        made = [context.Process(target=child, args=(how,)) for how in ("normally", "at once")]
        for process in made:
            process.start()
        for process in made:
            process.join()
        if not os.path.exists("go on"):
            break
"""


def program(deployed: Deployed, source: str, *arguments: str) -> Server:
    """The source as a program under the launcher."""
    (deployed.service.folder / "program.py").write_text(source)
    return deployed.service.server("python", "program.py", *arguments, ready=lambda: True)


def ran(server: Server) -> None:
    """Waits for the end of a program."""
    assert eventually(lambda: not server.running, 60)
    server.stop()


def test_a_script(deployed: Deployed, proves: Callable[..., None]) -> None:
    """What it counts is in the backend, although it ends at once."""
    ran(program(deployed, SCRIPT, "100").start())
    deployed.check_exact("script")
    assert deployed.truth.done("script") == 100
    proves("script", operations="counts", graceful="exact", notes="its normal end")


def test_a_killed_script(deployed: Deployed, proves: Callable[..., None]) -> None:
    """Killed and started again: what it counted in all its lives."""
    server = program(deployed, SCRIPT, "100000")
    server.start()
    for _ in random_moments(lambda: deployed.truth.begun("script"), 3):
        server.kill()
        server.start()
    server.kill()
    ran(program(deployed, SCRIPT, "10").start())
    deployed.check_bounds("script")
    proves("script", killed="the process, which is then started again: all that was finished")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children(method: str, deployed: Deployed, proves: Callable[..., None]) -> None:
    """Children that end normally, and by os._exit: what they and their parent count."""
    ran(program(deployed, PARENT, method).start())
    deployed.check_exact("child", "parent", "normally", "at once")
    assert deployed.truth.done("child") == 80
    proves(
        f"multiprocessing {method}",
        operations="counts in the parent and in its children",
        graceful="exact",
        notes="children end normally, or by `os._exit`",
    )


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_killed_children(method: str, deployed: Deployed, proves: Callable[..., None]) -> None:
    """Children are killed while they count."""
    go_on: Path = deployed.service.folder / "go on"
    go_on.touch()
    server = program(deployed, PARENT, method).start()
    times, within = (5, 0.1) if method == "fork" else (3, 1.0)
    for chance in random_moments(lambda: deployed.truth.begun("child"), times, within=within):
        kill_one(chance, lambda: children(server.pid))
    go_on.unlink()
    ran(server)
    deployed.check_bounds("child", "parent", "normally", "at once")
    proves(f"multiprocessing {method}", killed="children: all that was finished")
