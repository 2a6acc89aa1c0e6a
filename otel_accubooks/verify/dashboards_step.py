"""The dashboards of a deployment, wherever it has them: in Grafana, in the built-in viewer, in both."""

from __future__ import annotations

from collections.abc import Iterator

from otel_accubooks.contract.alerts import WATCHDOG
from otel_accubooks.contract.query import MINUTE
from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.prometheus import Prometheus
from otel_accubooks.vendors.promql import quoted
from otel_accubooks.verify import grafana, viewer
from otel_accubooks.verify.dashboards import GIVES, access, watched
from otel_accubooks.verify.finding import until
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.prometheus import unix
from otel_accubooks.verify.source import clock
from otel_accubooks.verify.way import Site, Step


def _look(site: Site) -> Iterator[Look]:
    if not (site.servers.grafana or site.servers.viewer):
        said = (
            "no dashboards are known: give --grafana or --viewer, or set them in [servers] of the"
            " file of addresses (`otel-accubooks dashboards` serves the built-in viewer)"
        )
        yield from (Look(name, "failed", said) for name in GIVES)
        return
    try:
        seen = watched(site)
    except ApiError as error:
        yield from (Look(name, "failed", str(error)) for name in GIVES)
        return
    try:
        if not _keeps_alerts(seen.prometheus):
            site.say("waiting for the third evaluation of the alert rules")
            until(lambda: _keeps_alerts(seen.prometheus), MINUTE)
        if site.servers.grafana:
            yield from grafana.looks(site, seen)
        if site.servers.viewer:
            yield from viewer.looks(site, seen)
        if site.servers.public:
            yield viewer.public_look(site, seen)
        elif not site.servers.grafana:
            yield Look(
                access("executives"), "failed",
                "nobody but the teams can see the Executive Overview: expected it to be public; give"
                " --public, the address of a second viewer that was started with --only"
                " executive_overview",
            )  # fmt: skip
    finally:
        seen.prometheus.close()


def _keeps_alerts(client: Prometheus) -> bool:
    """Panels show alerts as Prometheus keeps them: from the third evaluation after its start on."""
    if client.query(f"ALERTS{{alertname={quoted(WATCHDOG)}}}"):
        return True
    started = client.runtime().get("startTime")  # not told by all that answer as Prometheus does
    return not started or clock(client) - unix(started) > MINUTE


STEPS: tuple[Step, ...] = (
    Step("the dashboards: their panels, their data, and who may see them", GIVES, _look),
)
