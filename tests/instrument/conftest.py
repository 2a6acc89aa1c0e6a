from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import flask
import pytest
from flask.testing import FlaskClient

from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.instrument import business, tally, users
from otel_accubooks.instrument import flask as measured
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.instrument.rules_check import check_rules
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.fork import generation
from otel_accubooks.recorder.process import recorder
from otel_accubooks.recorder.service import ServiceReader
from otel_accubooks.recorder.totals import Totals
from otel_accubooks.stack.postgres import Postgres
from otel_accubooks.stack.redis import Redis


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Callable[[], Totals]]:
    """What is recorded from now on by this process, and by all that share `recorder.folder`."""
    recorder.folder = folder = StateFolder(tmp_path / "services" / "one")
    generation[0] = 0  # as after a fork: the next record opens a segment in the new folder
    yield lambda: ServiceReader(folder).read()
    recorder.folder = None
    generation[0] = 0


class Outcome:
    """What a measured application said, and what was recorded of it."""

    def __init__(self, text: str) -> None:
        told = json.loads(text)
        self.said: dict = told["said"]
        self.values = {(name, *labels): value for name, labels, value in told["recorded"]}

    def of(self, metric: Metric) -> dict:
        """The series of one metric by their labels (one label: a string, none: an empty tuple)."""
        return {
            labels[0] if len(labels) == 1 else tuple(labels): value
            for (name, *labels), value in self.values.items()
            if name == metric.name
        }

    def counted(self, metric: Metric) -> dict:
        """The series that are not 0."""
        return {labels: value for labels, value in self.of(metric).items() if value}


@pytest.fixture
def application(tmp_path: Path) -> Callable[..., Outcome]:
    """Runs a script as a measured application, in a process of its own (see application.py)."""

    def run(script: str, *imported_before: str, **environ: str) -> Outcome:
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(script))
        runner = str(Path(__file__).with_name("application.py"))
        done = subprocess.run(
            [
                sys.executable,
                runner,
                str(path),
                str(tmp_path / "services" / "app"),
                *imported_before,
            ],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "otel-accubooks" not in done.stderr, done.stderr
        return Outcome(done.stdout.splitlines()[-1])

    return run


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with Postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with Redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


class Shop:
    """A Flask application under rules, and what was counted of it."""

    def __init__(self, recorded: Callable[[], Totals]) -> None:
        self.recorded = recorded
        self.app = flask.Flask("shop")
        self.app.secret_key = "sealed"
        self._patches: list[Patches] = []

    def under(self, text: str) -> FlaskClient:
        """A client of the application, from now on under the rules in `text`."""
        self._patches.append(business.apply(check_rules("rules.toml", text)))
        self._patches.append(measured.instrument(flask))
        return self.app.test_client()

    def counts(self, name: str = "scenarios_created_total") -> dict[tuple[str, ...], float]:
        """Label values and count of the series of a counter that are not 0."""
        points = self.recorded().of(BY_NAME[name])
        return {point.labels: point.value for point in points if point.value}

    def present(self) -> tuple[int, int]:
        """How many users were active in the last minutes, and how many sessions are open."""
        visits, now = self.recorded().visits, time.time()
        found = visits.sessions(now).values()
        return len(visits.active(now)), sum(1 for sessions in found if sessions.open)

    def close(self) -> None:
        while self._patches:
            self._patches.pop().restore()
        business.apply(check_rules("", ""))


@pytest.fixture
def shop(recorded: Callable[[], Totals], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(users, "_key", None)
    monkeypatch.setattr(users, "_written", {})
    monkeypatch.setattr(tally, "_told", set())
    opened = Shop(recorded)
    yield opened
    opened.close()
