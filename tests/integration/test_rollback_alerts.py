"""What Prometheus tells of where something was switched off: docs/rollback.md says what to silence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from promtool import unit_tests

from otel_accubooks.contract import pipeline
from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import DB_POOL_MAX_CONNECTIONS, METRICS
from otel_accubooks.vendors.prometheus_rules import rules
from otel_accubooks.vendors.promql import APPLICATION_JOB

MINUTES_ON, MINUTES_OFF = 20, 75
EVERYTHING = ("",)
ROOM = {DB_POOL_MAX_CONNECTIONS.name: 10}
PIPELINE = {pipeline.QUEUE_CAPACITY.name: 1000, pipeline.QUEUE_SIZE.name: 0}


def series(metric: Metric) -> Iterator[str]:
    """The names and labels of one quiet series of `metric`."""
    labels = "".join(f', {name}="one"' for name in metric.label_names)
    ends = [""]
    if metric.type == "histogram":
        ends = ["_sum", "_count", *("_bucket" for _ in range(len(metric.buckets) + 1))]
    for place, end in enumerate(ends):
        le = f', le="{[*metric.buckets, "+Inf"][place - 2]}"' if end == "_bucket" else ""
        yield f'{metric.name}{end}{{job="shop", instance="one"{labels}{le}}}'


@pytest.mark.parametrize(
    ("stopped", "answers", "firing"),
    [
        (EVERYTHING, False, {"SystemUnreachable", "TelemetryPipelineFailing"}),
        (("http_",), False, {"SystemUnreachable"}),  # the endpoints are in front of Flask
        ((), False, {"SystemUnreachable"}),
        (("db_", "cache_", "forecast_"), True, set()),
    ],
    ids=["all of it", "flask", "the endpoints", "psycopg2, redis and rq"],
)
def test_what_fires(
    stopped: tuple[str, ...], answers: bool, firing: set[str], tmp_path: Path
) -> None:
    """Of a service where all was well, these fire an hour after it was switched off, and no others."""
    before, after = f"1x{MINUTES_ON}", f"1x{MINUTES_ON + MINUTES_OFF}"
    given = [
        (
            name,
            (before if stopped and metric.name.startswith(stopped) else after).replace(
                "1x", f"{ROOM.get(metric.name, 1)}x"
            ),
        )
        for metric in METRICS
        for name in series(metric)
    ]
    given += [
        (f'{name}{{job="gateway", instance="g", exporter="e"}}', after.replace("1x", f"{value}x"))
        for name, value in PIPELINE.items()
    ]
    given += [(f'up{{job="{APPLICATION_JOB}"}}', after if answers else f"{before} 0x{MINUTES_OFF}")]
    quiet = {"Watchdog"}
    told = [(MINUTES_ON - 1, quiet), (MINUTES_ON + MINUTES_OFF, quiet | firing)]
    unit_tests(
        tmp_path,
        rules("https://runbooks.example"),
        [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in given],
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                        "eval_time": f"{minute}m",
                        "exp_samples": [
                            {"labels": f'{{alertname="{name}"}}', "value": 1}
                            for name in sorted(names)
                        ],
                    }
                    for minute, names in told
                ],
            }
        ],
    )
