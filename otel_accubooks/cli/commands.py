"""What can be asked of `otel-accubooks`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from otel_accubooks.cli.addresses import addresses_option
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.vendors.addresses import RUNBOOKS, Addresses
from otel_accubooks.vendors.rendering import BACKENDS as RENDERED

BACKENDS = ("prometheus", "datadog")


def _backends(_: click.Context, __: click.Parameter, text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in BACKENDS]
    if unknown or not names:
        raise click.BadParameter(f"{text!r}: expected one or more of {', '.join(BACKENDS)}")
    return names


@contextmanager
def _extra(name: str) -> Iterator[None]:
    """What is imported in it is in the extra of this name."""
    try:
        yield
    except ImportError as error:
        told = f"{error.name} is not installed; pip install 'otel-accubooks[{name}]'"
        raise click.ClickException(told) from error


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
    with _extra("stack"):
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

    try:
        files = RENDERED[backend](to)
    except (ValueError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error
    others = write(files, out)
    click.echo(f"{len(files)} files written to {out}")
    if others:
        names = ", ".join(str(path.relative_to(out)) for path in others)
        click.echo(f"Left alone, since they are not from here: {names}")


@commands.command()
@click.argument("backend", type=click.Choice(["grafana", "datadog", "newrelic"]))
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--url", help="The API's address, where it is not the vendor's own.")
@click.option(
    "--public", is_flag=True, help="Grafana: share the executive dashboard with everybody."
)
@addresses_option
def apply(backend: str, dry_run: bool, url: str | None, public: bool, to: Addresses) -> None:
    """Create or update alerts and dashboards in a Grafana or in a vendor's account.

    Keys come from the environment: GRAFANA_URL and GRAFANA_TOKEN; DD_API_KEY, DD_APP_KEY and
    DD_SITE; NEW_RELIC_API_KEY, NEW_RELIC_ACCOUNT_ID and NEW_RELIC_REGION.

    \b
    Examples:
      otel-accubooks apply grafana --dry-run
      otel-accubooks apply grafana --public
      otel-accubooks apply datadog --addresses on-call.toml
    """
    from otel_accubooks.cli.apply import run

    if public and backend != "grafana":
        raise click.UsageError(
            "--public is for grafana; docs/dashboards.md says more of the others"
        )
    sys.exit(run(backend, to, url=url, dry_run=dry_run, public=public))


@commands.command()
@click.option(
    "--prometheus",
    envvar="PROMETHEUS_URL",
    default="http://127.0.0.1:9090",
    show_default=True,
    show_envvar=True,
    help="Whose data is shown.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8050, show_default=True, type=click.IntRange(0, 65535))
@click.option("--only", type=click.Choice([d.name for d in DASHBOARDS]), help="One, to be shared.")
@click.option("--runbooks", default=RUNBOOKS, help="The address below which <alert>.md is found.")
def dashboards(prometheus: str, host: str, port: int, only: str | None, runbooks: str) -> None:
    """Show the four dashboards, read-only, from a Prometheus.

    \b
    Examples:
      otel-accubooks dashboards
      otel-accubooks dashboards --prometheus http://prometheus:9090 --port 8051
      otel-accubooks dashboards --host 0.0.0.0 --only executive_overview
    """
    with _extra("dashboards"):
        from otel_accubooks.viewer import serve
    try:
        serve(prometheus, host=host, port=port, only=only, runbooks=runbooks)
    except OSError as error:
        raise click.ClickException(str(error)) from error
