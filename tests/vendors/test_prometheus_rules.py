"""The rules for Prometheus, judged by promtool and by the contract's own meaning."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from streams import STEP, Stream, samples

from otel_accubooks.contract.alert import Alert
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.evaluation import Watch
from otel_accubooks.vendors.prometheus_rules import rules
from otel_accubooks.vendors.promql import APPLICATION_JOB

CHECK_SECONDS = 60.0
# Growth is estimated from points 15 s apart: around an edge, Prometheus may be this much off.
EDGE_SECONDS = 60.0

WATCHED = [alert for alert in ALERTS if alert.name != "Watchdog"]


RULES = rules("https://runbooks.example")


def rule_file(folder: Path, alert: str = "") -> Path:
    """The rules for one alert, and what it reads; or all of them."""
    every = [rule for group in RULES["groups"] for rule in group["rules"]]
    read = "".join(rule["expr"] for rule in every if rule.get("alert") == alert)
    groups = [
        group | {"rules": [rule for rule in group["rules"] if _concerns(rule, alert, read)]}
        for group in RULES["groups"]
    ]
    path = folder / "accubooks.yml"
    path.write_text(yaml.safe_dump({"groups": groups} if alert else RULES, sort_keys=False))
    return path


def _concerns(rule: dict[str, Any], alert: str, read: str) -> bool:
    return rule["alert"] == alert if "alert" in rule else rule["record"] in read


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_the_rules(tmp_path: Path) -> None:
    """Every expression is PromQL; nothing is recorded twice."""
    assert "SUCCESS" in promtool("check", "rules", rule_file(tmp_path))


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


def expected(alert: Alert, stream: Stream) -> list[bool]:
    """Whether the alert fires at each step, as the contract means it."""
    watch = Watch(alert)
    steps = int(stream.now / STEP)
    return [watch.fires(stream.recorded, step * STEP) for step in range(steps)]


def unit_test(alert: Alert, stream: Stream, fires: list[bool]) -> dict[str, Any]:
    """One test of promtool: at all times but near the edges, it must say the same."""
    around = int(EDGE_SECONDS / STEP)
    checks = [
        {
            "expr": f'count(ALERTS{{alertname="{alert.name}", alertstate="firing"}}) > bool 0 or vector(0)',
            "eval_time": f"{step * STEP:.0f}s",
            "exp_samples": [{"labels": "{}", "value": int(fires[step])}],
        }
        for step in range(around, len(fires) - around, int(CHECK_SECONDS / STEP))
        if len(set(fires[step - around : step + around + 1])) == 1
    ]
    return {
        "interval": f"{STEP:.0f}s",
        "input_series": [_series(*one) for one in (*samples(stream.recorded), _up(stream))],
        "promql_expr_test": checks,
    }


def _up(stream: Stream) -> tuple[str, dict[str, str], list[tuple[float, float]]]:
    away = {begin for begin, _ in stream.recorded.unreachable}
    times = [step * STEP for step in range(int(stream.now / STEP))]
    return "up", {"job": APPLICATION_JOB}, [(time, float(time not in away)) for time in times]


def _series(name: str, labels: dict[str, str], points: list[tuple[float, float]]) -> dict[str, str]:
    inside = ", ".join(f'{label}="{value}"' for label, value in labels.items())
    before = ["_"] * int(points[0][0] / STEP)
    values = " ".join([*before, *(repr(value) for _, value in points)])
    return {"series": f"{name}{{{inside}}}", "values": values}


@pytest.mark.parametrize(
    ("instances", "restart"), [(1, False), (3, True)], ids=["one host", "three that restart"]
)
@pytest.mark.parametrize("alert", WATCHED, ids=lambda alert: alert.name)
def test_an_alert_fires_and_rests_as_the_contract_means_it(
    alert: Alert, instances: int, restart: bool, tmp_path: Path
) -> None:
    """One host, and three whose processes begin anew: the same decisions, up to the edges."""
    tests = []
    for number in range(len(alert.conditions)):
        stream = history(alert, instances, number, restart=restart)
        fires = expected(alert, stream)
        assert {True, False} == set(fires)
        tests.append(unit_test(alert, stream, fires))
    path = tmp_path / "test.yml"
    rules_of = rule_file(tmp_path, alert.name)
    content = {"rule_files": [str(rules_of)], "evaluation_interval": "15s", "tests": tests}
    path.write_text(json.dumps(content))
    promtool("test", "rules", path)


def test_the_watchdog_always_fires(tmp_path: Path) -> None:
    """Also where nothing else is known."""
    check = {
        "expr": 'count(ALERTS{alertname="Watchdog", alertstate="firing"})',
        "eval_time": "1m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    path = tmp_path / "test.yml"
    content = {"rule_files": [str(rule_file(tmp_path))], "tests": [{"promql_expr_test": [check]}]}
    path.write_text(json.dumps(content))
    promtool("test", "rules", path)
