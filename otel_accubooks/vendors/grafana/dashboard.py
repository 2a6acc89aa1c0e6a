"""A dashboard of the contract as Grafana's: variables, times, rows, and where each panel is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as d
from grafana_foundation_sdk.models.common import DataSourceRef

from otel_accubooks.contract.metrics import SYSTEM_UPTIME_SECONDS
from otel_accubooks.contract.panel import Dashboard, Panel, Section
from otel_accubooks.contract.query import HOUR
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.grafana.folders import MARK, uid
from otel_accubooks.vendors.grafana.kinds import width
from otel_accubooks.vendors.grafana.panels import grafana_panel
from otel_accubooks.vendors.grafana.queries import Asked
from otel_accubooks.vendors.promql import SERVICE, duration

_PROMETHEUS = "prometheus"
_COLUMNS = 24
_HEIGHT = 8
_TAG = "accubooks"


def dashboard(board: Dashboard, to: Addresses, data_source: str) -> d.Dashboard:
    """One dashboard. A public one has no variables, for Grafana shares none that has."""
    made = (
        build.Dashboard(board.title)
        .uid(uid(board.name))
        .tags([_TAG, MARK])
        .readonly()
        .timezone("browser")
        .tooltip(d.DashboardCursorSync.CROSSHAIR)
        .refresh(duration(board.refresh))
        .time(f"now-{duration(board.span)}", "now")
    )
    if board.spans:
        made.timepicker(_ranges(sorted({board.span, *board.spans})))
    made.variables([] if board.public else [_data_source(), _services()]).annotations([])
    result = made.build()
    result.links = [] if board.public else [_others()]
    result.panels = list(_panels(board, _asked(board, data_source), to.runbooks))
    return result


def _asked(board: Dashboard, data_source: str) -> Asked:
    source = data_source if board.public else "${datasource}"
    services = None if board.public else f"${SERVICE}"
    return Asked(DataSourceRef(type_val=_PROMETHEUS, uid=source), services)


def _ranges(spans: Sequence[float]) -> build.TimePicker:
    return build.TimePicker().quick_ranges(
        [
            build.TimeOption()
            .display(f"Last {span / HOUR:g} hour{'s' if span > HOUR else ''}")
            .from_val(f"now-{duration(span)}")
            .to("now")
            for span in spans
        ]
    )


def _data_source() -> build.DatasourceVariable:
    return build.DatasourceVariable("datasource").label("Data source").type(_PROMETHEUS)


def _services() -> build.QueryVariable:
    """Every service that sends, all of them chosen at first: each has rows of its own."""
    return (
        build.QueryVariable(SERVICE)
        .label(SERVICE.capitalize())
        .datasource(DataSourceRef(type_val=_PROMETHEUS, uid="${datasource}"))
        .query(f"label_values({SYSTEM_UPTIME_SECONDS.name}, {SERVICE})")
        .refresh(d.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(d.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(d.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _others() -> d.DashboardLink:
    """To the other dashboards, of the same services and times."""
    link = d.DashboardLink(
        title="AccuBooks",
        type_val=d.DashboardLinkType.DASHBOARDS,
        tags=[_TAG],
        as_dropdown=True,
        include_vars=True,
        keep_time=True,
    )
    # The SDK would put it into a menu, where nobody looks for it.
    link.placement = None  # type: ignore[assignment]
    return link


def _panels(board: Dashboard, asked: Asked, runbooks: str) -> Iterator[d.Panel | d.RowPanel]:
    top = number = 0
    for section in board.sections:
        number += 1
        yield _row(section, number, top, repeated=not board.public)
        top += 1
        for line in _lines(section.panels):
            left = 0
            for panel, columns in line:
                number += 1
                made = grafana_panel(panel, asked, board.span, runbooks)
                made.id_val = number
                made.grid_pos = d.GridPos(h=_HEIGHT, w=columns, x=left, y=top)
                left += columns
                yield made
            top += _HEIGHT


def _row(section: Section, number: int, top: int, *, repeated: bool) -> d.RowPanel:
    return d.RowPanel(
        title=f"{section.title}, ${SERVICE}" if repeated else section.title,
        id_val=number,
        grid_pos=d.GridPos(h=1, w=_COLUMNS, x=0, y=top),
        repeat=SERVICE if repeated else None,
    )


def _lines(panels: Sequence[Panel]) -> Iterator[list[tuple[Panel, int]]]:
    """Panels side by side as they fit, then widened until each line is full."""
    line: list[Panel] = []
    for panel in panels:
        if sum(width(one.kind) for one in (*line, panel)) > _COLUMNS:
            yield _widened(line)
            line = []
        line.append(panel)
    yield _widened(line)


def _widened(line: Sequence[Panel]) -> list[tuple[Panel, int]]:
    widths = [width(panel.kind) for panel in line]
    total = sum(widths)
    edges = [_COLUMNS * sum(widths[:place]) // total for place in range(len(line) + 1)]
    return [
        (panel, right - left) for panel, left, right in zip(line, edges, edges[1:], strict=False)
    ]
