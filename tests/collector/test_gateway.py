"""What the gateway does itself, whatever the backend: authentication, redaction, own metrics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml

from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.stack.collector import DATADOG_GATE, Collector, feature_gates
from otel_accubooks.stack.files import COLLECTOR, GATEWAY, backend_file
from tests.collector.otlp_application import Application
from tests.collector.waiting import eventually

Start = Callable[..., Collector]


def offered(gateway: Collector) -> list[str]:
    """The lines with numbers on the page that Prometheus would scrape."""
    url = f"http://127.0.0.1:{gateway.ports.prometheus_scrape}/metrics"
    lines = httpx.get(url, trust_env=False).text.splitlines()
    return [line for line in lines if line.startswith("logins_total{")]


def push(gateway: Collector, authorization: str) -> int:
    answer = httpx.post(
        f"{gateway.otlp_url}/v1/metrics",
        content=Application().request().SerializeToString(),
        headers={"Content-Type": "application/x-protobuf", "Authorization": authorization},
        trust_env=False,
    )
    return answer.status_code


@pytest.mark.parametrize(
    "secret",
    [
        "jane.doe@example.co.uk",
        "4111111111111111",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "postgresql://jane:hunter2@db",
        "/accounts/jane.doe@example.co.uk/ledger",
        "order 4111111111111111, paid",
        "Bearer abcdefghijklmnopqrstuvwxyz",
        "sent with bearer  9f86d081884c7d659a2feaa0c55ad015",
    ],
)
def test_what_names_a_person_or_opens_a_door_is_masked(start_gateway: Start, secret: str) -> None:
    """A label that should never have been made does not reach a vendor."""
    gateway = start_gateway(["prometheus-scrape"])
    application = Application()
    application.count("logins_total", 3, account=secret, tier="PRO")
    application.push(gateway.otlp_url)
    eventually(lambda: len(offered(gateway)), 1)
    line = offered(gateway)[0]
    assert secret not in line
    assert 'tier="PRO"' in line
    assert line.endswith(" 3")


@pytest.mark.parametrize("name", ["password", "db_passwd", "ClientSecret", "x_api_key", "api_key"])
def test_what_is_called_a_secret_is_masked(start_gateway: Start, name: str) -> None:
    """A label whose name speaks of a password or a key keeps its name alone, whatever it holds."""
    gateway = start_gateway(["prometheus-scrape"])
    application = Application()
    application.count("logins_total", 3, **{name: "open sesame"}, tier="STARTER")
    application.push(gateway.otlp_url)
    eventually(lambda: len(offered(gateway)), 1)
    line = offered(gateway)[0]
    assert f'{name}="****"' in line
    assert 'tier="STARTER"' in line


def test_what_only_looks_like_a_secret_passes(start_gateway: Start) -> None:
    """Routes, names of workers, versions, times and identifiers are not mistaken for secrets."""
    gateway = start_gateway(["prometheus-scrape"])
    harmless = {
        "route": "/api/v2/ledgers/<int:ledger_id>/part-17",
        "worker": "celery@worker-1",
        "version": "1.26.8-rc.2",
        "since": "1732345678901",
        "request": "11111111-2222-4333-8444-411111111111",
        "address": "https://example.com:8443/path",
    }
    application = Application()
    application.count("logins_total", 3, **harmless)
    application.push(gateway.otlp_url)
    eventually(lambda: len(offered(gateway)), 1)
    line = offered(gateway)[0]
    assert {name for name, value in harmless.items() if f'{name}="{value}"' not in line} == set()


def test_no_label_of_the_contract_is_looked_up_by_pattern() -> None:
    """The gateway knows the labels of every metric by name, which is what makes it quick."""
    known = yaml.safe_load(GATEWAY.read_text())["processors"]["redaction/names"]["ignored_keys"]
    assert {label.name for metric in METRICS for label in metric.labels} - set(known) == set()


def test_masking_adds_no_label(start_gateway: Start) -> None:
    """What is not masked passes as it came, with nothing about masking beside it."""
    gateway = start_gateway(["prometheus-scrape"])
    application = Application("11111111-2222-4333-8444-411111111111")
    application.count("logins_total", 3, route="/users/<int:id>")
    application.push(gateway.otlp_url)
    instance = "11111111-2222-4333-8444-411111111111"
    labels = f'instance="{instance}",job="accubooks",route="/users/<int:id>"'
    eventually(lambda: offered(gateway), [f"logins_total{{{labels}}} 3"])


def test_senders_without_a_token_are_refused(start_gateway: Start, tmp_path: Path) -> None:
    """With the authentication file, each of its tokens opens the door, and nothing else does."""
    tokens = tmp_path / "tokens"
    tokens.write_text("first-token\nsecond-token\n")
    gateway = start_gateway(
        ["prometheus-scrape"],
        options=[COLLECTOR / "options/bearer-auth.yaml"],
        env={"GATEWAY_TOKENS_FILE": str(tokens)},
    )
    shown = ("", "Bearer", "Bearer wrong", "Bearer first-token", "Bearer second-token")
    assert [push(gateway, value) for value in shown] == [401, 401, 401, 200, 200]


def test_tokens_are_rotated_without_a_restart(start_gateway: Start, tmp_path: Path) -> None:
    """A token that is written into the file opens the door, one that is taken out does not."""
    tokens = tmp_path / "tokens"
    tokens.write_text("old-token\n")
    gateway = start_gateway(
        ["prometheus-scrape"],
        options=[COLLECTOR / "options/bearer-auth.yaml"],
        env={"GATEWAY_TOKENS_FILE": str(tokens)},
    )
    tokens.write_text("new-token\n")
    eventually(lambda: push(gateway, "Bearer new-token"), 200)
    assert push(gateway, "Bearer old-token") == 401


def test_the_gateway_counts_what_it_sends(start_gateway: Start) -> None:
    """Its own metrics say what was received and what was handed on: a health check does not."""
    gateway = start_gateway(["prometheus-scrape"])
    application = Application()
    application.count("logins_total")
    application.push(gateway.otlp_url)

    def accepted() -> list[str]:
        page = httpx.get(f"http://127.0.0.1:{gateway.ports.metrics}/metrics", trust_env=False).text
        name = "otelcol_receiver_accepted_metric_points"
        return [line.split()[-1] for line in page.splitlines() if line.startswith(name)]

    eventually(accepted, ["1"])


def test_only_datadog_is_started_with_a_feature_gate() -> None:
    """Its queue protects nothing without it, and a collector without Datadog knows no such gate."""
    assert feature_gates([GATEWAY, backend_file("datadog")]) == [DATADOG_GATE]
    assert feature_gates([GATEWAY, backend_file("prometheus"), backend_file("newrelic")]) == []
