"""Which of the endpoints' paths a Flask application has taken itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any
from weakref import WeakKeyDictionary

from otel_accubooks.instrument.guard import failed

_LAYERS = 20  # of middleware, at most

# By application: how many rules it had when they were looked through, and which of ours are among them.
_taken: WeakKeyDictionary[Any, tuple[int, frozenset[str]]] = WeakKeyDictionary()


def is_free(app: Any, path: str, ours: Collection[str]) -> bool:
    """True unless the application declares exactly `path`, with or without a slash behind it.

    Patterns, such as a catch-all, do not count. `ours` are the paths of the endpoints. Never raises.
    """
    try:
        return not _declares(app, path.rstrip("/"), ours)
    except Exception:
        failed("looking for an application's own monitoring routes")
        return False  # what cannot be told is the application's


def _declares(app: Any, path: str, ours: Collection[str]) -> bool:
    rules = list(app.url_map.iter_rules())
    number, taken = _taken.get(app, (-1, frozenset()))
    if number != len(rules):
        declared = {rule.rule.rstrip("/") for rule in rules if not rule.build_only}
        taken = frozenset(declared.intersection(ours))
        _taken[app] = len(rules), taken
    return path in taken or any(
        rest == "" or (hasattr(inner, "url_map") and _declared_in(inner, rest))
        for inner, rest in _mounted(app, path)
    )


def _declared_in(inner: Any, path: str) -> bool:
    return any(rule.rule.rstrip("/") == path for rule in inner.url_map.iter_rules())


def _mounted(app: Any, path: str) -> Iterator[tuple[Any, str]]:
    """Applications that werkzeug's DispatcherMiddleware, inside `app`, would pass `path` to.

    With each, what of `path` is left for it.
    """
    layer = app.wsgi_app
    for _ in range(_LAYERS):
        mounts = getattr(layer, "mounts", None)
        for mount, inner in mounts.items() if isinstance(mounts, dict) else ():
            if path == mount or path.startswith(f"{mount}/"):
                yield inner, path[len(mount) :]
        layer = getattr(layer, "app", None) or getattr(layer, "wsgi_app", None)
        if layer is None:
            return
