"""What was usual in the window, beside the threshold of every alert."""

from __future__ import annotations

import ast
import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from otel_accubooks.contract import alerts as contract
from otel_accubooks.contract.alert import Alert, Condition
from otel_accubooks.contract.query import MINUTE, WINDOW, Last, Query, Quotient
from otel_accubooks.servers.prometheus import Sample
from otel_accubooks.soak.found import number
from otel_accubooks.soak.statistics import held, quantile
from otel_accubooks.soak.suggestion import Suggestion, suggest
from otel_accubooks.soak.window import USUAL_SECONDS, Window
from otel_accubooks.vendors.promql import SERVICE, promql

_LEAST_STEPS = 20


@dataclass(frozen=True)
class Usual:
    """What the left side of one condition of an alert was, for one group (service, pool, ...).

    `held` is the value nearest to the threshold that it kept to for as long as the alert waits; NaN
    where it kept to nothing so long.
    """

    alert: str
    severity: str
    condition: str
    group: str
    unit: str
    threshold: float
    values: int
    p50: float
    p95: float
    p99: float
    nearest: float
    held: float
    suggestion: Suggestion
    where: str

    @property
    def distance(self) -> str:
        """How far the threshold is from the value that came nearest."""
        if not self.nearest:
            return "never above 0" if self.threshold else "at it"
        return f"{self.threshold / self.nearest:.3g} times"


def conditions() -> list[tuple[Alert, Condition]]:
    """Every condition with a number to compare with; what is or is not there has none, nor has a test."""
    return [
        (alert, condition)
        for alert in contract.ALERTS
        for condition in alert.conditions
        if condition.comparison != "==" and alert.severity != "test"
    ]


def baseline(window: Window, step_done: Callable[[], None]) -> list[Usual]:
    """What was usual, of each condition and group. `step_done` is called after each condition."""
    found: list[Usual] = []
    for alert, condition in conditions():
        if window.jobs:
            found += _usual(window, alert, condition)
        step_done()
    return found


def _usual(window: Window, alert: Alert, condition: Condition) -> Iterator[Usual]:
    step = _step(window, condition.query)
    seen = window.over(_asked(window, alert, condition), step)
    for one in sorted(seen, key=lambda one: sorted(one.labels.items())):
        yield _of_group(alert, condition, one, step)


def _of_group(alert: Alert, condition: Condition, one: Sample, step: float) -> Usual:
    points = [(at, value) for at, value in one.points if math.isfinite(value)]
    highest = condition.comparison == ">"
    values = [value for _, value in points]
    # A row of values with holes in it was not held over them: each row for itself.
    stretches = _stretches(points, step)
    kept = [v for row in stretches for v in held(row, alert.hold, highest=highest)]
    nearest = max if highest else min
    p50, p95, p99 = (quantile(values, q if highest else 1 - q) for q in (0.5, 0.95, 0.99))
    return Usual(
        alert.name,
        alert.severity,
        str(condition.query),
        ", ".join(f"{label} {value}" for label, value in sorted(one.labels.items())),
        alert.unit,
        condition.threshold,
        len(values),
        p50,
        p95,
        p99,
        nearest(values, default=math.nan),
        nearest(kept, default=math.nan),
        suggest(
            kept,
            condition.threshold,
            condition.comparison,
            seconds=len(values) * step,
            percent=alert.unit == "%",
        ),
        place(alert, condition),
    )


def _stretches(points: list[tuple[float, float]], step: float) -> list[list[tuple[float, float]]]:
    rows: list[list[tuple[float, float]]] = []
    for point in points:
        if rows and point[0] - rows[-1][-1][0] < 1.5 * step:
            rows[-1].append(point)
        else:
            rows.append([point])
    return rows


def _asked(window: Window, alert: Alert, condition: Condition) -> str:
    query = _told_of(window, condition.query)
    if alert.guard is None:
        return query
    guard = promql(alert.guard.growth, services=window.services)
    return f"({query}) and on ({SERVICE}) ({guard} >= {alert.guard.least:g})"


def _told_of(window: Window, query: Query) -> str:
    """What gateways say of themselves is of no service."""
    if "otelcol_" in str(query):
        return promql(query)
    return promql(query, services=window.services)


def _step(window: Window, query: Query) -> float:
    """Gauges as often as they are judged; growth by windows that touch each other."""
    last = isinstance(query, Last) or (
        isinstance(query, Quotient) and isinstance(query.dividend, Last)
    )
    most = MINUTE if last else WINDOW
    return min(max(window.seconds / _LEAST_STEPS, USUAL_SECONDS), most)


def place(alert: Alert, condition: Condition) -> str:
    """The line of the contract in which the threshold stands: path:line."""
    path = Path(contract.__file__)
    return f"{path.parent.parent.name}/{path.parent.name}/{path.name}:{_line(alert, condition)}"


def _line(alert: Alert, condition: Condition) -> int:
    line = 1
    for call in ast.walk(_source()):
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and call.func.id == Alert.__name__
            and isinstance(call.args[0], ast.Constant)
            and call.args[0].value == alert.name
        ):
            line = call.lineno
            for node in ast.walk(call.args[3]):
                if isinstance(node, ast.Constant) and node.value == condition.threshold:
                    line = node.lineno
    return line


@functools.cache
def _source() -> ast.Module:
    return ast.parse(Path(contract.__file__).read_text("utf-8"))


def summary(one: Usual) -> tuple[str, ...]:
    """The row of the report."""
    numbers = (one.p50, one.p95, one.p99, one.nearest, one.held)
    told = ["" if math.isnan(value) else number(value) for value in numbers]
    value = one.suggestion.value
    advice = one.suggestion.advice + (f" to {value:g}" if value is not None else "")
    return (
        one.alert, one.group, f"{one.threshold:g} {one.unit}", str(one.values), *told,
        one.distance, advice,
    )  # fmt: skip
