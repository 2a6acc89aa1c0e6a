"""A panel as one or more of Datadog's widgets."""

from __future__ import annotations

import re
from collections.abc import Callable

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.panel import URGENT, Curve, Kind, Panel, Threshold
from otel_accubooks.contract.query import DAY, HOUR, Growth, Last, Quantile, Series, Share
from otel_accubooks.vendors.datadog import messages
from otel_accubooks.vendors.datadog.curves import Drawn, number, over_time
from otel_accubooks.vendors.datadog.units import number_format
from otel_accubooks.vendors.datadog.widgets import (
    Axis,
    Definition,
    Format,
    Formula,
    Lines,
    Marker,
    Number,
    Palette,
    QueryValue,
    Span,
    Toplist,
)

_SPANS: dict[float, Span] = {HOUR: {"live_span": "1h"}, DAY: {"live_span": "1d"}}
_MOST_ROWS = 100
_PALETTE: dict[str, Palette] = {"yellow": "white_on_yellow", "red": "white_on_red"}
_URGENT = f"priority:({' OR '.join(f'p{messages.PRIORITY[severity]}' for severity in URGENT)})"


def widgets(panel: Panel) -> list[Definition]:
    """What shows it; several where Datadog shows one number in each."""
    show: dict[Kind, Callable[[Panel], list[Definition]]] = {
        "lines": _lines,
        "bars": _lines,
        "stat": _numbers,
        "gauge": _numbers,
        "pie": _pie,
        "status": _status,
        "alerts": _alerts,
    }
    return show[panel.kind](panel)


def _lines(panel: Panel) -> list[Definition]:
    bars = panel.kind == "bars"
    requests: list[Lines] = []
    for curve in panel.curves:
        drawn = over_time(curve.query, bars=bars)
        requests.append(
            {
                "response_format": "timeseries",
                "queries": drawn.queries,
                "formulas": [_formula(panel, curve, drawn)],
                "display_type": "bars" if bars else "line",
            }
        )
    axis: Axis = {"include_zero": True}
    return [
        {
            "type": "timeseries",
            "title": panel.title,
            "requests": requests,
            "markers": [_marker(threshold) for threshold in panel.thresholds],
            "yaxis": axis,
            "show_legend": True,
        }
    ]


def _numbers(panel: Panel) -> list[Definition]:
    found: list[Definition] = []
    for curve in panel.curves:
        title = panel.title if len(panel.curves) == 1 else f"{panel.title}, {curve.name}"
        title = _LABEL.sub("", title)
        found.append(
            _ranked(panel, curve, title)
            if getattr(curve.query, "by", ())
            else _one(panel, curve, title)
        )
    return found


def _one(panel: Panel, curve: Curve, title: str) -> QueryValue:
    widget: QueryValue = {
        "type": "query_value",
        "title": title,
        "requests": [_number(panel, curve)],
        "autoscale": True,
        "precision": 2,
    }
    if panel.most is not None:
        axis: Axis = {"min": "0", "max": f"{panel.most:g}"}
        widget["timeseries_background"] = {"type": "area", "yaxis": axis}
    if (span := _span(curve)) is not None:
        widget["time"] = span
    return widget


def _ranked(panel: Panel, curve: Curve, title: str) -> Toplist:
    """One number for each group."""
    return {
        "type": "toplist",
        "title": title,
        "requests": [
            {
                **_number(panel, curve),
                "sort": {
                    "count": _MOST_ROWS,
                    "order_by": [{"type": "formula", "index": 0, "order": "desc"}],
                },
            }
        ],
    }


def _pie(panel: Panel) -> list[Definition]:
    return [
        {
            "type": "sunburst",
            "title": panel.title,
            "requests": [_number(panel, curve) for curve in panel.curves],
            "legend": {"type": "automatic"},
        }
    ]


def _status(panel: Panel) -> list[Definition]:
    """Health in green or red, and beside it whatever of P0 to P2 fires: reachability among them."""
    health = Curve(panel.title, Last(Series(m.SYSTEM_HEALTH_STATUS.name)))
    request = _number(panel, health)
    request["formulas"][0]["conditional_formats"] = [
        {"comparator": "<=", "value": 0, "palette": "white_on_red"},
        {"comparator": ">", "value": 0, "palette": "white_on_green"},
    ]
    return [
        {
            "type": "query_value",
            "title": panel.title,
            "requests": [request],
            "autoscale": False,
            "precision": 0,
        },
        {
            "type": "manage_status",
            "title": f"{panel.title}: alerts",
            "query": f'tag:"{messages.MANAGED}" {_URGENT}',
            "display_format": "countsAndList",
            "summary_type": "monitors",
            "color_preference": "background",
            "sort": "status,asc",
            "hide_zero_counts": False,
            "show_last_triggered": True,
        },
    ]


def _alerts(panel: Panel) -> list[Definition]:
    span = _SPANS[panel.span or DAY]
    return [
        {
            "type": "list_stream",
            "title": panel.title,
            "requests": [
                {
                    "response_format": "event_list",
                    "columns": [
                        {"field": "timestamp", "width": "auto"},
                        {"field": "message", "width": "full"},
                    ],
                    "query": {
                        "data_source": "event_stream",
                        "query_string": f"source:alert {messages.MANAGED} -part:*",
                        "event_size": "s",
                    },
                }
            ],
            "time": span,
        }
    ]


def _number(panel: Panel, curve: Curve) -> Number:
    drawn = number(curve.query)
    formula = _formula(panel, curve, drawn)
    if panel.thresholds:
        formula["conditional_formats"] = _formats(panel.thresholds)
    return {"response_format": "scalar", "queries": drawn.queries, "formulas": [formula]}


_LABEL = re.compile(r"[ ,]*\{\w+\}")


def _formula(panel: Panel, curve: Curve, drawn: Drawn) -> Formula:
    formula: Formula = {"formula": drawn.formula}
    # Datadog shows the values of tags by itself.
    if alias := _LABEL.sub("", curve.name):
        formula["alias"] = alias
    if (unit := number_format(panel.unit)) is not None:
        formula["number_format"] = unit
    return formula


def _span(curve: Curve) -> Span | None:
    """A number looks back over its own window."""
    query = curve.query
    return _SPANS[query.window] if isinstance(query, (Growth, Share, Quantile)) else None


def _marker(threshold: Threshold) -> Marker:
    return {
        "value": f"y = {threshold.value:g}",
        "display_type": "error dashed" if threshold.colour == "red" else "warning dashed",
    }


def _formats(thresholds: tuple[Threshold, ...]) -> list[Format]:
    """The most urgent first: the first that fits is taken."""
    urgent = sorted(thresholds, key=lambda one: one.colour != "red")
    found: list[Format] = [
        {
            "comparator": "<=" if one.below else ">=",
            "value": one.value,
            "palette": _PALETTE[one.colour],
        }
        for one in urgent
    ]
    mildest = urgent[-1]
    return [
        *found,
        {
            "comparator": ">" if mildest.below else "<",
            "value": mildest.value,
            "palette": "white_on_green",
        },
    ]
