"""Users and sessions of two hosts: two folders, one name, one Redis that was named for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import redis
from conftest import Service, eventually

from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.redis import Redis

APP = """
from flask import Flask, session

app = Flask(__name__)
app.secret_key = "sealed"

@app.post("/login/<user>")
def login(user):
    session["user"] = user
    return ""

@app.post("/logout")
def logout():
    session.clear()
    return ""

@app.get("/explained")
def explained():
    return ""
"""
RULES = """
[user]
id = "session.user"
logout = { method = "POST", route = "/logout" }

[[request]]
method = "GET"
route = "/explained"
status = 200
count = "trust_layer_usage_total"
labels = { component = { value = "calculation_explainer" } }
"""
SECRET_ID = "ada.lovelace@canary.example"
AWAY = "are counted for each host alone"
NAMES = ("active_users_concurrent", "user_sessions_active", "trust_layer_usage_percent")


def soon(condition: Callable[[], object]) -> bool:
    return eventually(condition, 60)


class Host:
    """A host of the service, with a browser that stays signed in."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.browser = httpx.Client(base_url=service.url, timeout=30)

    def login(self, user: str) -> None:
        assert self.browser.post(f"/login/{user}").status_code == 200

    def numbers(self) -> tuple[float, ...]:
        """Users, sessions and the share of those who trust, as this host now says."""
        self.service.send()
        return tuple(self.service.sink.value(name) for name in NAMES)


@pytest.fixture
def common(tmp_path: Path) -> Iterator[Redis]:
    with Redis(tmp_path) as server:
        yield server


@pytest.fixture
def hosts(tmp_path: Path, common: Redis) -> Iterator[tuple[Host, Host]]:
    with ExitStack() as stack:
        made = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "rules.toml").write_text(RULES)
            service = Service(tmp_path / name, stack.enter_context(OtlpReceiver()))
            (tmp_path / name / "app.py").write_text(APP)
            service.env["OTEL_METRIC_EXPORT_INTERVAL"] = "600000"
            service.env["OTEL_ACCUBOOKS_REDIS_URL"] = common.url
            service.env["OTEL_ACCUBOOKS_RULES"] = str(tmp_path / name / "rules.toml")
            stack.callback(eventually, service.gone, 60)
            stack.enter_context(service.gunicorn("--workers", "2"))
            made.append(Host(service))
        yield made[0], made[1]


def test_a_user_of_two_hosts_is_one(hosts: tuple[Host, Host], common: Redis) -> None:
    """On both, the same numbers of all; who leaves on one has left; no id is ever written."""
    one, two = hosts
    one.login(SECRET_ID)
    two.login(SECRET_ID)
    assert soon(lambda: (one.numbers(), two.numbers()) == ((1, 1, 0), (1, 1, 0)))
    two.login("eve")
    two.browser.get("/explained")
    assert soon(lambda: (two.numbers(), one.numbers()) == ((2, 2, 50), (2, 2, 50)))
    one.browser.post("/logout")
    assert soon(lambda: (one.numbers(), two.numbers()) == ((2, 1, 50), (2, 1, 50)))
    text = one.browser.get("/api/monitoring/metrics").text
    assert "active_users_concurrent 2\n" in text
    assert "user_sessions_active 1\n" in text

    client = redis.Redis.from_url(common.url)
    keys = client.keys()
    assert keys
    assert all(key.startswith(b"otel-accubooks:{") for key in keys)
    assert all(0 < client.ttl(key) <= 3600 for key in keys)
    kept = b"".join(client.dump(key) for key in keys)
    for host in hosts:
        kept += b"".join(p.read_bytes() for p in host.service.state.glob("*/*") if p.is_file())
        kept += str(host.service.sink.snapshot()).encode()
    for part in (b"lovelace", b"canary", b"eve@"):
        assert part not in kept


def test_without_that_redis_each_host_speaks_for_itself(
    hosts: tuple[Host, Host], common: Redis
) -> None:
    """It is said once that it is away; once it is back, what was seen meanwhile is there."""
    one, two = hosts
    one.login("ada")
    two.login("eve")
    assert soon(lambda: one.numbers()[0] == two.numbers()[0] == 2)
    common.kill()
    one.login("bob")
    assert soon(lambda: (one.numbers()[0], two.numbers()[0]) == (2, 1))
    assert soon(lambda: AWAY in one.service.log())
    said = one.service.log().count(AWAY)
    for _ in range(3):
        one.numbers()
    assert one.service.log().count(AWAY) == said
    common.start()
    assert soon(lambda: (one.numbers()[0], two.numbers()[0]) == (3, 3))
