"""What was said already, for processes that share no folder: memory that a fork leaves them in common."""

from __future__ import annotations

import mmap
from hashlib import blake2b

_BYTES = 8
_NONE, _TAKEN_BACK = bytes(_BYTES), b"\xff" * _BYTES
_shared: mmap.mmap | None = None


def share() -> None:
    """To be called before this process forks: from now on it and its children say things once."""
    global _shared
    if _shared is None:
        try:
            _shared = mmap.mmap(-1, mmap.PAGESIZE)
        except OSError:
            pass  # each then speaks for itself


def first_to_say(what: str) -> bool:
    """True for one of the processes; for each of them where nothing is shared, or too much was said."""
    mine = _digest(what)
    for at, there in _places():
        if there == mine:
            return False
        if there == _NONE:
            _write(at, mine)
            break
    return True


def take_back(what: str) -> None:
    """Forgets that `what` was said."""
    mine = _digest(what)
    for at, there in _places():
        if there == mine:
            _write(at, _TAKEN_BACK)


def _digest(what: str) -> bytes:
    return blake2b(what.encode("utf-8", "replace"), digest_size=_BYTES).digest()


def _places() -> list[tuple[int, bytes]]:
    if _shared is None:
        return []
    return [(at, _shared[at : at + _BYTES]) for at in range(0, len(_shared), _BYTES)]


def _write(at: int, digest: bytes) -> None:
    assert _shared is not None
    _shared[at : at + _BYTES] = digest
