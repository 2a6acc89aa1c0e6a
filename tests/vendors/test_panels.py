"""Random streams in a running Prometheus: every panel shows what the contract says."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import httpx
import pytest
from random_streams import Level, service
from streams import samples
from tolerance import ROUNDING, Bounds, between

from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.evaluation import Recorded
from otel_accubooks.contract.query import DAY, HOUR, Peak, Query, series_of
from otel_accubooks.stack.binaries import find_prometheus, find_prometheus3
from otel_accubooks.stack.ports import LOOPBACK, free_port, http_ok
from otel_accubooks.stack.process import Server
from otel_accubooks.vendors.promql import promql

QUERIES = list(
    dict.fromkeys(curve.query for d in DASHBOARDS for panel in d.panels for curve in panel.curves)
)
SEED = 1
# Exports fall on no whole second, and so on no moment of asking and on no edge of a window.
PHASES = (1.123, 4.7, 9.25, 13.001)
# One service over more than a day, with a point every two minutes; two of two hours, every 15 s.
DAY_AND_MORE = DAY + 3 * HOUR
SHORT = 2 * HOUR

Services = dict[str, Recorded]


@pytest.fixture(scope="module")
def services() -> Services:
    rng = Random(SEED)
    levels = [Level(query, rng.choice((5.0, 50.0, 500.0))) for query in QUERIES]
    made = {"long": service(rng, levels, DAY_AND_MORE, step=120, phases=PHASES)}
    for name in ("one", "other"):
        made[name] = service(rng, levels, SHORT, step=15, phases=PHASES)
    return made


@pytest.fixture(scope="module")
def begin() -> float:
    """The time of the streams' 0: a midnight of a few days ago."""
    return (time.time() // DAY - 3) * DAY


@pytest.fixture(scope="module")
def blocks(services: Services, begin: float, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The points as blocks of a Prometheus."""
    folder = tmp_path_factory.mktemp("points")
    with (folder / "points.txt").open("w") as file:
        for job, recorded in services.items():
            for name, labels, points in samples(recorded):
                inside = ",".join(f"{k}={json.dumps(v)}" for k, v in {**labels, "job": job}.items())
                for at, value in points:
                    file.write(f"{name}{{{inside}}} {value!r} {begin + at:.3f}\n")
        file.write("# EOF\n")
    made = folder / "data"
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", file.name, str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return made


@pytest.fixture(scope="module", params=[find_prometheus, find_prometheus3], ids=["any", "3"])
def prometheus(
    request: pytest.FixtureRequest, blocks: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    shutil.copytree(blocks, folder / "data")
    (folder / "prometheus.yml").write_text("{}")
    url = f"http://{LOOPBACK}:{port}"
    server = Server(
        "Prometheus",
        [
            str(request.param()),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=30d",
            f"--web.listen-address={LOOPBACK}:{port}",
        ],
        log=folder / "prometheus.log",
        ready=lambda: http_ok(f"{url}/-/ready"),
    )
    with server, httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        yield client


def shown(client: httpx.Client, query: Query, at: float) -> dict[tuple[str, ...], float]:
    """Prometheus' answer, by service and group; it has no other labels."""
    by = getattr(query.of if isinstance(query, Peak) else query, "by", ())
    said = client.post("/api/v1/query", data={"query": promql(query), "time": f"{at:.3f}"}).json()
    assert said["status"] == "success", said
    rows = {}
    for row in said["data"]["result"]:
        assert set(row["metric"]) <= {"job", *by}
        group = tuple(row["metric"].get(label, "") for label in ("job", *by))
        rows[group] = float(row["value"][1])
    return rows


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_panel_shows_what_the_contract_says(
    query: Query, services: Services, begin: float, prometheus: httpx.Client
) -> None:
    """The same groups, the same values up to the tolerance, and no data on the same occasions."""
    rng, asked = Random(str(query)), {series.metric for series in series_of(query)}
    read = {
        job: Recorded({key: rows for key, rows in recorded.points.items() if key[0] in asked})
        for job, recorded in services.items()
    }
    moments = [*(rng.randrange(int(SHORT)) for _ in range(6)), int(SHORT) + 200]
    for now in [*moments, *(rng.randrange(int(DAY_AND_MORE)) for _ in range(3))]:
        expected: Bounds = {
            (job, *group): bounds
            for job, recorded in read.items()
            for group, bounds in between(query, recorded, float(now)).items()
        }
        rows = shown(prometheus, query, begin + now)
        assert set(rows) == set(expected), f"at {now}"
        for group, value in rows.items():
            low, high = expected[group]
            off = ROUNDING * abs(value)
            assert low - off <= value <= high + off, f"{group} at {now}"
