"""Where the servers of a deployment are, as options of commands."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from otel_accubooks.cli.addresses import FILE
from otel_accubooks.servers.settings import Servers, check_address, servers, settings


def servers_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options for these fields of `Servers`; the command is given all of them as `servers`.

    What no flag says comes from the environment, then from the table [servers] of the file of
    addresses, which the command's own option `--addresses` names.
    """
    chosen = [one for one in settings() if one.name in names]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def given(*args: Any, **options: Any) -> Any:
            flags = {one.name: options.pop(one.name) for one in chosen}
            return command(*args, servers=_found(flags), **options)

        for one in reversed(chosen):
            about, variable = one.metadata["help"], one.metadata["variable"]
            default = one.default if isinstance(one.default, str) else ",".join(one.default)
            told = f"{about} [${variable}{f'; {default}' if default else ''}]"
            given = click.option(f"--{one.name.replace('_', '-')}", one.name, help=told)(given)
        return given

    return decorate


def _found(flags: dict[str, str | None]) -> Servers:
    context = click.get_current_context()
    path = context.meta.get(FILE, Path(FILE))
    try:
        return servers(path, flags)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def address(_: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    """The address that an option is given; asked wrongly where it is none."""
    try:
        if text:
            check_address(f"--{parameter.name}", text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return text


def targets(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    """What Prometheus can scrape, each host:port; asked wrongly where one is none."""
    for text in texts:
        if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}", text, re.ASCII):
            raise click.BadParameter(f"{text!r}: expected host:port, such as localhost:8000")
    return texts
