"""What a process looks like from inside: copied beside an application, which tells of its own process.

Two processes of one application, one of them without any of ours, are compared by what is told here.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import types
from collections.abc import Iterator
from typing import Any

# What the launcher imports; the rest of a process has to be as it is without it.
LAUNCHER = ("otel_accubooks", "opentelemetry", "wrapt", "sitecustomize", __name__)


def look() -> dict[str, Any]:
    """All of it, as JSON takes it."""
    return {
        "attributes": dict(_attributes()),
        "ours": sorted(name for name in sys.modules if _package(name) == "otel_accubooks"),
        "threads": len(os.listdir("/proc/self/task")),
        "signals": {str(n): _told(signal.getsignal(n)) for n in signal.valid_signals()},
        "at exit": atexit._ncallbacks(),
        "importing": [_told(each) for each in (*sys.meta_path, *sys.path_hooks)],
        "collecting": [_told(each) for each in gc.callbacks],
        "traced": [_told(each) for each in (sys.gettrace(), sys.getprofile(), sys.excepthook)],
        "mapped": sorted(_mapped()),
    }


def _package(name: str) -> str:
    return name.partition(".")[0]


def _attributes() -> Iterator[tuple[str, str]]:
    """Every attribute of every module, of its classes and of its objects, by its path."""
    for name, module in list(sys.modules.items()):
        if isinstance(module, types.ModuleType) and _package(name) not in LAUNCHER:
            for attribute, value in list(vars(module).items()):
                yield f"{name}.{attribute}", _told(value)
                # A class is told of where it is at home, by whatever name others import it.
                home = _name(value) if isinstance(value, type) else f"{name}.{attribute}"
                if isinstance(value, type) or hasattr(type(value), "wsgi_app"):
                    for inner, part in list(vars(value).items()):
                        if (
                            inner != "__slotnames__"
                        ):  # Python's own note, of a class that was copied
                            yield f"{home}.{inner}", _told(part)


def _told(value: Any) -> str:
    """What it is, and for a function the place of its code: a wrapper's is another."""
    if isinstance(value, (staticmethod, classmethod)):
        return f"{type(value).__name__} {_told(value.__func__)}"
    if isinstance(value, property):
        return f"property {[_told(each) for each in (value.fget, value.fset, value.fdel)]}"
    if isinstance(value, types.MethodType):
        return f"method {_told(value.__func__)}"
    if isinstance(value, types.FunctionType):
        code = value.__code__
        file = code.co_filename.removeprefix(os.getcwd())
        return f"{_name(value)} {file}:{code.co_firstlineno} {sorted(vars(value))}"
    if isinstance(value, type):
        return f"class {[_name(each) for each in value.__mro__]}"
    if isinstance(value, types.BuiltinFunctionType):
        return f"builtin {_name(value)}"
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    return f"a {_name(type(value))}"


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _mapped() -> set[str]:
    """The files that are mapped, without libraries: segments would be among them."""
    with open("/proc/self/maps") as lines:
        paths = {line.split(maxsplit=5)[5].strip() for line in lines if line.count("/")}
    return {path for path in paths if path.startswith(("/dev/shm", "/memfd")) or "segment" in path}
