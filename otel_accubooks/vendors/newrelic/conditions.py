"""New Relic: the contract's alerts as NRQL conditions, in one policy for each severity.

A condition is asked once for each window of its points, and opens an incident when the value has
crossed the threshold in all windows of a duration. A window may slide.
Source: https://docs.newrelic.com/docs/alerts/create-alert/create-alert-condition/create-nrql-alert-conditions/
"""

from __future__ import annotations

from typing import Any

from otel_accubooks.contract.alert import Alert, Comparison, Condition
from otel_accubooks.contract.evaluation import GONE_SECONDS
from otel_accubooks.contract.query import (
    Always,
    Growth,
    Last,
    Mean,
    Present,
    Query,
    Quotient,
    Reachable,
)
from otel_accubooks.vendors.addresses import Addresses, runbook
from otel_accubooks.vendors.newrelic.marks import MARK, SEVERITIES, policy
from otel_accubooks.vendors.newrelic.nrql import Asked, asked, guarded, is_nested
from otel_accubooks.vendors.promql import duration

# All in seconds. New Relic's shortest window holds two points of an exporter that sends every 15 s.
GAUGE_WINDOW = 30
CHECK_WINDOW = 60
SLIDE = 60
LONG_WINDOW = 3600
LONG_SLIDE = 300
SHORTEST_HOLD = 60
# Data for a window is waited for until data this much later arrives; a check may take so long to fail.
DELAY = 60
CHECK_DELAY = 120
# A series of the contract is gone when no point has come for as long.
GONE = int(GONE_SECONDS)
# After this an incident is closed, and opened anew if it lasts: New Relic tells of it once again.
TIME_LIMIT = 86_400
HEARTBEAT = 300
# A comparison with the past is a baseline's, in standard deviations from what it predicts.
DEVIATIONS = 3.0

BASELINE = (
    f"no window is longer than six hours, and none is compared with another: instead, New Relic's baseline"
    f" condition on the mean fires when it is more than {DEVIATIONS:g} standard deviations above what was"
    " predicted from the past, without seasons"
)

_OPERATORS: dict[Comparison, str] = {">": "ABOVE", "<": "BELOW", "==": "EQUALS"}


def policies() -> list[dict[str, Any]]:
    """AlertsPolicyInput of each severity. Every service and group is an issue of its own."""
    return [
        {"name": policy(severity), "incidentPreference": "PER_CONDITION_AND_TARGET"}
        for severity in SEVERITIES
    ]


def conditions(alert: Alert, to: Addresses) -> dict[str, Any]:
    """The name of its policy, and a condition with its type for each condition of `alert`.

    `condition` is an AlertsNrqlConditionStaticInput or an AlertsNrqlConditionBaselineInput, by `type`.
    """
    several = len(alert.conditions) > 1
    made = []
    for number, condition in enumerate(alert.conditions, 1):
        name = f"{alert.name} {number} of {len(alert.conditions)}" if several else alert.name
        made.append(_condition(name, alert, condition, to))
    return {"policy": policy(alert.severity), "conditions": made}


def queries(alert: Alert) -> tuple[str, ...]:
    """The NRQL of each of its conditions."""
    return tuple(_asked(alert, condition).text() for condition in alert.conditions)


def is_baseline(query: Query) -> bool:
    """Whether it compares a time with another one, which no window can hold."""
    return isinstance(query, Quotient) and isinstance(query.dividend, Mean)


def _condition(name: str, alert: Alert, condition: Condition, to: Addresses) -> dict[str, Any]:
    query = condition.query
    baseline = is_baseline(query)
    made: dict[str, Any] = {
        "name": name,
        "enabled": True,
        "description": description(alert, condition, to),
        "runbookUrl": runbook(to.runbooks, alert.name),
        "nrql": {"query": _asked(alert, condition).text()},
        "terms": [_term(alert, condition)],
        "signal": _signal(query),
        "expiration": _expiration(alert, query),
        "violationTimeLimitSeconds": _time_limit(query),
    }
    if baseline:
        made |= {"baselineDirection": "UPPER_ONLY", "signalSeasonality": "NONE"}
    return {"type": "BASELINE" if baseline else "STATIC", "condition": made}


def _asked(alert: Alert, condition: Condition) -> Asked:
    query = condition.query
    if alert.guard is not None:
        return guarded(condition, alert.guard)
    if isinstance(query, Quotient) and is_baseline(query):
        return asked(query.dividend)
    return asked(query)


def _term(alert: Alert, condition: Condition) -> dict[str, Any]:
    baseline = is_baseline(condition.query)
    return {
        "operator": _OPERATORS[condition.comparison],
        "priority": "CRITICAL" if alert.severity in ("P0", "P1") else "WARNING",
        "threshold": DEVIATIONS if baseline else float(condition.threshold),
        "thresholdDuration": hold(alert, condition.query),
        "thresholdOccurrences": "ALL" if alert.hold else "AT_LEAST_ONCE",
    }


def hold(alert: Alert, query: Query) -> int:
    """Seconds that it has to hold: at least the shortest there is, and a multiple of the steps."""
    return max(int(alert.hold), SHORTEST_HOLD, slide(query) or 0)


def slide(query: Query) -> int | None:
    """Seconds from one window to the next, where windows overlap."""
    seconds = window(query)
    step = LONG_SLIDE if seconds >= LONG_WINDOW else SLIDE
    return step if step < seconds else None


def window(query: Query) -> int:
    """Seconds of points that one value of the condition is computed from."""
    if isinstance(query, (Reachable, Always)):
        return CHECK_WINDOW
    if isinstance(query, Quotient):
        return window(query.dividend)
    return int(getattr(query, "window", GAUGE_WINDOW))


def _signal(query: Query) -> dict[str, Any]:
    fill, value = _filled(query)
    return {
        "aggregationWindow": window(query),
        "slideBy": slide(query),
        "aggregationMethod": "EVENT_FLOW",
        "aggregationDelay": CHECK_DELAY if isinstance(query, Reachable) else DELAY,
        "fillOption": fill,
        "fillValue": value,
    }


def _filled(query: Query) -> tuple[str, float | None]:
    """What a window without points counts as: a gauge stays, a counter grew by nothing."""
    if isinstance(query, Last) or (isinstance(query, Quotient) and not is_baseline(query)):
        return "LAST_VALUE", None
    return ("STATIC", 0.0) if isinstance(query, Growth) else ("NONE", None)


def _time_limit(query: Query) -> int:
    if isinstance(query, Always):
        return HEARTBEAT
    return int(query.known) if isinstance(query, Present) else TIME_LIMIT


def absence(alert: Alert) -> int:
    """Seconds without a point after which it is told: it is gone, and that has held."""
    return GONE + int(alert.hold)


def _expiration(alert: Alert, query: Query) -> dict[str, Any]:
    """Silence opens an incident where it is the thing to be told of, and else closes what is open."""
    opens = isinstance(query, (Reachable, Present))
    # New Relic notices no silence of a nested query.
    lost = not is_nested(query)
    gone = absence(alert) if isinstance(query, Present) else max(GONE, window(query))
    return {
        "expirationDuration": gone if lost else None,
        "openViolationOnExpiration": opens,
        "closeViolationsOnExpiration": lost and not opens,
        "ignoreOnExpectedTermination": False,
    }


def description(alert: Alert, condition: Condition, to: Addresses) -> str:
    """What whoever is told reads: at most 4,000 characters, the last line being our mark."""
    held = f", for {duration(alert.hold)}" if alert.hold else ", at once"
    lines = [f"{alert.summary}.", f"Fires when {condition} ({alert.unit}){held}."]
    if alert.guard is not None:
        lines.append(f"Silent while {alert.guard.growth} is below {alert.guard.least:g}.")
    if is_baseline(condition.query):
        lines.append(f"In New Relic {BASELINE}.")
    if alert.respond is not None:
        within = f"within {duration(alert.respond)}" if alert.respond else "at once"
        lines.append(f"Severity {alert.severity}: somebody looks {within}.")
    return "\n".join([*lines, f"Runbook: {runbook(to.runbooks, alert.name)}", MARK])
