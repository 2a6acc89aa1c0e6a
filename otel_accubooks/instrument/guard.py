"""The promise to the application: what fails in here is logged once, and nothing else."""

from __future__ import annotations

from logging import getLogger

_log = getLogger("otel_accubooks")
_told: set[str] = set()


def failed(place: str, error: BaseException | None = None) -> None:
    """Logs `error`, by default that of the `except` around the call, once for each `place`."""
    if place not in _told:
        _told.add(place)
        _log.warning(
            "otel-accubooks: %s failed; the application is not affected",
            place,
            exc_info=error or True,
        )
