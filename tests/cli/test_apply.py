"""`otel-accubooks apply`, as it is typed, to servers that answer as the vendors' do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

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


class Answers(BaseHTTPRequestHandler):
    """Answers everything with the same JSON."""

    body = b""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("body", [b"[[]]", b"null", b'{"data": [3]}'])
@pytest.mark.parametrize("backend", ["grafana", "datadog", "newrelic"])
def test_json_of_another_shape_ends_it_in_one_line(backend: str, body: bytes) -> None:
    """What was asked, without a password, and how the answer begins; nothing is written."""
    handler = type("Handler", (Answers,), {"body": body})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_port}"
        url = f"http://admin:hunter2@{host}"
        keys = dict.fromkeys(
            ("GRAFANA_TOKEN", "DD_API_KEY", "DD_APP_KEY", "NEW_RELIC_API_KEY"), "k"
        )
        done = apply(backend, "--dry-run", "--url", url, **keys, NEW_RELIC_ACCOUNT_ID="1")
        server.shutdown()
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    (said,) = [line for line in done.output.splitlines() if line.startswith("Stopped: ")]
    assert f"http://…@{host}" in said
    assert "hunter2" not in done.output


@pytest.mark.parametrize(
    ("backend", "name", "value", "said"),
    [
        ("grafana", "GRAFANA_TOKEN", "a\nb", "GRAFANA_TOKEN is no key (its text is not shown)"),
        ("grafana", "GRAFANA_URL", "http://[::1", "GRAFANA_URL is 'http://[::1': expected an addr"),
        ("datadog", "DD_API_KEY", "sésame", "DD_API_KEY is no key (its text is not shown)"),
        ("datadog", "DD_SITE", "https://datadoghq.eu", "expected a name such as datadoghq.eu"),
        ("newrelic", "NEW_RELIC_ACCOUNT_ID", "9" * 5000, "expected a number"),
    ],
)
def test_a_wrong_variable_is_named(backend: str, name: str, value: str, said: str) -> None:
    """Before anything is asked, and without a key's text."""
    keys = dict.fromkeys(("GRAFANA_TOKEN", "DD_API_KEY", "DD_APP_KEY", "NEW_RELIC_API_KEY"), "k")
    done = apply(backend, **{**keys, "NEW_RELIC_ACCOUNT_ID": "1", name: value})
    assert done.exit_code == 1
    assert said in done.output
    assert "sésame" not in done.output
    assert len(done.output) < 300
