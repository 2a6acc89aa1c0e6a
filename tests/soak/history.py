"""A past for a Prometheus: days of points, made in seconds."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

# Seconds since the beginning; None where there is no point.
Curve = Callable[[float], float | None]

BOUNDS = ("10", "50", "100", "+Inf")
HEALTHY_BYTES = 300.0 * 1024 * 1024


@dataclass(frozen=True)
class Past:
    """`series` (name and labels as Prometheus writes them) from `start` to `end`, every `step` s."""

    start: float
    end: float
    step: float
    series: dict[str, Curve] = field(default_factory=dict)

    def lines(self) -> Iterable[str]:
        """OpenMetrics text."""
        for name, curve in self.series.items():
            for number in range(int((self.end - self.start) / self.step)):
                value = curve(number * self.step)
                if value is not None:
                    yield f"{name} {value} {self.start + number * self.step:.3f}\n"
        yield "# EOF\n"

    def write(self, data: Path) -> None:
        """Writes blocks to the data folder of a Prometheus."""
        data.mkdir(parents=True)
        text = data.parent / "past.txt"
        with text.open("w") as file:
            file.writelines(self.lines())
        argv = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
        subprocess.run(argv, check=True, capture_output=True)


def wave(number: float, width: int) -> float:
    """Noise between 0 and 1 that is the same each time, and takes `width` values."""
    return (int(number) * 7919 % width) / (width - 1)


def service(job: str, instance: str = "one", **changed: Curve) -> dict[str, Curve]:
    """A service that is well, under traffic; `changed` has other curves by the name of the metric.

    Requests come twice a second, and take 20 ms on average.
    """
    labels = f'job="{job}",instance="{instance}"'
    curves: dict[str, tuple[str, Curve]] = {
        "system_uptime_seconds": ("", lambda at: 86400 + at),
        "http_requests_total": ('method="GET",route="/",status_code="200",', lambda at: 2 * at),
        "http_request_duration_ms_count": ("", lambda at: 2 * at),
        "http_request_duration_ms_sum": ("", lambda at: 2 * at * 20),
        "process_memory_usage_bytes": (
            "",
            lambda at: HEALTHY_BYTES * (1 + 0.05 * wave(at / 30, 13)),
        ),
        "process_cpu_usage_percent": ("", lambda at: 20 + 10 * wave(at / 30, 17)),
        "db_pool_utilization_percent": ('pool="main",', lambda at: 20 + 20 * wave(at / 30, 19)),
        "cache_hits_total": ("", lambda at: 90 * (at // 30)),
        "cache_misses_total": ("", lambda at: 10 * (at // 30)),
    }
    series = {
        f"{name}{{{more}{labels}}}": changed.get(name, curve)
        for name, (more, curve) in curves.items()
    }
    for bound in BOUNDS:
        within = {"10": 0.1, "50": 0.9}.get(bound, 1.0)
        name = f'http_request_duration_ms_bucket{{le="{bound}",{labels}}}'
        series[name] = lambda at, within=within: 2 * at * within  # type: ignore[misc]
    return series


def alert(name: str, severity: str, job: str, fires: Callable[[float], bool]) -> dict[str, Curve]:
    """The series that Prometheus keeps of an alert which fires at such times."""
    of = f',job="{job}"' if job else ""
    labels = f'alertname="{name}",alertstate="firing",severity="{severity}"{of}'
    return {f"ALERTS{{{labels}}}": lambda at: 1.0 if fires(at) else None}


def surroundings() -> dict[str, Curve]:
    """A gateway, scrapes and the heartbeat of alerting, all well."""
    gateway = 'job="otel-gateway",instance="gateway:8888"'
    lost = f'otelcol_exporter_send_failed_metric_points{{exporter="prometheus",{gateway}}}'
    return {
        'up{job="accubooks",instance="host:8000"}': lambda at: 1.0,
        f"up{{{gateway}}}": lambda at: 1.0,
        f"otelcol_process_uptime{{{gateway}}}": lambda at: 86400 + at,
        f"otelcol_process_memory_rss{{{gateway}}}": lambda at: 8e7 + 1e6 * wave(at / 30, 7),
        f"otelcol_process_cpu_seconds{{{gateway}}}": lambda at: at / 500,
        lost: lambda at: 0.0,
        **alert("Watchdog", "none", "", lambda at: True),
    }
