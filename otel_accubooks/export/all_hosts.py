"""Users and sessions over several hosts, in the Redis that OTEL_ACCUBOOKS_REDIS_URL names.

The exporter alone talks to it, in a thread of its own: what its host saw since the last time goes there,
as hashes and times, and the numbers of all hosts come back. Nobody waits long for a Redis that does not
answer; meanwhile the host's own numbers stand, and what was not told is told later.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from otel_accubooks.export.people import Numbers
from otel_accubooks.export.settings import users_secret
from otel_accubooks.recorder.files import replace_file
from otel_accubooks.recorder.folder import service_key
from otel_accubooks.recorder.identity import service_identity
from otel_accubooks.recorder.presence import SESSION_SILENCE_SECONDS, derived_secret
from otel_accubooks.recorder.visits import ACTIVE_SECONDS, Sessions, Visits

LIMIT_SECONDS = 2.0
WAIT_SECONDS = 0.5
STALE_SECONDS = 60.0
MAX_USERS = 1_000_000
_AT_ONCE = 500
_KEPT_SECONDS = 3600
_CHECKED_SECONDS = 300  # so long after the last host with it, another secret may take its place

# Times are the server's own: the hosts' clocks may differ. Whatever comes late or twice changes nothing.
_SHARE = """
local check = redis.call('GET', KEYS[5])
if check and check ~= ARGV[2] then return 'another secret' end
redis.call('SET', KEYS[5], ARGV[2], 'EX', ARGV[3])
local time = redis.call('TIME')
local shift = tonumber(time[1]) + tonumber(time[2]) / 1000000 - tonumber(ARGV[1])
local function latest(key, who, at)
  local known = tonumber(redis.call('ZSCORE', key, who) or 0)
  if at > 0 and at + shift > known then
    known = at + shift
    redis.call('ZADD', key, string.format('%.3f', known), who)
  end
  return known
end
for i = 4, #ARGV, 5 do
  local who = ARGV[i]
  latest(KEYS[1], who, tonumber(ARGV[i + 1]))
  latest(KEYS[2], who, tonumber(ARGV[i + 4]))
  local left = latest(KEYS[4], who, tonumber(ARGV[i + 3]))
  local seen = tonumber(ARGV[i + 2])
  if seen > 0 and seen + shift > left then latest(KEYS[3], who, seen) end
  if tonumber(redis.call('ZSCORE', KEYS[3], who) or 0) <= left then
    redis.call('ZREM', KEYS[3], who)
  end
end
return 'shared'
"""
_COUNT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local counts = {}
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('(%.3f', now - tonumber(ARGV[i + 2])))
  redis.call('ZREMRANGEBYRANK', key, 0, -1 - tonumber(ARGV[2]))
  redis.call('EXPIRE', key, ARGV[1])
  counts[i] = redis.call('ZCARD', key)
end
return counts
"""

_Row = tuple[int, float, float, float, float]  # who, seen, of an open session, left, trusted


class NumbersFile:
    """What the exporter last heard of all hosts, for the other processes of its host."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, numbers: Numbers | None) -> None:
        """Notes `numbers`, or that they are not known."""
        try:
            if numbers is None:
                self._path.unlink(missing_ok=True)
            else:
                replace_file(self._path, json.dumps([time.time(), *numbers]))
        except OSError:
            pass  # the host's own numbers stand for them

    def numbers(self, visits: Visits, found: dict[int, Sessions], now: float) -> Numbers | None:
        """The numbers, at least those of this host; None where the exporter does not know them."""
        try:
            written, *there = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        if now - written > STALE_SECONDS:
            return None
        open_here = sum(1 for sessions in found.values() if sessions.open)
        here = (len(visits.active(now)), len(visits.trusting(now)), open_here)
        return Numbers(*map(max, there, here))


class SharedUsers:
    """Tells the Redis of all hosts what this one saw, and asks it for the numbers."""

    def __init__(self, url: str, env: Mapping[str, str], file: NumbersFile) -> None:
        """Raises ImportError where the package redis is missing, ValueError for a wrong address."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self._client: Any = redis.Redis.from_url(
            url,
            socket_timeout=LIMIT_SECONDS,
            socket_connect_timeout=LIMIT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        given = self._client.connection_pool.connection_kwargs
        self._where = given.get("path") or f"{given.get('host')}:{given.get('port')}"
        identity = service_identity(env)
        identity.pop("service.instance.id", None)
        self._keys = [
            f"otel-accubooks:{{{service_key(identity)}}}:{name}"
            for name in ("users", "trusting", "sessions", "left", "check")
        ]
        key = derived_secret(users_secret(env))
        self._check = blake2b(b"check", key=key, digest_size=8).hexdigest()
        self._file = file
        self.problem: str | None = None
        self._numbers: Numbers | None = None
        self._told: dict[int, _Row] = {}
        self._rows: list[_Row] | None = None
        self._handed_over = threading.Event()
        self._done = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def numbers(self, visits: Visits, found: dict[int, Sessions], now: float) -> Numbers | None:
        """Shares what is new, and returns the numbers; None if they do not come at once."""
        if self._rows is not None:
            return None  # it has not answered for long: the next time tells all that is new
        self._rows = list(_rows(visits, found, now))
        self._done.clear()
        self._handed_over.set()
        # One that did not answer the last time is not waited for.
        in_time = self._done.wait(WAIT_SECONDS if self.problem is None else 0.0)
        return self._numbers if in_time else None

    def _run(self) -> None:
        while True:
            self._handed_over.wait()
            self._handed_over.clear()
            assert self._rows is not None
            try:
                self._numbers = self._share(self._rows)
                self.problem = None
            except Exception as error:
                self._numbers = None
                self._told = {}  # it may come back empty
                reason = str(error) or type(error).__name__
                self.problem = self.problem or (
                    "users and sessions are counted for each host alone while the Redis of "
                    f"OTEL_ACCUBOOKS_REDIS_URL ({self._where}) is not to be used: {reason}"
                )
            self._file.write(self._numbers)
            self._rows = None
            self._done.set()

    def _share(self, rows: list[_Row]) -> Numbers:
        new = [row for row in rows if self._told.get(row[0]) != row]
        for at in range(0, max(len(new), 1), _AT_ONCE):
            arguments = [value for row in new[at : at + _AT_ONCE] for value in row]
            first = (repr(time.time()), self._check, _CHECKED_SECONDS)
            answer = self._client.eval(_SHARE, 5, *self._keys, *first, *arguments)
            if answer not in (b"shared", "shared"):
                raise ValueError(
                    "its hashes were made with another secret; set OTEL_ACCUBOOKS_SECRET to the same "
                    "text on all hosts"
                )
        self._told = {row[0]: row for row in rows}
        silence = (ACTIVE_SECONDS, ACTIVE_SECONDS, SESSION_SILENCE_SECONDS, SESSION_SILENCE_SECONDS)
        counts = self._client.eval(_COUNT, 4, *self._keys[:4], _KEPT_SECONDS, MAX_USERS, *silence)
        return Numbers(*counts[:3])


def _rows(visits: Visits, found: dict[int, Sessions], now: float) -> list[_Row]:
    recent = now - SESSION_SILENCE_SECONDS
    rows = []
    for who, seen, left, trusted in visits.last_signs():
        if seen >= recent:
            sessions = found.get(who)
            session = sessions.open[1] if sessions is not None and sessions.open else 0.0
            rows.append((who, seen, session, left, trusted))
    return rows
