"""`otel-accubooks check`: what an application would refuse at its start, said before it is deployed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from otel_accubooks.cli.addresses import addresses_option
from otel_accubooks.instrument.rules import RulesError
from otel_accubooks.instrument.rules_check import read_rules
from otel_accubooks.launch.settings import read_settings
from otel_accubooks.vendors.addresses import Addresses


@click.command()
@click.option(
    "--rules",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The rules file; else the one that OTEL_ACCUBOOKS_RULES names.",
)
@addresses_option(needed=False)
def check(rules: Path | None, to: Addresses | None) -> None:
    """Check the settings in this environment, the rules file, and alerting.toml where there is one.

    Nothing is started and nothing is asked: it is for a build, before what it would say is in a log.

    \b
    Examples:
      otel-accubooks check
      otel-accubooks check --rules rules.toml
      OTEL_ACCUBOOKS_SERIES_LIMIT=5000 otel-accubooks check --addresses on-call.toml
    """
    found = list(problems(os.environ, rules))
    for line in found:
        click.echo(line, err=True)
    if found:
        raise click.exceptions.Exit(1)
    checked = [f"{sum(name.startswith('OTEL_') for name in os.environ)} settings"]
    if path := rules or read_settings(os.environ).rules:
        checked.append(str(path))
    if to:
        checked.append("the addresses")
    click.echo(f"Nothing wrong found in {', '.join(checked)}.")


def problems(environ: Mapping[str, str], rules: Path | None = None) -> Iterator[str]:
    """One line for each thing that is wrong; `rules` goes before the file that `environ` names."""
    settings = read_settings(environ)
    yield from settings.problems
    yield from settings.unknown
    if path := rules or settings.rules:
        try:
            read_rules(path)
        except RulesError as error:
            yield from str(error).splitlines()
