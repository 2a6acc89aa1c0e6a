"""Every backend's way to the same boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from otel_accubooks.verify import alertmanagers, metrics, redundancy, retention, rules, trying
from otel_accubooks.verify import prometheus as server
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.way import Site, Step, Way


def prometheus_alone() -> Way:
    """Prometheus and the Alertmanagers, without dashboards and without a test alert."""
    heartbeat = redundancy.Heartbeat()

    def backend(site: Site) -> Iterator[Look]:
        heartbeat.begin(site)
        yield from server.look_backend(site)

    return (
        Step("Prometheus, its clock and its newest data", ("backend",), backend),
        Step("the scrape interval", ("interval",), server.look_interval),
        Step("every metric", metrics.GROUPS, metrics.look_metrics),
        Step("every rule", rules.GIVES, rules.look_rules),
        Step("what fires now", ("calm",), rules.look_calm),
        Step("retention", ("retention",), retention.look_retention),
        Step("who is told of alerts", ("told",), alertmanagers.look_told),
        Step("the second Alertmanager", ("pair",), redundancy.look_pair),
        Step("the standby", ("standby",), redundancy.look_standby),
        Step("the heartbeat", ("heartbeat",), heartbeat.look),
    )


def _prometheus() -> Way:
    from otel_accubooks.verify.dashboards_step import STEPS as DASHBOARDS

    *servers, heartbeat = prometheus_alone()
    test = Step("a test alert, through the whole path", trying.GIVES, trying.look_test_alert)
    return (*servers, *DASHBOARDS, test, heartbeat)


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
