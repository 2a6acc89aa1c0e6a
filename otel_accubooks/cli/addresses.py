"""The file that says whom alerts tell, as an option of commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from otel_accubooks.vendors.addresses import Addresses, read

FILE = "alerting.toml"
Needed = Callable[[Mapping[str, Any]], bool]


def addresses_option(
    needed: bool | Needed = True, *, handed_on: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option `--addresses`; its command is given what the file says, as `to`, if `handed_on`.

    Where there is no such file and it is not `needed`, which may depend on options that were read
    before, `to` is None.
    """

    def found(context: click.Context, parameter: click.Parameter, path: Path) -> Addresses | None:
        context.meta[FILE] = path
        named = context.get_parameter_source(parameter.name or "") is not ParameterSource.DEFAULT
        wanted = needed(context.params) if callable(needed) else needed
        if not path.exists() and not named and not wanted:
            return None
        return _read(path)

    return click.option(
        "--addresses",
        "to",
        type=click.Path(path_type=Path, dir_okay=False),
        default=FILE,
        show_default=True,
        callback=found,
        expose_value=handed_on,
        help="Whom alerts tell, and where servers are (docs/alerting.md).",
    )


def _read(path: Path) -> Addresses:
    if not path.exists():
        raise click.BadParameter(
            f"there is no {path}; write one (examples/accubooks/{FILE} is a model), or name yours"
        )
    try:
        return read(path)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
