"""Who uses the application now: signs of life of users and of their sessions."""

from __future__ import annotations

import secrets
from time import monotonic

from otel_accubooks.recorder.presence import SESSIONS, USERS, Presence, deployment_secret, hashed
from otel_accubooks.recorder.process import recorder

WRITE_SECONDS = 1.0  # one sign of life in this time is enough
_REMEMBERED = 10_000

_users = Presence(USERS, recorder.attach)
_sessions = Presence(SESSIONS, recorder.attach)
_written: dict[str, float] = {}
_key: bytes | None = None


def seen(user: str) -> None:
    """Notes a sign of life of `user` and of the session."""
    now = monotonic()
    if now - _written.get(user, -WRITE_SECONDS) < WRITE_SECONDS:
        return
    if len(_written) >= _REMEMBERED:
        _written.clear()
    _written[user] = now
    who = _hashed(user)
    _users.seen(who)
    _sessions.seen(who)


def left(user: str) -> None:
    """Notes that `user` was here and ended the session; the next sign of life begins another."""
    _written.pop(user, None)
    who = _hashed(user)
    _users.seen(who)
    _sessions.left(who)


def _hashed(user: str) -> int:
    global _key
    if _key is None:
        if recorder.folder is None:
            _key = secrets.token_bytes(32)  # nothing is shared with other processes
        else:
            recorder.folder.make()
            _key = deployment_secret(recorder.folder.path)
    return hashed(_key, user)
