"""Readings as Plotly figures: plain dictionaries, as Plotly's JSON schema has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from otel_accubooks.contract.panel import Panel, Threshold
from otel_accubooks.contract.query import DAY
from otel_accubooks.viewer.reading import Group, Reading
from otel_accubooks.viewer.units import axis_texts, short, spelled, text, ticks

Figure = dict[str, Any]

COLOURS = (
    "#2f6fb7", "#e08a3c", "#3a9e84", "#b0507f", "#7a68b8", "#8c8f3a", "#4ba3c7", "#a0624a",
)  # fmt: skip
LIMITS = {"yellow": "#d39a00", "red": "#c9372c"}
_BANDS = {"yellow": "#f7e6b0", "red": "#f3c1bb"}
_INK, _FAINT, _RULE = "#3b4450", "#7b8592", "#e8ebef"
_FONT = {"family": "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif", "size": 11, "color": _FAINT}
# A limit so far above the curve would flatten it; the panel's head names it all the same.
_FARTHEST = 5.0
HEIGHT = 176  # pixels, as in viewer.css


def colour(number: int) -> str:
    """That of the curve of this number."""
    return COLOURS[number % len(COLOURS)]


def lines(reading: Reading) -> Figure:
    """A curve for each group, with the limits that are near."""
    data = [
        {
            "type": "scatter", "mode": "lines", "name": _cut(group.name),
            "x0": _moment(reading.start), "dx": reading.step * 1000, "y": group.values,
            # A single value among none would not be seen as a line.
            **({"mode": "lines+markers", "marker": {"size": 5}} if _lonely(group) else {}),
            "line": {"color": colour(i), "width": 1.7}, "hovertemplate": _hover(reading.panel.unit),
        }
        for i, group in enumerate(reading.groups)
    ]  # fmt: skip
    tops = [v for group in reading.groups for v in group.values if v is not None]
    count = max((len(group.values) for group in reading.groups), default=1)
    end = reading.start + (count - 1) * reading.step
    return _over_time(reading, data, max(tops), (reading.start, end))


def bars(reading: Reading) -> Figure:
    """A bar for each step; of a single step one for each group."""
    if len(reading.groups[0].values) == 1:
        return _bars_by_group(reading)
    data = [
        {
            "type": "bar", "name": _cut(group.name), "y": group.values,
            # Ends when the time that it counts ends.
            "x0": _moment(reading.start - reading.step / 2), "dx": reading.step * 1000,
            "marker": {"color": colour(i)}, "hovertemplate": _hover(reading.panel.unit),
        }
        for i, group in enumerate(reading.groups)
    ]  # fmt: skip
    columns = zip(*(group.values for group in reading.groups), strict=True)
    top = max(sum(value or 0 for value in column) for column in columns)
    end = reading.start + (len(reading.groups[0].values) - 1) * reading.step
    figure = _over_time(reading, data, top, (reading.start - reading.step, end))
    return figure | {"layout": figure["layout"] | {"barmode": "stack", "bargap": 0.25}}


def gauges(reading: Reading) -> Figure:
    """A half circle for each group, from 0 to the panel's `most`."""
    most = reading.panel.most or 100.0
    count = len(reading.groups)
    data = []
    for i, group in enumerate(reading.groups):
        value = group.last or 0.0
        reached = limit_of(value, reading.panel.thresholds)
        data.append(
            {
                "type": "indicator", "mode": "gauge", "value": value,
                "domain": {"x": [i / count + 0.02, (i + 1) / count - 0.02], "y": [0, 1]},
                "gauge": {
                    "axis": {"range": [0, most], "tickvals": [0, most], "tickfont": _FONT},
                    "bar": {"color": LIMITS[reached] if reached else colour(i), "thickness": 0.65},
                    "bgcolor": "#f1f3f6", "borderwidth": 0,
                    "steps": _bands(reading.panel.thresholds, most),
                },
            }
        )  # fmt: skip
    # The number itself in the middle of each, with its unit.
    notes = [
        _note(
            text(group.last or 0.0, reading.panel.unit),
            (i + 0.5) / count, 0.12 if count == 1 else 0.2, 22 if count < 3 else 15,
        )
        for i, group in enumerate(reading.groups)
    ]  # fmt: skip
    layout = _layout(annotations=notes, margin={"l": 18, "r": 18, "t": 14, "b": 10})
    return {"data": data, "layout": layout}


def pie(reading: Reading) -> Figure:
    """A ring, with the sum in its middle."""
    values = [group.last or 0.0 for group in reading.groups]
    data = {
        "type": "pie", "hole": 0.66, "sort": False, "direction": "clockwise",
        "labels": [_cut(group.name) for group in reading.groups], "values": values,
        "marker": {
            "colors": [colour(i) for i in range(len(values))],
            "line": {"color": "#ffffff", "width": 2},
        },
        "textinfo": "none",
        "text": [text(value, reading.panel.unit) for value in values],
        "hovertemplate": "%{label}: %{text}, %{percent}<extra></extra>",
    }  # fmt: skip
    middle = _note(text(sum(values), reading.panel.unit).replace(" ", "<br>", 1), 0.5, 0.5, 15)
    margin = {"l": 8, "r": 8, "t": 8, "b": 8}
    return {"data": [data], "layout": _layout(annotations=[middle], margin=margin)}


def blank() -> Figure:
    """Nothing yet, or nothing at all."""
    return {"data": [], "layout": _layout(xaxis={"visible": False}, yaxis={"visible": False})}


def limit_of(value: float | None, thresholds: Sequence[Threshold]) -> str | None:
    """The colour that a value turns its panel, red before yellow."""
    if value is None:
        return None
    passed = {t.colour for t in thresholds if (value < t.value if t.below else value > t.value)}
    return "red" if "red" in passed else "yellow" if passed else None


def _bars_by_group(reading: Reading) -> Figure:
    unit = reading.panel.unit
    values = [group.last or 0.0 for group in reading.groups]
    data = {
        "type": "bar",
        "x": [_cut(group.name) for group in reading.groups],
        "y": values,
        "text": [short(value, unit) for value in values],
        "textposition": "outside",
        "textfont": {**_FONT, "color": _INK},
        "cliponaxis": False,
        "marker": {"color": [colour(i) for i in range(len(values))]},
        "hovertemplate": _hover(unit),
    }
    top = max(values)
    axes = {
        "yaxis": _value_axis(top * 1.15, reading.panel),
        "xaxis": {"fixedrange": True, "type": "category", "tickfont": _FONT},
    }
    return {"data": [data], "layout": _layout(bargap=0.45, **axes)}


def _over_time(
    reading: Reading, data: list[Any], top: float, between: tuple[float, float]
) -> Figure:
    start, end = between
    limits = reading.panel.thresholds
    near = [t.value for t in limits if t.below or top == 0 or t.value <= _FARTHEST * top]
    axis = _value_axis(max([top, *near]), reading.panel)
    short_span = end - start <= DAY
    drawn = [t for t in limits if t.value <= axis["range"][1]]
    layout = _layout(
        hovermode="x unified",
        hoverlabel={"font": {**_FONT, "color": _INK}, "bgcolor": "#ffffff", "bordercolor": _RULE},
        xaxis={
            "type": "date", "range": [_moment(start), _moment(end)], "nticks": 6,
            "tickformat": "%H:%M" if short_span else "%-d %b %H:%M",
            "hoverformat": "%H:%M:%S" if reading.step < 60 else "%-d %b %H:%M",
            "showgrid": False, "linecolor": _RULE, "ticks": "outside", "tickcolor": _RULE,
        },
        yaxis=axis,
        shapes=[
            {
                "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": t.value, "y1": t.value,
                "line": {"color": LIMITS[t.colour], "width": 1.2, "dash": "dash"},
            }
            for t in drawn
        ],
    )  # fmt: skip
    return {"data": data, "layout": layout}


def _value_axis(top: float, panel: Panel) -> dict[str, Any]:
    values = [0.0, 25, 50, 75, 100] if panel.unit == "%" and 25 < top <= 100 else []
    values = values or ticks(max(top, 0.0) or 1.0, panel.unit)
    texts = axis_texts(values, panel.unit)
    high = values[-1] * 1.04
    return {
        "range": [-0.02 * high, high], "fixedrange": True, "zeroline": False, "gridcolor": _RULE,
        "tickvals": values, "ticktext": texts,
    }  # fmt: skip


def _layout(**more: Any) -> dict[str, Any]:
    margin = {"l": 52, "r": 10, "t": 8, "b": 24}
    return {
        "font": _FONT, "showlegend": False, "margin": margin, "autosize": True,
        "height": HEIGHT, "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        # What a reader has zoomed into stays so over a refresh.
        "uirevision": "kept", **more,
    }  # fmt: skip


def _bands(thresholds: Sequence[Threshold], most: float) -> list[dict[str, Any]]:
    ordered = sorted((t for t in thresholds if not t.below), key=lambda t: t.value)
    ends = [*(t.value for t in ordered), most][1:]
    return [
        {"range": [t.value, end], "color": _BANDS[t.colour], "thickness": 1}
        for t, end in zip(ordered, ends, strict=True)
    ]


def _note(shown: str, x: float, y: float, size: int) -> dict[str, Any]:
    font = {**_FONT, "size": size, "color": _INK}
    place = {"x": x, "y": y, "xref": "paper", "yref": "paper", "xanchor": "center"}
    return {"text": shown, "showarrow": False, "font": font, "yanchor": "middle", **place}


def _hover(unit: str) -> str:
    return f"%{{y:,.4~r}} {spelled(unit)}".rstrip()


def _lonely(group: Group) -> bool:
    return sum(value is not None for value in group.values) == 1


def _cut(name: str) -> str:
    """Hosts have long names; and Plotly would take tags for its own."""
    return (name if len(name) <= 24 else f"{name[:23]}…").replace("<", "&lt;")


def _moment(seconds: float) -> str:
    """Plotly draws a time as it is written: all of them by the clock of UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
