"""Each kind of panel as one of Grafana's: how it looks."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common, gauge, piechart, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as c
from grafana_foundation_sdk.models import dashboard as d
from grafana_foundation_sdk.models.piechart import PieChartLegendValues

from otel_accubooks.contract.alert import Severity
from otel_accubooks.contract.panel import Kind, Panel
from otel_accubooks.vendors.addresses import runbook
from otel_accubooks.vendors.grafana.queries import DOWN, HEALTHY, UNKNOWN, WARNED
from otel_accubooks.vendors.grafana.thresholds import steps
from otel_accubooks.vendors.grafana.units import axis_label, grafana_unit
from otel_accubooks.vendors.promql import SERVICE

# Each bar is the growth of the hour, or day, before it.
_MOST_BARS = 288
# Below a transparent step Grafana draws the line of a threshold in the colour of what is under it.
_NOTHING, _GREEN = "transparent", "green"
_SEVERITY_COLOURS: dict[Severity, str] = {"P0": "red", "P1": "orange", "P2": "yellow", "P3": "blue"}
_ALERT, _LAST = "Alert", "Last fired"
_COLUMNS = {"alertname": _ALERT, "severity": "Severity", SERVICE: "Service", "Value": _LAST}


def width(kind: Kind) -> int:
    """Of the 24 columns, before a line of panels is stretched to fill them."""
    match kind:
        case "lines":
            return 12
        case "bars":
            return 8
        case "stat" | "gauge" | "pie" | "status":
            return 6
        case "alerts":
            return 24


def shape(panel: Panel, runbooks: str) -> d.Panel:
    """A panel that looks as it should, and asks nothing yet."""
    match panel.kind:
        case "lines" | "bars":
            return _over_time(panel)
        case "stat":
            return _stat(panel)
        case "gauge":
            return _gauge(panel)
        case "pie":
            return _pie(panel)
        case "status":
            return _status()
        case "alerts":
            return _alerts(runbooks)


def _over_time(panel: Panel) -> d.Panel:
    made = (
        timeseries.Panel()
        .unit(grafana_unit(panel.unit))
        .axis_label(axis_label(panel.unit))
        .axis_soft_min(0)
        .line_width(2)
        .fill_opacity(0)
        .show_points(c.VisibilityMode.AUTO)
        .color_scheme(build.FieldColor().mode(d.FieldColorModeId.PALETTE_CLASSIC))
        .legend(
            common.VizLegendOptions()
            .display_mode(c.LegendDisplayMode.LIST)
            .placement(c.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common.VizTooltipOptions().mode(c.TooltipDisplayMode.MULTI).sort(c.SortOrder.DESCENDING)
        )
        .thresholds(_steps(panel, _NOTHING))
    )
    if panel.most is not None:
        made.max(panel.most)
    if panel.thresholds:
        drawn = c.GraphThresholdsStyleMode.LINE_AND_AREA
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(drawn))
    if panel.kind == "bars":
        _draw_bars(made)
    return made.build()


def _draw_bars(made: timeseries.Panel) -> None:
    (
        made.draw_style(c.GraphDrawStyle.BARS)
        .bar_alignment(c.BarAlignment.BEFORE)
        .line_width(0)
        .fill_opacity(80)
        .max_data_points(_MOST_BARS)
        .stacking(common.StackingConfig().mode(c.StackingMode.NORMAL).group("A"))
    )


def _stat(panel: Panel) -> d.Panel:
    coloured = c.BigValueColorMode.VALUE if panel.thresholds else c.BigValueColorMode.NONE
    return (
        stat.Panel()
        .unit(grafana_unit(panel.unit))
        .thresholds(_steps(panel, _GREEN))
        .color_scheme(build.FieldColor().mode(d.FieldColorModeId.THRESHOLDS))
        .color_mode(coloured)
        .graph_mode(c.BigValueGraphMode.NONE)
        .text_mode(c.BigValueTextMode.AUTO)
        .reduce_options(_newest())
        .build()
    )


def _gauge(panel: Panel) -> d.Panel:
    made = (
        gauge.Panel()
        .unit(grafana_unit(panel.unit))
        .min(0)
        .thresholds(_steps(panel, _GREEN))
        .color_scheme(build.FieldColor().mode(d.FieldColorModeId.THRESHOLDS))
        .show_threshold_markers(True)
        .reduce_options(_newest())
    )
    if panel.most is not None:
        made.max(panel.most)
    return made.build()


def _pie(panel: Panel) -> d.Panel:
    return (
        piechart.Panel()
        .unit(grafana_unit(panel.unit))
        .color_scheme(build.FieldColor().mode(d.FieldColorModeId.PALETTE_CLASSIC))
        .legend(
            piechart.PieChartLegendOptions()
            .display_mode(c.LegendDisplayMode.TABLE)
            .placement(c.LegendPlacement.RIGHT)
            .values([PieChartLegendValues.VALUE, PieChartLegendValues.PERCENT])
            .show_legend(True)
        )
        .reduce_options(_newest())
        .build()
    )


def _status() -> d.Panel:
    words = {
        UNKNOWN: ("Unknown: no health, or no alert rules", "#808080"),
        HEALTHY: ("Healthy", "green"),
        WARNED: ("Alerts are firing", "yellow"),
        DOWN: ("Unhealthy or unreachable", "red"),
    }
    shown = {
        str(value): d.ValueMappingResult(text=text, color=colour, index=place)
        for place, (value, (text, colour)) in enumerate(words.items())
    }
    return (
        stat.Panel()
        .mappings([d.ValueMap(options=shown)])
        .color_mode(c.BigValueColorMode.BACKGROUND)
        .graph_mode(c.BigValueGraphMode.NONE)
        .text_mode(c.BigValueTextMode.VALUE)
        .reduce_options(_newest())
        .build()
    )


def _alerts(runbooks: str) -> d.Panel:
    colours: dict[str, d.ValueMappingResult] = {
        severity: d.ValueMappingResult(color=colour, index=number)
        for number, (severity, colour) in enumerate(_SEVERITY_COLOURS.items())
    }
    link = {
        "title": "Runbook",
        "url": runbook(runbooks, "${__value.raw}"),
        "targetBlank": True,
    }
    return (
        table.Panel()
        .unit("string")
        .with_transformation(
            d.DataTransformerConfig(
                id_val="organize",
                options={
                    "excludeByName": {"Time": True},
                    "indexByName": {"Value": 0, "severity": 1, "alertname": 2, SERVICE: 3},
                    "renameByName": _COLUMNS,
                },
            )
        )
        .sort_by([common.TableSortByFieldState().display_name(_LAST).desc(True)])
        .override_by_name(_LAST, [d.DynamicConfigValue("unit", "dateTimeAsIso")])
        .override_by_name(_ALERT, [d.DynamicConfigValue("links", [link])])
        .override_by_name(
            "Severity",
            [
                d.DynamicConfigValue("mappings", [d.ValueMap(options=colours)]),
                d.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
            ],
        )
        .build()
    )


def _newest() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields("")


def _steps(panel: Panel, healthy: str) -> build.ThresholdsConfig:
    return (
        build.ThresholdsConfig()
        .mode(d.ThresholdsMode.ABSOLUTE)
        .steps(steps(panel.thresholds, healthy))
    )
