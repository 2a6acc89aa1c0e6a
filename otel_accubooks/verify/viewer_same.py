"""Whether a page of the viewer shows the Prometheus that is verified: its numbers, computed again."""

from __future__ import annotations

from collections.abc import Iterator

from otel_accubooks.contract.panel import Dashboard, Panel
from otel_accubooks.verify.dashboards import Watched
from otel_accubooks.verify.viewer_page import Page, began
from otel_accubooks.viewer import figures
from otel_accubooks.viewer.page import since
from otel_accubooks.viewer.prometheus import Prometheus, UnansweredError
from otel_accubooks.viewer.reading import Group, View, ask
from otel_accubooks.viewer.units import parts

# Points that came after a page was drawn are in the numbers that are computed again.
_LATE_SECONDS = 120.0
# What a number may have been drawn of: some seconds before the moment that the page names.
_BEFORE_SECONDS = 10
_EXACT = 1e-9
# A point may have come later than the page was drawn, and was read somewhat later than it says.
_START_SECONDS = 2.0


def differs(board: Dashboard, page: Page, watched: Watched) -> str:
    """What the page shows that the Prometheus has not; empty where both have the same."""
    client = Prometheus(watched.prometheus.address)
    compared = same = 0
    other = ""
    try:
        began = client.at(since(watched.service), page.moment).result()
        if not began or page.since is None:
            return "the page does not say since when the application is up: is it of this version?"
        if abs(began[0].points[0][1] - page.since) > _START_SECONDS:
            return (
                f"it shows an application that is up since {page.facts.rpartition('since ')[2]}, which "
                f"is not the one of {client.shown}: start the viewer with --prometheus set to it"
            )
        for panel in board.panels:
            for agrees in _agree(board, panel, page, watched.service, client):
                compared += 1
                same += agrees
                other = other or ("" if agrees else panel.title)
    except UnansweredError as error:
        return f"Prometheus at {client.shown} {error}"
    # Some numbers move while they are compared; those of another deployment all do.
    if compared and same * 2 > compared:
        return ""
    return (
        f"{compared - same} of {compared} numbers that could be compared are not those of"
        f" {client.shown} ({other or 'none was shown'}, for one): start the viewer with"
        " --prometheus set to it"
    )


def _agree(
    board: Dashboard, panel: Panel, page: Page, service: str, client: Prometheus
) -> Iterator[bool]:
    """For each curve, whether it is that of `client`; nothing for what cannot be compared."""
    if panel.kind == "lines":
        yield from _same_curves(board, panel, page, service, client)
    elif panel.kind in ("stat", "gauge", "pie"):
        shown = _told(panel, page)
        moments = [page.moment + 1 - before for before in range(_BEFORE_SECONDS)]
        readings = [ask(panel, View(board, service, board.span, one), client) for one in moments]
        again = [_again(panel, reading().groups) for reading in readings]
        for place, number in enumerate(shown):
            yield any(len(one) > place and one[place] == number for one in again)


def _same_curves(
    board: Dashboard, panel: Panel, page: Page, service: str, client: Prometheus
) -> Iterator[bool]:
    """The same names, and the same values at the same times."""
    traces = page.figures.get(panel.title, {}).get("data", ())
    if not traces:
        return
    step = traces[0]["dx"] / 1000
    end = began(traces[0]) + (len(traces[0]["y"]) - 1) * step
    reading = ask(panel, View(board, service, board.span, end), client)()
    again = {}
    if reading.groups:
        again = {trace["name"]: trace["y"] for trace in figures.lines(reading)["data"]}
    settled = len(traces[0]["y"]) - int(_LATE_SECONDS / step) - 1
    for trace in traces:
        values = list(zip(trace["y"], again.get(trace["name"]) or (), strict=False))
        # A deployment that is only just there has nothing that is older.
        known = [pair for pair in values[:settled] if pair != (None, None)] or values
        agreeing = [pair for pair in known if _equal(*pair)]
        yield bool(known) and len(agreeing) * 2 > len(known)


def _equal(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= _EXACT * max(abs(one), abs(other))


def _told(panel: Panel, page: Page) -> list[str]:
    """The numbers of a panel as text."""
    if panel.kind == "stat":
        return list(page.numbers.get(panel.title, ()))
    traces = page.figures.get(panel.title, {}).get("data", ())
    return [
        f"{value:.9g}"
        for trace in traces
        for value in trace.get("values") or [trace.get("value") or 0]
    ]


def _again(panel: Panel, groups: tuple[Group, ...]) -> list[str]:
    if panel.kind == "stat":
        return [parts(group.last or 0.0, panel.unit)[0] for group in groups]
    return [f"{group.last or 0.0:.9g}" for group in groups]
