"""The bound recorders by what they are made of: plain, and compiled where that is built."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from otel_accubooks.recorder import series


def _without_compiled() -> ModuleType:
    assert series.__file__ is not None
    spec = importlib.util.spec_from_file_location(series.__name__, series.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "otel_accubooks.recorder._compiled", None)
        spec.loader.exec_module(module)
    return module


BOUND = {"plain": _without_compiled(), **({"compiled": series} if series.COMPILED else {})}
