"""A PostgreSQL server of our own, in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from otel_accubooks.stack.ports import LOOPBACK, free_port
from otel_accubooks.stack.process import Server, StartError

if TYPE_CHECKING:
    from typing_extensions import Self

OWNER = "accubooks"
# Debian and its children keep the server's programs out of PATH.
DEBIAN = Path("/usr/lib/postgresql")


class Postgres(Server):
    """An empty database on the loopback address; its data goes when this object does.

    PostgreSQL refuses to run as root: then it runs as `user`. It is made to be fast, not to
    survive a power cut. Everybody on this host may log in: for tests and demos alone.
    """

    def __init__(self, folder: Path, *, port: int | None = None, user: str = "postgres") -> None:
        self.port = port or free_port()
        self.dsn = f"postgresql://{OWNER}@{LOOPBACK}:{self.port}/postgres"
        # Not in `folder`: the other user may not be allowed to walk down to there.
        self._data = tempfile.TemporaryDirectory(
            prefix="accubooks-postgres-", ignore_cleanup_errors=True
        )
        programs = find_programs()
        super().__init__(
            "PostgreSQL",
            [
                str(programs / "postgres"),
                *("-D", self._data.name, "-h", LOOPBACK, "-p", str(self.port), "-k", ""),
                # Commits still reach the kernel: what was committed outlives a kill of the server.
                *("-c", "fsync=off", "-c", "full_page_writes=off"),
            ],
            log=folder / "postgres.log",
            cwd=Path("/"),
            ready=self._is_up,
            user=user if os.geteuid() == 0 else None,
            # Not SIGTERM, which waits until every client has gone.
            stop_signal=signal.SIGINT,
        )
        self._programs = programs

    def start(self, timeout: float = 30) -> Self:
        if not Path(self._data.name, "PG_VERSION").exists():
            self._initialise()
        return super().start(timeout)

    def _is_up(self) -> bool:
        """What pg_ctl asks too: the server's own word, in a file that a kill leaves behind."""
        lines = Path(self._data.name, "postmaster.pid").read_text().split()
        return lines[:1] == [str(self.pid)] and lines[-1:] == ["ready"]

    def _initialise(self) -> None:
        if self.user:
            shutil.chown(self._data.name, self.user)
        argv = [str(self._programs / "initdb"), "-D", self._data.name, "-U", OWNER, "-A", "trust"]
        done = subprocess.run(
            [*argv, "-E", "UTF8", "--no-locale", "--no-sync"],
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            user=self.user,
        )
        if done.returncode:
            raise StartError(f"PostgreSQL: initdb failed:\n{done.stderr.strip()}")


def find_programs() -> Path:
    """The folder with `postgres` and `initdb`; raises StartError, saying what to install."""
    on_path = shutil.which("postgres")
    if on_path and Path(on_path).with_name("initdb").exists():
        return Path(on_path).parent
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not versions:
        raise StartError(
            f"PostgreSQL: no `postgres` and `initdb` on PATH or in {DEBIAN}: install the server, "
            "e.g. `apt-get install postgresql`"
        )
    return versions[-1].parent
