"""Points in an account of Datadog, and the questions that its API answers about them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any

SELECTION = re.compile(
    r"(?P<aggregator>sum|min|max|avg|p\d+):(?P<metric>\w+)\{(?P<scope>[^{}]*)\}(?: by \{(?P<by>[\w,]+)\})?"
)
_SHORT = 3600


class Refused(Exception):
    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


@dataclass
class Points:
    """Every metric of `ages` comes every `every` seconds; its newest point is as many seconds old.

    It has been coming for `lived` seconds, from one host, but for the minutes of `gap` (as many ago).
    """

    service: str = "accubooks"
    ages: dict[str, float] = field(default_factory=dict)
    every: float = 15
    lived: float = 7200
    gap: tuple[float, ...] = ()

    def query(self, asked: dict[str, str]) -> Any:
        """Of the first version: a response with a list of points for each group."""
        start, end, query = int(asked["from"]), int(asked["to"]), asked["query"]
        answer = {"res_type": "time_series", "from_date": 1000 * start, "to_date": 1000 * end}
        selection = SELECTION.search(query)
        if selection is None or query.count("{") != query.count("}"):
            return {**answer, "status": "error", "error": f"Error parsing query: {query}"}
        series = []
        if self._there(selection):
            rollup = re.search(r"\.rollup\((\w+), (\d+)\)", query)
            interval = int(rollup[2]) if rollup else 20 if end - start <= _SHORT else 300
            counted = self._counted(selection["metric"], start, end, interval)
            total = rollup is not None and rollup[1] == "count"
            points = [[1000.0 * t, float(n) if total else 1.0] for t, n in counted if n]
            tags = {"service": self.service, "host": "web-1"}
            by = (selection["by"] or "").split(",")
            scope = (
                ",".join(f"{name}:{tags.get(name, 'x')}" for name in by if name)
                or selection["scope"]
            )
            series = [{"metric": selection["metric"], "scope": scope, "interval": interval,
                       "pointlist": points}] if points else []  # fmt: skip
        return {**answer, "status": "ok", "series": series, "query": query}

    def formulas(self, kind: str, body: Any) -> Any:
        """Of the second version: formulas over queries that have names."""
        told = body["data"]
        if told["type"] != f"{kind}_request":
            raise Refused(400, f"type {told['type']}")
        attributes = told["attributes"]
        names = {one["name"] for one in attributes["queries"]}
        for one in attributes["formulas"]:
            if unknown := set(re.findall(r"\b[a-z]\b", one["formula"])) - names:
                raise Refused(400, f"formula {one['formula']}: unknown {unknown}")
        selections = [SELECTION.search(one["query"]) for one in attributes["queries"]]
        if not all(selections) or "$" in str(attributes["queries"]):
            raise Refused(400, f"invalid query: {attributes['queries']}")
        start, end = attributes["from"] / 1000, attributes["to"] / 1000
        there = all(
            one
            and self._there(one)
            and any(n for _, n in self._counted(one["metric"], start, end, 60))
            for one in selections
        )
        if kind == "scalar":
            columns = [{"name": "a", "type": "number", "values": [1.0] if there else []}]
            return _answered("scalar_response", {"columns": columns})
        times = [int(1000 * end)] if there else []
        series = [{"group_tags": [], "query_index": 0}] if there else []
        values = [[1.0]] if there else []
        return _answered(
            "timeseries_response", {"times": times, "series": series, "values": values}
        )

    def _there(self, selection: re.Match[str]) -> bool:
        wanted = re.findall(r"service:([^,}]+)", selection["scope"])
        return selection["metric"] in self.ages and wanted in ([], [self.service])

    def _counted(
        self, metric: str, start: float, end: float, interval: int
    ) -> list[tuple[float, int]]:
        now = time.time()
        newest = now - self.ages[metric]
        counts: dict[float, int] = {}
        place = 0
        while (t := newest - place * self.every) > max(start, now - self.lived):
            if t < end and int((now - t) // 60) not in self.gap:
                bucket = t // interval * interval
                counts[bucket] = counts.get(bucket, 0) + 1
            place += 1
        return sorted(counts.items())


def _answered(kind: str, attributes: Any) -> Any:
    return {"data": {"id": "0", "type": kind, "attributes": attributes}, "errors": ""}
