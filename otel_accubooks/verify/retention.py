"""How long Prometheus keeps what it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

from otel_accubooks.contract.query import DAY
from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.exposition import exposed
from otel_accubooks.servers.prometheus import Prometheus
from otel_accubooks.verify.finding import Finding
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.rules import seconds
from otel_accubooks.verify.source import clock
from otel_accubooks.verify.way import Site

LEAST_SECONDS = 30 * DAY
# What Prometheus keeps where nobody says.
_DEFAULT = "15d"
_FIX = "start Prometheus with --storage.tsdb.retention.time=30d"
_SIZES = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40, "PB": 2**50, "EB": 2**60}
# Its own documentation counts with one to two: docs/prometheus/latest/storage.
_BYTES_A_SAMPLE = 2.0


def look_retention(site: Site) -> Iterator[Look]:
    """At least 30 days, by time and by room. How old the deployment is does not matter."""
    finding = Finding("retention")
    with closing(Prometheus(site.servers.prometheus)) as client:
        told = client.runtime().get("storageRetention")
        if told is None:
            flags = client.flags()
            names = ("storage.tsdb.retention.time", "storage.tsdb.retention.size")
            told = " or ".join(v for v in map(flags.get, names) if v not in (None, "0s", "0B"))
        limits = read(str(told) or _DEFAULT)
        finding.evidence.append(f"{client.address} keeps {told or _DEFAULT}")
        if limits is None:
            finding.faults.append(f"retention is {told!r}, which is no time and no size: {_FIX}")
            limits = (None, None)
        time, size = limits
        if time is not None and time < LEAST_SECONDS:
            finding.faults.append(f"retention is {told}, expected at least 30d: {_FIX}")
        if size is not None and not finding.faults:
            _look_at_room(client, size, finding)
    yield finding.look(f"retention is {told}")


def read(told: str) -> tuple[float | None, float | None] | None:
    """Seconds and bytes of `30d or 10GiB`, None for what has no limit; None if it is neither."""
    time, size = None, None
    for part in told.split(" or "):
        text = part.strip()
        number = re.fullmatch(r"([\d.]+)([KMGTPE]?)i?B", text)
        if number:
            size = float(number[1]) * _SIZES[f"{number[2]}B"]
            continue
        try:
            time = seconds(text)
        except ValueError:
            return None
    return time, size


def _look_at_room(client: Prometheus, size: float, finding: Finding) -> None:
    """Whether 30 days of as many samples as came so far have room."""
    try:
        own = exposed(f"{client.address}/metrics")
    except ApiError as error:
        finding.doubts.append(f"do 30 days have room in {size:g} bytes? It does not tell: {error}")
        return
    appended = sum(s.value for s in own.get("prometheus_tsdb_head_samples_appended_total", ()))
    began = sum(s.value for s in own.get("process_start_time_seconds", ()))
    lived = clock(client) - began if began else 0.0
    if lived <= 0 or not appended:
        finding.doubts.append("do 30 days have room? Prometheus does not tell how much it stores")
        return
    need = appended / lived * LEAST_SECONDS * _BYTES_A_SAMPLE
    rate = f"{appended / lived:.0f} samples a second"
    finding.evidence.append(f"{rate} need {need / 2**30:.2f} GiB in 30 days")
    if need > size:
        finding.faults.append(
            f"the size limit of {size / 2**30:.2f} GiB cuts retention short: {rate} need "
            f"{need / 2**30:.2f} GiB in 30 days; raise --storage.tsdb.retention.size"
        )
