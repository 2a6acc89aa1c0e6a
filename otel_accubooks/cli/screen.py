"""Where commands tell what they do: on a terminal with colour and motion, elsewhere in plain lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from otel_accubooks.servers.passwords import without_passwords


class Show(Protocol):
    """Shows how much is done, of how much in all, and what is being done."""

    def __call__(
        self, done: float, total: float | None = None, what: str | None = None, /
    ) -> None: ...


class Say(Protocol):
    """Says what is being done."""

    def __call__(self, what: str, /) -> None: ...


class _Screen(Console):
    """Shows no password of an address."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(
            *(without_passwords(one) if isinstance(one, str) else one for one in objects), **options
        )


def screen(*, stderr: bool = False) -> Console:
    """Standard output, or `stderr`. A line stays a line; no width is kept to but a terminal's."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    # Said, since rich takes a pipe for a terminal where FORCE_COLOR is set.
    return _Screen(
        stderr=stderr,
        force_terminal=terminal,
        width=None if terminal else 10_000,
        soft_wrap=True,
        highlight=False,
    )


def moves(console: Console) -> bool:
    """Whether what is shown may move: not in a file, and not where TERM=dumb."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def spinner(console: Console, title: str) -> Iterator[Say]:
    """Something that moves, with what is being done behind it; or the title and a line for each."""
    if not moves(console):
        console.print(title, markup=False)
        yield lambda what: console.print(f"  {what}", markup=False)
        return
    with console.status(escape(title)) as status:
        yield lambda what: status.update(f"{escape(title)}: {escape(what)}")


@contextmanager
def bar(console: Console, title: str, total: float | None = None) -> Iterator[Show]:
    """A bar that grows to `total`; or the title, where nothing may move."""
    if not moves(console):
        console.print(title, markup=False)
        yield lambda *_: None
        return
    parts = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*parts, console=console) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done, total=None, what=None: progress.update(
            task, completed=done, total=total, description=what
        )
