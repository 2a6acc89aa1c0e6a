"""Who may see what: bearer tokens (RFC 6750)."""

from __future__ import annotations

import hmac
from collections.abc import Iterable


def allowed(authorization: str, tokens: Iterable[str]) -> bool:
    """True where an Authorization header (as WSGI has it, Latin-1) shows one of `tokens`.

    Takes as long whichever token it is, and however much of it is right.
    """
    scheme, _, shown = authorization.strip().partition(" ")
    presented = shown.strip().encode("latin-1", "replace")
    right = [hmac.compare_digest(presented, token.encode("utf-8")) for token in tokens]
    return scheme.lower() == "bearer" and bool(presented) and any(right)
