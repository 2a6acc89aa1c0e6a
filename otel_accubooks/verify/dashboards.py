"""What is looked at in every place that has the dashboards of a Prometheus, and how it is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from otel_accubooks.contract.checklist import LookName
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.metrics import BY_NAME, SYSTEM_UPTIME_SECONDS
from otel_accubooks.contract.panel import Dashboard, Panel, Team
from otel_accubooks.contract.query import series_of
from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.prometheus import Prometheus
from otel_accubooks.vendors.promql import SERVICE, quoted
from otel_accubooks.verify.finding import Finding, listed
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.metrics import RARE
from otel_accubooks.verify.source import FRESH_SECONDS, Source
from otel_accubooks.verify.way import Site

TEAMS: tuple[Team, ...] = tuple(dict.fromkeys(team for board in DASHBOARDS for team in board.teams))


def created(board: Dashboard) -> LookName:
    """The look at a dashboard's being there, as the contract has it."""
    return cast(LookName, f"dashboard {board.name}")


def shown(board: Dashboard) -> LookName:
    """The look at its data."""
    return cast(LookName, f"data {board.name}")


def access(team: Team) -> LookName:
    """The look at who may see it."""
    return cast(LookName, f"access {team}")


GIVES: tuple[LookName, ...] = (
    *map(created, DASHBOARDS), *map(shown, DASHBOARDS), "refresh", *map(access, TEAMS),
)  # fmt: skip


@dataclass(frozen=True)
class Watched:
    """The service whose dashboards are looked at, and the Prometheus that they should show."""

    prometheus: Prometheus
    service: str

    def fingerprint(self, moment: float) -> Mapping[str, float]:
        """Uptime in seconds by instance, as it was at `moment`: no other deployment has the same.

        Raises ApiError, also where there is none.
        """
        found = self.prometheus.query(fingerprint(self.service), moment)
        if not found:
            raise ApiError(
                f"{self.prometheus.address} has no {SYSTEM_UPTIME_SECONDS.name} of {self.service} in the"
                " last five minutes: does the application run, and its gateway?"
            )
        return {one.labels.get("instance", ""): one.value for one in found}


def fingerprint(service: str) -> str:
    """What tells one deployment from another, as PromQL."""
    return f"max by (instance) ({SYSTEM_UPTIME_SECONDS.name}{{{SERVICE}={quoted(service)}}})"


def same(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether two fingerprints of one moment are of the same deployment."""
    return (
        bool(one)
        and one.keys() == other.keys()
        # Two that scrape for themselves have points of other moments.
        and all(abs(one[name] - other[name]) <= FRESH_SECONDS / 2 for name in one)
    )


def ages(board: Dashboard, service: str) -> str:
    """PromQL for the seconds since the newest point of each metric of a dashboard, in label metric."""
    return " or ".join(
        f'label_replace(time() - max(timestamp({_points(name)}{{{SERVICE}={quoted(service)}}})), '
        f'"metric", "{name}", "", "")'
        for name in metrics_of(board)
    )  # fmt: skip


def stale(board: Dashboard, found: Mapping[str, float]) -> list[str]:
    """A line for each metric that came too long ago; `found` are seconds by metric."""
    told = []
    for name in metrics_of(board):
        if name not in found and name in RARE:
            continue
        if name not in found:
            told.append(f"{name}: no points in the last five minutes")
        elif found[name] > FRESH_SECONDS:
            told.append(f"{name}: newest point {found[name]:.0f} s ago")
    return told


def metrics_of(board: Dashboard) -> tuple[str, ...]:
    """Every metric that its panels read, each once."""
    read = [
        series.metric
        for panel in board.panels
        for curve in panel.curves
        for series in series_of(curve.query)
    ]
    return tuple(dict.fromkeys(read))


def data(
    board: Dashboard,
    place: str,
    faults: Mapping[str, str],
    old: Sequence[str],
    newest: float | None,
) -> Look:
    """The look at a dashboard's data in `place`.

    `faults` are by the title of the panel, `old` the lines of `stale`; `newest` is the age of the
    oldest of the newest points, in seconds.
    """
    finding = Finding(shown(board))
    rare = {title for title in faults if title in _rare(board)}
    bad = [title for title in faults if title not in rare]
    if bad:
        finding.faults.append(
            f"{place}: {board.title} shows no data in {len(bad)} of {len(board.panels)} panels"
            f" ({', '.join(bad)}): expected some in each; use the application so that there is some,"
            " and see `otel-accubooks doctor`"
        )
    if old:
        finding.faults.append(
            f"{place}: {board.title} shows what is old ({listed(old)}): expected points of the last"
            f" {FRESH_SECONDS:.0f} s; does the application run, and its gateway?"
        )
    if rare:
        finding.doubts.append(
            f"{place}: {board.title} is empty in {', '.join(sorted(rare))}: has that never happened in"
            " the application?"
        )
    told = "" if newest is None else f", newest points at most {newest:.0f} s old"
    finding.evidence += [
        f"{panel.title}: {faults.get(panel.title) or 'data'}" for panel in board.panels
    ]
    finding.evidence += old
    return finding.look(
        f"{place}: {len(board.panels)} panels of {board.title} were asked and show data{told}"
    )


def _rare(board: Dashboard) -> set[str]:
    """The panels that show only what need never have happened."""
    return {
        panel.title
        for panel in board.panels
        if panel.curves
        and all(s.metric in RARE for curve in panel.curves for s in series_of(curve.query))
    }


def needs_data(panel: Panel) -> bool:
    """False where nothing is an answer, too: no alert fired."""
    return panel.kind != "alerts"


def _points(metric: str) -> str:
    return f"{metric}_count" if BY_NAME[metric].type == "histogram" else metric


def watched(site: Site) -> Watched:
    """What the dashboards should show. Raises ApiError where nothing is there to be shown."""
    prometheus = Prometheus(site.servers.prometheus)
    try:
        source = Source(prometheus, site.servers.service)
        if source.fault:
            raise ApiError(f"Prometheus at {prometheus.address}: {source.fault}")
    except ApiError:
        prometheus.close()
        raise
    return Watched(prometheus, source.job)
