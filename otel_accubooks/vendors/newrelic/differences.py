"""Where New Relic cannot mean the same as the contract, and what it does instead: read off the compiled
conditions, and written down as a page.
"""

from __future__ import annotations

from otel_accubooks.contract.alert import Alert
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.query import (
    Always,
    Growth,
    Last,
    Present,
    Quantile,
    Query,
    Quotient,
    Reachable,
    series_of,
)
from otel_accubooks.vendors.newrelic import conditions
from otel_accubooks.vendors.newrelic.nrql import is_nested, metric_of
from otel_accubooks.vendors.promql import duration

EVERYWHERE = (
    f"A value is computed every {conditions.SLIDE} s (a gauge every {conditions.GAUGE_WINDOW} s, growth of"
    f" an hour every {conditions.LONG_SLIDE // 60} min), and {conditions.DELAY} s late, so that points that"
    " were under way are in it: an incident opens up to two minutes later than with Prometheus.",
    "An incident closes when the condition has not held for as long as it had to hold to open it; the"
    " contract resolves it at once.",
    f"It is told once, when it opens, and once when it closes; one that lasts is closed after"
    f" {conditions.TIME_LIMIT // 3600} h, and told again if it goes on.",
    "Points that reach New Relic after the delay (the gateway was away) are in the dashboards, and no"
    " condition looks at them any more.",
)


def differences() -> dict[str, tuple[str, ...]]:
    """By alert, one sentence for each difference; empty where it means the same."""
    return {alert.name: tuple(_differences(alert)) for alert in ALERTS}


def _differences(alert: Alert) -> list[str]:
    found = list(
        dict.fromkeys(
            text for condition in alert.conditions for text in _of(alert, condition.query)
        )
    )
    if len(alert.conditions) > 1:
        found.append(
            f"a condition has one value: it is {len(alert.conditions)} conditions, each with an incident of"
            " its own"
        )
    if alert.guard is not None:
        found.append(
            "a condition has one value: too little traffic is calculated into it (as a value at which the"
            " condition does not hold), and so closes an incident too"
        )
    if not alert.hold:
        found.append(
            f"the shortest hold time is {duration(conditions.hold(alert, alert.conditions[0].query))}: one"
            " value above the threshold within it opens the incident"
        )
    if muted_by := [other.name for other in ALERTS if alert.name in other.mutes]:
        found.append(
            "a muting rule knows times and names, and not whether another incident is open: it is told as"
            f" well while {_either(muted_by)} is"
        )
    return found


def _of(alert: Alert, query: Query) -> list[str]:
    if isinstance(query, Always):
        limit = duration(conditions.HEARTBEAT)
        return [
            "nothing is told again and again: its incident is closed after"
            f" {limit}, and the next one is the next heartbeat; it needs metrics to arrive, so that it"
            " falls silent where no metrics come, too",
        ]
    if isinstance(query, Reachable):
        return [
            "New Relic's own check asks from several places, and one answer is enough; the first silence of"
            f" the check itself is told after {duration(conditions.GONE)}"
        ]
    found = []
    if isinstance(query, Present):
        found.append(_absence(alert, query))
    elif conditions.is_baseline(query):
        found.append(conditions.BASELINE)
    elif isinstance(query, (Last, Quotient)):
        found.append(_gauge(query))
    elif isinstance(query, Quantile):
        found.append(
            "the buckets become a sketch, whose percentile is approximate: where the contract interpolates"
            " within a bucket, it may differ by as much as the bucket is wide"
        )
    elif isinstance(query, Growth) and query.window >= conditions.LONG_WINDOW:
        found.append(
            f"nothing is told in the first {duration(query.window)} after the condition was made or changed"
        )
    if any(metric_of(series).group == "pipeline" for series in series_of(query)):
        found.append(
            "New Relic hears of the gateway only through the gateway, where it is started with"
            " collector/options/own-metrics.yaml; one that can send nothing any more is found by the"
            " absence of its metrics, and by the heartbeat's silence (Watchdog)"
        )
    return found


def _absence(alert: Alert, query: Present) -> str:
    return (
        "no window has a value where nothing comes, so that no value opens it: absence is New Relic's loss"
        f" of signal, of each service, told {duration(conditions.absence(alert))} after its last point has"
        " arrived, in which the hold time is counted; what sent nothing since the condition was made or"
        " changed is not missed; the incident closes with the next point, or"
        f" {duration(query.known)} after it opened, and is not opened again"
    )


def _gauge(query: Query) -> str:
    if is_nested(query):
        return (
            "it is added up over hosts in a nested query, of which New Relic does not notice the silence:"
            f" the incident of a service that is gone closes after {conditions.TIME_LIMIT // 3600} h"
        )
    metrics = [metric_of(series) for series in series_of(query)]
    extreme = "lowest" if any(metric.hosts == "min" for metric in metrics) else "highest"
    seconds = conditions.GAUGE_WINDOW
    return f"the condition looks at the {extreme} value of each {seconds} s, not at the newest"


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def page() -> str:
    """docs/newrelic-alerts.md: alert by alert, what is asked and what is different."""
    lines = [
        "# Alerts in New Relic",
        "",
        "The contract's alerts as New Relic has them, and where it cannot mean the same. The reasons for"
        " each idiom are in [newrelic.md](newrelic.md).",
        "",
        "For every alert:",
        "",
        *(f"- {text}" for text in EVERYWHERE),
    ]
    found = differences()
    for alert in ALERTS:
        lines += ["", f"## {alert.name}", ""]
        lines += [f"- contract: `{condition}`{_held(alert)}" for condition in alert.conditions]
        lines += [f"- New Relic: `{query}`" for query in conditions.queries(alert)]
        lines += [f"- different: {text}" for text in found[alert.name]] or ["- means the same"]
    return "\n".join(lines) + "\n"


def _held(alert: Alert) -> str:
    return f", for {duration(alert.hold)}" if alert.hold else ", at once"
