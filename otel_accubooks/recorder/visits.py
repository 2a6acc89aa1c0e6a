"""The visits of all processes of a host, joined to users and sessions.

A session is a user's: it begins with the first request, whichever process sees it, and ends by a
logout or by SESSION_SILENCE_SECONDS without a request. That it ended is derived from the rows, so
that every reader at a moment says the same. What was counted is kept in the base, together with until
when each user's visits are in it: the rows of living processes stay, and are not counted again.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from otel_accubooks.recorder import layout
from otel_accubooks.recorder.presence import KEPT_SECONDS, ROW, SESSION_SILENCE_SECONDS, VISITS

ACTIVE_SECONDS = 300.0
_LATE_SECONDS = 5.0  # by so much a sign of life may be written after it happened
_COUNTED = "counted"

Row = tuple[float, float, float, float]  # first, last, ended, trusted: Unix seconds, 0 for never
Span = tuple[float, float]


@dataclass(frozen=True)
class Sessions:
    """The sessions of one user: those that are over, the one that goes on, and the last logout."""

    over: list[Span]
    open: Span | None
    left: float = 0.0


_NONE = Sessions([], None)


@dataclass
class Visits:
    """The rows of a service, by who. Whoever is not in `counted` is counted until `horizon`."""

    rows: dict[int, list[Row]] = field(default_factory=dict)
    counted: dict[int, float] = field(default_factory=dict)
    horizon: float = 0.0

    def read(self, key: bytes, table: memoryview[float]) -> None:
        """Adds a record of kind PRESENCE, of a process or of the base."""
        name = layout.split_key(key)[0]
        if name == VISITS:
            for at in range(0, len(table) - ROW + 1, ROW):
                who = table[at]
                if not who:
                    continue
                first, last, ended, trusted = table[at + 1 : at + ROW].tolist()
                if table[at] == who:  # else it was just taken by somebody else
                    self.rows.setdefault(int(who), []).append((first, last, ended, trusted))
        elif name == _COUNTED:
            until = table.tolist()
            self.counted = dict(zip(map(int, until[::2]), until[1::2], strict=True))
            self.horizon = self.counted.pop(0, 0.0)

    def records(self) -> Iterator[tuple[bytes, list[float]]]:
        """Key and values of what the base keeps of it."""
        kept = self._compacted(time.time())
        values = [value for who, rows in kept.items() for row in rows for value in (who, *row)]
        if values:
            yield layout.make_key(VISITS, ("base",)), values
        if self.counted or self.horizon:
            until = [(0.0, self.horizon), *self.counted.items()]
            yield layout.make_key(_COUNTED, ("base",)), [float(n) for pair in until for n in pair]

    def active(self, now: float) -> set[int]:
        """Who made a request in the last ACTIVE_SECONDS before `now` (Unix seconds)."""
        since = now - ACTIVE_SECONDS
        return {who for who, rows in self.rows.items() if _seen(rows) >= since}

    def trusting(self, now: float) -> set[int]:
        """Who used a trust component in the last ACTIVE_SECONDS before `now`."""
        since = now - ACTIVE_SECONDS
        return {who for who, rows in self.rows.items() if any(row[3] >= since for row in rows)}

    def last_signs(self) -> Iterator[tuple[int, float, float, float]]:
        """Of each user: who, and when last seen, left, and using a trust component (0: never)."""
        for who, rows in self.rows.items():
            yield who, _seen(rows), max(row[2] for row in rows), max(row[3] for row in rows)

    def sessions(self, now: float) -> dict[int, Sessions]:
        """The sessions of each user that were not counted yet."""
        return {who: self._sessions(who, rows, now) for who, rows in self.rows.items()}

    def count(self, found: dict[int, Sessions], now: float) -> bool:
        """Notes that what is over in `found`, from `sessions`, is counted. False if nothing is."""
        new = False
        for who, sessions in found.items():
            until = max([sessions.left, *(last for _, last in sessions.over)])
            if until > self.counted.get(who, 0.0):
                self.counted[who] = until
                new = True
        if new:
            self.rows = self._compacted(now)
            # Of whom nothing is open, everything until then is counted: there is no need to say so.
            self.horizon = max(self.horizon, now - KEPT_SECONDS)
            self.counted = {
                who: until
                for who, until in self.counted.items()
                if until > self.horizon or (who in found and found[who].open)
            }
        return new

    def _sessions(self, who: int, rows: list[Row], now: float) -> Sessions:
        until = self.counted.get(who, self.horizon)
        if all(row[1] <= until and row[2] <= until for row in rows):
            return _NONE
        joined, logouts = self._joined(who, rows)
        over: list[Span] = []
        for at, (epoch, first, last) in enumerate(joined):
            final = at + 1 == len(joined) or joined[at + 1][0] != epoch
            if final and epoch < len(logouts):
                left = logouts[epoch]  # its last request, unless it was silent too long before
                over.append((first, left if left - last <= SESSION_SILENCE_SECONDS else last))
            elif not final or now - last > SESSION_SILENCE_SECONDS + _LATE_SECONDS:
                over.append((first, last))
            else:
                return Sessions(over, (first, last), logouts[-1] if logouts else 0.0)
        return Sessions(over, None, logouts[-1] if logouts else 0.0)

    def _joined(
        self, who: int, rows: list[Row]
    ) -> tuple[list[tuple[int, float, float]], list[float]]:
        """What is not counted yet: spans (logouts before it, first, last) in order, and logouts."""
        counted = self.counted.get(who)
        if counted is None:
            rows = [row for row in rows if max(row[1], row[2]) > self.horizon]
            counted = 0.0
        logouts = sorted({ended for _, _, ended, _ in rows if ended > counted})
        spans: list[Span] = []
        for first, last, _, _ in rows:
            if last > counted:
                # Of a visit that goes on over a logout elsewhere, only the ends are known.
                begin = first if first > counted else last
                at = bisect_left(logouts, begin)
                if at < len(logouts) and logouts[at] < last:
                    spans += [(begin, logouts[at]), (last, last)]
                else:
                    spans.append((begin, last))
        joined: list[tuple[int, float, float]] = []
        for begin, last in sorted(spans):
            epoch = bisect_left(logouts, begin)
            if joined and joined[-1][0] == epoch:
                _, first, until = joined[-1]
                if begin - until <= SESSION_SILENCE_SECONDS:
                    joined[-1] = epoch, first, max(until, last)
                    continue
            joined.append((epoch, begin, last))
        return joined, logouts

    def _compacted(self, now: float) -> dict[int, list[Row]]:
        """As few rows as say the same."""
        kept = {who: self._compact(who, rows, now) for who, rows in self.rows.items()}
        return {who: rows for who, rows in kept.items() if rows}

    def _compact(self, who: int, rows: list[Row], now: float) -> list[Row]:
        joined, logouts = self._joined(who, rows)
        seen, trusted = _seen(rows), max(row[3] for row in rows)
        kept: list[Row] = [(first, last, 0.0, 0.0) for _, first, last in joined]
        kept += [(left, 0.0, left, 0.0) for left in logouts]
        if seen >= now - SESSION_SILENCE_SECONDS:
            left = max(row[2] for row in rows)
            kept.append((seen, 0.0, 0.0 if left in logouts else left, trusted))
        return kept


def _seen(rows: list[Row]) -> float:
    return max(max(row) for row in rows)
