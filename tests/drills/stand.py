"""Where drills take place: a deployment of the example with people in it, watched by Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from drill import Drill
from people import People
from shortened import shortened, write_rules

from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.stack.deployment import Deployment
from otel_accubooks.stack.prometheus import Prometheus

HEARTBEAT = "Watchdog"
PATIENCE_SECONDS = 600
POLL_SECONDS = 0.5
# Half of what passes between two evaluations: no state of an alert is missed.
STEP_SECONDS = 0.5

# What a query of Prometheus answers of an alert: when it was in which state, in order.
History = dict[str, list[tuple[float, str, dict[str, str]]]]


class Stand:
    """One deployment for drills that leave each other alone. As a context manager it is started."""

    def __init__(
        self,
        folder: Path,
        drills: Sequence[Drill],
        *,
        backends: Sequence[str] = ("prometheus",),
        settings: dict[str, str] | None = None,
        threads: int = 8,
        always_busy: bool = True,
    ) -> None:
        changed = {drill.alert: drill.changes for drill in drills}
        alerts = [shortened(alert, **changed.get(alert.name, {})) for alert in ALERTS]
        self.alerts = {alert.name: alert for alert in alerts}
        self.deployment = Deployment(
            folder,
            backends,
            workers=2,
            threads=threads,
            settings={"OTEL_METRIC_EXPORT_INTERVAL": "1000", **(settings or {})},
            rules=write_rules(alerts, folder / "rules.yml"),
            # A page of metrics takes its time on a busy machine, and half of this is its limit.
            scrape_interval="2s",
        )
        self.people = People(self.deployment.url)
        self._always_busy = always_busy
        self._running = ExitStack()

    @property
    def prometheus(self) -> Prometheus:
        assert self.deployment.prometheus is not None
        return self.deployment.prometheus

    def active(self) -> set[tuple[str, str]]:
        """Name and state (pending, firing) of the alerts that are not inactive now."""
        return {(row["alertname"], row["alertstate"]) for row, _ in self.prometheus.query("ALERTS")}

    def wait_for(self, alert: str, state: str) -> None:
        """Until `alert` is in this state. Raises AssertionError, saying what is active instead."""
        self._until(lambda: (alert, state) in self.active(), f"{alert} is not {state}")

    def wait_until_over(self, alert: str) -> None:
        """Until `alert` is neither pending nor firing."""
        self._until(lambda: alert not in dict(self.active()), f"{alert} is not resolved")

    def wait_until_quiet(self) -> None:
        """Until the heartbeat is all that there is."""
        self._until(lambda: self.active() == {(HEARTBEAT, "firing")}, "it is not quiet")

    def history(self, since: float, until: float) -> History:
        """What each alert went through; times in Unix seconds."""
        asked = {"query": "ALERTS", "start": since, "end": until, "step": STEP_SECONDS}
        with httpx.Client(trust_env=False, timeout=30) as client:
            answer: Any = client.get(f"{self.prometheus.url}/api/v1/query_range", params=asked)
        told: History = {}
        for row in answer.json()["data"]["result"]:
            labels = row["metric"]
            states = told.setdefault(labels["alertname"], [])
            states += [(float(at), labels["alertstate"], labels) for at, _ in row["values"]]
        for states in told.values():
            states.sort(key=lambda state: state[:2])
        return told

    def _until(self, holds: Callable[[], bool], otherwise: str) -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < give_up, f"{otherwise}; active: {sorted(self.active())}"
            time.sleep(POLL_SECONDS)

    def __enter__(self) -> Stand:
        with ExitStack() as stack:
            stack.enter_context(self.deployment)
            self.deployment.start(lambda _: None)
            if self._always_busy:
                stack.enter_context(self.people)
            else:
                self.people.client("pro@birch.example").close()  # else nobody ever was here
            self._running = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._running.close()
