"""What Prometheus answers, as the data frames that Grafana makes of it."""

from __future__ import annotations

import math
import re
import time
from typing import Any

import httpx

Json = dict[str, Any]
PROMETHEUS = httpx.Client(trust_env=False, timeout=10)


def moment(told: str) -> float:
    """now, now-1h or milliseconds, as Unix seconds."""
    found = re.fullmatch(r"now(?:-(\d+)([smhd]))?", told)
    if found is None:
        return int(told) / 1000
    return (
        time.time() - int(found[1] or 0) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2] or "s"]
    )


def answered(address: str, target: Json, start: float, end: float) -> Json:
    """The result of one query to the Prometheus at `address`, in Grafana's form."""
    asked: Json = {"query": target["expr"], "time": end}
    path = "query"
    if target.get("range"):
        asked = {"query": target["expr"], "start": start, "end": end, "step": 15}
        path = "query_range"
    try:
        answer = PROMETHEUS.get(f"{address}/api/v1/{path}", params=asked).json()
    except httpx.HTTPError as error:
        return {"error": f"Post {address}: {error}", "errorSource": "downstream", "status": 502}
    if answer["status"] != "success":
        told = f"{answer['errorType']}: {answer['error']}"
        return {"error": told, "errorSource": "downstream", "status": 400}
    return {"status": 200, "frames": [_frame(row) for row in answer["data"]["result"]]}


def _frame(row: Json) -> Json:
    points = row.get("values") or [row["value"]]
    values = [float(value) for _, value in points]
    numbers = [value if math.isfinite(value) else None for value in values]
    odd = [place for place, value in enumerate(values) if math.isnan(value)]
    fields = [
        {"name": "Time", "type": "time", "typeInfo": {"frame": "time.Time"}},
        {
            "name": "Value",
            "type": "number",
            "typeInfo": {"frame": "float64"},
            "labels": row["metric"],
        },
    ]
    data: Json = {"values": [[round(1000 * float(t)) for t, _ in points], numbers]}
    if odd:
        data["entities"] = [None, {"NaN": odd}]
    return {"schema": {"meta": {"type": "timeseries-multi"}, "fields": fields}, "data": data}
