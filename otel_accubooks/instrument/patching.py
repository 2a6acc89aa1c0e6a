"""Replacing a library's functions in place, and putting them back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


class Patches:
    """The replacements that one instrumentation made."""

    def __init__(self) -> None:
        self._made: list[tuple[Any, str, Any]] = []

    def wrap(self, owner: Any, name: str, wrapper: Wrapper) -> None:
        """Replaces `owner.name`, which must be its own, by what `wrapper` makes of it.

        Name, signature and documentation stay, so that it is pickled and inspected as before.
        """
        original = vars(owner)[name]
        self.set(owner, name, functools.wraps(original)(wrapper(original)))

    def wrap_class_method(self, owner: Any, name: str, wrapper: Wrapper) -> None:
        """The same for a class method; `wrapper` gets a function that takes the class first."""
        original = vars(owner)[name].__func__
        self.set(owner, name, classmethod(functools.wraps(original)(wrapper(original))))

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Replaces the attribute `owner.name` by `value`."""
        self._made.append((owner, name, vars(owner)[name]))
        setattr(owner, name, value)

    def restore(self) -> None:
        """Puts everything back, the last first."""
        while self._made:
            setattr(*self._made.pop())
