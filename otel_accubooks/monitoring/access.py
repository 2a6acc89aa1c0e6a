"""Who may see what: bearer tokens (RFC 6750)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable


def allowed(authorization: str, tokens: Iterable[str]) -> bool:
    """True where an Authorization header (as WSGI has it, Latin-1) shows one of `tokens`.

    Takes as long whichever token it is, however much of it is right, and however long it is.
    """
    scheme, _, shown = authorization.strip().partition(" ")
    presented = shown.strip().encode("latin-1", "replace")
    # Hashed, since a comparison ends at once where lengths differ.
    digest = hashlib.sha256(presented).digest()
    right = [
        hmac.compare_digest(digest, hashlib.sha256(token.encode("utf-8")).digest())
        for token in tokens
    ]
    return (scheme.lower() == "bearer") & bool(presented) & any(right)
