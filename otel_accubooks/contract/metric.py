"""The words in which a metric is described.

Named tuples: every process of a service imports this, and data classes take five times as long to make.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Group = Literal["api", "database", "cache", "queue", "business", "system", "unsent", "pipeline"]
Type = Literal["counter", "gauge", "histogram"]


class Label(NamedTuple):
    """A label; `values` is its closed set, or None where the application bounds it."""

    name: str
    values: tuple[str, ...] | None = None


class Part(NamedTuple):
    """One side of a ratio: a metric's series, kept where `label` starts with `prefix`."""

    metric: str
    label: str | None = None
    prefix: str = ""


class Ratio(NamedTuple):
    """100 * increase(numerator) / sum of increase(denominators), over a window of seconds.

    `idle` is the answer while the denominators did not grow, so that it is never a division by zero.
    """

    numerator: Part
    denominators: tuple[Part, ...]
    window: float
    idle: float


Across = Literal["sum", "max", "min"]


class Metric(NamedTuple):
    """One metric of the contract.

    `across` says how series add up over the processes of one service on one host; `hosts` how they
    add up over hosts at query time. `buckets` are upper bounds in `unit`, without +Inf.
    """

    name: str
    group: Group
    type: Type
    unit: str
    description: str
    labels: tuple[Label, ...] = ()
    across: Across = "sum"
    hosts: Literal["sum", "max", "min", "by host"] | None = None
    buckets: tuple[float, ...] = ()
    ratio: Ratio | None = None

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    @property
    def closed(self) -> bool:
        """True where every label has a closed set: such a counter exists at 0 from the start."""
        return all(label.values is not None for label in self.labels)
