"""AccuBooks without one of its servers."""

import logging
from contextlib import closing

import pytest
from accubooks.api.scenarios import cache_key
from accubooks.app import create_app
from accubooks.database import Database
from redis import Redis

NOWHERE = {"DATABASE_URL": "postgresql://127.0.0.1:1/x", "REDIS_URL": "redis://127.0.0.1:1"}


@pytest.fixture
def client_of(environ, password):
    """Makes a client, signed in as pro@cedar.example, of an application with changed settings."""
    apps = []

    def make(**changes):
        app = create_app({**environ, **changes})
        apps.append(app)
        client = app.test_client()
        who = {"email": "pro@cedar.example", "password": password}
        answer = client.post("/login", json=who)
        return client, answer

    yield make
    for app in apps:
        app.extensions["accubooks"].database.close()


def test_without_a_database_the_answer_is_500_in_json(client_of):
    """The user learns that it failed, and nothing of the inside."""
    _, answer = client_of(DATABASE_URL=NOWHERE["DATABASE_URL"])
    assert answer.status_code == 500
    assert "127.0.0.1" not in answer.get_json()["error"]


def test_without_a_cache_scenarios_are_still_served(client_of):
    """A cache that cannot be reached has simply nothing."""
    client, _ = client_of(REDIS_URL=NOWHERE["REDIS_URL"])
    made = client.post("/api/scenarios", json={"name": "no cache"}).get_json()
    read = client.get(f"/api/scenarios/{made['id']}")
    assert (read.status_code, read.headers["X-Cache"]) == (200, "miss")
    assert client.delete(f"/api/scenarios/{made['id']}").status_code == 204


def test_without_a_queue_no_forecast_is_left_waiting(client_of, environ):
    """The request fails, and so does the forecast that nobody would ever compute."""
    client, _ = client_of(REDIS_URL=NOWHERE["REDIS_URL"])
    assert client.post("/api/forecasts", json={}).status_code == 500
    with (
        closing(Database(environ["DATABASE_URL"])) as database,
        database.transaction() as cursor,
    ):
        cursor.execute("SELECT status FROM forecasts ORDER BY id DESC LIMIT 1")
        assert cursor.fetchone()["status"] == "failed"


def test_a_foreign_row_in_the_cache_is_withheld_and_logged(client_of, environ, caplog):
    """The last check catches what the queries cannot, and says so as an error."""
    client, answer = client_of()
    tenant_id = answer.get_json()["tenant_id"]
    with closing(Redis.from_url(environ["REDIS_URL"])) as redis:
        redis.set(cache_key(tenant_id, 424242), f'{{"id": 424242, "tenant_id": {tenant_id + 1}}}')
    with caplog.at_level(logging.ERROR, logger="accubooks.tenancy"):
        assert client.get("/api/scenarios/424242").status_code == 404
    assert [record.name for record in caplog.records] == ["accubooks.tenancy"]


def test_a_session_without_its_user_is_ended(client_of, environ):
    """Who was deleted meanwhile is asked to sign in, not shown a failure."""
    client, _ = client_of()
    with client.session_transaction() as session:
        session["user_id"] = 424242
    assert client.post("/api/scenarios", json={"name": "ghost"}).status_code == 401
    assert client.get("/api/scenarios").status_code == 401
