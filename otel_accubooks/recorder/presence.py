"""Who was seen when: the rows behind the numbers of users and sessions, as a process writes them.

A user's id never leaves the process: a row holds 53 bits of its keyed hash, as one exact double.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from hashlib import blake2b
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING

from otel_accubooks.recorder import layout
from otel_accubooks.recorder.files import create, open_regular
from otel_accubooks.recorder.fork import generation
from otel_accubooks.recorder.logouts import Logouts
from otel_accubooks.recorder.series import Attach, Series

if TYPE_CHECKING:
    from _thread import RLock

_log = getLogger("otel_accubooks")

VISITS = "visits"
SESSION_SILENCE_SECONDS = 1800.0
# A row stays until whoever counts sessions has seen how it ended: the longest export interval is an
# hour, and silence ends a session only after half an hour.
KEPT_SECONDS = 7200.0
MAX_TABLES = 64  # with that many users at once, a process counts no more of them

ROW = 5
WHO, FIRST, LAST, ENDED, TRUSTED = range(ROW)
_ROWS = 1024


def deployment_secret(folder: Path) -> bytes:
    """The key of the hash, the same for all processes that share `folder`; made on first use.

    Raises OSError.
    """
    path = folder / "secret"
    if not path.exists():
        hidden = folder / f".secret-{os.getpid()}-{secrets.token_hex(4)}"
        with open(create(hidden), "wb") as made:
            made.write(secrets.token_bytes(32))
        try:
            os.link(hidden, path)  # whole or not at all: whoever reads it reads all of it
        except FileExistsError:
            pass
        os.unlink(hidden)
    with open(open_regular(path), "rb") as file:
        return file.read()


def derived_secret(text: str) -> bytes:
    """A key of the hash from a text that several hosts have in common."""
    return blake2b(text.encode("utf-8", "replace"), person=b"otel-accubooks").digest()


def hashed(key: bytes, who: str) -> int:
    """53 bits of the keyed hash of `who`, never 0."""
    digest = blake2b(who.encode("utf-8", "replace"), key=key, digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) or 1


class PresenceTable(Series):
    """A fixed number of rows, one for each visit: who, and when first and last seen in it.

    A visit ends by leaving, or by more silence than a session survives; the next sign of life takes
    another row. A row that is older than KEPT_SECONDS may be taken by somebody else.
    """

    __slots__ = ("_open", "_order", "_used")

    def __init__(self, number: int, attach: Attach) -> None:
        key = layout.make_key(VISITS, (str(number),))
        super().__init__(layout.PRESENCE, key, ROW * _ROWS, attach)
        self._open: dict[int, int] = {}  # by who: the row of the visit that goes on
        self._order: dict[int, int] = {}  # by row: who, the longest silent first
        self._used = 0

    def place(self, values: memoryview[float], at: int, lock: RLock, number: int) -> None:
        super().place(values, at, lock, number)
        # Empty after a fork; as they were where the rows moved from this process's memory.
        taken = [row for row in range(at, at + self.slots, ROW) if values[row + WHO]]
        self._used = (max(taken) - at) // ROW + 1 if taken else 0
        taken.sort(key=self._silent_since)
        self._order = {row: int(values[row + WHO]) for row in taken}
        self._open = {who: row for row, who in self._order.items() if not values[row + ENDED]}

    def note(self, who: int, now: float, column: int, left: float = 0.0) -> bool:
        """Notes that `who` was seen, left, or used a trust component, at `now` (Unix seconds).

        `left` is when `who` last left, here or elsewhere. False if there is no room.
        """
        if generation[0] != self._generation or not self._generation:
            self._attach(self)
        with self._lock:
            row = self._open.get(who)
            since = self._silent_since(row) if row is not None else 0.0
            # After the clock was set back behind its beginning, a visit is over, too.
            silent = now - since > SESSION_SILENCE_SECONDS or left >= since
            if row is None or silent or now < self._values[row + FIRST]:
                row = self._take(who, now)
                if row is None:
                    return False
            else:
                self._order.pop(row, None)
            self._order[row] = who
            self._values[row + column] = now
            if column == TRUSTED:
                self._values[row + LAST] = now
            elif column == ENDED:
                self._open.pop(who, None)
        return True

    def _take(self, who: int, now: float) -> int | None:
        values = self._values
        if self._used < _ROWS:
            row = self._at + ROW * self._used
            self._used += 1
        else:
            row = next(iter(self._order))
            if now - self._silent_since(row) < KEPT_SECONDS:
                return None
            before = self._order.pop(row)
            if self._open.get(before) == row:
                del self._open[before]
        values[row + WHO] = 0.0  # first and last of all, so that no reader mixes two visits
        values[row + FIRST] = now
        for column in (LAST, ENDED, TRUSTED):
            values[row + column] = 0.0
        values[row + WHO] = float(who)
        self._open[who] = row
        return row

    def _silent_since(self, row: int) -> float:
        return max(self._values[row + LAST], self._values[row + ENDED])


class Presence:
    """The users that this process saw."""

    def __init__(self, attach: Attach, folder: Callable[[], Path | None]) -> None:
        self._attach = attach
        self.logouts = Logouts(folder)
        self._tables: dict[int, PresenceTable] = {}
        self._table_of: dict[int, int] = {}
        self._generation = 0
        self._full = False

    def seen(self, who: int, now: float | None = None) -> None:
        """Notes a sign of life of `who`, from `hashed`; `now` (Unix seconds) is told by tests."""
        self._note(who, now, LAST)

    def left(self, who: int, now: float | None = None) -> None:
        """Notes that `who` ended the session."""
        self._note(who, now, ENDED)

    def trusted(self, who: int, now: float | None = None) -> None:
        """Notes that `who` used a trust component."""
        self._note(who, now, TRUSTED)

    def _note(self, who: int, now: float | None, column: int) -> None:
        if self._generation != generation[0]:
            self._table_of.clear()  # a child has tables of its own
        now = time.time() if now is None else now
        left = self.logouts.last(who)
        if column == ENDED:
            self.logouts.note(who, now)
        number = self._table_of.get(who, 0)
        while not self._table(number).note(who, now, column, left):
            number += 1
            if number == MAX_TABLES:
                self._tell()
                return
        self._generation = generation[0]
        if number:
            self._table_of[who] = number

    def _table(self, number: int) -> PresenceTable:
        # One object for each number, also where two threads ask for a new one at the same time.
        table = self._tables.get(number)
        if table is None:
            table = self._tables.setdefault(number, PresenceTable(number, self._attach))
        return table

    def _tell(self) -> None:
        if not self._full:
            self._full = True
            _log.warning(
                "otel-accubooks: this process saw more than %d visits in %d hours; further ones are "
                "not counted",
                MAX_TABLES * _ROWS,
                KEPT_SECONDS // 3600,
            )
