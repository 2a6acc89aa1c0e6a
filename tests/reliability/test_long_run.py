"""Half a minute of what the drill does for two hours."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_accubooks.stack.binaries import find_prometheus3
from tests.reliability.long_run import LongRun


def test_totals_are_exact_while_everything_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers and backends come and go under load: 0 lost, 0 twice, and no file of the dead stays."""
    monkeypatch.setenv("PROMETHEUS", str(find_prometheus3()))  # its queue is on disk
    seen = LongRun(tmp_path, seconds=12, swap=3, look_every=2).run()
    assert seen.wrong() == []
    assert seen.web > 3
    assert seen.tasks > 2
    assert seen.files < seen.web + seen.tasks + 20
