"""Refuses payloads that Datadog, or its client, would take and not understand."""

from __future__ import annotations

import re
from typing import Any

from otel_accubooks.vendors.datadog import queries as q
from otel_accubooks.vendors.datadog.payloads import (
    Check,
    Monitor,
    TagConfiguration,
    refuse_nonsense,
)
from otel_accubooks.vendors.datadog.tags import ALWAYS, configurations
from otel_accubooks.vendors.datadog.widgets import Dashboard

KINDS: dict[str, Any] = {
    "monitor": Monitor,
    "dashboard": Dashboard,
    "check": Check,
    "tags": TagConfiguration,
}

_LONGEST_MINUTES = 2880
_MONITOR = re.compile(
    r"(?P<aggregator>avg|sum|min|max|percentile|pct_change\(avg)\(last_(?P<number>\d+)(?P<unit>[mh])\)"
    r"(?P<shift>,(?:5m|10m|15m|30m|1h|2h|4h|1d)_ago\))?:"
    r"(?P<expression>.+) (?P<operator>>=|<=|>|<) (?P<threshold>-?\d+(?:\.\d+)?)"
)
_ARITHMETIC = re.compile(r"[ax \d.+*/()-]+")
_MOVING = re.compile(r"moving_rollup\(([a-z]), \d+, '(?:sum|max)'\)")
_FORMULA = re.compile(r"[a-z \d.+*/()-]+")


def check(kind: str, payload: Any, name: str) -> None:
    """Raises ValueError, in one line with `name` in it, unless it is exactly what Datadog knows."""
    refuse_nonsense(KINDS[kind], payload, name)
    try:
        if kind == "monitor" and payload["type"] == "query alert":
            check_monitor(payload["query"], payload["options"]["thresholds"]["critical"])
        if kind == "dashboard":
            for section in payload["widgets"]:
                for widget in section["definition"]["widgets"]:
                    _check_widget(widget["definition"])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def check_monitor(query: str, threshold: float) -> None:
    """Raises ValueError where a metric monitor would not ask what it seems to."""
    found = _MONITOR.fullmatch(query)
    if found is None or ("pct_change" in found["aggregator"]) != bool(found["shift"]):
        raise ValueError(f"{query!r} is not: aggregator(last_..):expression comparison threshold")
    minutes = int(found["number"]) * (60 if found["unit"] == "h" else 1)
    if not 1 <= minutes <= _LONGEST_MINUTES:
        raise ValueError(f"{query!r}: the window must be 1 to {_LONGEST_MINUTES} minutes")
    if abs(float(found["threshold"]) - threshold) > 1e-9:
        raise ValueError(f"{query!r}: its threshold is not the option's, {threshold:g}")
    rest = q.SELECTION.sub("x", found["expression"])
    if "x" not in rest or not _ARITHMETIC.fullmatch(rest):
        raise ValueError(f"{query!r}: {rest!r} is no arithmetic")
    for selection in q.SELECTION.finditer(found["expression"]):
        _check_selection(selection, scopes=())
        needed = {"counter": ("sum",), "histogram": ("percentile", "pct_change(avg")}
        kind = q.metric(selection["metric"]).type
        if found["aggregator"] not in needed.get(kind, ("min", "max")):
            raise ValueError(f"{query!r}: {found['aggregator']} over time does not suit a {kind}")


def _check_widget(definition: Any) -> None:
    for request in definition.get("requests", ()):
        names = set()
        for query in request.get("queries", ()):
            found = q.SELECTION.fullmatch(query["query"])
            if found is None:
                raise ValueError(f"{query['query']!r} is no selection of a metric")
            _check_selection(found, scopes=(f"${q.SERVICE}",))
            names.add(query["name"])
        for formula in request.get("formulas", ()):
            text = formula["formula"]
            rest = _MOVING.sub(r"\1", text)
            used = set(re.findall(r"[a-z]+", rest))
            if not _FORMULA.fullmatch(rest) or used != names:
                raise ValueError(f"{text!r} is no formula of {', '.join(sorted(names))}")


def _check_selection(selection: re.Match[str], scopes: tuple[str, ...]) -> None:
    name, aggregator = selection["metric"], selection["aggregator"]
    try:
        metric = q.metric(name)
    except KeyError:
        raise ValueError(f"{selection[0]!r}: no metric {name}") from None
    suits = {
        "counter": aggregator == "sum" and bool(selection["count"]),
        "gauge": aggregator in ("sum", "min", "max") and not selection["count"],
        "histogram": aggregator == "avg" or _has_percentiles(name, aggregator),
    }
    if not suits[metric.type]:
        raise ValueError(f"{selection[0]!r}: {aggregator} does not suit a {metric.type}")
    allowed = {*map(q.tag, metric.label_names), *ALWAYS}
    scope = [one for one in selection["scope"].split(",") if one not in ("*", *scopes)]
    tags = {one.partition(":")[0] for one in scope} | set((selection["by"] or q.SERVICE).split(","))
    if unknown := sorted(tags - allowed):
        raise ValueError(f"{selection[0]!r}: {name} has no tag {', '.join(unknown)}")


def _has_percentiles(name: str, aggregator: str) -> bool:
    return aggregator.startswith("p") and name in dict(configurations())
