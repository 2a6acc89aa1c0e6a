"""Who was seen when: the rows behind the numbers of active users and sessions.

A user's id never leaves the process: a row holds 53 bits of its keyed hash, as one exact double.
"""

from __future__ import annotations

import os
import secrets
import time
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from otel_accubooks.recorder import layout
from otel_accubooks.recorder.fork import generation
from otel_accubooks.recorder.series import Attach, Series

if TYPE_CHECKING:
    from _thread import RLock

USERS = "users"
SESSIONS = "sessions"
ACTIVE_SECONDS = 300.0
SESSION_SILENCE_SECONDS = 1800.0

ROW = 4
_WHO, _FIRST, _LAST, _ENDED = range(ROW)
_ROWS = 1024


def deployment_secret(folder: Path) -> bytes:
    """The key of the hash, the same for all processes that share `folder`; made on first use."""
    path = folder / "secret"
    if not path.exists():
        hidden = folder / f".secret-{os.getpid()}-{secrets.token_hex(4)}"
        hidden.write_bytes(secrets.token_bytes(32))
        try:
            os.link(hidden, path)  # whole or not at all: whoever reads it reads all of it
        except FileExistsError:
            pass
        os.unlink(hidden)
    return path.read_bytes()


def hashed(key: bytes, who: str) -> int:
    """53 bits of the keyed hash of `who`, never 0."""
    digest = blake2b(who.encode("utf-8", "replace"), key=key, digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) or 1


class PresenceTable(Series):
    """A fixed number of rows; a row that is older than a session may be taken by somebody else."""

    __slots__ = ("_rows",)

    def __init__(self, name: str, number: int, attach: Attach) -> None:
        key = layout.make_key(name, (str(number),))
        super().__init__(layout.PRESENCE, key, ROW * _ROWS, attach)
        self._rows: dict[int, int] = {}

    def place(self, values: memoryview[float], at: int, lock: RLock, number: int) -> None:
        super().place(values, at, lock, number)
        self._rows = {}

    def note(self, who: int, now: float, *, ended: bool) -> bool:
        """Notes that `who` was seen, or left, at `now` (Unix seconds). False if there is no room."""
        if generation[0] != self._generation or not self._generation:
            self._attach(self)
        with self._lock:
            row = self._rows.get(who)
            if row is None:
                row = self._take(who, now)
                if row is None:
                    return False
            self._values[row + (_ENDED if ended else _LAST)] = now
        return True

    def _take(self, who: int, now: float) -> int | None:
        if len(self._rows) < _ROWS:
            row = self._at + ROW * len(self._rows)
        else:
            oldest = min(self._rows, key=self._last)
            if now - self._last(oldest) < SESSION_SILENCE_SECONDS:
                return None
            row = self._rows.pop(oldest)
        values = self._values
        values[row + _WHO] = 0.0
        values[row + _ENDED] = 0.0
        values[row + _LAST] = 0.0
        values[row + _FIRST] = now
        values[row + _WHO] = float(who)
        self._rows[who] = row
        return row

    def _last(self, who: int) -> float:
        row = self._rows[who]
        return max(self._values[row + _LAST], self._values[row + _ENDED])


class Presence:
    """The users or the sessions that this process saw."""

    def __init__(self, name: str, attach: Attach) -> None:
        self._name = name
        self._attach = attach
        self._tables: dict[int, PresenceTable] = {}

    def seen(self, who: int) -> None:
        """Notes a sign of life of `who`, from `hashed`."""
        self._note(who, ended=False)

    def left(self, who: int) -> None:
        """Notes that `who` ended the session."""
        self._note(who, ended=True)

    def _note(self, who: int, *, ended: bool) -> None:
        now = time.time()
        number = 0
        while not self._table(number).note(who, now, ended=ended):
            number += 1

    def _table(self, number: int) -> PresenceTable:
        # One object for each number, also where two threads ask for a new one at the same time.
        table = self._tables.get(number)
        if table is None:
            made = PresenceTable(self._name, number, self._attach)
            table = self._tables.setdefault(number, made)
        return table


def active(rows: dict[int, list[float]], now: float, silence: float) -> int:
    """How many of `rows` (who: first, last, ended) were seen in the last `silence` seconds."""
    return sum(1 for _, last, ended in rows.values() if last > ended and now - last <= silence)
