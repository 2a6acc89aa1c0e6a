"""A socket in a folder with a path of any length."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from otel_accubooks.export.address import listen, reachable


@pytest.mark.parametrize("length", [1, 50, 200])
@pytest.mark.parametrize("proc", [True, False])
def test_it_is_reached_at_any_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, proc: bool
) -> None:
    """With /proc and, as on macOS, without; nothing is left behind, and nobody changes directory."""
    folder = tmp_path / ("x" * length)
    folder.mkdir()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    before = os.getcwd(), set(os.listdir("/proc/self/fd"))
    if not proc:
        monkeypatch.setattr(os.path, "isdir", lambda _: False)
    listener = listen(folder / "exporter.sock")
    asker = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listener, asker:
        with reachable(folder / "exporter.sock") as path:
            asker.connect(path)
        with listener.accept()[0] as answer:
            answer.sendall(b"1")
        assert asker.recv(1) == b"1"
    assert (os.getcwd(), set(os.listdir("/proc/self/fd"))) == before
    assert os.listdir(temporary) == []


def test_a_successor_takes_its_place(tmp_path: Path) -> None:
    """What a killed exporter left there is in nobody's way."""
    listen(tmp_path / "exporter.sock").close()
    listen(tmp_path / "exporter.sock").close()
