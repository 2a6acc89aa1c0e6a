"""Applications under the launcher, sending to an OTLP receiver."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from otel_accubooks.export.spawn import ask_to_send
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.ports import free_port, tcp_open
from otel_accubooks.stack.process import Server

BIN = Path(sys.executable).parent

APP = """
import time
from flask import Flask, abort, redirect, request, send_file

app = Flask(__name__)

@app.route("/hello/<name>", methods=["GET", "POST", "DELETE"])
def hello(name):
    return f"hello {name}"

@app.get("/boom")
def boom():
    raise RuntimeError("as in life")

@app.get("/teapot")
def teapot():
    abort(418)

@app.get("/stream/<int:parts>")
def stream(parts):
    def body():
        for part in range(parts):
            time.sleep(0.05)
            yield f"{part}\\n"
    return body(), {"Content-Type": "text/plain"}

@app.get("/broken-stream")
def broken_stream():
    def body():
        yield "begun"
        raise RuntimeError("in the middle")
    return body()

@app.get("/file")
def file():
    return send_file(__file__)
"""


def eventually(condition: Callable[[], object], seconds: float = 30) -> bool:
    """True as soon as `condition` holds; False if it does not within the time."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


class Service:
    """One deployment: its environment, its application's file, and where its metrics arrive."""

    def __init__(self, folder: Path, sink: OtlpReceiver) -> None:
        self.folder = folder
        self.sink = sink
        self.state = folder / "state"
        self.env = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
            "OTEL_SERVICE_NAME": "tested",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "OTEL_ACCUBOOKS_STATE_DIR": str(self.state),
        }
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "app.py").write_text(APP)

    def server(
        self,
        *command: str,
        launcher: bool = True,
        ready: Callable[[], bool] | None = None,
    ) -> Server:
        """A server for the application; `command` may name its port as {port}.

        It is ready once `ready` says so, or once something listens at the port.
        """
        argv = [part.format(port=self.port) for part in command]
        if launcher:
            argv = ["opentelemetry-instrument", *argv]
        return Server(
            argv[0],
            [str(BIN / argv[0]), *argv[1:]],
            log=self.folder / "server.log",
            env=self.env,
            cwd=self.folder,
            # Not a request, which would count.
            ready=ready or (lambda: tcp_open(self.port)),
        )

    def gunicorn(self, *options: str) -> Server:
        return self.server("gunicorn", "-b", "127.0.0.1:{port}", *options, "app:app")

    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def requests(self, **labels: str) -> float:
        return self.sink.value("http_requests_total", **labels)

    def get(self, path: str, **options: object) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30, **options)  # type: ignore[arg-type]

    def send(self) -> bool:
        """Has the exporter send now, whatever the interval; True once that arrived."""
        return all(ask_to_send(StateFolder(folder)) for folder in self.state.iterdir())

    def gone(self) -> bool:
        """True once the exporter has ended and taken the folder along."""
        return not self.state.exists() or not any(self.state.iterdir())

    def ended(self) -> None:
        """Waits until the exporter has ended after its service: all that it had to send is sent."""
        assert eventually(self.gone, 60), "the exporter did not end after its service"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with OtlpReceiver() as sink:
        made = Service(tmp_path, sink)
        yield made
        made.ended()
