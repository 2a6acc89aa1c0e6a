"""redis-py without OpenTelemetry's SDK, which newer versions import wherever it is installed.

They do so in `redis.observability.providers`, and for the sake of annotations alone: the class of which
the SDK's is a subclass says as much, and saves every process some 40 ms and 2 MiB.
"""

from __future__ import annotations

import builtins
import sys
from importlib.util import find_spec
from typing import Any

_IMPORTER = "redis.observability.providers"
_SDK = "opentelemetry.sdk.metrics"
_API = "opentelemetry.metrics"


def spare_sdk() -> None:
    """From now on that module gets the API where it asks for the SDK. Nothing if that is there anyway."""
    if _IMPORTER not in sys.modules and _SDK not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _Finder:
    def find_spec(self, name: str, *_: Any) -> Any:
        if name != _IMPORTER:
            return None
        try:
            sys.meta_path.remove(self)
            spec: Any = find_spec(name)
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec.loader)
            return spec
        except Exception:  # another thread was here first; or it is for the other finders to tell
            return None


class _Loader:
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        try:
            module.__spec__.loader = module.__loader__ = self._loader
            # Only this module's own imports are answered otherwise, in whatever thread.
            module.__builtins__ = {**vars(builtins), "__import__": _import}
        except Exception:
            pass  # then it imports more than it needs
        self._loader.exec_module(module)


def _import(name: str, *args: Any) -> Any:
    return __import__(_API if name == _SDK and _SDK not in sys.modules else name, *args)
