"""Prometheus text, parsed back by Prometheus's own tools."""

from __future__ import annotations

import subprocess

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from otel_accubooks.contract import metrics as m
from otel_accubooks.monitoring.exposition import prometheus_text
from otel_accubooks.recorder.totals import Point

POINTS = [
    Point(m.HTTP_REQUESTS_TOTAL, ("GET", "/a", "200"), value=3),
    Point(m.HTTP_REQUESTS_TOTAL, ("GET", "/b", "500"), value=1),
    Point(m.CACHE_OPERATION_DURATION_MS, ("get",), counts=[1, 0, 0, 0, 2, 0, 1], total=150.5),
    Point(m.CACHE_HIT_RATE_PERCENT, (), value=33.25),
]


def test_promtool_accepts_it() -> None:
    """promtool finds nothing wrong beyond names and units that the contract fixes."""
    text = prometheus_text(POINTS)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    # 3 is its word for style, such as milliseconds in a name; 1 would be a format that is wrong.
    assert done.returncode in (0, 3), done.stderr


def test_buckets_are_cumulative() -> None:
    """Each bucket holds those below it, +Inf all of them."""
    (family,) = [
        f for f in text_string_to_metric_families(prometheus_text(POINTS)) if f.type == "histogram"
    ]
    buckets = {s.labels["le"]: s.value for s in family.samples if s.name.endswith("_bucket")}
    assert buckets == {"1": 1, "5": 1, "10": 1, "25": 1, "50": 3, "100": 3, "+Inf": 4}


@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1f\r")))
def test_any_label_value_survives(value: str) -> None:
    """Quotes, backslashes and line ends in a label are escaped."""
    text = prometheus_text([Point(m.CALCULATION_ERRORS_TOTAL, (value,), value=1)])
    (family,) = text_string_to_metric_families(text)
    assert family.samples[0].labels == {"kind": value}
