"""The contract's alerts with their times shortened, so that a drill takes a minute and not an hour."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from otel_accubooks.contract.alert import Alert
from otel_accubooks.contract.query import Query
from otel_accubooks.vendors.prometheus_rules import rules

# 5 minutes are 10 seconds: of metrics that come every second, a window still sees ten.
THIRTIETH = 1 / 30
EVALUATED = "1s"


def shortened(
    alert: Alert,
    windows: float = THIRTIETH,
    holds: float = THIRTIETH,
    threshold: float | None = None,
) -> Alert:
    """`alert` with its windows and its hold time as so many times what they are, in whole seconds."""
    return dataclasses.replace(
        alert,
        conditions=tuple(
            dataclasses.replace(
                condition,
                query=_query(condition.query, windows),
                threshold=condition.threshold if threshold is None else threshold,
            )
            for condition in alert.conditions
        ),
        hold=_seconds(alert.hold, holds),
        guard=alert.guard
        and dataclasses.replace(alert.guard, growth=_query(alert.guard.growth, windows)),
    )


def _query(query: Any, windows: float) -> Any:
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(query):
        value = getattr(query, field.name)
        if field.name == "window":
            changes["window"] = _seconds(value, windows)
        elif isinstance(value, Query):
            changes[field.name] = _query(value, windows)
    return dataclasses.replace(query, **changes)


def _seconds(seconds: float, factor: float) -> float:
    return float(max(round(seconds * factor), 1)) if seconds else 0.0


def write_rules(alerts: list[Alert], path: Path) -> Path:
    """A rule file for these alerts, evaluated every second."""
    content = rules("https://runbooks.example", alerts)
    for group in content["groups"]:
        group["interval"] = EVALUATED
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path
