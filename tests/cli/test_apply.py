"""`otel-accubooks apply`, as it is typed, to servers that answer as the vendors' do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from grafana_server import TOKEN, GrafanaServer, Serving

from otel_accubooks.cli.commands import commands
from otel_accubooks.stack.files import REPOSITORY

ADDRESSES = str(REPOSITORY / "examples" / "accubooks" / "alerting.toml")


def apply(backend: str, *arguments: str, **environment: str) -> Result:
    line = ["apply", backend, "--addresses", ADDRESSES, *arguments]
    return CliRunner(env=environment).invoke(commands, line)


@pytest.fixture
def grafana() -> GrafanaServer:
    server = GrafanaServer()
    server.add_data_source("prometheus")
    return server


@pytest.fixture
def url(grafana: GrafanaServer) -> Iterator[str]:
    with Serving(grafana) as serving:
        yield serving.url


def test_a_dry_run_shows_and_changes_nothing(grafana: GrafanaServer, url: str) -> None:
    """What would be created, with its content."""
    done = apply("grafana", "--dry-run", GRAFANA_URL=url, GRAFANA_TOKEN=TOKEN)
    assert done.exit_code == 0, done.output
    assert "create dashboard Operations" in done.output
    assert "Would be, nothing was changed: " in done.output
    assert grafana.writes == []


def test_what_is_applied_twice_is_as_it_should_be(grafana: GrafanaServer, url: str) -> None:
    """The second time there is nothing to change."""
    first = apply("grafana", "--url", url, GRAFANA_TOKEN=TOKEN)
    assert first.exit_code == 0, first.output
    assert len(grafana.boards) == 4
    written = list(grafana.writes)
    second = apply("grafana", "--url", url, GRAFANA_TOKEN=TOKEN)
    assert (second.exit_code, grafana.writes) == (0, written)
    assert second.output.rstrip().endswith("as they should be.")
    assert len(second.output.splitlines()) == 2, "with whom it is compared, and the sum"


def test_the_executive_dashboard_is_shared_if_asked(grafana: GrafanaServer, url: str) -> None:
    """It alone."""
    done = apply("grafana", "--public", "--url", url, GRAFANA_TOKEN=TOKEN)
    assert done.exit_code == 0, done.output
    assert len(grafana.public) == 1


def test_a_refused_token_ends_it_in_one_line(url: str) -> None:
    """The token is not shown."""
    done = apply("grafana", "--url", url, GRAFANA_TOKEN="wrong-token")
    assert done.exit_code == 1
    assert "Stopped: GET" in done.output
    assert "401" in done.output
    assert "wrong-token" not in done.output


@pytest.mark.parametrize(
    ("backend", "environment", "said"),
    [
        ("grafana", {}, "GRAFANA_TOKEN is not set"),
        ("datadog", {"DD_API_KEY": "a"}, "DD_APP_KEY is not set"),
        ("newrelic", {}, "NEW_RELIC_ACCOUNT_ID is not set"),
        ("newrelic", {"NEW_RELIC_ACCOUNT_ID": "main"}, "'main': expected a number"),
        (
            "newrelic",
            {"NEW_RELIC_ACCOUNT_ID": "1", "NEW_RELIC_REGION": "UK"},
            "'UK': expected US or EU",
        ),
    ],
)
def test_what_is_missing_is_named(backend: str, environment: dict[str, str], said: str) -> None:
    """Before anything is asked."""
    names = (
        "GRAFANA_TOKEN",
        "DD_API_KEY",
        "DD_APP_KEY",
        "NEW_RELIC_ACCOUNT_ID",
        "NEW_RELIC_REGION",
    )
    done = apply(backend, **dict.fromkeys(names, "") | environment)
    assert done.exit_code == 1
    assert said in done.output


def test_sharing_is_for_grafana(url: str) -> None:
    """The others share in ways of their own."""
    done = apply("datadog", "--public", "--url", url)
    assert done.exit_code == 2
    assert "--public is for grafana" in done.output
