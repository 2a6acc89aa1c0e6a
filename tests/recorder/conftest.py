from __future__ import annotations

from pathlib import Path

import pytest

from otel_accubooks.recorder.folder import StateFolder


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    """The folder of a service of its own."""
    made = StateFolder(tmp_path / "services" / "one")
    made.make()
    return made
