"""What the gateway's benchmark found, in words: the comparison, and how large a gateway must be."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TARGET = 0.85
INTERVAL_SECONDS = 15
SHARE = 0.6  # of a core is planned with: the rest is for what waited during an outage
KNOWN_HOSTS = 100  # that the memory limit is said for
CONVERTED = ("datadog", "newrelic")

_COMPARED = """\
{hosts} hosts push {points:,} series each of the contract's metrics (most of them the HTTP metrics
by route and status, half of them histograms) by OTLP/HTTP, in {rounds} rounds, into a gateway with
our files and, by turns, into a plain one: the same collector, receiver, exporter, batches and queue
on disk, without any processor. A round ends when everything has left again. The backend is a server
that takes all and forgets it. Each has one thread that runs Go; CPU is that of user and kernel.
Target: at least {target} of the plain one's points per CPU second.

What ours does besides: it masks what slips through ([security](security.md)), for each value in
proportion to its length; and before Prometheus it looks at the time of each point, since one of a
wrong clock has all refused that comes with it. Of the cheapest ones, into OTLP, that is a tenth and a
twentieth. The memory limit and the way between two pipelines are less than the noise.
"""
_CONVERSION = """
Who wants deltas and is sent totals needs them converted. Datadog's exporter converts by itself
where no processor does, for more CPU; New Relic takes totals too, but then a sum over a time is
no plain `sum()`. So where totals are sent, the plain collector that does the same work is the one
that converts. Applications that send deltas
(`OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta`) spare the gateway that work.

### How large a gateway must be

Hosts that push {points:,} series each, every {interval} s, planned with {share:.0%} of a core: the
rest works off what waited during an outage. `GATEWAY_MEMORY_MIB` is for all these hosts pushing at
the same moment, and a quarter more than was measured: at four fifths of it senders are told to wait.
"""
_AFTER = """
The queue is on disk, up to 1 GiB for each backend (`queue_size`), and needs no memory of its own;
remote write's is in memory. Spans are not in these figures. A gateway uses all cores that it is
given."""


def report(results: dict[str, Any], plots: Path) -> str:
    """The two tables; there is no plot."""
    rows, hosts, points = results["rows"], results["hosts"], results["points"]
    comparison = _table(
        [
            "backend file",
            "points per CPU second: ours",
            "plain",
            "ours / plain",
            "ours / plain that converts",
            "noise: plain / plain",
            "points lost",
        ],
        [_compared(row, hosts * points) for row in rows],
    )
    sizing = _table(
        [
            "backend file",
            "points per second and core",
            "hosts per core",
            f"MiB at the peak, {hosts} hosts",
            "MiB per 1,000 series more",
            f"`GATEWAY_MEMORY_MIB` for {KNOWN_HOSTS} hosts",
        ],
        [_sized(row, hosts, results["growth"], points) for row in rows],
    )
    return "\n".join(
        [
            _COMPARED.format(hosts=hosts, points=points, rounds=results["rounds"], target=TARGET),
            comparison,
            _CONVERSION.format(points=points, share=SHARE, interval=INTERVAL_SECONDS),
            sizing,
            _AFTER,
        ]
    )


def ratio(row: Mapping[str, Any], kind: str, over: str = "plain") -> float:
    """Points per CPU second of one kind over those of another, which had the same rounds by turns.

    Of all rounds together: the kernel counts a process's CPU in hundredths of a second.
    """
    return statistics.fmean(row[over]["cpu"]) / statistics.fmean(row[kind]["cpu"])


def rate(row: Mapping[str, Any], kind: str, points: int) -> float:
    """Points per CPU second; `points` is how many a round has."""
    return points / statistics.fmean(row[kind]["cpu"])


def _compared(row: Mapping[str, Any], points: int) -> list[str]:
    converting = f"{ratio(row, 'ours', 'converting'):.2f}" if "converting" in row else ""
    return [
        _title(row),
        f"{rate(row, 'ours', points):,.0f}",
        f"{rate(row, 'plain', points):,.0f}",
        f"{ratio(row, 'ours'):.2f}",
        converting,
        f"{ratio(row, 'again'):.2f}",
        f"{row['ours']['lost']:.0f}",
    ]


def _sized(row: Mapping[str, Any], hosts: int, growth: int, points: int) -> list[str]:
    per_second, memory = rate(row, "ours", hosts * points), row["ours"]
    more = (growth - 1) * hosts * points / 1000  # thousands of series that came on top
    each = (memory["grown"] - memory["peak"]) / more
    needed = memory["peak"] + each * (KNOWN_HOSTS - hosts) * points / 1000
    return [
        _title(row),
        f"{per_second:,.0f}",
        f"{math.floor(per_second * SHARE * INTERVAL_SECONDS / points):,}",
        f"{memory['peak']:.0f}",
        f"{each:.2f}",
        f"{math.ceil(needed * 1.25 / 64) * 64:,}",
    ]


def _title(row: Mapping[str, Any]) -> str:
    sent = "deltas" if row["delta"] else "totals"
    return f"`{row['backend']}`" + (f", sent {sent}" if row["backend"] in CONVERTED else "")


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
