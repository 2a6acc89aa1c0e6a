"""Gateways that anybody may send to, and files that anybody may read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from otel_accubooks.doctor import access
from otel_accubooks.doctor.access import Listener
from otel_accubooks.doctor.destinations import Destination
from otel_accubooks.doctor.scene import Scene
from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.otlp_receiver import OtlpReceiver


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that all may enter, as pytest's own is not."""
    with TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


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
    ("mode", "folder", "told"),
    [
        (0o644, 0o755, True),
        (0o604, 0o711, True),
        (0o640, 0o755, False),
        (0o600, 0o755, False),
        (0o644, 0o750, False),
    ],
)
def test_a_key_that_every_user_may_read(
    open_folder: Path, mode: int, folder: int, told: bool
) -> None:
    """Its group may: that is how a Secret is handed to a pod; nor do others enter a closed folder."""
    key = open_folder / "closed" / "sender.key"
    key.parent.mkdir()
    key.parent.chmod(folder)
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
