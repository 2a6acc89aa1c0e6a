"""`otel-accubooks apply`: a running Grafana, or a vendor's account, gets what the contract says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import click
from rich.console import Console

from otel_accubooks.apply import accounts
from otel_accubooks.apply.change import Change
from otel_accubooks.cli.screen import screen, spinner
from otel_accubooks.servers.api import Api, ApiError
from otel_accubooks.servers.passwords import without_passwords
from otel_accubooks.vendors.addresses import Addresses

_DONE = {"create": "created", "update": "updated", "delete": "deleted", "keep": "as they should be"}
_COLOURS = {"+": "green", "-": "red"}

# What comes of taking a part out of JSON that has none such.
_OTHER_SHAPE = (TypeError, LookupError, AttributeError, ValueError)

Plan = tuple[Api, Iterator[Change]]


def run(backend: str, to: Addresses, *, url: str | None, dry_run: bool, public: bool) -> int:
    """Carries the changes out, or shows them; 0 only if each of them went well."""
    plans = {"datadog": _datadog, "newrelic": _newrelic}
    try:
        plan = _grafana(to, url, public) if backend == "grafana" else plans[backend](to, url)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    api, changes = plan
    counts: Counter[str] = Counter()
    console = screen()
    try:
        with spinner(console, f"Comparing with {backend}"):
            for change in changes:
                counts[_carry_out(console, api, backend, change, dry_run=dry_run)] += 1
    except (ApiError, RuntimeError) as error:
        click.echo(f"Stopped: {error}", err=True)
        counts["failed"] += 1
    except _OTHER_SHAPE as error:
        click.echo(f"Stopped: {_other_shape(api, backend, error)}", err=True)
        counts["failed"] += 1
    finally:
        api.close()
    told = ", ".join(f"{number} {name}" for name, number in counts.items()) or "nothing to do"
    click.echo(f"{'Would be, nothing was changed: ' if dry_run else ''}{told}.")
    return 1 if counts["failed"] else 0


def _other_shape(api: Api, backend: str, error: Exception) -> str:
    said = (
        f"{api.last}: an answer of another shape, expected that of {backend}'s API: "
        f"is the address right? ({type(error).__name__}: {error})"
    )
    return without_passwords(" ".join(said.split()))


def _carry_out(console: Console, api: Api, backend: str, change: Change, *, dry_run: bool) -> str:
    if change.action != "keep":
        console.print(f"{change.action} {change.kind} {change.name}", markup=False)
    if dry_run:
        for line in change.difference:
            console.print(f"  {line}", style=_COLOURS.get(line[0]), markup=False)
    elif change.action != "keep":
        try:
            change.carry_out()
        except ApiError as error:
            click.echo(f"  failed: {error}", err=True)
            return "failed"
        except _OTHER_SHAPE as error:
            click.echo(f"  failed: {_other_shape(api, backend, error)}", err=True)
            return "failed"
    return _DONE[change.action]


def _grafana(to: Addresses, url: str | None, public: bool) -> Plan:
    from otel_accubooks.apply.grafana import changes

    api = accounts.grafana(url)
    return api, changes(api, to, public=public)


def _datadog(to: Addresses, url: str | None) -> Plan:
    from otel_accubooks.apply.datadog import changes

    api = accounts.datadog(url)
    return api, changes(api, to)


def _newrelic(to: Addresses, url: str | None) -> Plan:
    from otel_accubooks.apply.newrelic import changes

    api, account = accounts.newrelic(url)
    return api, changes(api, to, account)
