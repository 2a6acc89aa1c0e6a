"""The references in `docs/`, written from the contract and from the settings."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.launch import environment_variables

_MADE = "<!-- Written by `make docs`. -->\n"
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


def settings_page() -> str:
    """Every setting of ours, with the text that stands where it is defined."""
    source = inspect.getsource(environment_variables)
    lines = [_MADE, "# Settings", "", inspect.cleandoc(environment_variables.__doc__ or ""), ""]
    for name, text in _SETTING.findall(source):
        lines += [f"## {name}", "", text.strip(), ""]
    return "\n".join(lines).rstrip() + "\n"


PAGES = {"metrics.md": metrics_page, "settings.md": settings_page}


def main(folder: Path) -> None:
    """Writes every page into `folder`."""
    for name, page in PAGES.items():
        (folder / name).write_text(page(), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
