"""How a service stands, and which alerts fired: from what Prometheus keeps of its alert rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from otel_accubooks.contract.alert import Alert
from otel_accubooks.contract.alerts import BY_NAME, WATCHDOG
from otel_accubooks.contract.panel import URGENT, Panel
from otel_accubooks.contract.query import DAY, MINUTE
from otel_accubooks.servers.prometheus import Sample
from otel_accubooks.vendors.promql import SERVICE, promql, quoted
from otel_accubooks.viewer.prometheus import Prometheus, Rows
from otel_accubooks.viewer.reading import View, of_service

SHOWN = 10
_STEP = MINUTE
# Prometheus's own series of its alerts; those of others are none of our business.
_FIRING = f'ALERTS{{alertstate="firing", alertname=~{quoted("|".join(BY_NAME))}}}'
_SILENT = (
    f"{WATCHDOG} does not fire: was Prometheus started less than a minute ago? Else, are the rules"
    " of rendered/prometheus loaded?"
)
_OWN_LABELS = ("__name__", "alertname", "alertstate", "severity", "escalation", SERVICE)


@dataclass(frozen=True)
class Standing:
    """A colour and the reasons for it; grey where it is not known."""

    colour: Literal["green", "yellow", "red", "grey"]
    word: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Episode:
    """An alert that began to fire at `began` (Unix seconds), and did so for `lasted` seconds."""

    alert: Alert
    what: str
    began: float
    lasted: float
    firing: bool


@dataclass(frozen=True)
class Fired:
    """The last episodes, the newest first; `why` says why nothing can be known of them."""

    episodes: tuple[Episode, ...] = ()
    why: str = ""


def ask_standing(view: View, prometheus: Prometheus) -> Callable[[], Standing]:
    """Red as the alerts on reachability and health decide, yellow while an urgent one fires.

    What is answered is called for the standing, and raises UnansweredError.
    """
    worst = []
    for name in ("SystemUnreachable", "SystemUnhealthy"):
        (condition,) = BY_NAME[name].conditions
        query = of_service(condition.query, view.service)
        worst.append((BY_NAME[name], condition, prometheus.at(promql(query), view.moment)))
    firing = prometheus.at(_FIRING, view.moment)
    services = prometheus.services(view.moment)

    def standing() -> Standing:
        for alert, condition, answer in worst:
            values = [row.points[-1][1] for row in answer.result()]
            if condition.threshold in values:
                return Standing("red", "Down", (alert.summary,))
        if not all(answer.result() for _, _, answer in worst):
            reason = f"{worst[-1][1].query} of this service did not come"
            return Standing("grey", "No data", (reason,))
        if not _beats(firing.result()):
            return Standing("grey", "Unknown", (_SILENT,))
        about = _about(view.service, firing.result(), services.result())
        names = {row.labels["alertname"] for row in about}
        urgent = [a for name, a in BY_NAME.items() if name in names and a.severity in URGENT]
        if urgent:
            return Standing("yellow", "Degraded", tuple(alert.summary for alert in urgent))
        return Standing("green", "Healthy", ("It answers, and no alert fires",))

    return standing


def ask_fired(panel: Panel, view: View, prometheus: Prometheus) -> Callable[[], Fired]:
    """Which alerts fired in the panel's span; the answer is called for them."""
    end = math.ceil(view.moment / _STEP) * _STEP
    start = end - (panel.span or DAY)
    # Over the whole step, or a short one would fall between two points.
    expression = f"max_over_time({_FIRING}[{_STEP:.0f}s])"
    asked: Rows = prometheus.over(expression, start, end, _STEP, view.moment)
    services = prometheus.services(view.moment)

    def fired() -> Fired:
        rows = asked.result()
        if not _beats(rows):
            return Fired(why=_SILENT)
        episodes = [
            episode
            for row in _about(view.service, rows, services.result())
            if row.labels["alertname"] != WATCHDOG
            for episode in _episodes(row, end)
        ]
        episodes.sort(key=lambda episode: (-episode.began, episode.alert.name, episode.what))
        return Fired(tuple(episodes[:SHOWN]))

    return fired


def _beats(rows: list[Sample]) -> bool:
    return any(row.labels["alertname"] == WATCHDOG for row in rows)


def _about(service: str, rows: list[Sample], services: list[str]) -> list[Sample]:
    """Without what is said of another service; what is said of the gateway concerns every one."""
    others = set(services) - {service}
    return [row for row in rows if row.labels.get(SERVICE) not in others]


def _episodes(row: Sample, end: float) -> list[Episode]:
    alert = BY_NAME[row.labels["alertname"]]
    what = ", ".join(
        f"{name} {v}" for name, v in sorted(row.labels.items()) if name not in _OWN_LABELS
    )
    episodes: list[Episode] = []
    times = [time for time, _ in row.points]
    began = times[0]
    for time, following in zip(times, [*times[1:], None], strict=True):
        if following is None or following - time > _STEP * 1.5:
            # The newest step may have begun after the last evaluation.
            still = following is None and time >= end - _STEP * 1.5
            episodes.append(Episode(alert, what, began, time - began + _STEP, still))
            began = following or time
    return episodes
