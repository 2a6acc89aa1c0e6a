from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_accubooks.monitoring import drill, limit, service
from otel_accubooks.recorder import fork
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.recorder import Recorder


def of_this_process(monkeypatch: pytest.MonkeyPatch, made: Recorder) -> Recorder:
    """Puts `made` in the place of this process's recorder, for the endpoints."""
    fork.generation[0] = 0
    for module in (service, drill, limit):
        monkeypatch.setattr(module, "recorder", made)
    return made


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A service of its own, of which this is the only process so far."""
    yield of_this_process(monkeypatch, Recorder(StateFolder(tmp_path / "services" / "one")))
    fork.generation[0] = 0


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A process that shares nothing."""
    yield of_this_process(monkeypatch, Recorder())
    fork.generation[0] = 0
