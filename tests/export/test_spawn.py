"""Starting the exporter from the application's process."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from otel_accubooks.export import spawn
from otel_accubooks.recorder.folder import StateFolder


def test_the_exporter_never_holds_what_its_server_hands_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even while it starts: a listening socket of a killed server would still take connections."""
    told = "import os, sys; os.mkdir(sys.argv[1] + '/' + ' '.join(os.listdir('/proc/self/fd')))"
    monkeypatch.setattr(spawn, "_PROGRAM", told)
    read, write = os.pipe()
    os.dup2(write, 200, inheritable=True)
    try:
        spawn.start_exporter(StateFolder(tmp_path))
        while not (found := os.listdir(tmp_path)):
            time.sleep(0.01)
    finally:
        for fd in (read, write, 200):
            os.close(fd)
        spawn.reap()
    assert "200" not in found[0].split()
