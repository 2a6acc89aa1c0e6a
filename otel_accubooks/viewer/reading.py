"""What a panel shows of one service: its queries asked of Prometheus, and what came back."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from otel_accubooks.contract.panel import Curve, Dashboard, Panel
from otel_accubooks.contract.query import Growth, Query, Series, Where, series_of
from otel_accubooks.servers.prometheus import Sample
from otel_accubooks.vendors.promql import SERVICE, duration, promql, quoted
from otel_accubooks.viewer.prometheus import Prometheus, Rows
from otel_accubooks.viewer.units import hours

_POINTS = 240
_SHORTEST_STEP = 15.0
_ROUND = 30.0


@dataclass(frozen=True)
class View:
    """What is looked at: a dashboard, of one service, the `span` seconds before `moment`."""

    dashboard: Dashboard
    service: str
    span: float
    moment: float


@dataclass(frozen=True)
class Group:
    """One line, bar or number: a value for each time of its reading, None where there is none."""

    name: str
    values: tuple[float | None, ...]

    @property
    def last(self) -> float | None:
        """Its newest value."""
        return next((value for value in reversed(self.values) if value is not None), None)


@dataclass(frozen=True)
class Reading:
    """The groups of a panel, at `start` and every `step` seconds after it (Unix seconds).

    `why` says why there is nothing, where there is nothing.
    """

    panel: Panel
    start: float
    step: float
    groups: tuple[Group, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class _Grid:
    start: float
    step: float
    count: int

    @property
    def end(self) -> float:
        return self.start + (self.count - 1) * self.step


@dataclass
class _Asked:
    curve: Curve
    rows: Rows
    grid: _Grid = field(repr=False)


def of_service(query: Query, service: str) -> Query:
    """The same question, asked of one service alone."""
    narrowed: Query = _narrowed(query, Where(SERVICE, service))
    return narrowed


def ask(panel: Panel, view: View, prometheus: Prometheus) -> Callable[[], Reading]:
    """Sends the panel's questions; what it answers is called for the reading.

    That raises UnansweredError.
    """
    grid = _grid(panel, view)
    asked = []
    for curve in panel.curves:
        expression = promql(of_service(curve.query, view.service))
        if grid.count == 1:
            rows = prometheus.at(expression, view.moment)
        else:
            rows = prometheus.over(expression, grid.start, grid.end, grid.step, view.moment)
        asked.append(_Asked(curve, rows, grid))

    def reading() -> Reading:
        groups = tuple(group for one in asked for group in _groups(one))
        if panel.kind in ("bars", "pie") and any(any(group.values) for group in groups):
            # A tier that nobody has is not worth a colour.
            groups = tuple(group for group in groups if any(group.values))
        why = "" if groups else _why(panel, view, prometheus)
        return Reading(panel, grid.start, grid.step, groups, why)

    return reading


def _grid(panel: Panel, view: View) -> _Grid:
    span = panel.span or view.span
    if panel.kind == "lines":
        # At round times, or a curve would tremble as its points move along; yet never long ago.
        step = max(_SHORTEST_STEP, span / _POINTS)
        round_to = min(step, _ROUND)
        end = math.floor(view.moment / round_to) * round_to
        return _Grid(end - span, step, round(span / step) + 1)
    if panel.kind == "bars":
        # Side by side: a bar is as wide as the time that it counts.
        windows = {curve.query.window for curve in panel.curves if isinstance(curve.query, Growth)}
        step = max(windows)
        count = max(1, int(span // step))
        return _Grid(view.moment - (count - 1) * step, step, count)
    return _Grid(view.moment, span, 1)


def _groups(asked: _Asked) -> list[Group]:
    groups = [
        Group(_name(asked.curve.name, row.labels), _values(row, asked.grid))
        for row in asked.rows.result()
    ]
    told = [group for group in groups if group.last is not None]
    return sorted(told, key=lambda group: group.name)


def _values(row: Sample, grid: _Grid) -> tuple[float | None, ...]:
    values: list[float | None] = [None] * grid.count
    for time, value in row.points:
        place = round((time - grid.start) / grid.step)
        # The quantile of nothing is not a number.
        if 0 <= place < grid.count and math.isfinite(value):
            values[place] = value
    return tuple(values)


def _name(name: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: labels.get(found[1]) or "?", name)


def _narrowed(part: Any, where: Where) -> Any:
    if isinstance(part, tuple):
        return tuple(_narrowed(one, where) for one in part)
    if isinstance(part, Series):
        return dataclasses.replace(part, where=(*part.where, where))
    if not dataclasses.is_dataclass(part) or isinstance(part, (type, Where)):
        return part
    changes = {f.name: _narrowed(getattr(part, f.name), where) for f in dataclasses.fields(part)}
    return dataclasses.replace(part, **changes)


def _why(panel: Panel, view: View, prometheus: Prometheus) -> str:
    """Has anything of its metrics come at all?"""
    names = sorted({s.metric for curve in panel.curves for s in series_of(curve.query)})
    named = quoted(f"({'|'.join(names)})(_count)?")
    match = f"{{__name__=~{named}, {SERVICE}={quoted(view.service)}}}"
    span = panel.span or view.span
    came = f"group(last_over_time({match}[{duration(span)}]))"
    told = " or ".join(names)
    if prometheus.at(came, view.moment).result():
        return f"{told} came in the last {hours(span)}, but there was nothing to compute this from"
    return f"{told} did not come in the last {hours(span)}"
