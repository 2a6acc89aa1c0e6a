"""How busy the workers of a queue are, from what each says of itself."""

import pytest

from otel_accubooks.contract.metrics import (
    FORECAST_QUEUE_DEPTH,
    FORECAST_WORKER_UTILIZATION_PERCENT,
)
from otel_accubooks.contract.unsent import QUEUE_UNATTENDED, QUEUE_WORKERS, QUEUE_WORKERS_BUSY
from otel_accubooks.export.queue_workers import utilization
from otel_accubooks.recorder.layout import make_key
from otel_accubooks.recorder.totals import Point, Totals

WORKERS, BUSY, UNATTENDED = QUEUE_WORKERS, QUEUE_WORKERS_BUSY, QUEUE_UNATTENDED
DEPTH, TOLD = FORECAST_QUEUE_DEPTH, FORECAST_WORKER_UTILIZATION_PERCENT


@pytest.mark.parametrize(
    ("values", "percent"),
    [
        pytest.param({WORKERS: 4, BUSY: 1}, 25.0, id="the busy share of all places"),
        pytest.param({WORKERS: 4, BUSY: 5}, 100.0, id="never more than all"),
        pytest.param({WORKERS: 4, BUSY: 1, UNATTENDED: 1, DEPTH: 9}, 25.0, id="own workers first"),
        pytest.param({UNATTENDED: 1, DEPTH: 3}, 100.0, id="nobody for what waits"),
        pytest.param({UNATTENDED: 1, DEPTH: 0}, 0.0, id="nobody, and nothing waits"),
        pytest.param({WORKERS: 0, BUSY: 0, UNATTENDED: 1, DEPTH: 3}, 100.0, id="none any more"),
        pytest.param({UNATTENDED: 0, DEPTH: 3}, None, id="workers on other hosts"),
        pytest.param({DEPTH: 3}, None, id="a broker that does not say"),
        pytest.param({WORKERS: 4, BUSY: 1, TOLD: 50}, None, id="recorded by who knows better"),
    ],
)
def test_utilization(values, percent):
    """Known from the places of this service's workers, or from there being none anywhere."""
    totals = Totals()
    for metric, value in values.items():
        key = make_key(metric.name, ("books",))
        totals.points[key, False] = Point(metric, ("books",), value=float(value))
    found = {point.labels: point.value for point in utilization(totals)}
    assert found == ({} if percent is None else {("books",): percent})
