"""`otel-accubooks check`: what an application would refuse at its start, said before it is deployed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from otel_accubooks.cli.addresses import FILE
from otel_accubooks.export.exporters import ExporterError, exporter_names, load_exporter
from otel_accubooks.instrument.rules import RulesError
from otel_accubooks.instrument.rules_check import read_rules
from otel_accubooks.launch.settings import read_settings
from otel_accubooks.servers.passwords import without_passwords
from otel_accubooks.servers.settings import check_address, servers
from otel_accubooks.vendors.addresses import read


@click.command()
@click.option(
    "--rules",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The rules file; else the one that OTEL_ACCUBOOKS_RULES names.",
)
@click.option(
    "--addresses",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Whom alerts tell, and where servers are (docs/alerting.md); "
    f"else {FILE}, where there is one.",
)
def check(rules: Path | None, addresses: Path | None) -> None:
    """Check the settings in this environment, the rules file, and alerting.toml where there is one.

    Nothing is started and nothing is asked: it is for a build, before what it would say is in a log.

    \b
    Examples:
      otel-accubooks check
      otel-accubooks check --rules rules.toml
      OTEL_ACCUBOOKS_SERIES_LIMIT=5000 otel-accubooks check --addresses on-call.toml
    """
    if addresses is None and Path(FILE).exists():
        addresses = Path(FILE)
    found = list(problems(os.environ, rules, addresses))
    for line in found:
        click.echo(line, err=True)
    if found:
        raise click.exceptions.Exit(1)
    checked = [f"{sum(name.startswith('OTEL_') for name in os.environ)} settings"]
    checked += [str(path) for path in (rules or read_settings(os.environ).rules, addresses) if path]
    click.echo(f"Nothing wrong found in {', '.join(checked)}.")


def problems(
    environ: Mapping[str, str], rules: Path | None = None, addresses: Path | None = None
) -> Iterator[str]:
    """One line for each thing that is wrong; `rules` goes before the file that `environ` names."""
    settings = read_settings(environ)
    yield from settings.problems
    yield from settings.unknown
    # Two signals share a setting, and two readings a file: what is wrong with it is said once.
    yield from map(without_passwords, dict.fromkeys(_of_exporters(environ)))
    if path := rules or settings.rules:
        try:
            read_rules(path)
        except RulesError as error:
            yield from str(error).splitlines()
    if addresses:
        yield from dict.fromkeys(_of_addresses(addresses))


def _of_exporters(environ: Mapping[str, str]) -> Iterator[str]:
    for signal in ("METRICS", "TRACES", "LOGS"):
        try:
            names = exporter_names(environ, signal)
        except ExporterError as error:
            yield str(error)
            continue
        for name in names:
            try:
                load_exporter(name, signal.lower())
            except ExporterError as error:
                yield str(error)
        variables = (f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
        # What is sent by gRPC may have an address without a scheme.
        if "otlp_proto_http" in names and (name := next(filter(environ.get, variables), "")):
            try:
                check_address(name, environ[name])
            except ValueError as error:
                yield str(error)


def _of_addresses(path: Path) -> Iterator[str]:
    for reading in (read, lambda path: servers(path, {}, {})):
        try:
            reading(path)
        except ValueError as error:
            yield str(error)
