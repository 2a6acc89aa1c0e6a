"""Stand-ins for meters and instruments: the real ones behind them are those of the process that asks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from opentelemetry.metrics import (
    CallbackT,
    Counter,
    Histogram,
    Meter,
    NoOpMeter,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
    _Gauge,
)

Make = Callable[[Meter], Any]
R = TypeVar("R")


class StandIn(Generic[R]):
    """An instrument that can be made again in each process; `make` makes it of a real meter."""

    def __init__(self, meter: LazyMeter, make: Make) -> None:
        self.meter = meter
        self.make = make
        self._pid = 0
        self._here: Any = None

    def real(self) -> R:
        """The real instrument of this process; one that does nothing where there can be none."""
        try:
            pid = os.getpid()
            if self._pid != pid:
                self._here = self.meter.real_instrument(self)
                self._pid = pid
            here: R = self._here
        except Exception:
            here = self.make(NoOpMeter("none"))
        return here


class LazyCounter(StandIn[Counter], Counter):
    def add(self, *args: Any, **kwargs: Any) -> None:
        self.real().add(*args, **kwargs)


class LazyUpDownCounter(StandIn[UpDownCounter], UpDownCounter):
    def add(self, *args: Any, **kwargs: Any) -> None:
        self.real().add(*args, **kwargs)


class LazyHistogram(StandIn[Histogram], Histogram):
    def record(self, *args: Any, **kwargs: Any) -> None:
        self.real().record(*args, **kwargs)


class LazyGauge(StandIn[_Gauge], _Gauge):
    def set(self, *args: Any, **kwargs: Any) -> None:
        self.real().set(*args, **kwargs)


class LazyObservableCounter(StandIn[ObservableCounter], ObservableCounter):
    pass


class LazyObservableUpDownCounter(StandIn[ObservableUpDownCounter], ObservableUpDownCounter):
    pass


class LazyObservableGauge(StandIn[ObservableGauge], ObservableGauge):
    pass


S = TypeVar("S", bound=StandIn[Any])


class LazyMeter(Meter):
    """A meter whose instruments are stand-ins.

    `find` gives the real meter of this process, or None where there can be none; `observe` is told
    of each observable instrument, which is to be observed without anybody recording.
    """

    def __init__(
        self,
        name: str,
        version: str | None,
        schema_url: str | None,
        find: Callable[[LazyMeter], Meter],
        observe: Callable[[StandIn[Any]], None],
    ) -> None:
        super().__init__(name, version=version, schema_url=schema_url)
        self._find = find
        self._observe = observe
        self._made: dict[tuple[str, ...], StandIn[Any]] = {}

    def real_instrument(self, stand_in: StandIn[Any]) -> Any:
        """Makes the instrument behind `stand_in` in this process."""
        try:
            return stand_in.make(self._find(self))
        except Exception as error:  # a name that is not allowed: said here, not in a request
            from otel_accubooks.launch.arrival import say_once

            say_once("instrument", f"an instrument of the application cannot be made: {error}")
            return stand_in.make(NoOpMeter("none"))

    def _synchronous(self, kind: type[S], make: Make, *key: str) -> S:
        # An application may make its counter in each request: it is the same one.
        known = self._made.get((kind.__name__, *key))
        if known is None:
            known = self._made.setdefault((kind.__name__, *key), kind(self, make))
        return known  # type: ignore[return-value]

    def _observable(self, kind: type[S], make: Make) -> S:
        made = kind(self, make)
        self._observe(made)
        return made

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Counter:
        """As the API's."""
        return self._synchronous(
            LazyCounter,
            lambda meter: meter.create_counter(name, unit, description),
            *(name, unit, description),
        )

    def create_up_down_counter(
        self, name: str, unit: str = "", description: str = ""
    ) -> UpDownCounter:
        """As the API's."""
        return self._synchronous(
            LazyUpDownCounter,
            lambda meter: meter.create_up_down_counter(name, unit, description),
            *(name, unit, description),
        )

    def create_histogram(
        self, name: str, unit: str = "", description: str = "", **advisory: Any
    ) -> Histogram:
        """As the API's."""
        return self._synchronous(
            LazyHistogram,
            lambda meter: meter.create_histogram(name, unit, description, **advisory),
            *(name, unit, description),
        )

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> _Gauge:
        """As the API's."""
        return self._synchronous(
            LazyGauge,
            lambda meter: meter.create_gauge(name, unit, description),
            *(name, unit, description),
        )

    def create_observable_counter(
        self,
        name: str,
        callbacks: Sequence[CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> ObservableCounter:
        """As the API's."""
        return self._observable(
            LazyObservableCounter,
            lambda meter: meter.create_observable_counter(name, callbacks, unit, description),
        )

    def create_observable_up_down_counter(
        self,
        name: str,
        callbacks: Sequence[CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> ObservableUpDownCounter:
        """As the API's."""
        return self._observable(
            LazyObservableUpDownCounter,
            lambda meter: meter.create_observable_up_down_counter(
                name, callbacks, unit, description
            ),
        )

    def create_observable_gauge(
        self,
        name: str,
        callbacks: Sequence[CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> ObservableGauge:
        """As the API's."""
        return self._observable(
            LazyObservableGauge,
            lambda meter: meter.create_observable_gauge(name, callbacks, unit, description),
        )
