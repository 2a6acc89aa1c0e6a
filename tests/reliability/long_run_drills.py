"""Two hours of load, or LONG_RUN_MINUTES of it; the backends change every ten minutes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from otel_accubooks.stack.binaries import find_prometheus3
from tests.reliability import page
from tests.reliability.long_run import LongRun, told

MINUTES = float(os.environ.get("LONG_RUN_MINUTES", "120"))


@pytest.mark.timeout(60 * MINUTES + 900)
def test_two_hours_at_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Totals are exact, memory, descriptors, series and the shared folder are flat."""
    monkeypatch.setenv("PROMETHEUS", str(find_prometheus3()))  # its queue is on disk
    seen = LongRun(tmp_path, 60 * MINUTES, min(600, 60 * MINUTES / 8), look_every=5).run()
    page.write("Long run", told(seen))
    assert seen.wrong() == []
