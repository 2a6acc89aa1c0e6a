"""An application, started in any way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from conftest import BIN

from otel_accubooks.doctor.examination import Report, examine
from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.ports import free_port, tcp_open
from otel_accubooks.stack.process import Server

APP = """
from flask import Flask, redirect, session

app = Flask(__name__)
app.secret_key = "x"

@app.post("/login")
def login():
    return redirect("/")

@app.get("/things/<int:thing>")
def thing(thing):
    return "a thing"

@app.get("/many/<name>")
def many(name):
    return name

for number in range(12):
    app.add_url_rule(f"/rule-{number}", f"rule{number}", lambda: "yes")

@app.get("/upgrade")
def upgrade():
    return "upgraded"

def job():
    pass
"""


@dataclass
class App:
    """An application that runs, as it was started."""

    folder: Path
    server: Server
    url: str

    def report(self, *, prometheus: str = "", wait: float = 1) -> Report:
        servers = Servers(prometheus=prometheus)
        return examine(servers, {}, pids=[self.server.pid], wait_seconds=wait)

    def ids(self) -> set[str]:
        return {finding.kind.id for finding in self.report().findings}

    def get(self, path: str, times: int = 1) -> None:
        for _ in range(times):
            httpx.get(self.url + path, timeout=30)

    def counts(self) -> bool:
        """True once a process has its segment, and an exporter has sent for it."""
        state = self.folder / "state"
        return any(state.glob("*/segment-*")) and any(state.glob("*/shared"))

    def exporters(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["cmdline"]):
            if any(part.startswith(str(self.folder)) for part in process.info["cmdline"] or ()):
                found.append(process)
        return [one for one in found if "-S" in (one.info["cmdline"] or ())]


@contextmanager
def started(
    folder: Path,
    sink: OtlpReceiver | None,
    *command: str,
    env: Mapping[str, str] | None = None,
    launcher: bool = True,
    **files: str,
) -> Iterator[App]:
    """The application, by `command`, in which {port} is its port; `files` are beside it."""
    folder.mkdir(exist_ok=True)
    for name, text in {"app": APP, **files}.items():
        path = folder / (name if "." in name else f"{name}.py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    port = free_port()
    words = command or ("gunicorn", "-b", "127.0.0.1:{port}", "app:app")
    argv = [word.format(port=port, folder=folder) for word in words]
    argv = ["opentelemetry-instrument", *argv] if launcher else argv
    usual = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "OTEL_SERVICE_NAME": "doctored",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint if sink else "http://127.0.0.1:9",
        "OTEL_ACCUBOOKS_STATE_DIR": str(folder / "state"),
    }
    server = Server(
        "the application",
        [str(BIN / argv[0]) if (BIN / argv[0]).exists() else argv[0], *argv[1:]],
        log=folder / "log",
        env={**usual, **{k: v.format(folder=folder) for k, v in (env or {}).items()}},
        cwd=folder,
        ready=lambda: tcp_open(port),
    )
    app = App(folder, server, f"http://127.0.0.1:{port}")
    try:
        with server:
            yield app
            server.kill()
    finally:
        for exporter in app.exporters():
            exporter.kill()
