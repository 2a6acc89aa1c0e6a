"""The people who use the example, made of its traffic.py."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from otel_accubooks.stack.deployment import EXAMPLE


def people() -> ModuleType:
    """The module examples/accubooks/traffic.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("traffic", EXAMPLE / "traffic.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["traffic"] = module
    spec.loader.exec_module(module)
    return module
