"""The page of the commands, from what each says of itself."""

from __future__ import annotations

import inspect

import click

from otel_accubooks.cli.commands import commands


def commands_page() -> str:
    """Every command with its options, as a page; without the mark of who writes it."""
    lines = ["# Commands", "", *_text(commands), ""]
    for name, command in sorted(commands.commands.items()):
        lines += [f"## {name}", "", *_text(command), ""]
        lines += ["| option | what |", "|---|---|", *map(_row, command.params), ""]
    return "\n".join(lines).rstrip() + "\n"


def _text(command: click.Command) -> list[str]:
    """The docstring. What click is told to leave as it is, after a backspace, are examples."""
    lines: list[str] = []
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        about, _, examples = paragraph.partition("\b\n")
        title, *commands = examples.splitlines() or [""]
        lines += [*about.splitlines(), *([title, ""] if title else [])]
        lines += [*(f"- `{one.strip()}`" for one in commands), ""]
    return lines[:-1]


def _row(parameter: click.Parameter) -> str:
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if isinstance(parameter, click.Argument):
        names = f"`{parameter.human_readable_name}`"
    about = getattr(parameter, "help", None) or ""
    if isinstance(parameter.type, click.Choice):
        about = f"{about} One of {', '.join(f'`{one}`' for one in parameter.type.choices)}.".strip()
    return f"| {names} | {about.replace('|', chr(92) + '|')}{_default(parameter)} |"


def _default(parameter: click.Parameter) -> str:
    shown = getattr(parameter, "show_default", False)
    return f" Default: `{parameter.default}`." if shown and parameter.default is not None else ""
