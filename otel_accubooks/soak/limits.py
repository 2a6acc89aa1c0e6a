"""What a deployment may do in a soak and still be stable. Stated here, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from otel_accubooks.contract.alerts import BY_NAME
from otel_accubooks.contract.query import HOUR

MEBIBYTE = 1024.0 * 1024


def _limit(value: float, means: str) -> Any:
    return field(default=value, metadata={"means": means})


@dataclass(frozen=True)
class Limits:
    """The thresholds of the verdict; the metadata of each field has what it `means`."""

    gap_intervals: float = _limit(
        3, "a silence is a gap from this many intervals of sending, scraping or judging on"
    )
    gap_seconds: float = _limit(15, "and from this many seconds on")
    missing_share: float = _limit(0.01, "share of the points that may be missing, besides gaps")
    missing_points: float = _limit(3, "as many may be missing in any case")
    restarts: float = _limit(0, "restarts of the service, of its exporter, of a gateway")
    growth_share: float = _limit(
        0.10, "share by which memory or descriptors may grow in the window, if they still do"
    )
    growth_bytes: float = _limit(32 * MEBIBYTE, "bytes by which memory may grow in any case")
    growth_descriptors: float = _limit(50, "descriptors by which a service may grow in any case")
    steadiness: float = _limit(
        0.6, "Kendall's tau from which on a growth is steady, and no up and down"
    )
    error_percent: float = _limit(
        BY_NAME["HighErrorRate"].conditions[0].threshold,
        "percent of the requests that may fail with 5xx: the threshold of HighErrorRate",
    )
    lost_points: float = _limit(0, "points that a gateway may lose, refuse or fail to send")
    exporter_cores: float = _limit(0.1, "cores that the exporter of a service may use on average")
    slower: float = _limit(
        BY_NAME["LatencyTrendDegradation"].conditions[0].threshold,
        "times that the last quarter's mean latency may be of the first's",
    )
    slower_seconds: float = _limit(HOUR, "shortest window in which latencies are compared")
    urgent_firings: float = _limit(0, "times that alerts of P0 and P1 may fire")
    flapping: float = _limit(3, "times within an hour from which on one alert flaps")
    firing_share: float = _limit(0.5, "share of the window that an alert of P2 may fire")
    firing_seconds: float = _limit(HOUR, "and for how many seconds it may in any case")
    notifications_failed: float = _limit(0, "notifications that may fail or be dropped")
    unequal_share: float = _limit(
        0.01, "share by which requests and their durations may differ in number"
    )
