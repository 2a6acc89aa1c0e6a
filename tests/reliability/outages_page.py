"""The section of docs/reliability.md about outages."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.reliability.outages import Seen
from tests.reliability.outages_plant import INTERVAL_SECONDS
from tests.reliability.page import write

_HEAD = (
    "| broken | requests meanwhile | Prometheus lacks | Datadog lacks | longest gap | gateway counted |"
    "\n|---|---|---|---|---|---|"
)

_HOW = """
An application with three workers of gunicorn and people who make requests all the time, the
gateway, Prometheus 3 (by OTLP) and Datadog's intake; an export every {interval:.0f} s. What is
broken is mended after a while; then every request that was answered is looked for. For each kill
of the gateway Datadog may lack an interval of counts, or have what was just being sent twice
(below 0): in brackets are the requests that this may be at most. Of what comes twice for one
second Datadog keeps one count, and adds up distributions.
""".strip()
_LONG = """
After the ten minutes, Prometheus 2 (by remote write) lacks {lost:.0f} requests; its longest gap
is {gap:.1f} s. Of the time in which the gateway itself was away there are no points; the totals
after it are right.
""".strip()
_NO_ROOM = """
What a queue had no room for is lost where the gateway makes deltas of totals, as for Datadog, and
nowhere else. The gateway counts it (`otelcol_exporter_enqueue_failed_metric_points`, watched by
TelemetryPipelineFailing) and logs the reason; the application's log says that metrics are not
arriving. With delta nothing is lost.
""".strip()


@dataclass
class Report:
    """What the drills have seen: each alone, several at once, as growth, without room, for long."""

    one: list[Seen] = field(default_factory=list)
    many: list[Seen] = field(default_factory=list)
    delta: list[Seen] = field(default_factory=list)
    room: list[Seen] = field(default_factory=list)
    long: tuple[Seen, float, float] | None = None
    seed: int = 0

    def write(self) -> None:
        """Writes the section, if nothing of it is missing."""
        if not (self.one and self.many and self.delta and len(self.room) == 5 and self.long):
            return
        write("Outages", "\n\n".join(self._parts()))

    def _parts(self) -> list[str]:
        assert self.long is not None
        seen, lost, gap = self.long
        return [
            _HOW.format(interval=INTERVAL_SECONDS),
            _table([seen, *self.one]),
            _LONG.format(lost=lost, gap=gap),
            f"Several at once, begun and ended in random orders (seed {self.seed}):",
            _table(self.many),
            "Datadog alone, and delta: nothing is lost. What was not acknowledged may count twice.",
            _table(self.delta),
            "No room:",
            _table(self.room),
            _NO_ROOM,
        ]


def _table(rows: Iterable[Seen]) -> str:
    return "\n".join([_HEAD, *map(_row, rows)])


def _row(seen: Seen) -> str:
    prometheus = math.isfinite(seen.gap)  # else it was not among the backends
    allowed = f" ({seen.may_be_lost})" if seen.may_be_lost else ""
    counted = ", ".join(f"`{name}` {value:.0f}" for name, value in seen.counted.items()) or "-"
    cells = [
        seen.name,
        f"{seen.requests}",
        f"{seen.prometheus_lost:.0f}" if prometheus else "-",
        f"{seen.datadog_lost:.0f}{allowed}",
        f"{seen.gap:.1f} s" if prometheus else "-",
        counted,
    ]
    return f"| {' | '.join(cells)} |"
