"""Alerts of what carries all the others: the gateway, and Prometheus itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from drill import Cause, Drill, Seen, row, run
from stand import HEARTBEAT, PATIENCE_SECONDS, Stand

from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.deployment import SERVICE
from otel_accubooks.trial.sending import Sender
from otel_accubooks.trial.station import Trial

STAND = {"backends": ("prometheus", "datadog")}
GATEWAY = "otel-gateway"  # the name of the scrape job
FAILING = "TelemetryPipelineFailing"
SMALL_QUEUE = """
exporters:
  datadog:
    sending_queue: {queue_size: 200_000, batch: {sizer: bytes, min_size: 50_000, max_size: 100_000}}
"""


def gateway_with(settings: Callable[[Stand], dict[str, str]]) -> Cause:
    """The gateway is started with other settings than it should have."""

    @contextmanager
    def cause(stand: Stand) -> Iterator[None]:
        gateway = stand.deployment.gateway
        right = dict(gateway.env or {})
        gateway.stop()
        gateway.env = {**right, **settings(stand)}
        gateway.start()
        try:
            yield
        finally:
            gateway.stop()
            gateway.env = right
            gateway.start()

    return cause


@contextmanager
def backend_away(stand: Stand) -> Iterator[None]:
    """Datadog cannot be reached, and what waits for it nearly fills the queue."""
    assert stand.deployment.datadog is not None
    gateway = stand.deployment.gateway
    small = Path(stand.deployment.folder, "small-queue.yaml")
    small.write_text(SMALL_QUEUE)
    if str(small) not in gateway.argv:
        gateway.argv += ["--config", str(small)]  # of 1 GiB, which takes hours to fill
    gateway.stop()
    gateway.start()
    stand.deployment.datadog.stop()
    try:
        yield
    finally:
        stand.deployment.datadog.start()


@contextmanager
def gateway_away(stand: Stand) -> Iterator[None]:
    """It is killed, and so is all that it tells of itself."""
    stand.deployment.gateway.kill()
    try:
        yield
    finally:
        stand.deployment.gateway.start()


@contextmanager
def tested(stand: Stand) -> Iterator[None]:
    """Somebody tries whether alerts arrive."""
    servers = Servers(
        service=SERVICE, gateway=f"http://127.0.0.1:{stand.deployment.ports.otlp_http}"
    )
    sender = Sender(servers, Trial(), {})
    assert sender.send(1).taken
    try:
        yield
    finally:
        assert sender.send(0).taken
        sender.close()


DRILLS = [
    Drill("TestAlert", "none: somebody tries whether alerts arrive", tested),
    Drill(FAILING, "the gateway is killed", gateway_away, service=GATEWAY),
    Drill(
        FAILING,
        "the address of a backend is wrong",
        gateway_with(lambda stand: {"DD_URL": stand.prometheus.url}),
        service=GATEWAY,
    ),
    Drill(
        FAILING,
        "the gateway has next to no memory",
        gateway_with(lambda _: {"GATEWAY_MEMORY_MIB": "10"}),
        service=GATEWAY,
    ),
    Drill(FAILING, "a backend is away, and the queue fills", backend_away, service=GATEWAY),
]


def test_alert(stand: Stand, drill: Drill, record_property: Callable[[str, object], None]) -> None:
    """The fault makes its alert pending and firing, its end resolves it; nothing else fires."""
    record_property("drill", row(drill, run(drill, stand)))


def heartbeat(stand: Stand) -> float:
    """When it was last heard, in Unix seconds: a query goes on answering with it for minutes."""
    found = stand.prometheus.query(f'timestamp(ALERTS{{alertname="{HEARTBEAT}"}})')
    return max((at for _, at in found), default=0.0)


def test_the_heartbeat_ends_with_prometheus(
    stand: Stand, record_property: Callable[[str, object], None]
) -> None:
    """Watchdog fires as soon as Prometheus evaluates, and is silent while it does not run."""
    stand.wait_until_quiet()
    began = time.time()
    stand.prometheus.kill()
    stand.prometheus.start()
    back = time.time()
    give_up = time.monotonic() + PATIENCE_SECONDS
    while (heard := heartbeat(stand)) < back:
        assert time.monotonic() < give_up, f"last heard {back - heard:.0f} s before it was started"
        time.sleep(0.5)
    drill = Drill(HEARTBEAT, "Prometheus is killed, and started again", gateway_with(lambda _: {}))
    record_property("drill", row(drill, Seen(None, heard - began, 0.0, ())))
