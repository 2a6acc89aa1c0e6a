"""Sessions that end by logout, over workers that come and go, to the last one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx
import psutil
from conftest import Service, eventually

APP = """
import os
from flask import Flask, session

app = Flask(__name__)
app.secret_key = "sealed"

@app.post("/login/<user>")
def login(user):
    session["user"] = user
    return ""

@app.get("/pid")
def pid():
    return str(os.getpid())

@app.post("/logout")
def logout():
    session.clear()
    return ""
"""
RULES = """
[user]
id = "session.user"
logout = { method = "POST", route = "/logout" }
"""
ROUNDS = 6
USERS = [f"user-{number}" for number in range(8)]


def exporter_of(service: Service) -> psutil.Process | None:
    state = str(service.state)
    for process in psutil.process_iter(["cmdline"]):
        if any(part.startswith(state) for part in process.info["cmdline"] or ()):
            return process
    return None


def test_every_logout_is_one_session(service: Service, tmp_path: Path) -> None:
    """Login and logout meet any of the workers; workers and the exporter are killed meanwhile."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "rules.toml").write_text(RULES)
    service.env["OTEL_ACCUBOOKS_RULES"] = str(tmp_path / "rules.toml")

    def sessions() -> tuple[float, float]:
        (series,) = service.sink.series("user_session_duration_seconds") or [None]
        open_now = service.sink.value("user_sessions_active")
        return (0 if series is None else series.value), open_now

    with service.gunicorn("--workers", "3"):
        for number in range(ROUNDS):
            for user in USERS:
                with httpx.Client(base_url=service.url, timeout=30) as client:
                    for method, path in (
                        ("POST", f"/login/{user}"),
                        ("GET", "/pid"),
                        ("POST", "/logout"),
                    ):
                        assert client.request(method, path).status_code == 200
            victim = int(service.get("/pid").text)
            os.kill(victim, signal.SIGKILL)
            assert eventually(lambda: not psutil.pid_exists(victim))  # noqa: B023
            if number % 2 and (exporter := exporter_of(service)):
                exporter.kill()
        with httpx.Client(base_url=service.url, timeout=30) as client:
            client.post("/login/somebody-else")
            assert eventually(lambda: sessions() == (ROUNDS * len(USERS), 1), 60), sessions()
    assert sessions()[0] == ROUNDS * len(USERS)
