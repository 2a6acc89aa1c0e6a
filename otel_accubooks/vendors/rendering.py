"""What each backend is given, as files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otel_accubooks.vendors import alertmanager, datadog, grafana, newrelic, prometheus_rules
from otel_accubooks.vendors.addresses import Addresses

# Path below the folder that is rendered to, and content.
Files = dict[str, str]


def prometheus(to: Addresses) -> Files:
    """Rules for Prometheus, and who Alertmanager tells."""
    return {
        "rules/accubooks.yml": _yaml(prometheus_rules.rules(to.runbooks)),
        "alertmanager.yml": _yaml(alertmanager.configuration(to)),
    }


BACKENDS: dict[str, Callable[[Addresses], Files]] = {
    "prometheus": prometheus,
    "grafana": grafana.files,
    "datadog": datadog.files,
    "newrelic": newrelic.files,
}


def _yaml(content: Any) -> str:
    import yaml

    text: str = yaml.safe_dump(content, sort_keys=False, width=1000)
    return f"# Written by `otel-accubooks render`.\n{text}"
