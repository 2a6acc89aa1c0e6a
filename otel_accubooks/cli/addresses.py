"""The file that says whom alerts tell, as an option of commands."""

from __future__ import annotations

from pathlib import Path

import click

from otel_accubooks.vendors.addresses import Addresses, read

FILE = "alerting.toml"


def _read(context: click.Context, __: click.Parameter, path: Path) -> Addresses:
    context.meta[FILE] = path
    if not path.exists():
        raise click.BadParameter(
            f"there is no {path}; write one (examples/accubooks/{FILE} is a model), or name yours"
        )
    try:
        return read(path)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


addresses_option = click.option(
    "--addresses",
    "to",
    type=click.Path(path_type=Path, dir_okay=False),
    default=FILE,
    show_default=True,
    callback=_read,
    help="Whom alerts tell, and where the runbooks are (docs/alerting.md).",
)
