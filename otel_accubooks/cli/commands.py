"""What can be asked of `otel-accubooks`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import click

from otel_accubooks.cli.addresses import addresses_option
from otel_accubooks.cli.check import check
from otel_accubooks.cli.servers import address, servers_options, targets
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.servers.settings import Servers, settings
from otel_accubooks.stack.files import backend_names, gateway_files
from otel_accubooks.vendors.addresses import RUNBOOKS, Addresses
from otel_accubooks.vendors.rendering import BACKENDS as RENDERED

GATEWAY = "gateway"
DEMO_BACKENDS = ("prometheus", "prometheus-standby", "datadog")

VENDORS = ("prometheus", "datadog", "newrelic")

Names = tuple[str, ...]
Backend = Literal["prometheus", "datadog", "newrelic"]


def _one_or_more(
    known: Callable[[], Sequence[str]],
) -> Callable[[click.Context, click.Parameter, str], Names]:
    """Reads names with commas between them."""

    def read(_: click.Context, __: click.Parameter, text: str) -> Names:
        names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
        if not names or any(name not in known() for name in names):
            raise click.BadParameter(f"{text!r}: expected one or more of {', '.join(known())}")
        return names

    return read


@contextmanager
def _extra(name: str) -> Iterator[None]:
    """What is imported in it is in the extra of this name."""
    try:
        yield
    except ImportError as error:
        told = f"{error.name} is not installed; pip install 'otel-accubooks[{name}]'"
        raise click.ClickException(told) from error


backend_option = click.option(
    "--backend",
    type=click.Choice(VENDORS),
    default="prometheus",
    show_default=True,
    help="Where the metrics go, and the alerts come from.",
)
confirm_option = click.option(
    "--confirm", is_flag=True, help="Be asked about what cannot be seen from here."
)


url_option = click.option(
    "--url", callback=address, help="The vendor's API, where it is not the vendor's own."
)
evidence_option = click.option(
    "--evidence",
    type=click.Path(path_type=Path, file_okay=False),
    default="launch/evidence",
    show_default=True,
    help="The folder of the report.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="otel-accubooks")
def commands() -> None:
    """Observability for Flask applications by OpenTelemetry.

    Exit status: 0, all is well; 1, something is wrong, and was said; 2, it was asked wrongly; 130,
    ended by Ctrl-C; 143, by SIGTERM. Progress is shown on a terminal; elsewhere there are plain
    lines, without colour.
    """


@commands.command()
@click.option(
    "--backend",
    "backends",
    default="prometheus,datadog",
    show_default=True,
    callback=_one_or_more(lambda: DEMO_BACKENDS),
    help="Where the metrics go; several with commas.",
)
@click.option("--keep", is_flag=True, help="Leave everything up, print the addresses.")
@click.option(
    "--rounds",
    default=2,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="How long people use the app.",
)
@click.option(
    "--wait",
    default=60,
    show_default=True,
    type=click.IntRange(1, 86_400),
    help="Seconds for all to arrive.",
)
def demo(backends: tuple[str, ...], keep: bool, rounds: int, wait: int) -> None:
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
@click.option(
    "--backend",
    "backends",
    default="prometheus",
    show_default=True,
    callback=_one_or_more(backend_names),
    help="Files of collector/backends, without .yaml; several with commas.",
)
@click.option(
    "--application",
    "applications",
    metavar="HOST:PORT",
    multiple=True,
    callback=targets,
    default=["localhost:8000"],
    show_default=True,
    help="Where your application listens, for Prometheus to see whether it is up; may be repeated.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=".accubooks",
    show_default=True,
    help="What is kept from one time to the next: metrics, queues, logs.",
)
@addresses_option(needed=False)
def up(backends: Names, applications: Names, folder: Path, to: Addresses | None) -> None:
    """Start what observes an application of yours, here, on the usual ports, until Ctrl-C (exit status 0).

    That is the gateway, and with Prometheus also Alertmanager and the dashboards. Where there is no
    alerting.toml, alerts tell a Slack, a mailbox and a pager that are started here too.

    \b
    Examples:
      otel-accubooks up
      otel-accubooks up --application localhost:5000 --addresses on-call.toml
      otel-accubooks up --backend prometheus,prometheus-standby
      DD_API_KEY=... otel-accubooks up --backend datadog
    """
    with _extra("stack"), _extra("dashboards"):
        from otel_accubooks.cli.up import run
    sys.exit(run(folder, backends, applications, to))


@commands.command()
@click.option(
    "--backend",
    type=click.Choice([*RENDERED, GATEWAY]),
    required=True,
    is_eager=True,
    help="For whom; `gateway` writes the gateway's own files, and Prometheus's behind it.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder to write to; it is made where it is missing.",
)
@addresses_option(needed=lambda options: options["backend"] != GATEWAY)
def render(backend: str, out: Path, to: Addresses) -> None:
    """Write alerts and dashboards as files that a backend takes.

    \b
    Examples:
      otel-accubooks render --backend gateway --out gateway
      otel-accubooks render --backend prometheus --out /etc/prometheus/accubooks
      otel-accubooks render --backend datadog --out datadog --addresses on-call.toml
    """
    from otel_accubooks.cli.render import write

    try:
        files = gateway_files() if backend == GATEWAY else RENDERED[backend](to)
    except (ValueError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error
    try:
        others = write(files, out)
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or out} cannot be written: {error.strerror}; --out names another folder"
        ) from error
    click.echo(f"{len(files)} files written to {out}")
    if others:
        names = ", ".join(str(path.relative_to(out)) for path in others)
        click.echo(f"Left alone, since they are not from here: {names}")


@commands.command()
@click.argument("backend", type=click.Choice(["grafana", "datadog", "newrelic"]))
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option(
    "--url", callback=address, help="The API's address, where it is not the vendor's own."
)
@click.option(
    "--public", is_flag=True, help="Grafana: share the executive dashboard with everybody."
)
@addresses_option()
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
    callback=address,
    help="Whose data is shown.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=8050, show_default=True, type=click.IntRange(0, 65535), help="The port."
)
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
    except (OSError, ValueError, OverflowError) as error:
        raise click.ClickException(
            f"{host}:{port} cannot be listened on: {error}; --host and --port name another place"
        ) from error


@commands.command()
@backend_option
@click.option("--operator", help="Who answers for the report; else the one who is logged in.")
@confirm_option
@url_option
@evidence_option
@addresses_option()
@servers_options(*(one.name for one in settings()))
def verify(
    *,
    backend: Backend,
    operator: str | None,
    confirm: bool,
    url: str | None,
    evidence: Path,
    to: Addresses,
    servers: Servers,
) -> None:
    """Make the twelve checks against what runs, and write the report that says whether all are met.

    Each is made by looking, and nothing is harmed: a test alert is sent, and ended. Tokens come from
    the environment (docs/verify.md).

    \b
    Examples:
      otel-accubooks verify --operator "Ada Lovelace"
      otel-accubooks verify --service shop --grafana http://grafana:3000 --confirm
      otel-accubooks verify --backend datadog --evidence reports
    """
    from otel_accubooks.cli.verify import run

    sys.exit(
        run(
            servers,
            to,
            backend=backend,
            folder=evidence,
            operator=operator or "",
            confirm=confirm,
            url=url,
        )
    )


@commands.command("test-alert")
@backend_option
@confirm_option
@url_option
@addresses_option()
@servers_options(
    "service", "prometheus", "alertmanager", "gateway", "slack_api", "phone_api", "mailbox"
)
def test_alert(
    backend: Backend, confirm: bool, url: str | None, to: Addresses, servers: Servers
) -> None:
    """Send a test alert through the whole path, say when it was where, and end it.

    \b
    Examples:
      otel-accubooks test-alert
      otel-accubooks test-alert --confirm --addresses on-call.toml
      otel-accubooks test-alert --backend datadog
    """
    from otel_accubooks.cli.test_alert import run

    sys.exit(run(servers, to, backend=backend, confirm=confirm, url=url))


@commands.command()
@click.argument("pids", nargs=-1, type=click.IntRange(1), metavar="[PID]...")
@click.option("--json", "as_json", is_flag=True, help="Everything that was found, for machines.")
@addresses_option(needed=False)
@servers_options("service", "prometheus", "alertmanager", "gateway")
def doctor(pids: tuple[int, ...], as_json: bool, to: Addresses | None, servers: Servers) -> None:
    """Say what is wrong with a deployment, and the fix, in one line each.

    Without a PID it looks at every application on this host.

    \b
    Examples:
      otel-accubooks doctor
      otel-accubooks doctor 4711 --prometheus http://prometheus:9090
      otel-accubooks doctor --json
    """
    from otel_accubooks.cli.doctor import run

    sys.exit(run(servers, to, pids=pids, as_json=as_json))


def _seconds(_: click.Context, __: click.Parameter, text: str) -> float:
    from otel_accubooks.soak.duration import parse

    try:
        return parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@commands.command()
@click.option(
    "--for",
    "seconds",
    default="24h",
    show_default=True,
    callback=_seconds,
    help="How long: 90s, 15m, 24h, 2d.",
)
@click.option("--past", is_flag=True, help="Look at as long a time that is over already, at once.")
@evidence_option
@addresses_option(needed=False, handed_on=False)
@servers_options("service", "prometheus", "alertmanager")
def soak(seconds: float, past: bool, evidence: Path, servers: Servers) -> None:
    """Watch a deployment: was it stable, and which thresholds fit what was seen?

    \b
    Examples:
      otel-accubooks soak --for 24h
      otel-accubooks soak --for 15m --service shop
      otel-accubooks soak --past --for 2d
    """
    from otel_accubooks.cli.soak import run

    sys.exit(run(servers, seconds=seconds, past=past, folder=evidence))


commands.add_command(check)
