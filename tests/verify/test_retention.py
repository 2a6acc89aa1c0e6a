"""How Prometheus writes down how long it keeps what it has."""

from __future__ import annotations

import pytest

from otel_accubooks.contract.query import DAY
from otel_accubooks.verify.retention import read


@pytest.mark.parametrize(
    ("told", "limits"),
    [
        ("30d", (30 * DAY, None)),
        ("4w2d", (30 * DAY, None)),
        ("720h", (30 * DAY, None)),
        ("1y", (365 * DAY, None)),
        ("30d or 10GiB", (30 * DAY, 10 * 2**30)),
        ("512MB", (None, 512 * 2**20)),
        ("for ever", None),
        ("", None),
    ],
)
def test_retention_is_read(told: str, limits: tuple[float | None, float | None] | None) -> None:
    """Seconds and bytes, each None where there is no such limit; nothing is guessed."""
    assert read(told) == limits
