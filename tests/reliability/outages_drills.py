"""Every outage for a while, many at once in random orders, and Prometheus away for ten minutes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.reliability.outages import OUTAGES, Outage, Seen, Watch, happen
from tests.reliability.outages_page import Report
from tests.reliability.outages_plant import INTERVAL_SECONDS, Plant
from tests.reliability.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.timeout(2400)
HOLD_SECONDS = 10.0
AWAY_SECONDS = 600.0
ROUNDS = 6
OF_DATADOG = tuple(outage for outage in OUTAGES if "Prometheus" not in outage.name)


def away(plant: Plant) -> None:
    """Both versions of Prometheus are killed."""
    plant.prometheus.kill()
    plant.standby.kill()
    time.sleep(AWAY_SECONDS)
    plant.prometheus.start()
    plant.standby.start()


def away_for_long(folder: Path) -> tuple[Seen, float, float]:
    """What was seen; what Prometheus 2 lacks in the end, and the longest gap in what it has."""
    with Plant(folder, backends=("prometheus", "prometheus-standby", "datadog")) as plant:
        watch = Watch(plant)
        began = time.time()
        seen = watch.see("Prometheus 3 and 2 killed, for 10 minutes", away)
        found = plant.totals()
        return seen, found.counted - plant.in_standby(), plant.longest_gap(began, plant.standby)


@pytest.fixture(scope="module")
def long_outage(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Future[tuple[Seen, float, float]]]:
    """Goes on beside all the others."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(away_for_long, tmp_path_factory.mktemp("long"))


@pytest.fixture(scope="module")
def report(long_outage: object) -> Iterator[Report]:
    report = Report()
    yield report
    report.write()


def test_one_after_the_other(tmp_path: Path, report: Report) -> None:
    """Each outage by itself: 0 lost and 0 twice in Prometheus, gaps filled; Datadog as promised."""
    with Plant(tmp_path) as plant:
        watch = Watch(plant)
        for outage in OUTAGES:
            report.one.append(
                watch.see(outage.name, happen([outage], HOLD_SECONDS, random.Random()))
            )
    assert [wrong for seen in report.one for wrong in seen.wrong()] == []


def test_many_at_once_in_any_order(tmp_path: Path, report: Report) -> None:
    """Four outages at a time that overlap, begun and ended in random orders."""
    report.seed = random.randrange(10**6)
    print(f"the orders are those of the seed {report.seed}")
    order = random.Random(report.seed)
    with Plant(tmp_path) as plant:
        watch = Watch(plant)
        for _ in range(ROUNDS):
            some: list[Outage] = order.sample(OUTAGES, 4)
            act = happen(some, order.uniform(1, HOLD_SECONDS), order)
            report.many.append(watch.see(", ".join(outage.name for outage in some), act))
    assert [wrong for seen in report.many for wrong in seen.wrong()] == []


def test_growth_into_datadog(tmp_path: Path, report: Report) -> None:
    """With delta nothing is lost, whatever is killed; a lost acknowledgement may count twice."""
    with Plant(tmp_path, backends=("datadog",), delta=True) as plant:
        watch = Watch(plant)
        for outage in OF_DATADOG:
            act = happen([outage], HOLD_SECONDS / 2, random.Random())
            report.delta.append(watch.see(outage.name, act))
    assert [wrong for seen in report.delta for wrong in seen.wrong(delta=True)] == []


def no_room(disk: SmallDisk, *meanwhile: Callable[[Plant], object]) -> Callable[[Plant], None]:
    """The disk is full for a while; `meanwhile` happens as soon as nobody waits for an answer."""

    def act(plant: Plant) -> None:
        disk.fill()
        time.sleep(3 * INTERVAL_SECONDS)
        plant.load.rest()
        for step in meanwhile:
            step(plant)
        plant.load.go_on()
        time.sleep(HOLD_SECONDS)
        disk.free()
        plant.datadog.fail("ok")
        time.sleep(3 * INTERVAL_SECONDS)

    return act


def datadog_refuses(plant: Plant) -> None:
    plant.datadog.fail("503")


def test_the_gateways_disk_is_full(tmp_path: Path, report: Report) -> None:
    """Prometheus has all; Datadog has all as long as it answers, and what it has not is counted."""
    with (
        small_disk(tmp_path / "disk", "ext4") as disk,
        Plant(tmp_path, storage=disk.path / "queue") as plant,
    ):
        watch = Watch(plant)
        seen = watch.see("the gateway's disk is full", no_room(disk))
        assert seen.wrong() == []
        report.room.append(seen)
        seen = watch.see("the same, and Datadog answers 503", no_room(disk, datadog_refuses))
        report.room.append(seen)
        assert (seen.prometheus_lost, seen.resets, seen.whole) == (0, 0, True)
        assert seen.datadog_lost == 0 or any("enqueue_failed" in name for name in seen.counted)


def test_the_disk_is_full_and_growth_is_sent(tmp_path: Path, report: Report) -> None:
    """With delta the application keeps what the gateway has no room for: nothing is lost."""
    with (
        small_disk(tmp_path / "disk", "ext4") as disk,
        Plant(tmp_path, storage=disk.path / "queue", backends=("datadog",), delta=True) as plant,
    ):
        seen = Watch(plant).see("the same, with delta", no_room(disk, datadog_refuses))
        report.room.append(seen)
        assert seen.wrong(delta=True) == []


def test_datadogs_queue_is_full(tmp_path: Path, report: Report) -> None:
    """Prometheus goes on as if nothing was; what Datadog lacks is counted, and told the application."""
    with Plant(tmp_path, small_queue=True) as plant:
        watch = Watch(plant)

        def refused(plant: Plant) -> None:
            plant.datadog.fail("503")
            time.sleep(2 * HOLD_SECONDS)
            plant.datadog.fail("ok")

        seen = watch.see("Datadog answers 503, and its queue is full", refused)
        report.room.append(seen)
        assert (seen.prometheus_lost, seen.resets, seen.whole) == (0, 0, True)
        assert any("enqueue_failed" in name for name in seen.counted)
        assert "metrics are not arriving" in plant.log()


def test_the_folder_of_the_shared_counts_is_full(tmp_path: Path, report: Report) -> None:
    """Workers and exporter are killed and replaced meanwhile: both backends have every request."""
    with (
        small_disk(tmp_path / "disk", "tmpfs") as disk,
        Plant(tmp_path, state=disk.path / "state") as plant,
    ):
        watch = Watch(plant)
        plant.shared = False
        seen = watch.see(
            "the folder of the shared counts is full, workers and exporter killed",
            no_room(disk, Plant.kill_workers, Plant.kill_exporter),
        )
        report.room.append(seen)
        assert seen.wrong() == []
        assert "metrics of this process stay in its memory" in plant.log()


def test_ten_minutes_without_prometheus(
    long_outage: Future[tuple[Seen, float, float]], report: Report
) -> None:
    """Every request and every point in between is there, in Prometheus 3 and 2."""
    seen, lost, gap = long_outage.result()
    report.long = (seen, lost, gap)
    assert seen.wrong() == []
    assert lost == 0
    assert max(seen.gap, gap) < 10 * INTERVAL_SECONDS, "the gap was not filled"
