"""A Prometheus that scrapes an application every second, and has its history."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from otel_accubooks.stack.binaries import find_prometheus
from otel_accubooks.stack.prometheus import DIRECT, Prometheus
from tests.collector.waiting import eventually
from tests.verify.application import Application

_RULES = """
groups:
  - name: heartbeat
    interval: {interval}
    rules:
      - alert: Watchdog
        expr: vector(1)
        labels: {{severity: none}}
"""
SECONDS = 60


@contextlib.contextmanager
def scraping(
    folder: Path, application: Application, *, young: bool = False
) -> Iterator[Prometheus]:
    """Once it has what panels are computed from; where it is `young`, but for alerts."""
    folder.mkdir(parents=True, exist_ok=True)
    rules = folder / "heartbeat.yml"
    rules.write_text(_RULES.format(interval="10s" if young else "1s"))
    binary = find_prometheus(print)
    (folder / "history").write_text(application.history())
    subprocess.run(
        [str(binary.parent / "promtool"), "tsdb", "create-blocks-from", "openmetrics", "-q",
         str(folder / "history"), str(folder / "data")],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    with Prometheus(
        folder,
        binary,
        config=DIRECT,
        targets={"app": [application.address]},
        scrape_interval="1s",
        rules=rules,
    ) as prometheus:
        eventually(lambda: bool(prometheus.query('up{job="accubooks"}')), True, SECONDS)
        if not young:
            alerts = 'ALERTS{alertname="Watchdog"}'
            eventually(lambda: bool(prometheus.query(alerts)), True, SECONDS)
        yield prometheus
