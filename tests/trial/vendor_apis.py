"""What Datadog and New Relic answer about points and alerts, on this machine.

Points are those that came to the gateway in front of them, which is an OTLP receiver here: no vendor
lets itself be run. Their formats are those of their documentation.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

from otel_accubooks.stack.http_body import Limits
from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.sink import Reply, Request, Sink

METRIC = "otel_accubooks_test_alert"
ACCOUNT = 1234567


class _Vendor(Sink):
    limits = Limits(1024 * 1024, 1024 * 1024)

    def __init__(self, gateway: OtlpReceiver) -> None:
        super().__init__()
        self.gateway = gateway
        self.has_alert = True
        self.keeps_points = True

    def newest(self) -> dict[str, float]:
        """The newest value of each test, by its number."""
        return (
            {series.attributes["test"]: series.value for series in self.gateway.series(METRIC)}
            if self.keeps_points
            else {}
        )

    def refusal(self, status: int, reason: str, headers: Mapping[str, str]) -> Reply:
        return Reply(status, {"errors": [reason]})

    def snapshot(self, name: str | None = None) -> list[dict[str, Any]]:
        return [self.newest()]


class Datadog(_Vendor):
    name = "datadog"

    def answer(self, request: Request) -> Reply:
        keys = [request.headers.get(name) for name in ("dd-api-key", "dd-application-key")]
        if keys != ["api-key", "app-key"]:
            return Reply(403, {"errors": ["Forbidden"]})
        if request.path == "/api/v1/query":
            wanted = re.fullmatch(rf"max:{METRIC}\{{test:(\w+)\}}", request.query["query"])
            assert wanted is not None, request.query
            found = {n: v for n, v in self.newest().items() if n == wanted[1]}
            series = [{"pointlist": [[time.time() * 1000, value]]} for value in found.values()]
            return Reply(200, {"status": "ok", "series": series})
        assert request.path == "/api/v1/monitor"
        assert request.query == {"monitor_tags": "monitor:testalert", "group_states": "all"}
        groups = {
            f"service:books,test:{number}": {"status": "Alert" if value else "OK"}
            for number, value in self.newest().items()
        }
        monitor = {"id": 1, "query": "max(last_1m):...", "state": {"groups": groups}}
        return Reply(200, [monitor] if self.has_alert else [])


class NewRelic(_Vendor):
    name = "newrelic"

    def answer(self, request: Request) -> Reply:
        if request.headers.get("api-key") != "NRAK-TEST":
            return Reply(401, {"errors": [{"message": "invalid key"}]})
        asked = json.loads(request.body)
        if asked["variables"]["account"] != ACCOUNT:
            return Reply(200, {"data": {"actor": {"account": None}}})
        rows = self._rows(asked["variables"]["query"])
        return Reply(200, {"data": {"actor": {"account": {"nrql": {"results": rows}}}}})

    def _rows(self, query: str) -> list[dict[str, Any]]:
        points = re.fullmatch(
            rf"SELECT max\({METRIC}\) AS value FROM Metric WHERE test = '(\w+)' SINCE .*", query
        )
        if points:
            return [{"value": self.newest().get(points[1])}]
        assert query.startswith("SELECT * FROM NrAiIncident WHERE conditionName = 'TestAlert' ")
        return [
            {"event": event, "conditionName": "TestAlert", "targetName": f"books, {number}"}
            for number, value in self.newest().items()
            for event in (["open"] if value else ["open", "close"])
            if self.has_alert
        ]
