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
    interval: 1s
    rules:
      - alert: Watchdog
        expr: vector(1)
        labels: {severity: none}
"""
SECONDS = 60


@contextlib.contextmanager
def scraping(folder: Path, application: Application) -> Iterator[Prometheus]:
    """Once it has what panels are computed from."""
    folder.mkdir(parents=True, exist_ok=True)
    rules = folder / "heartbeat.yml"
    rules.write_text(_RULES)
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
        eventually(lambda: bool(prometheus.query('ALERTS{alertname="Watchdog"}')), True, SECONDS)
        yield prometheus
