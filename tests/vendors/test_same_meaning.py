"""Random streams through the reference evaluator and through Prometheus: the same decisions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from promtool import input_series, unit_tests
from random_streams import levels_of, service
from streams import samples
from tolerance import Bounded

from otel_accubooks.contract.alert import Alert
from otel_accubooks.contract.alerts import ALERTS, BY_NAME
from otel_accubooks.contract.evaluation import Recorded, Watch
from otel_accubooks.contract.query import series_of
from otel_accubooks.vendors.prometheus_rules import rules
from otel_accubooks.vendors.promql import APPLICATION_JOB, HEALTH_JOB

EVALUATED = 15
GRID = 5
# No point falls on an evaluation: whether a window has its begin differs between Prometheus 2 and 3.
PHASES = (5.0, 10.0)
RESTS, FIRES, EITHER = 0.0, 1.0, 2.0

# In these streams each alert fires and rests,
SEEDS = (4,)
# and in these each fault makes a difference.
FAULTS_SEED = 1
RULES = rules("https://runbooks.example")

# About the whole installation, and not about a service.
AT_LARGE = ("SystemUnreachable", "Watchdog")
OF_SERVICES = [alert for alert in ALERTS if alert.name not in AT_LARGE]

# Where Prometheus does not do as expected: an alert that is silent (value 1), that fires though it
# should rest (0), or that nobody spoke of.
MISTAKES = """
  expected == 1 unless on (alertname, job) ALERTS{alertstate="firing"}
  or expected == 0 and on (alertname, job) ALERTS{alertstate="firing"}
  or ALERTS{alertstate="firing"} unless on (alertname, job) expected
"""


@dataclass
class Judgement:
    """What the contract says to random streams, as one unit test of promtool."""

    seconds: int
    series: list[dict[str, str]] = field(default_factory=list)
    decisions: Counter[tuple[str, float]] = field(default_factory=Counter)

    def expect(self, alert: Alert, job: str, recorded: Recorded) -> None:
        """At each evaluation: it fires, rests, or may do either since it hangs on an estimate."""
        watch = Watch(alert)
        eager, reluctant = Bounded(alert, eager=True), Bounded(alert, eager=False)
        points = []
        for now in range(0, self.seconds + 1, EVALUATED):
            least, most = reluctant.fires(recorded, now), eager.fires(recorded, now)
            said = watch.fires(recorded, now)
            assert least <= said <= most
            points.append((float(now), float(said) if least == most else EITHER))
        self.decisions.update((alert.name, decision) for _, decision in points)
        self.add("expected", {"alertname": alert.name, "job": job}, points)

    def add(self, name: str, labels: dict[str, str], points: list[tuple[float, float]]) -> None:
        self.series.append(input_series(name, labels, points, GRID))

    def unit_test(self) -> dict[str, Any]:
        checks = range(0, self.seconds + 1, EVALUATED)
        return {
            "interval": f"{GRID}s",
            "input_series": self.series,
            "promql_expr_test": [
                {"expr": MISTAKES, "eval_time": f"{now}s", "exp_samples": []} for now in checks
            ],
        }


def judged(seed: int, alerts: Sequence[Alert], services: int, seconds: int) -> Judgement:
    """So many services about the thresholds of each alert, judged by all alerts on what they send."""
    rng, judgement = Random(seed), Judgement(seconds)
    for theme in alerts:
        for number in range(services):
            job = f"shop/{theme.name}-{number}"
            recorded = service(rng, levels_of(theme), seconds, step=15, phases=PHASES)
            for name, labels, points in samples(recorded, total=number % 2 == 1):
                judgement.add(name, {**labels, "job": job}, points)
            sent = {metric for metric, _ in recorded.points}
            for alert in alerts:
                if sent & {s.metric for c in alert.conditions for s in series_of(c.query)}:
                    judgement.expect(alert, job, recorded)
    return judgement


def judge_reachability(seed: int, judgement: Judgement) -> None:
    """The application and its health check are away, for about as long as the alert's time."""
    rng = Random(seed)
    up = {job: [1.0] * (judgement.seconds // GRID + 1) for job in (APPLICATION_JOB, HEALTH_JOB)}
    recorded, place = Recorded(), 0
    while place < judgement.seconds // GRID:
        begin = place + rng.choice((1, 2, 3, 60, 100))
        place = begin + rng.choice((10, 35, 36, 37, 100))
        recorded.unreachable.append((begin * GRID, place * GRID))
        up[rng.choice(list(up))][begin:place] = [0.0] * len(up[APPLICATION_JOB][begin:place])
    for job, values in up.items():
        judgement.add("up", {"job": job}, [(i * GRID, value) for i, value in enumerate(values)])
    for name in AT_LARGE:
        judgement.expect(BY_NAME[name], "", recorded)


@pytest.mark.parametrize("seed", SEEDS)
def test_prometheus_decides_as_the_contract_does(seed: int, tmp_path: Path) -> None:
    """Every alert, at every evaluation, on many random services whose hosts come, restart and go."""
    judgement = judged(seed, OF_SERVICES, 2, 2 * 3600)
    judge_reachability(seed, judgement)
    unit_tests(tmp_path, RULES, [judgement.unit_test()])
    for alert in ALERTS:
        assert judgement.decisions[alert.name, FIRES], f"{alert.name} never fires"
        assert judgement.decisions[alert.name, RESTS] or alert.name == "Watchdog"
    unsure = sum(n for (_, decision), n in judgement.decisions.items() if decision == EITHER)
    assert unsure < 0.01 * judgement.decisions.total()


@dataclass(frozen=True)
class Fault:
    """A compiler that is wrong: every match of `pattern` in its expressions becomes `instead`."""

    name: str
    alerts: tuple[str, ...]
    pattern: str
    instead: str
    later: int = 0

    def rules(self) -> dict[str, Any]:
        """The rules for its alerts, wrong."""
        wrong = rules("https://runbooks.example", [BY_NAME[name] for name in self.alerts])
        for rule in (rule for group in wrong["groups"] for rule in group["rules"]):
            rule["expr"] = re.sub(self.pattern, self.instead, rule["expr"])
            if self.later and "for" in rule:
                rule["for"] = f"{BY_NAME[rule['alert']].hold + self.later:.0f}s"
        return wrong


_RATES = ("RequestRateUnusual", "ServerErrorBurst")
FAULTS = [
    Fault("groups are lost", ("DatabaseConnectionsHigh",), r"\(job, pool\)", "(job)"),
    Fault("max for sum", _RATES, r"sum by", "max by"),
    Fault("max for min", ("SystemUnhealthy",), r"min by", "max by"),
    Fault("a restart is no growth", _RATES, r"> 0\) or", "< 0) or"),
    Fault("growth is extrapolated", _RATES, r"\(\((increase\S+) and .*", r"(\1)"),
    Fault("a silence makes a series new", ("DataIntegrityIssue",), r"\[1h\]", "[1m]"),
    Fault("a new series has not grown", ("DataIntegrityIssue",), r" or last_over_time\S+\)$", ")"),
    Fault("lower than before is not new", _RATES, r" <= min_over_time\(\S+\[5m\]\)", ""),
    Fault("no guard", ("CacheHitRateLow",), r" and on \(job\).*", ""),
    Fault("nothing is no data", ("CacheHitRateLow",), r" or 0 \* ", " * 0 + "),
    Fault("another quantile", ("HighLatency",), r"quantile\(0.95", "quantile(0.94"),
    Fault("another window", ("HighErrorRate",), r"\b5m\]", "4m]"),
    Fault("at least for above", ("TelemetryPipelineFailing",), r"> 0,", ">= 0,"),
    Fault("held across conditions", ("TelemetryPipelineFailing",), r"growth\([^)]*\) > 0", "any"),
    Fault("fires an evaluation early", ("RedisMemoryWarning",), "$", "", later=-15),
    Fault("fires an evaluation late", ("RedisMemoryWarning",), "$", "", later=15),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_wrong_compiler_is_found_out(fault: Fault, tmp_path: Path) -> None:
    """The same streams tell wrong rules from right ones."""
    judgement = told_right(fault.alerts)
    with pytest.raises(AssertionError, match="got:"):
        unit_tests(tmp_path, fault.rules(), [judgement.unit_test()])


@cache
def told_right(names: tuple[str, ...]) -> Judgement:
    """Streams about these alerts, on which the right rules decide as the contract does."""
    alerts = [BY_NAME[name] for name in names]
    judgement = judged(FAULTS_SEED, alerts, 5, 3600)
    with TemporaryDirectory() as folder:
        unit_tests(Path(folder), rules("https://runbooks.example", alerts), [judgement.unit_test()])
    return judgement
