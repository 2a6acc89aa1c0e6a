"""What is broken on purpose between an application and its backends, and what was seen then."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from tests.reliability.outages_plant import INTERVAL_SECONDS, Plant


@dataclass(frozen=True)
class Outage:
    """`begin` breaks, `end` mends; between them time passes, and people are at work."""

    name: str
    begin: Callable[[Plant], object]
    end: Callable[[Plant], object] = lambda _: None


def _one_after_the_other(*steps: Callable[[Plant], object]) -> Callable[[Plant], None]:
    def both(plant: Plant) -> None:
        for number, step in enumerate(steps):
            if number:
                time.sleep(2 * INTERVAL_SECONDS)
            step(plant)

    return both


def _everything_is_killed(plant: Plant) -> None:
    plant.kill_gateway()
    plant.prometheus.kill()
    plant.app.kill()
    plant.kill_exporter()


def _everything_is_started(plant: Plant) -> None:
    plant.start_application()
    time.sleep(2 * INTERVAL_SECONDS)
    plant.start_gateway()
    plant.prometheus.start()


def _both_killed(plant: Plant) -> None:
    plant.kill_exporter()
    plant.kill_gateway()


def _datadog(mode: Any) -> Outage:
    return Outage(
        f"Datadog: {mode}", lambda p: p.datadog.fail(mode), lambda p: p.datadog.fail("ok")
    )


OUTAGES = (
    Outage("Prometheus killed", lambda p: p.prometheus.kill(), lambda p: p.prometheus.start()),
    Outage(
        "network to Prometheus cut",
        lambda p: p.to_prometheus.cut(),
        lambda p: p.to_prometheus.mend(),
    ),
    Outage(
        "network to Prometheus silent",
        lambda p: p.to_prometheus.hang(),
        lambda p: p.to_prometheus.mend(),
    ),
    *map(_datadog, ("503", "429", "hang", "reset")),
    Outage("Datadog: away", lambda p: p.datadog.stop(), lambda p: p.datadog.start()),
    Outage("gateway killed", lambda p: p.kill_gateway(), lambda p: p.start_gateway()),
    Outage("gateway restarted", lambda p: p.stop_gateway(), lambda p: p.start_gateway()),
    Outage(
        "gateway stands still",
        lambda p: p.gateway.running and psutil.Process(p.gateway.pid).suspend(),
        lambda p: p.gateway.running and psutil.Process(p.gateway.pid).resume(),
    ),
    Outage(
        "gateway killed while Datadog hangs",
        _one_after_the_other(lambda p: p.datadog.fail("hang"), lambda p: p.kill_gateway()),
        _one_after_the_other(lambda p: p.start_gateway(), lambda p: p.datadog.fail("ok")),
    ),
    Outage(
        "network to the gateway cut", lambda p: p.to_gateway.cut(), lambda p: p.to_gateway.mend()
    ),
    Outage(
        "network to the gateway silent",
        lambda p: p.to_gateway.hang(),
        lambda p: p.to_gateway.mend(),
    ),
    Outage("workers killed", lambda p: p.kill_workers()),
    Outage("exporter killed", lambda p: p.kill_exporter()),
    Outage(
        "exporter killed while the gateway is away",
        _one_after_the_other(lambda p: p.stop_gateway(), lambda p: p.kill_exporter()),
        lambda p: p.start_gateway(),
    ),
    Outage(
        "exporter, then gateway killed",
        _both_killed,
        lambda p: p.start_gateway(),
    ),
    Outage("everything killed", _everything_is_killed, _everything_is_started),
)


@dataclass
class Seen:
    """What an outage did, or several: requests meanwhile, and what each backend lacks of them."""

    name: str
    requests: int
    prometheus_lost: float
    datadog_lost: float
    durations_lost: float
    may_be_lost: int
    resets: float
    overwritten: int
    gap: float
    whole: bool  # nothing was counted that nobody asked for, and all that was answered is
    counted: Mapping[str, float]

    def wrong(self, *, delta: bool = False) -> list[str]:
        """What is not as it is promised, in words: of totals, of growth where `delta`.

        What a gateway was sending when it was killed may come twice.
        """
        most = 0 if delta else self.may_be_lost
        said = []
        if not delta and self.prometheus_lost:
            said.append("Prometheus")
        if not -self.may_be_lost <= self.datadog_lost <= most:
            said.append("Datadog")
        if not delta and not -self.may_be_lost <= self.durations_lost <= most:
            said.append("Datadog's durations")
        if self.resets or not self.whole:
            said.append("a total ran backwards, or is not what was done")
        if self.overwritten and not self.may_be_lost:
            said.append("a point came for a second that had one")
        return [f"{self.name}: {what}: {self}" for what in said]


def happen(outages: Sequence[Outage], hold: float, order: random.Random) -> Callable[[Plant], None]:
    """All of them, begun and ended in an order of their own, so that they overlap."""

    def act(plant: Plant) -> None:
        for outage in order.sample(outages, len(outages)):
            outage.begin(plant)
            time.sleep(order.uniform(0, INTERVAL_SECONDS))
        time.sleep(hold)
        for outage in order.sample(outages, len(outages)):
            outage.end(plant)
            time.sleep(order.uniform(0, INTERVAL_SECONDS))

    return act


class Watch:
    """Sees what outages do to a plant, one after the other."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        time.sleep(4 * INTERVAL_SECONDS)
        self._before = plant.settled(0)

    def see(self, name: str, act: Callable[[Plant], object]) -> Seen:
        """Has `act` break and mend something, and looks once all has arrived."""
        plant, before = self._plant, self._before
        began, at, overwritten = time.monotonic(), time.time(), plant.overwritten()
        plant.load.go_on()
        counting = Counting(plant)
        act(plant)
        time.sleep(2 * INTERVAL_SECONDS)
        after = self._before = plant.settled(before.counted - before.datadog)
        done = after.counted - before.counted
        seen = Seen(
            name=name,
            requests=after.answered - before.answered,
            prometheus_lost=done - (after.prometheus - before.prometheus),
            datadog_lost=done - (after.datadog - before.datadog),
            durations_lost=after.durations_prometheus
            - before.durations_prometheus
            - (after.durations_datadog - before.durations_datadog),
            may_be_lost=plant.may_be_lost(began),
            resets=plant.resets() if after.prometheus else 0,
            overwritten=plant.overwritten() - overwritten,
            gap=plant.longest_gap(at - 2) if after.prometheus else math.inf,
            whole=after.answered <= after.counted <= after.begun,
            counted=counting.end(),
        )
        print(seen, flush=True)
        return seen


class Counting:
    """Reads, until its end, what gateways said that they lost or refused."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._most: dict[str, float] = {}
        self._before = dict(plant.counted_by_gateway())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._over.wait(INTERVAL_SECONDS):
            for name, value in self._plant.counted_by_gateway().items():
                self._most[name] = max(self._most.get(name, 0), value)

    def end(self) -> dict[str, float]:
        """The most that was said since the beginning, of each metric."""
        self._over.set()
        self._thread.join()
        grown = {name: most - self._before.get(name, 0) for name, most in self._most.items()}
        return {name: value for name, value in grown.items() if value > 0}
