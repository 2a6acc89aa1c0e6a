"""The rules for Prometheus, judged by promtool and by the contract's own meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from promtool import input_series, promtool, unit_tests
from streams import PHASE, STEP, Stream, samples
from tolerance import Bounded

from otel_accubooks.contract.alert import Alert
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.evaluation import Watch
from otel_accubooks.contract.query import Last, Reachable
from otel_accubooks.vendors.prometheus_rules import rules
from otel_accubooks.vendors.promql import APPLICATION_JOB

GRID = 5.0
RULES = rules("https://runbooks.example")

WATCHED = [alert for alert in ALERTS if alert.name != "Watchdog"]
# Those that ask for the state of the moment: it changes with one point.
OF_THE_MOMENT = [
    (alert, number)
    for alert in WATCHED
    for number, condition in enumerate(alert.conditions)
    if isinstance(getattr(condition.query, "dividend", condition.query), (Last, Reachable))
]


def rules_of(alert: Alert) -> dict[str, Any]:
    """The rules as they are, without those that neither are the alert nor are read by it."""
    every = [rule for group in RULES["groups"] for rule in group["rules"]]
    read = "".join(rule["expr"] for rule in every if rule.get("alert") == alert.name)
    return {
        "groups": [
            group | {"rules": [rule for rule in group["rules"] if _concerns(rule, alert, read)]}
            for group in RULES["groups"]
        ]
    }


def _concerns(rule: dict[str, Any], alert: Alert, read: str) -> bool:
    return rule["alert"] == alert.name if "alert" in rule else rule["record"] in read


def test_promtool_takes_the_rules(tmp_path: Path) -> None:
    """Every expression is PromQL; nothing is recorded twice."""
    path = tmp_path / "accubooks.yml"
    path.write_text(yaml.safe_dump(RULES))
    assert "SUCCESS" in promtool("check", "rules", path)


def test_rules_are_evaluated_every_fifteen_seconds() -> None:
    """All alerts are in a group of 15 s."""
    groups = {group["name"]: group for group in RULES["groups"]}
    alerts = [rule for rule in groups["accubooks"]["rules"] if "alert" in rule]
    assert groups["accubooks"]["interval"] == "15s"
    assert [rule["alert"] for rule in alerts] == [alert.name for alert in ALERTS]


def history(alert: Alert, instances: int, number: int, *, restart: bool) -> Stream:
    """Health, the condition for somewhat longer than it has to hold, and health again."""
    stream = Stream(instances)
    reach = max(5.0 * 60, *(getattr(c.query, "window", 0.0) for c in alert.conditions))
    health_steps = 240 if alert.name == "LatencyTrendDegradation" else 60
    bad_steps = int((alert.hold + reach + 300) / STEP)
    for bad, steps in ((False, health_steps), (True, bad_steps), (False, int(reach / STEP) + 40)):
        for step in range(steps):
            if restart and step == steps // 2:
                stream.begin_anew()
            stream.step(alert, bad=bad, number=number)
    return stream


def expected(alert: Alert, stream: Stream) -> list[bool | None]:
    """Whether it fires at each evaluation, as the contract means it; None within the tolerance."""
    watch = Watch(alert)
    least, most = Bounded(alert, eager=False), Bounded(alert, eager=True)
    decisions: list[bool | None] = []
    for step in range(int(stream.now / STEP)):
        at = stream.recorded, step * STEP
        fires = watch.fires(*at)
        decisions.append(fires if least.fires(*at) == most.fires(*at) else None)
    return decisions


def unit_test(alert: Alert, stream: Stream, fires: list[bool | None]) -> dict[str, Any]:
    """One test of promtool: at each evaluation, it must say the same."""
    firing = f'ALERTS{{alertname="{alert.name}", alertstate="firing"}}'
    series = (*samples(stream.recorded), _up(stream))
    return {
        "interval": f"{GRID:.0f}s",
        "input_series": [input_series(*one, step=GRID) for one in series],
        "promql_expr_test": [
            {
                "expr": f"count({firing}) > bool 0 or vector(0)",
                "eval_time": f"{step * STEP:.0f}s",
                "exp_samples": [{"labels": "{}", "value": int(now)}],
            }
            for step, now in enumerate(fires)
            if now is not None
        ],
    }


def _up(stream: Stream) -> tuple[str, dict[str, str], list[tuple[float, float]]]:
    away = {begin for begin, _ in stream.recorded.unreachable}
    times = [PHASE + step * STEP for step in range(int(stream.now / STEP))]
    # Before the first scrape nothing is known, and so it is down; the stream begins in health.
    values = [(0.0, 1.0), *((time, float(time not in away)) for time in times)]
    return "up", {"job": APPLICATION_JOB}, values


@pytest.mark.parametrize(
    ("instances", "restart"), [(1, False), (3, True)], ids=["one host", "three that restart"]
)
@pytest.mark.parametrize("alert", WATCHED, ids=lambda alert: alert.name)
def test_an_alert_fires_and_rests_as_the_contract_means_it(
    alert: Alert, instances: int, restart: bool, tmp_path: Path
) -> None:
    """One host, and three whose processes begin anew: the same decision at every evaluation."""
    tests = []
    for number in range(len(alert.conditions)):
        stream = history(alert, instances, number, restart=restart)
        fires = expected(alert, stream)
        assert {True, False} <= set(fires)
        # What is at the threshold up to rounding, or hangs on an estimate: two minutes at most.
        assert fires.count(None) <= 8
        tests.append(unit_test(alert, stream, fires))
    unit_tests(tmp_path, rules_of(alert), tests)


@pytest.mark.parametrize(
    ("alert", "number"), OF_THE_MOMENT, ids=lambda value: getattr(value, "name", str(value))
)
def test_a_state_has_to_hold_for_its_time_without_a_break(
    alert: Alert, number: int, tmp_path: Path
) -> None:
    """It fires at the evaluation at which the time is over, none earlier; one healthy point, and the
    time begins anew."""
    stream, held = Stream(), int(alert.hold / STEP)
    for bad, steps in ((False, 10), (True, held), (False, 1), (True, held + 3), (False, 10)):
        for _ in range(steps):
            stream.step(alert, bad=bad, number=number)
    # A point is seen at the next evaluation, from which on it has to hold.
    first = 10 + held + 1 + 1 + held
    fires: list[bool | None] = [first <= step < first + 3 for step in range(int(stream.now / STEP))]
    assert fires == expected(alert, stream)
    unit_tests(tmp_path, rules_of(alert), [unit_test(alert, stream, fires)])


def test_the_watchdog_always_fires(tmp_path: Path) -> None:
    """Also where nothing else is known."""
    check = {
        "expr": 'count(ALERTS{alertname="Watchdog", alertstate="firing"})',
        "eval_time": "1m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    unit_tests(tmp_path, RULES, [{"promql_expr_test": [check]}])
