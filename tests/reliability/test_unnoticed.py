"""Under the launcher an application answers and ends as without it, whatever becomes of its telemetry."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.postgres import Postgres
from otel_accubooks.stack.redis import Redis
from tests.reliability.unnoticed import Pair, Seen, System, Way, address_space, live_through
from tests.reliability.unwell import Collector

ROUNDS = 10


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    folder = tmp_path_factory.mktemp("services")
    with Postgres(folder) as postgres, Redis(folder) as redis:
        yield {"DSN": postgres.dsn, "REDIS": redis.url}


@pytest.fixture
def sink() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as made:
        yield made


@pytest.fixture
def collector(sink: OtlpReceiver) -> Iterator[Collector]:
    made = Collector(sink)
    yield made
    made.close()


def assert_unnoticed(seen: Seen, line: str) -> None:
    """Answered like bare, one line, and every request counted in the end."""
    assert seen.differing == 0
    assert len(seen.lines) == 1, seen.lines
    assert re.search(line, seen.lines[0]), seen.lines
    assert seen.counted == seen.requests


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        ("hangs", "not arriving at http://127.0.0.1:.*: no answer within 2 s"),
        ("redirects", "it answered 302, a redirection to https://login.example: set OTEL_EXPORT"),
    ],
)
def test_a_collector_that_is_not_well(
    tmp_path: Path,
    services: Mapping[str, str],
    sink: OtlpReceiver,
    collector: Collector,
    mode: str,
    line: str,
) -> None:
    """It says once what it found, also at the end, and loses nothing."""

    def begin(_: Pair) -> None:
        collector.mode = mode

    def mend() -> None:
        collector.mode = "works"

    way = Way(mode, collector.url, begin=begin, mend=mend)
    assert_unnoticed(live_through(way, tmp_path / "life", services, sink, ROUNDS), line)


def test_a_folder_that_cannot_be_made(
    tmp_path: Path, services: Mapping[str, str], sink: OtlpReceiver
) -> None:
    """One line for all workers, each of which sends for itself."""
    (tmp_path / "file").write_text("in the way")
    ours = {"OTEL_ACCUBOOKS_STATE_DIR": str(tmp_path / "file" / "state")}
    seen = live_through(Way("a file", ours=ours), tmp_path / "life", services, sink, ROUNDS)
    assert_unnoticed(
        seen, "cannot be made: Not a directory .OTEL_ACCUBOOKS_STATE_DIR names another"
    )


def test_no_process_to_be_had(
    tmp_path: Path, services: Mapping[str, str], sink: OtlpReceiver
) -> None:
    """Counting goes on, and all is sent once there is one."""
    system = System(tmp_path)
    system.set(no_process=True)
    way = Way("no process", both=system.env, meanwhile=lambda _: system.set())
    seen = live_through(way, tmp_path / "life", services, sink, ROUNDS)
    assert_unnoticed(seen, "the process that sends the metrics cannot be started .Resource temp")


def test_hardly_any_address_space(
    tmp_path: Path, services: Mapping[str, str], sink: OtlpReceiver
) -> None:
    """Workers share what they count all the same: nothing is to be said, and nothing is missing."""
    way = Way("4 MiB left", begin=lambda pair: address_space(pair, 4 * 2**20), is_said=False)
    seen = live_through(way, tmp_path / "life", services, sink, ROUNDS)
    assert (seen.differing, seen.lines, seen.counted) == (0, [], seen.requests)


def test_a_clock_that_is_set(
    tmp_path: Path, services: Mapping[str, str], sink: OtlpReceiver
) -> None:
    """By hours, back and forth: nothing is negative, nothing lasts for hours, exporting goes on."""
    system = System(tmp_path)

    def meanwhile(pair: Pair) -> None:
        for ahead in (-5 * 3600, 7 * 3600):
            system.set(ahead=ahead)
            pair.ask(ROUNDS)
            time.sleep(1.5)  # an interval
            pair.ask(ROUNDS)

    way = Way("clock", both=system.env, meanwhile=meanwhile, is_said=False)
    seen = live_through(way, tmp_path / "life", services, sink, ROUNDS)
    assert (seen.differing, seen.lines, seen.counted) == (0, [], seen.requests)
    assert [s.name for s in sink.series() if s.value < 0 or s.sum < 0 or s.resets] == []
    took = sink.series("http_request_duration_ms")
    assert 0 < sum(series.sum for series in took) < 3_600_000
    assert all(series.value < 3600 for series in sink.series("system_uptime_seconds"))
