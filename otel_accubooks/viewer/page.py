"""The page of one dashboard: what it is, what else there is, and its panels in their sections."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs, urlencode

from dash import dcc, html

from otel_accubooks.contract.metrics import SYSTEM_UPTIME_SECONDS
from otel_accubooks.contract.panel import Dashboard
from otel_accubooks.vendors.promql import SERVICE, quoted
from otel_accubooks.viewer.panels import Shown, ask_shown, frame, nothing
from otel_accubooks.viewer.prometheus import Prometheus, UnansweredError
from otel_accubooks.viewer.reading import View
from otel_accubooks.viewer.units import hours, text

# After how long what could not be had, or was not there, is asked for again.
RETRY_SECONDS = 10.0
EMPTY_SECONDS = 30.0
# A browser's own interval may be a little short.
_EARLY = 0.9
# How many stand side by side, so that a section's last row is as full as the others.
_COLUMNS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 3, 6: 3, 7: 4, 8: 4}


@dataclass(frozen=True)
class Contents:
    """What a page shows now; it is to be asked for again after `again` seconds.

    `panels` are by title. `banner` is what is wrong with all of them.
    """

    facts: str
    choices: list[Any]
    again: float
    panels: Mapping[str, Shown] = field(default_factory=dict)
    banner: str = ""


class Pages:
    """The pages of `dashboards`, drawn from one Prometheus.

    `public` leaves out what strangers have no business to know: where Prometheus is.
    """

    def __init__(
        self,
        dashboards: Sequence[Dashboard],
        prometheus: Prometheus,
        runbooks: str,
        *,
        public: bool,
    ) -> None:
        self._dashboards: Mapping[str, Dashboard] = {d.name: d for d in dashboards}
        self._prometheus = prometheus
        self._runbooks = runbooks
        self._public = public
        self._lock = threading.Lock()
        # Of which moment a page was last asked, and for how long that is new enough.
        self._kept: dict[tuple[str, float], tuple[float, float]] = {}

    def dashboard(self, path: str) -> Dashboard | None:
        """The one at this path; the first at /."""
        name = path.strip("/")
        return self._dashboards.get(name) if name else next(iter(self._dashboards.values()))

    def frame(self, dashboard: Dashboard, query: str) -> list[Any]:
        """The page without its data: nothing is asked for it."""
        service = _asked(query, "service")
        tabs = [
            dcc.Link(
                one.title,
                href=_address(one, service),
                className="page chosen" if one == dashboard else "page",
            )
            for one in self._dashboards.values()
        ]
        head = [
            html.Nav(tabs if len(tabs) > 1 else []),
            html.Div([html.H1(dashboard.title), html.P(id="facts")], className="title"),
            html.Div(id="choices", className="choices"),
        ]
        sections = [
            html.Div(
                [
                    html.H2(section.title),
                    html.Div(
                        [frame(panel, self._runbooks) for panel in section.panels],
                        className=f"panels of-{_COLUMNS.get(len(section.panels), 4)}",
                    ),
                ],
                className="section",
            )
            for section in dashboard.sections
        ]
        return [
            html.Header(head, className="top"),
            html.Main([html.P(id="banner", className="banner", role="alert"), *sections]),
            dcc.Interval(id="again", interval=1000 * dashboard.refresh),
        ]

    def contents(self, dashboard: Dashboard, query: str) -> Contents:
        """What the page shows now, asked of Prometheus."""
        span = _span(dashboard, query)
        moment = self._moment(dashboard, span)
        facts = _facts(dashboard, span, moment)
        service, services = _asked(query, "service"), []
        banner, panels = "", {}
        try:
            services = self._prometheus.services(moment).result()
            service = service if service in services else next(iter(services), "")
            if service:
                began = self._prometheus.at(since(service), moment)
                panels = self._shown(View(dashboard, service, span, moment))
                facts += "".join(f" · up since {_utc(row.points[0][1])}" for row in began.result())
            else:
                banner = "No service has sent anything to this Prometheus in the last 24 h."
        except UnansweredError as error:
            where = "" if self._public else f" at {self._prometheus.shown}"
            banner = f"Prometheus{where} {error}."
        again = dashboard.refresh
        if not panels:
            again = min(again, RETRY_SECONDS)
            banner += f" Asked again every {text(again, 's')}."
            panels = {p.title: nothing(p, "") for p in dashboard.panels}
        elif any(shown.empty for shown in panels.values()):
            again = min(again, EMPTY_SECONDS)
        self._kept[dashboard.name, span] = moment, again
        return Contents(facts, _choices(dashboard, service, services, span), again, panels, banner)

    def _moment(self, dashboard: Dashboard, span: float) -> float:
        """Everybody who looks within one refresh asks of the same moment (Unix seconds)."""
        now = time.time()
        with self._lock:
            moment, again = self._kept.get((dashboard.name, span), (0.0, 0.0))
            if not 0 <= now - moment < _EARLY * again:
                moment = now
                self._kept[dashboard.name, span] = now, dashboard.refresh
        return moment

    def _shown(self, view: View) -> dict[str, Shown]:
        asked = [
            (panel.title, ask_shown(panel, view, self._prometheus, self._runbooks))
            for panel in view.dashboard.panels
        ]
        return {title: shown() for title, shown in asked}


def since(service: str) -> str:
    """PromQL for when a service was started, in Unix seconds: it tells one deployment from another."""
    uptime = f"{SYSTEM_UPTIME_SECONDS.name}{{{SERVICE}={quoted(service)}}}"
    return f"min(timestamp({uptime}) - {uptime})"


def _utc(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def _facts(dashboard: Dashboard, span: float, moment: float) -> str:
    now = datetime.fromtimestamp(moment, timezone.utc)
    facts = (
        f"for {' and '.join(dashboard.teams)}",
        f"last {hours(span)}",
        f"every {text(dashboard.refresh, 's')}",
        f"{now:%H:%M:%S} UTC",
    )
    return " · ".join(facts)


def _choices(dashboard: Dashboard, service: str, services: Sequence[str], span: float) -> list[Any]:
    """The services where there are several, and the ranges at hand."""
    spans = [
        dcc.Link(
            hours(one),
            href=_address(dashboard, service, one),
            className="choice chosen" if one == span else "choice",
        )
        for one in dashboard.spans
    ]
    names: Any = html.Span(service, className="service")
    if len(services) > 1:
        links = [dcc.Link(name, href=_address(dashboard, name, span)) for name in services]
        names = html.Details([html.Summary(service), html.Div(links)], className="service")
    return [names, html.Div(spans, className="spans")]


def _address(dashboard: Dashboard, service: str, span: float | None = None) -> str:
    asked = {"service": service} if service else {}
    if span is not None and span != dashboard.span:
        asked["span"] = f"{span:.0f}"
    return f"/{dashboard.name}" + (f"?{urlencode(asked)}" if asked else "")


def _asked(query: str, name: str) -> str:
    return parse_qs(query.removeprefix("?")).get(name, [""])[0]


def _span(dashboard: Dashboard, query: str) -> float:
    """Only what the dashboard offers: nobody is to ask a Prometheus for a year."""
    asked = _asked(query, "span")
    return next((one for one in dashboard.spans if f"{one:.0f}" == asked), dashboard.span)
