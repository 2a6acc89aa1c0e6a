"""Our own commands with secrets in all that they are told, and everything that they say and write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.reliability.canaries import Canaries, said_by

# What operators set: passwords in addresses, tokens and keys.
OPERATORS = (
    "prometheus", "alertmanager", "grafana", "viewer", "public", "standby", "gateway", "mailbox",
    "slack_api",
    "phone_api", "vendor_api", "GRAFANA_TOKEN", "DD_API_KEY", "DD_APP_KEY", "NEW_RELIC_API_KEY",
    "SLACK_TOKEN",
    "PAGERDUTY_API_TOKEN", "OPSGENIE_API_KEY", "MAILBOX_PASSWORD", "OTEL_ACCUBOOKS_MONITORING_TOKEN",
    "OTEL_EXPORTER_OTLP_HEADERS", "DATABASE_URL", "REDIS_URL", "OTEL_ACCUBOOKS_REDIS_URL",
    "OTEL_ACCUBOOKS_SECRET", "OTEL_ACCUBOOKS_CACHE_REDIS",
)  # fmt: skip
_ADDRESSES = {
    "PROMETHEUS_URL": "prometheus",
    "ALERTMANAGER_URL": "alertmanager",
    "GRAFANA_URL": "grafana",
    "VIEWER_URL": "viewer",
    "VIEWER_PUBLIC_URL": "public",
    "PROMETHEUS_STANDBY_URL": "standby",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "gateway",
    "SLACK_API_URL": "slack_api",
    "PHONE_API_URL": "phone_api",
}
ALERTING = """
email = ["on-call@books.example"]
escalation_email = ["cto@books.example"]
application = "https://books.example"
"""


def environment(word: Canaries, hosts: Mapping[str, str]) -> dict[str, str]:
    """What the commands are told; `hosts` has host:port where something answers, by name."""
    nobody = "127.0.0.1:9"
    env = {name: word[name] for name in OPERATORS if name.isupper()}
    for variable, place in _ADDRESSES.items():
        env[variable] = f"http://jane:{word[place]}@{hosts.get(place, nobody)}"
    env["MAILBOX_URL"] = f"imaps://jane:{word['mailbox']}@{nobody}"
    env["OTEL_EXPORTER_OTLP_HEADERS"] = (
        f"authorization=Bearer%20{word['OTEL_EXPORTER_OTLP_HEADERS']}"
    )
    for name in (
        "DATABASE_URL",
        "REDIS_URL",
        "OTEL_ACCUBOOKS_REDIS_URL",
        "OTEL_ACCUBOOKS_CACHE_REDIS",
    ):
        scheme = "postgresql" if name == "DATABASE_URL" else "redis"
        env[name] = f"{scheme}://jane:{word[name]}@{nobody}/0"
    return env | {
        "OTEL_SERVICE_NAME": "planted",
        "NEW_RELIC_ACCOUNT_ID": "1",
        "DD_SITE": "datadoghq.eu",
    }


QUICK = (["doctor"], ["doctor", "--json"], ["render", "--backend", "prometheus", "--out", "out"])
ALL = (
    *QUICK,
    *(["render", "--backend", b, "--out", "out"] for b in ("grafana", "datadog", "newrelic", "gateway")),
    ["apply", "grafana", "--dry-run"],
    *(["apply", b, "--dry-run", "--url", "{vendor}"] for b in ("datadog", "newrelic")),
    ["verify", "--operator", "Ada"],
    *(["verify", "--operator", "Ada", "--backend", b, "--url", "{vendor}"] for b in ("datadog",
            "newrelic")),
    ["soak", "--for", "2s"],
    ["soak", "--past", "--for", "1m"],
    ["test-alert"],
    ["test-alert", "--backend", "datadog", "--url", "{vendor}"],
    ["test-alert", "--backend", "newrelic", "--url", "{vendor}"],
)  # fmt: skip


def said(
    commands: tuple[list[str], ...], word: Canaries, hosts: Mapping[str, str], folder: Path
) -> dict[str, bytes]:
    """What each command says and writes, by the command."""
    env = environment(word, hosts)
    vendor = f"http://jane:{word['vendor_api']}@127.0.0.1:9"
    found = {}
    for number, command in enumerate(commands):
        here = folder / str(number)
        here.mkdir(parents=True)
        (here / "alerting.toml").write_text(ALERTING)
        argv = [part.format(vendor=vendor) for part in command]
        found[" ".join(command)] = said_by(argv, env, here)
    return found
