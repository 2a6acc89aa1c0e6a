from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from otel_accubooks.recorder import family
from otel_accubooks.recorder.folder import StateFolder
from tests.recorder.bound import BOUND


@pytest.fixture(params=BOUND)
def bound(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """The module of bound recorders that all recorders make their series of: plain, then compiled."""
    module = BOUND[request.param]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(family, "make_series", module.make_series)
        yield module


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    """The folder of a service of its own."""
    made = StateFolder(tmp_path / "services" / "one")
    made.make()
    return made
