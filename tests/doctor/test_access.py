"""Gateways that anybody may send to, and files that anybody may read."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_accubooks.doctor import access
from otel_accubooks.doctor.access import Listener
from otel_accubooks.doctor.destinations import Destination
from otel_accubooks.doctor.scene import Scene
from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.otlp_receiver import OtlpReceiver


def found(*gateways: Destination) -> list[tuple[str, str]]:
    scene = Scene(Servers(), {})
    scene.gateways = scene.destinations = list(gateways)
    return [(one.kind.id, one.found) for one in access.check(scene)]


@pytest.mark.parametrize(("everywhere", "ids"), [(True, ["gateway-open"]), (False, [])])
def test_a_gateway_that_takes_from_anybody(
    monkeypatch: pytest.MonkeyPatch, everywhere: bool, ids: list[str]
) -> None:
    """Where others reach it; on the loopback address alone nobody else does."""
    with OtlpReceiver() as sink:
        to = Destination(f"{sink.url}/v1/metrics", "web", headers={"Authorization": "Bearer x"})
        host = "0.0.0.0" if everywhere else "127.0.0.1"
        monkeypatch.setattr(access, "_listening", lambda: [Listener(host, sink.port, None)])
        assert [kind for kind, _ in found(to)] == ids


def test_a_gateway_that_does_not_take_it_is_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked without the token that the application shows."""
    with OtlpReceiver() as sink:
        sink.fail("503")
        monkeypatch.setattr(access, "_listening", lambda: [Listener("::", sink.port, None)])
        assert found(Destination(f"{sink.url}/v1/metrics", "web")) == []


@pytest.mark.parametrize(
    ("mode", "told"), [(0o644, True), (0o604, True), (0o640, False), (0o600, False)]
)
def test_a_key_that_every_user_may_read(tmp_path: Path, mode: int, told: bool) -> None:
    """Its group may: that is how a Secret is handed to a pod."""
    key = tmp_path / "sender.key"
    key.write_text("key")
    key.chmod(mode)
    to = Destination(
        "http://127.0.0.1:9/v1/metrics", "web", env={"OTEL_EXPORTER_OTLP_CLIENT_KEY": str(key)}
    )
    scene = Scene(Servers(), {})
    scene.destinations = [to]
    lines = [one.found for one in access.check(scene) if str(key) in one.found]
    expected = f"OTEL_EXPORTER_OTLP_CLIENT_KEY names {key}, which every user may read ({mode:o})"
    assert lines == ([expected] if told else [])
