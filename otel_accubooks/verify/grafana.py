"""Grafana: each dashboard as the contract has it, and each panel's query asked through it.

https://grafana.com/docs/grafana/latest/developers/http_api/
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from otel_accubooks.apply import accounts
from otel_accubooks.apply.change import Change
from otel_accubooks.apply.grafana import changes, data_source
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.panel import Dashboard, Panel
from otel_accubooks.contract.query import HOUR
from otel_accubooks.servers.api import Api, ApiError
from otel_accubooks.vendors.grafana.folders import uid
from otel_accubooks.vendors.grafana.queries import UNKNOWN
from otel_accubooks.vendors.promql import SERVICE, duration
from otel_accubooks.verify import dashboards, grafana_access
from otel_accubooks.verify.dashboards import Watched
from otel_accubooks.verify.grafana_frames import samples
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.way import Site

Json = dict[str, Any]

_POINTS = 240
_STEP_MS = 15_000
_PLACE = "Grafana"
_BRING = "bring it with `otel-accubooks apply grafana`"


def looks(site: Site, watched: Watched) -> Iterator[Look]:
    """Everything about the dashboards that a Grafana can be asked. Never raises ApiError."""
    try:
        api = accounts.grafana(site.servers.grafana, site.environ)
    except ValueError as error:
        yield from _all_failed(str(error))
        return
    try:
        yield from _looks(api, site, watched)
    except (ApiError, RuntimeError) as error:
        yield from _all_failed(str(error))
    finally:
        api.close()


def _all_failed(said: str) -> Iterator[Look]:
    yield from (Look(name, "failed", f"{_PLACE}: {said}") for name in dashboards.GIVES)


def _looks(api: Api, site: Site, watched: Watched) -> Iterator[Look]:
    site.say("the dashboards in Grafana")
    source = data_source(api)
    done = list(changes(api, site.to))
    boards = {
        board.name: api.ask("GET", f"/api/dashboards/uid/{uid(board.name)}", missing=None)
        for board in DASHBOARDS
    }
    for board in DASHBOARDS:
        yield _created(board, boards[board.name], done)
    yield _refreshed(api, boards)
    asked = Asked(api, source, watched)
    wrong = asked.wrong_source()
    for board in DASHBOARDS:
        site.say(f"the panels of {board.title} in Grafana")
        yield _shown(board, boards[board.name], asked, wrong)
    site.say("who may see the dashboards in Grafana")
    yield from grafana_access.looks(api, site, done)


def _created(board: Dashboard, there: Json | None, done: list[Change]) -> Look:
    name = dashboards.created(board)
    if there is None:
        return Look(name, "failed", f"{_PLACE} has no {board.title} ({uid(board.name)}): {_BRING}")
    (change,) = (c for c in done if (c.kind, c.name) == ("dashboard", board.title))
    url = f"{_PLACE}: {there['meta'].get('url') or uid(board.name)}"
    if change.action != "keep":
        said = f"{_PLACE}: {board.title} is not as the contract has it: {_BRING}"
        return Look(name, "failed", said, (url, *change.difference))
    panels = (
        f"{len(board.panels)} panels in {len(board.sections)} sections, as the contract has them"
    )
    return Look(name, "passed", f"{_PLACE}: {board.title} has {panels}", (url,))


def _refreshed(api: Api, boards: Mapping[str, Json | None]) -> Look:
    least = (api.ask("GET", "/api/frontend/settings", missing=None) or {}).get("minRefreshInterval")
    wrong, told = [], []
    for board in DASHBOARDS:
        wanted = duration(board.refresh)
        there = boards[board.name]
        found = there["dashboard"].get("refresh") if there else None
        told.append(f"{board.title}: every {found or '(never)'}")
        if found != wanted:
            wrong.append(f"{board.title} every {found or '(never)'}, expected {wanted}")
        elif least and _seconds(least) > board.refresh:
            wrong.append(f"{board.title} no sooner than {least}, Grafana's min_refresh_interval")
    if least:
        told.append(f"min_refresh_interval: {least}")
    if wrong:
        said = f"{_PLACE}: drawn anew too rarely, or too often: {'; '.join(wrong)}: {_BRING}"
        return Look("refresh", "failed", said, tuple(told))
    return Look(
        "refresh", "passed", f"{_PLACE}: each is drawn anew as the contract says", tuple(told)
    )


def _shown(board: Dashboard, there: Json | None, asked: Asked, wrong: str) -> Look:
    name = dashboards.shown(board)
    if there is None:
        return Look(name, "failed", f"{_PLACE} has no {board.title}: {_BRING}")
    if wrong:
        return Look(name, "failed", f"{_PLACE}: {wrong}")
    panels = {one.get("title"): one for one in there["dashboard"].get("panels", ())}
    faults = {}
    for panel in board.panels:
        fault = asked.fault(panel, panels.get(panel.title), panel.span or board.span)
        if fault:
            faults[panel.title] = fault
    try:
        ages = asked.ages(board)
    except ApiError as error:
        return Look(name, "failed", f"{_PLACE}: {error}")
    return dashboards.data(
        board, _PLACE, faults, dashboards.stale(board, ages), max(ages.values(), default=None)
    )


class Asked:
    """A data source of a Grafana, asked as its panels ask it."""

    def __init__(self, api: Api, source: str, watched: Watched) -> None:
        self._api, self._source, self._watched = api, source, watched

    def wrong_source(self) -> str:
        """Why the data source is not the Prometheus that it should be; empty where it is."""
        where = f"its data source {self._source}"
        try:
            told = self._api.ask("GET", f"/api/datasources/uid/{self._source}/health")
        except ApiError as error:
            return f"{where} is not healthy: {error}"
        if told.get("status") != "OK":
            return f"{where} is not healthy: {told.get('message') or told}: is its address right?"
        moment = time.time()
        try:
            expected = self._watched.fingerprint(moment)
            found = self._instant(dashboards.fingerprint(self._watched.service), moment)
        except ApiError as error:
            return f"{where} cannot be asked: {error}"
        seen = {labels.get("instance", ""): value for labels, value in found}
        if not dashboards.same(seen, expected):
            told = ", ".join(sorted(seen)) or "nothing"
            return (
                f"{where} shows another Prometheus than {self._watched.prometheus.address}: it has"
                f" {told} of {self._watched.service}, expected {', '.join(sorted(expected))}:"
                " set the data source's URL to it"
            )
        return ""

    def ages(self, board: Dashboard) -> dict[str, float]:
        """Seconds since the newest point, by metric. Raises ApiError."""
        found = self._instant(dashboards.ages(board, self._watched.service), time.time())
        return {labels["metric"]: value for labels, value in found}

    def fault(self, panel: Panel, there: Json | None, span: float) -> str:
        """What is wrong with what the panel shows; empty where it shows data of each of its queries."""
        if there is None:
            return "the panel is not there"
        targets = [one for one in there.get("targets") or () if not one.get("hide")]
        if not targets:
            return "the panel asks nothing"
        asked = [self._resolved(target) for target in targets]
        try:
            answers = self._query(asked, f"now-{span:.0f}s", "now")
        except ApiError as error:
            return str(error)
        faults = (_answer_fault(panel, one, answers.get(one["refId"])) for one in asked)
        return next(filter(None, faults), "")

    def _resolved(self, target: Json) -> Json:
        """A panel's query as Grafana sends it: its variables replaced."""
        service = re.sub(r"([\\.^$|?*+()\[\]{}])", r"\\\\\1", self._watched.service)
        expression = target["expr"].replace(f"${SERVICE}", service)
        return target | {
            "expr": expression,
            "datasource": {"type": "prometheus", "uid": self._uid(target)},
            "intervalMs": _STEP_MS,
            "maxDataPoints": _POINTS,
        }

    def _uid(self, target: Json) -> str:
        named = str((target.get("datasource") or {}).get("uid") or self._source)
        return self._source if named.startswith("$") else named

    def _instant(self, expression: str, moment: float) -> list[tuple[dict[str, str], float]]:
        target = {"refId": "A", "expr": expression, "instant": True, "range": False}
        start, end = f"{1000 * (moment - HOUR):.0f}", f"{1000 * moment:.0f}"
        answer = self._query([self._resolved(target)], start, end).get("A") or {}
        if answer.get("error"):
            raise ApiError(f"{expression}: {answer['error']}")
        return samples(answer)

    def _query(self, queries: list[Json], start: str, end: str) -> Mapping[str, Json]:
        body = {"queries": queries, "from": start, "to": end}
        found: Mapping[str, Json] = self._api.ask("POST", "/api/ds/query", body)["results"]
        return found


def _answer_fault(panel: Panel, target: Json, answer: Json | None) -> str:
    if answer is None or answer.get("error"):
        return f"query {target['refId']}: {answer['error'] if answer else 'no answer'}"
    values = [value for _, value in samples(answer)]
    if dashboards.needs_data(panel) and not values:
        return f"query {target['refId']} gives nothing: {target['expr']}"
    if panel.kind == "status" and values[-1] == UNKNOWN:
        return "it is not known how the service stands: are the alert rules loaded?"
    return ""


def _seconds(text: str) -> float:
    sizes = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(float(n) * sizes[u] for n, u in re.findall(r"(\d+)(ms|s|m|h|d)", text))
