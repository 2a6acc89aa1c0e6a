"""Real gateways and Prometheus servers, started on free ports and stopped after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from otel_accubooks.stack.binaries import find_collector, find_prometheus3
from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.prometheus import Prometheus


@pytest.fixture(scope="session")
def collector_binary() -> Path:
    return find_collector()


@pytest.fixture(scope="session")
def prometheus3_binary() -> Path:
    return find_prometheus3()


@pytest.fixture(scope="session")
def prometheus2_binary() -> Path:
    """Debian's, which knows remote write and scrapes, and no OTLP."""
    return Path("/usr/bin/prometheus")


@pytest.fixture
def start_gateway(collector_binary: Path, tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    """Starts a gateway into the named backends; with the arguments of `Collector`.

    The gateways of one test share a folder, and so what is queued there: a second one is the
    restart, or the swap, of the first, which must have ended before.
    """
    with ExitStack() as running:

        def start(backends: list[str], **settings: Any) -> Collector:
            gateway = Collector(tmp_path / "gateway", collector_binary, backends, **settings)
            return running.enter_context(gateway)

        yield start


@pytest.fixture
def start_prometheus(tmp_path: Path) -> Iterator[Callable[..., Prometheus]]:
    """Starts a Prometheus of the given binary, with the arguments of `Prometheus`."""
    with ExitStack() as running:

        def start(binary: Path, **settings: Any) -> Prometheus:
            folder = tmp_path / f"prometheus-{binary.name}"
            return running.enter_context(Prometheus(folder, binary, **settings))

        yield start


@pytest.fixture
def prometheus3(
    start_prometheus: Callable[..., Prometheus], prometheus3_binary: Path
) -> Prometheus:
    return start_prometheus(prometheus3_binary)


@pytest.fixture
def prometheus2(
    start_prometheus: Callable[..., Prometheus], prometheus2_binary: Path
) -> Prometheus:
    return start_prometheus(prometheus2_binary)
