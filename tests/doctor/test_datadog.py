"""Datadog as the backend: its keys, and what cannot be asked without them."""

from __future__ import annotations

from otel_accubooks.doctor.examination import examine
from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.datadog_intake import DatadogIntake
from otel_accubooks.stack.ports import free_port

KEY = "0123456789abcdef0123456789abcdef"


def ids(url: str) -> set[str]:
    servers = Servers(prometheus=f"http://127.0.0.1:{free_port()}", service="nobody-of-this-name")
    report = examine(servers, {"DD_API_KEY": KEY, "DD_URL": url}, pids=[0], wait_seconds=1)
    assert KEY not in str(report.in_words())
    return {finding.kind.id for finding in report.findings}


def test_a_key_without_the_other() -> None:
    """Datadog takes the key; what arrived there cannot be asked, and Prometheus is not missed."""
    with DatadogIntake() as intake:
        found = ids(intake.url)
    assert "datadog-not-asked" in found
    assert not {"datadog-unreachable", "datadog-key-refused", "prometheus-unreachable"} & found


def test_nobody_answers() -> None:
    """An API that does not answer is a fault: nothing is known of what arrives."""
    assert "datadog-unreachable" in ids(f"http://127.0.0.1:{free_port()}")
