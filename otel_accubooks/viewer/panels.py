"""One panel as a card: its head with its limits, what it shows, the names of its curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from dash import dcc, html

from otel_accubooks.contract.alert import Alert
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.panel import Panel, Threshold
from otel_accubooks.contract.query import series_of
from otel_accubooks.vendors.addresses import runbook
from otel_accubooks.viewer import figures
from otel_accubooks.viewer.prometheus import Prometheus
from otel_accubooks.viewer.reading import Reading, View, ask
from otel_accubooks.viewer.standing import Episode, Fired, Standing, ask_fired, ask_standing
from otel_accubooks.viewer.units import parts, short, spelled, text

_DRAWN: dict[str, Callable[[Reading], figures.Figure]] = {
    "lines": figures.lines,
    "bars": figures.bars,
    "gauge": figures.gauges,
    "pie": figures.pie,
}
_PLAIN = {"displayModeBar": False, "displaylogo": False}
_NAMED_MOST = 12


@dataclass(frozen=True)
class Shown:
    """What a panel shows now: its figure if it has one, what stands below it, its colour.

    `empty` is True where there is no data.
    """

    below: list[Any]
    figure: figures.Figure | None = None
    colour: str = ""
    empty: bool = False


def frame(panel: Panel, runbooks: str) -> Any:
    """The card without its data. Parts with data have ids by the panel's title."""
    unit = spelled(panel.unit) if panel.kind in ("lines", "bars") else ""
    head = [
        html.H3(panel.title),
        html.Span(unit, className="unit"),
        html.Span([_limit(panel, limit, runbooks) for limit in panel.thresholds], className="end"),
    ]
    below = html.Div(id={"below": panel.title}, className="below")
    inside: list[Any] = [below]
    if panel.kind in _DRAWN:
        graph = dcc.Graph(
            id={"graph": panel.title},
            figure=figures.blank(),
            config=_PLAIN,
            style={"height": f"{figures.HEIGHT}px"},
        )
        inside = [graph, below]
    return html.Section(
        [html.Header(head), *inside], id={"card": panel.title}, className=class_of(panel)
    )


def class_of(panel: Panel, colour: str = "") -> str:
    """The CSS class of a panel's card."""
    return f"card {panel.kind} {colour}".rstrip()


def ask_shown(
    panel: Panel, view: View, prometheus: Prometheus, runbooks: str
) -> Callable[[], Shown]:
    """Sends what the panel asks; what it answers is called for what it shows.

    That raises UnansweredError.
    """
    if panel.kind == "status":
        standing = ask_standing(view, prometheus)
        return lambda: _standing(standing())
    if panel.kind == "alerts":
        fired = ask_fired(panel, view, prometheus)
        return lambda: _fired(fired(), runbooks)
    reading = ask(panel, view, prometheus)
    return lambda: shown(reading())


def shown(reading: Reading) -> Shown:
    """What a panel with curves shows."""
    panel = reading.panel
    if not reading.groups:
        return nothing(panel, reading.why)
    reached = {figures.limit_of(group.last, panel.thresholds) for group in reading.groups}
    colour = "red" if "red" in reached else "yellow" if "yellow" in reached else ""
    if panel.kind == "stat":
        return Shown(_numbers(reading), colour=colour)
    return Shown(_names(reading), _DRAWN[panel.kind](reading), colour)


def nothing(panel: Panel, why: str) -> Shown:
    """A panel without data says so, and why."""
    told = [html.Div([html.Strong("no data"), html.Span(why)], className="nothing")]
    return Shown(told, figures.blank() if panel.kind in _DRAWN else None, empty=True)


def alert_of(panel: Panel, limit: Threshold) -> Alert | None:
    """The alert that fires beyond a limit of a panel: of the same metrics and the same value."""
    shown = [{series.metric for series in series_of(curve.query)} for curve in panel.curves]
    for alert in ALERTS:
        for condition in alert.conditions:
            asked = {series.metric for series in series_of(condition.query)}
            below = condition.comparison == "<"
            if (condition.threshold, below) == (limit.value, limit.below) and asked in shown:
                return alert
    return None


def _limit(panel: Panel, limit: Threshold, runbooks: str) -> Any:
    shown = f"{'<' if limit.below else '>'} {short(limit.value, panel.unit)}"
    alert = alert_of(panel, limit)
    if alert is None:
        return html.Span(shown, className=f"limit {limit.colour}")
    told = f"{alert.name}: {alert.summary}"
    return html.A(
        shown, href=runbook(runbooks, alert.name), title=told, className=f"limit {limit.colour}"
    )


def _names(reading: Reading) -> list[Any]:
    """Each curve's colour, name and newest value; one curve alone needs no name."""
    groups = reading.groups[:_NAMED_MOST]
    names = [
        html.Span(
            [
                html.I(style={"background": figures.colour(i)}),
                html.Span(group.name, className="name", title=group.name),
                html.B(_shown(group.last, reading.panel.unit)),
            ],
            className="curve",
        )
        for i, group in enumerate(groups)
    ]
    if more := len(reading.groups) - len(groups):
        names.append(html.Span(f"and {more} more", className="curve"))
    alone = reading.panel.kind == "gauge" and len(groups) == 1
    return [html.Div([] if alone else names, className="names")]


def _numbers(reading: Reading) -> list[Any]:
    panel = reading.panel
    numbers = []
    for group in reading.groups:
        number, unit = parts(group.last or 0.0, panel.unit)
        state = figures.limit_of(group.last, panel.thresholds) or ""
        named = group.name if group.name != panel.title else ""
        big = [html.B(number), html.Span(unit, className="of")]
        numbers.append(
            html.Div([html.Div(big, className=f"big {state}"), html.Div(named)], className="number")
        )
    return [html.Div(numbers, className="numbers")]


def _standing(standing: Standing) -> Shown:
    reasons = [html.Li(reason) for reason in standing.reasons]
    lamp = html.Div([html.I(), html.B(standing.word)], className=f"lamp {standing.colour}")
    colour = standing.colour if standing.colour in ("yellow", "red") else ""
    below = [lamp, html.Ul(reasons, className="reasons")]
    return Shown(below, colour=colour, empty=standing.colour == "grey")


def _fired(fired: Fired, runbooks: str) -> Shown:
    if fired.why:
        return Shown([html.P(f"no data: {fired.why}", className="quiet")], empty=True)
    if not fired.episodes:
        return Shown([html.P("No alert fired.", className="quiet")])
    titles = ("Since, UTC", "For", "", "", "Alert", "What", "Of")
    head = html.Tr([html.Th(title) for title in titles])
    rows = [_row(episode, runbooks) for episode in fired.episodes]
    return Shown([html.Table([html.Thead(head), html.Tbody(rows)])])


def _row(episode: Episode, runbooks: str) -> Any:
    alert = episode.alert
    began = datetime.fromtimestamp(episode.began, timezone.utc)
    return html.Tr(
        [
            html.Td(f"{began:%d %b %H:%M}", className="when"),
            html.Td(text(episode.lasted, "s"), className="ended"),
            html.Td("firing" if episode.firing else "", className="firing"),
            html.Td(html.Span(alert.severity, className=f"severity {alert.severity}")),
            html.Td(html.A(alert.name, href=runbook(runbooks, alert.name))),
            html.Td(alert.summary),
            html.Td(episode.what, className="what", title=episode.what),
        ]
    )


def _shown(value: float | None, unit: str) -> str:
    return "" if value is None else short(value, unit)
