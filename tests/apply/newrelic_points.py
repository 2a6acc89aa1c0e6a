"""Points and incidents in an account of New Relic, and what NRQL is answered about them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError

_NAMED = re.compile(r"metricName (?:= ('[^']+')|IN \(([^)]+)\))")
_SPANS = {"minute": 60, "hour": 3600, "day": 86400}


@dataclass
class Points:
    """Every metric of `ages` comes every `every` seconds; its newest point is as many seconds old.

    It has been coming for `lived` seconds, from one instance, but for the minutes of `gap` (as many
    ago). `incidents` are the conditions of which one is open, with their policies.
    """

    service: str = "accubooks"
    ages: dict[str, float] = field(default_factory=dict)
    every: float = 15
    lived: float = 7200
    gap: tuple[float, ...] = ()
    incidents: dict[str, str] = field(default_factory=dict)

    def answer(self, query: str) -> list[dict[str, Any]]:
        """The rows of an answer."""
        if not re.match(r"SELECT .+ FROM ", query) or query.count("(") != query.count(")"):
            raise GraphQLError(f"NRQL Syntax Error: Error at line 1 position 1: {query}")
        if "FROM NrAiIncident" in query:
            return self._incidents(query)
        if "FROM SyntheticCheck" in query:
            return [{"reachable": 1}]
        end, start = time.time(), time.time() - 86400
        if found := re.search(r"SINCE (\d+) UNTIL (\d+)", query):
            start, end = map(float, found.groups())
        elif found := re.search(r"SINCE (\d+) (minute|hour|day)s? ago", query):
            start = end - int(found[1]) * _SPANS[found[2]]
            if until := re.search(r"UNTIL (\d+) (minute|hour|day)s? ago", query):
                end -= int(until[1]) * _SPANS[until[2]]
        return self._points(query, start, end)

    def _points(self, query: str, start: float, end: float) -> list[dict[str, Any]]:
        told = _NAMED.search(query)
        names = re.findall(r"'([^']+)'", told[0]) if told else list(self.ages)
        wanted = re.search(r"service\.name = '([^']*)'", query)
        here = [name for name in names if name in self.ages]
        if wanted and wanted[1] != self.service:
            here = []
        faceted = re.search(r" FACET ([\w., ]+?)(?: SINCE| LIMIT| TIMESERIES|$)", query)
        moments = {name: self._moments(name, start, end) for name in here}
        if "FACET metricName" in query:
            return [
                {"facet": name, "metricName": name, "newest": 1000 * found[0]}
                for name, found in moments.items()
                if found
            ]
        every = [t for found in moments.values() for t in found]
        if "TIMESERIES 1 minute" in query and "count(*)" in query:
            return self._by_minute(every, start, end)
        if "count(*) AS points" in query:
            return [{"points": len(every)}]
        # A nested query or a quotient has none where one of its parts has none.
        if not every or len(here) < len(names):
            return []
        row: dict[str, Any] = {"newest": 1000 * max(every), "value": 1.0}
        if faceted:
            facets = [part.strip() for part in faceted[1].split(",")]
            values = [self.service if part == "service.name" else "x" for part in facets]
            row |= {"facet": values if len(values) > 1 else values[0]}
        return [row]

    def _by_minute(self, every: list[float], start: float, end: float) -> list[dict[str, Any]]:
        begins = [start + 60 * place for place in range(int((end - start) // 60))]
        return [
            {
                "facet": "web-1", "beginTimeSeconds": begin, "endTimeSeconds": begin + 60,
                "points": sum(begin <= t < begin + 60 for t in every),
            }
            for begin in begins
            if every
        ]  # fmt: skip

    def _moments(self, name: str, start: float, end: float) -> list[float]:
        """The times of its points, the newest first."""
        now = time.time()
        newest = now - self.ages[name]
        count = int(min(newest - start, self.lived) // self.every) + 1 if newest > start else 0
        moments = (newest - place * self.every for place in range(count))
        return [t for t in moments if t < end and int((now - t) // 60) not in self.gap]

    def _incidents(self, query: str) -> list[dict[str, Any]]:
        wanted = re.search(r"policyName = '([^']+)'", query)
        if "FACET conditionName" in query and wanted:
            return [
                {"facet": name, "conditionName": name, "open": 1}
                for name, policy in self.incidents.items()
                if policy == wanted[1]
            ]
        return [] if "timestamp, event" in query else [{"alerts": len(self.incidents)}]
