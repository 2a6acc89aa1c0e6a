"""What keeps counts from leaving the host, and what the doctor says of it."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
from conftest import eventually

from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from tests.doctor.started import started


def test_nobody_listens_at_the_gateways_address(tmp_path: Path) -> None:
    """The exporter's own words, and the doctor's look, say that nothing answers."""
    with started(tmp_path / "a", None) as app:
        app.get("/things/1")
        assert eventually(lambda: list((tmp_path / "a" / "state").glob("*/status")))
        assert "gateway-unreachable" in app.ids()


def test_a_server_that_is_no_gateway(sink: OtlpReceiver, tmp_path: Path) -> None:
    """A page of the application itself, where metrics are sent by mistake, takes none."""
    with started(tmp_path / "a", sink) as other:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": other.url}
        with started(tmp_path / "b", sink, env=env) as app:
            assert "gateway-wrong-path" in app.ids()


def test_a_gateway_that_refuses_for_now(tmp_path: Path) -> None:
    """Its memory is full, or its backend is away: 503."""
    with OtlpReceiver() as busy, started(tmp_path / "a", busy) as app:
        busy.fail("503")
        assert "gateway-refuses-for-now" in app.ids()


def test_exporter_stopped_or_gone(sink: OtlpReceiver, tmp_path: Path) -> None:
    """One that is stopped is named; so is one that is gone while nobody starts another."""
    with started(tmp_path / "a", sink) as app:
        app.get("/things/1")
        assert eventually(app.counts)
        (exporter,) = app.exporters()
        exporter.send_signal(signal.SIGSTOP)
        assert eventually(lambda: exporter.status() == psutil.STATUS_STOPPED)
        assert "exporter-hangs" in app.ids()
        first = psutil.Process(app.server.pid)
        for process in (first, *first.children(recursive=True)):
            process.send_signal(signal.SIGSTOP)
        exporter.kill()
        assert eventually(lambda: not exporter.is_running())
        assert {"exporter-not-running", "process-stopped"} <= app.ids()


def test_too_many_series(sink: OtlpReceiver, tmp_path: Path) -> None:
    """A metric that has reached its limit is named, with the label to look for."""
    with started(tmp_path / "a", sink, env={"OTEL_ACCUBOOKS_SERIES_LIMIT": "5"}) as app:
        for number in range(12):
            app.get(f"/rule-{number}")
        (found, *_) = (f for f in app.report().findings if f.kind.id == "series-limit")
        assert "more than 5 series" in found.found
