"""One station on the way of a test alert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from otel_accubooks.contract.alert import Channel
from otel_accubooks.servers.passwords import without_passwords

# "unseen": it was handed over, and nobody can tell from here whether it arrived.
State = Literal["arrived", "missing", "unseen"]


@dataclass(frozen=True)
class Hop:
    """Where a test alert came by, `seconds` after it began; None where it was not seen there.

    `said` is one line: how it was seen, or what was expected and what to do. `channel` is that of the
    contract, where the station is people's end of one.
    """

    name: str
    state: State
    said: str
    seconds: float | None = None
    channel: Channel | None = None

    def __post_init__(self) -> None:
        for name in ("name", "said"):
            object.__setattr__(self, name, without_passwords(getattr(self, name)))
