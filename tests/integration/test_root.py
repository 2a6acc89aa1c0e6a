"""A server that root starts, with workers of another user: one folder, one exporter, exact totals."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import flask
import psutil
import pytest
from conftest import APP, Service, eventually
from test_life import exporters

import otel_accubooks
from otel_accubooks.stack.otlp_receiver import OtlpReceiver

USER, GROUP = "nobody", "nogroup"
LAUNCHER = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
COUNTS_AT_IMPORT = """
from otel_accubooks import business
for _ in range(5):
    business.count("tier_limit_hits_total", tier="FREE", limit_type="import")
"""


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def readable(*paths: str) -> bool:
    """True if the other user can read all of these files."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(pwd.getpwnam(USER).pw_uid)
            for path in paths:
                Path(path).read_bytes()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def link(source: Path, target: Path) -> None:
    """The files of a folder, once more, where everybody can go. Tests of Python itself are left out."""

    def one(old: str, new: str) -> None:
        try:
            os.link(old, new)
        except OSError:
            shutil.copy2(old, new)

    ignored = shutil.ignore_patterns("test", "__pycache__", "site-packages", "*.a")
    shutil.copytree(source, target, copy_function=one, ignore=ignored, symlinks=True)


def python_for_everybody(folder: Path, env: dict[str, str]) -> str:
    """An interpreter with this one's packages that the other user can run; `env` is made to fit."""
    packages = Path(flask.__file__).parents[1]
    package = Path(otel_accubooks.__file__).parents[1]
    if readable(sys.executable, os.__file__, flask.__file__, otel_accubooks.__file__):
        return sys.executable
    base = folder / "python"
    for part in ("bin", "lib"):
        link(Path(sys.base_prefix) / part, base / part)
    link(packages, folder / "packages")
    link(package / "otel_accubooks", folder / "ours" / "otel_accubooks")
    env["PYTHONHOME"] = str(base)
    env["LD_LIBRARY_PATH"] = str(base / "lib")
    env["PYTHONPATH"] = f"{folder / 'ours'}:{folder / 'packages'}"
    return str(base / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")


@pytest.fixture
def handed_over() -> Iterator[Service]:
    """A service in a folder that the other user can read."""
    folder = Path(tempfile.mkdtemp(prefix="accubooks-root-"))
    folder.chmod(0o755)
    try:
        with OtlpReceiver() as sink:
            service = Service(folder, sink)
            service.env["PYTHONDONTWRITEBYTECODE"] = "1"
            yield service
            # The folder above is root's: what the other user leaves of its own is empty.
            assert eventually(lambda: not list(service.state.glob("*/*")), 60)
            assert eventually(lambda: not exporters(service))
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("preload", [[], ["--preload"]])
def test_gunicorn_with_a_user(handed_over: Service, preload: list[str]) -> None:
    """Requests and what the master counted at import: exact, by one exporter, over killed workers."""
    service = handed_over
    (service.folder / "app.py").write_text(APP + COUNTS_AT_IMPORT)
    python = python_for_everybody(service.folder, service.env)
    gunicorn = (python, "-m", "gunicorn", "-b", "127.0.0.1:{port}", "-w", "2", *preload)
    command = (python, "-c", LAUNCHER, *gunicorn, "--user", USER, "--group", GROUP, "app:app")
    server = service.server(*command, launcher=False)
    with server:
        for number in range(40):
            service.get(f"/hello/{number}").raise_for_status()
            if number == 20:
                worker = psutil.Process(server.pid).children()[0]
                worker.kill()
                worker.wait(10)
                assert eventually(lambda: len(psutil.Process(server.pid).children()) == 2)
        assert eventually(lambda: len(exporters(service)) == 1)
        workers = psutil.Process(server.pid).children()
        assert {p.uids().effective for p in workers} == {pwd.getpwnam(USER).pw_uid}
        (folder,) = service.state.iterdir()
        owners = {path.lstat().st_uid for path in (folder, *folder.glob("segment-*"))}
        assert owners == {pwd.getpwnam(USER).pw_uid}
        for process in exporters(service):
            process.kill()
        for number in range(20):
            service.get(f"/hello/{number}").raise_for_status()
        assert eventually(lambda: service.requests() == 60, 60)
    assert service.requests() == 60
    imported = 5 if preload else 15  # two workers, and the one in place of the killed
    assert service.sink.value("tier_limit_hits_total") == imported
    assert len({s.instance for s in service.sink.series("http_requests_total")}) == 1
    assert "otel-accubooks:" not in service.log()
