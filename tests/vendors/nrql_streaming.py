"""New Relic's streaming of alert conditions, as its documentation describes it, over recorded points."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from nrql_reader import Row, answer, read

from otel_accubooks.contract.evaluation import Recorded
from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.contract.pipeline import PIPELINE

_BREACHES = {
    "ABOVE": lambda value, threshold: value > threshold,
    "BELOW": lambda value, threshold: value < threshold,
    "EQUALS": lambda value, threshold: value == threshold,
}


def events(recorded: Recorded, end: float) -> dict[str, list[Row]]:
    """The points as New Relic has them, in the order of time: counters as deltas; and the check's."""
    rows: list[Row] = []
    for (name, items), points in recorded.points.items():
        metric = BY_NAME.get(name) or PIPELINE[name]
        labels: Row = dict(items)
        labels = {
            "service.name": "accubooks",
            "service.instance.id": labels.pop("instance"),
            "metricName": name,
            **labels,
        }
        before: tuple[float, ...] = ()
        for time, row in points:
            value = row
            if (
                metric.type != "gauge"
                and before
                and all(n >= o for n, o in zip(row, before, strict=True))
            ):
                value = tuple(new - old for new, old in zip(row, before, strict=True))
            before = row
            rows.append({**labels, "timestamp": time, name: value if len(value) > 1 else value[0]})
    checks = []
    for minute in range(int(end // 60)):
        at = minute * 60.0 + 30
        down = any(begin <= at < until for begin, until in recorded.unreachable)
        result = "FAILED" if down else "SUCCESS"
        monitor = {"monitorName": "otel-accubooks reachable", "result": result}
        checks.append({**monitor, "timestamp": at})
    return {"Metric": sorted(rows, key=_time), "SyntheticCheck": checks}


def opened(
    condition: dict[str, Any], data: dict[str, list[Row]], end: float
) -> list[tuple[float, bool]]:
    """At the end of each window: whether an incident of any group is open. The delay is left out."""
    asking = read(condition["nrql"]["query"])
    (term,), signal = condition["terms"], condition["signal"]
    window = signal["aggregationWindow"]
    step = signal["slideBy"] or window
    needed = term["thresholdDuration"] // step
    breaches = _BREACHES[term["operator"]]
    lost = condition["expiration"]["expirationDuration"]
    opens = condition["expiration"]["openViolationOnExpiration"]
    times = {kind: [row["timestamp"] for row in rows] for kind, rows in data.items()}
    history: dict[Any, list[bool | None]] = {}
    last: dict[Any, tuple[float, float]] = {}
    open_now: set[Any] = set()
    silent: set[Any] = set()
    found = []
    for number in range(1, int((end - window) // step) + 1):
        at = window + number * step
        shown = {
            kind: rows[bisect_right(times[kind], at - window) : bisect_right(times[kind], at)]
            for kind, rows in data.items()
        }
        answers = answer(asking, shown)
        for group, value in answers.items():
            last[group] = (at, value)
        for group, (seen, value) in last.items():
            gone = lost is not None and at - seen >= lost
            filled = {"LAST_VALUE": value, "STATIC": signal["fillValue"], "NONE": None}
            now = answers.get(group, None if gone else filled[signal["fillOption"]])
            breach = None if now is None else breaches(now, term["threshold"])
            recent = history.setdefault(group, [])
            recent.append(breach)
            latest = recent[-needed:]
            every = len(latest) == needed and all(latest)
            if every or (term["thresholdOccurrences"] == "AT_LEAST_ONCE" and True in latest):
                open_now.add(group)
            elif gone or latest == [False] * needed:
                open_now.discard(group)
            # An incident for silence ends with the next point.
            (silent.add if gone and opens else silent.discard)(group)
        found.append((at, bool(open_now or silent)))
    return found


def _time(row: Row) -> float:
    return float(row["timestamp"])
