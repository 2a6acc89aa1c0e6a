"""What is written from the contract and from the settings: references, runbooks, rules."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

from otel_accubooks.cli.commands_page import commands_page
from otel_accubooks.contract import endpoints
from otel_accubooks.contract.endpoints import ENDPOINTS, Endpoint
from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.doctor import catalogue as doctor
from otel_accubooks.launch import environment_variables
from otel_accubooks.servers.settings import settings as servers
from otel_accubooks.stack import kubernetes
from otel_accubooks.stack.deployment import EXAMPLE
from otel_accubooks.vendors import alerts_page, panels_page, runbook_pages
from otel_accubooks.vendors.addresses import read
from otel_accubooks.vendors.datadog import differences as datadog
from otel_accubooks.vendors.newrelic import differences as newrelic
from otel_accubooks.vendors.rendering import BACKENDS

_MADE = "<!-- Written by `make docs`. -->\n"
_ADDRESSES = EXAMPLE / "alerting.toml"
_SETTING = re.compile(r'"""\n\.\. envvar:: (\w+)\n\n(.*?)"""', re.DOTALL)


def metrics_page() -> str:
    """Every metric, by group."""
    lines = [_MADE, "# Metrics", ""]
    for group in dict.fromkeys(metric.group for metric in METRICS):
        lines += [f"## {group}", ""]
        for metric in METRICS:
            if metric.group == group:
                lines += [
                    f"### {metric.name}",
                    "",
                    f"{metric.description}.",
                    "",
                    *_facts(metric),
                    "",
                ]
    return "\n".join(lines).rstrip() + "\n"


def _facts(metric: Metric) -> list[str]:
    facts = [f"- {metric.type}, unit `{metric.unit}`"]
    for label in metric.labels:
        values = f": {', '.join(label.values)}" if label.values else ""
        facts.append(f"- label `{label.name}`{values}")
    if metric.buckets:
        facts.append(f"- buckets up to {', '.join(map(str, metric.buckets))}")
    if metric.ratio is not None:
        minutes = metric.ratio.window / 60
        facts.append(f"- over {minutes:g} minutes; {metric.ratio.idle:g} while nothing happens")
    else:
        facts.append(f"- over processes: {metric.across}")
    return facts


def endpoints_page() -> str:
    """Every monitoring endpoint, with the keys of its answer."""
    about = inspect.cleandoc(endpoints.__doc__ or "")
    lines = [_MADE, "# Monitoring endpoints", "", about, "", "## The endpoints", ""]
    for endpoint in ENDPOINTS:
        lines += [*_endpoint(endpoint), ""]
    return "\n".join(lines).rstrip() + "\n"


def _endpoint(endpoint: Endpoint) -> list[str]:
    path, *aliases = endpoint.paths()
    also = "".join(f" (also `{alias}`)" for alias in aliases)
    lines = [f"### {endpoint.method} {path}", "", f"{endpoint.description}{also}."]
    if endpoint.budget_ms is not None:
        size = "with 2,000 series over 4 workers"
        lines += ["", f"- answered within {endpoint.budget_ms} ms, {size}"]
        lines += ["- open" if endpoint.open else "- wants the token, where one is set"]
    if endpoint.keys:
        lines += ["", "| key | value |", "|---|---|"]
        lines += [f"| `{key.name}` | {key.meaning} |" for key in endpoint.keys]
    return lines


def settings_page() -> str:
    """Every setting of ours, with the text that stands where it is defined."""
    source = inspect.getsource(environment_variables)
    lines = [_MADE, "# Settings", "", inspect.cleandoc(environment_variables.__doc__ or ""), ""]
    for name, text in _SETTING.findall(source):
        lines += [f"## {name}", "", text.strip(), ""]
    lines += ["## Of the commands", "", inspect.cleandoc(_OF_SERVERS), "", *_servers()]
    return "\n".join(lines).rstrip() + "\n"


_OF_SERVERS = """
Where `verify`, `doctor`, `test-alert` and `soak` find the servers of a deployment: by a flag, else by a
variable of the environment, else in the table `[servers]` of `alerting.toml`. Tokens and passwords come
from the environment alone.
"""


def _servers() -> list[str]:
    lines = ["| in `[servers]` | variable | what | default |", "|---|---|---|---|"]
    for one in servers():
        default: Any = one.default
        shown = default if isinstance(default, str) else ", ".join(default)
        about, variable = one.metadata["help"], one.metadata["variable"]
        told = f"`{shown}`" if shown else "none"
        lines += [f"| `{one.name}` | `{variable}` | {about} | {told} |"]
    return lines


def rendered() -> dict[str, str]:
    """What every backend is given, with the example's addresses."""
    to = read(_ADDRESSES)
    return {
        f"rendered/{backend}/{name}": text
        for backend, files in BACKENDS.items()
        for name, text in files(to).items()
    }


# Folders of the repository in which everything is written here, so that a leftover is found.
FOLDERS = ("docs/runbooks", "rendered")


def generated() -> dict[str, str]:
    """Path in the repository, and content, of every file that is written from something else."""
    files = rendered()
    return {
        "docs/metrics.md": metrics_page(),
        "docs/alerts.md": _MADE + alerts_page.page(),
        "docs/panels.md": _MADE + panels_page.page(),
        "docs/endpoints.md": endpoints_page(),
        "docs/settings.md": settings_page(),
        "docs/commands.md": _MADE + commands_page(),
        "docs/doctor.md": _MADE + doctor.page(),
        **{f"docs/runbooks/{name}": _MADE + page for name, page in runbook_pages.pages().items()},
        "docs/datadog-alerts.md": _MADE + datadog.page(),
        "docs/newrelic-alerts.md": _MADE + newrelic.page(),
        **files,
        **kubernetes.files(files["rendered/prometheus/rules/accubooks.yml"]),
    }


def main(root: Path) -> None:
    """Writes every file below `root`, and removes what nobody writes any more."""
    files = generated()
    for folder in FOLDERS:
        for found in (root / folder).rglob("*"):
            if found.is_file() and str(found.relative_to(root)) not in files:
                found.unlink()
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
