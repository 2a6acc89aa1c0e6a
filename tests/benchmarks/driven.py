"""A process with the application in it, told what to do: the outer end of `measured/driver.py`."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.servers import Servers
from tests.benchmarks.variants import MEASURED, Variant, command

MEMORY = Path("/dev/shm")


class Driven:
    """Takes commands once it is ready. `prefix` goes before the interpreter, after the launcher."""

    def __init__(self, argv: list[str], env: dict[str, str], folder: Path) -> None:
        self._log = folder / "log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                env=env,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.python: str = self._answer()["python"]

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, *words: object) -> dict[str, Any]:
        """Gives a command and its answer; raises RuntimeError if the process dies of it."""
        assert self._process.stdin is not None
        print(*words, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
            raise RuntimeError(f"the measured process ended with status {status}:\n{tail}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """Lets it quit, and sees to it."""
        try:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()


@contextmanager
def driven(
    variant: Variant,
    servers: Servers,
    work: Path,
    *,
    prefix: tuple[str, ...] = (),
    variables: dict[str, str] | None = None,
    folder: Path | None = None,
    program: Path = MEASURED / "driver.py",
) -> Iterator[Driven]:
    """The application under `variant`, ended afterwards.

    `prefix` goes between launcher and interpreter, `variables` are added to its environment,
    `folder` is the environment to run in, if not the one that the variant names, `program` what runs.
    """
    with tempfile.TemporaryDirectory(prefix="bench-", dir=MEMORY, ignore_cleanup_errors=True) as at:
        argv, env = command(variant, servers, Path(at), folder=folder)
        argv[-1:] = [*prefix, argv[-1], str(program)]
        work.mkdir(parents=True, exist_ok=True)
        process = Driven(argv, {**env, **(variables or {})}, work)
        try:
            yield process
        finally:
            process.end()
