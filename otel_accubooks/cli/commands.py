"""What can be asked of `otel-accubooks`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from otel_accubooks.cli.addresses import addresses_option
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.rendering import BACKENDS as RENDERED

BACKENDS = ("prometheus", "datadog")


def _backends(_: click.Context, __: click.Parameter, text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in BACKENDS]
    if unknown or not names:
        raise click.BadParameter(f"{text!r}: expected one or more of {', '.join(BACKENDS)}")
    return names


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="otel-accubooks")
def commands() -> None:
    """Observability for Flask applications by OpenTelemetry."""


@commands.command()
@click.option(
    "--backend",
    "backends",
    default="prometheus,datadog",
    show_default=True,
    callback=_backends,
    help="Where the metrics go; several with commas.",
)
@click.option("--keep", is_flag=True, help="Leave everything up, print the addresses.")
@click.option("--rounds", default=2, show_default=True, help="How long people use the app.")
@click.option("--wait", default=60.0, show_default=True, help="Seconds for all to arrive.")
def demo(backends: tuple[str, ...], keep: bool, rounds: int, wait: float) -> None:
    """Start AccuBooks with everything around it, use it, and compare what arrived.

    \b
    Examples:
      otel-accubooks demo
      otel-accubooks demo --backend datadog
      otel-accubooks demo --keep
    """
    from otel_accubooks.cli.demo import run

    sys.exit(run(backends, keep=keep, rounds=rounds, wait=wait))


@commands.command()
@click.option("--backend", type=click.Choice(list(RENDERED)), required=True, help="For whom.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder to write to; it is made where it is missing.",
)
@addresses_option
def render(backend: str, out: Path, to: Addresses) -> None:
    """Write alerts and dashboards as files that a backend takes.

    \b
    Examples:
      otel-accubooks render --backend prometheus --out /etc/prometheus/accubooks
      otel-accubooks render --backend datadog --out datadog --addresses on-call.toml
    """
    from otel_accubooks.cli.render import write

    files = RENDERED[backend](to)
    others = write(files, out)
    click.echo(f"{len(files)} files written to {out}")
    if others:
        names = ", ".join(str(path.relative_to(out)) for path in others)
        click.echo(f"Left alone, since they are not from here: {names}")
