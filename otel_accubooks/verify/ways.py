"""Every backend's way to the same boxes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from otel_accubooks.verify import alertmanagers, metrics, redundancy, retention, rules, trying
from otel_accubooks.verify import prometheus as server
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.source import FRESH_SECONDS, INTERVAL_SECONDS
from otel_accubooks.verify.way import Site, Step, Way

# What was cut off a moment before is no longer fresh then.
_SETTLED_SECONDS = FRESH_SECONDS + INTERVAL_SECONDS


def prometheus_alone(between: Way = ()) -> Way:
    """Prometheus and the Alertmanagers; `between`, dashboards and a test alert.

    What would still look well right after it broke, as its last points are fresh, comes last.
    """
    heartbeat = redundancy.Heartbeat()
    settled, answers = time.monotonic() + _SETTLED_SECONDS, False

    def backend(site: Site) -> Iterator[Look]:
        nonlocal answers
        heartbeat.begin(site)
        for look in server.look_backend(site):
            answers = look.state != "failed"
            yield look

    def every_metric(site: Site) -> Iterator[Look]:
        left = settled - time.monotonic()
        if answers and left > 0:
            site.say(f"waiting {left:.0f} s: what ended just before this began is not fresh then")
            time.sleep(left)
        yield from metrics.look_metrics(site)

    return (
        Step("Prometheus, its clock and its newest data", ("backend",), backend),
        Step("the scrape interval", ("interval",), server.look_interval),
        Step("every rule", rules.GIVES, rules.look_rules),
        Step("retention", ("retention",), retention.look_retention),
        Step("who is told of alerts", ("told",), alertmanagers.look_told),
        Step("the second Alertmanager", ("pair",), redundancy.look_pair),
        *between,
        Step("every metric", metrics.GROUPS, every_metric),
        Step("what fires now", ("calm",), rules.look_calm),
        Step("the standby", ("standby",), redundancy.look_standby),
        Step("the heartbeat", ("heartbeat",), heartbeat.look),
    )


def _prometheus() -> Way:
    from otel_accubooks.verify.dashboards_step import STEPS as DASHBOARDS

    test = Step("a test alert, through the whole path", trying.GIVES, trying.look_test_alert)
    other = Step("a test alert by the other Alertmanager", ("pair",), trying.look_others_of_pair)
    return prometheus_alone((*DASHBOARDS, test, other))


def _datadog() -> Way:
    from otel_accubooks.verify.datadog import STEPS

    return STEPS


def _newrelic() -> Way:
    from otel_accubooks.verify.newrelic import STEPS

    return STEPS


WAYS: dict[str, Callable[[], Way]] = {
    "prometheus": _prometheus,
    "datadog": _datadog,
    "newrelic": _newrelic,
}
