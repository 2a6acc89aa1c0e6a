"""Who uses the application now: signs of life of users and of their sessions."""

from __future__ import annotations

import secrets
import sys
from time import time
from typing import Any

from otel_accubooks.contract.metrics import USER_SESSION_DURATION_SECONDS
from otel_accubooks.recorder.presence import Presence, deployment_secret, hashed
from otel_accubooks.recorder.process import recorder

WRITE_SECONDS = 1.0  # one sign of life in this time is enough
_REMEMBERED = 10_000
_USER = "otel_accubooks.user"  # in the environ of a request, where it is known before its end
_TRUSTED = "otel_accubooks.trusted"

# The key of the hash where hosts have one in common, given by the launcher.
common_key: bytes | None = None

_presence = Presence(
    recorder.attach, lambda: None if recorder.folder is None else recorder.folder.path
)
_last_left = _presence.logouts.last
_written: dict[str, tuple[int, float]] = {}  # by user: hash, and when last
_key: bytes | None = None
_own_key = secrets.token_bytes(32)  # while there is no folder in which processes could share one


def announce() -> None:
    """Says that users are known here: from now on there are numbers of them."""
    recorder.histogram(USER_SESSION_DURATION_SECONDS).announce()


def seen(user: str) -> None:
    """Notes a sign of life of `user` and of the session."""
    now = time()
    if (known := _written.get(user)) is not None:
        who, then = known
        if 0.0 <= now - then < WRITE_SECONDS and _last_left(who) < then:
            return
    else:
        who = _hashed(user)
        if len(_written) >= _REMEMBERED:
            _written.clear()
    _written[user] = who, now
    _presence.seen(who)


def left(user: str) -> None:
    """Notes that `user` was here and ended the session; the next sign of life begins another."""
    _written.pop(user, None)
    _presence.left(_hashed(user))


def trusted(user: str) -> None:
    """Notes that `user` was here and used a trust component."""
    _presence.trusted(_hashed(user))


def trust_used() -> None:
    """Notes that whoever makes the request that goes on here used a trust component."""
    environ = _environ()
    if environ is None:
        return
    if (user := environ.get(_USER)) is not None:
        trusted(user)
    else:
        environ[_TRUSTED] = True


def of_request(user: str, environ: dict[str, Any] | None = None) -> None:
    """Notes a sign of life of `user`, who makes the request with this environ, or that goes on."""
    environ = _environ() if environ is None else environ
    if environ is None:
        seen(user)
        return
    environ[_USER] = user
    if _TRUSTED in environ:
        del environ[_TRUSTED]
        trusted(user)
    else:
        seen(user)


def _environ() -> dict[str, Any] | None:
    flask = sys.modules.get("flask")
    if flask is None or not flask.has_request_context():
        return None
    environ: dict[str, Any] = flask.request.environ
    return environ


def _hashed(user: str) -> int:
    global _key
    if _key is None:
        announce()
        _key = common_key or _key_of_service()
        if _key is not None:
            _written.clear()  # who is in there was hashed by another key
    return hashed(_key or _own_key, user)


def _key_of_service() -> bytes | None:
    try:
        if recorder.folder is not None:
            recorder.folder.make()
            return deployment_secret(recorder.folder.path)
    except OSError:
        pass  # told by the recorder
    return None
