"""What is added to Celery's messages, and which queue a message came from."""

import json
from datetime import datetime, timedelta, timezone

import celery.app.amqp
import pytest
import redis
from celery import Celery
from kombu import Exchange, Queue, binding
from kombu.common import Broadcast

from otel_accubooks.instrument import celery_message, celery_queue
from otel_accubooks.instrument.celery_message import queue_of
from otel_accubooks.instrument.celery_queue import READY_AT
from otel_accubooks.instrument.polling import Polls


@pytest.fixture
def connection(redis_server):
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def app(redis_server, connection, monkeypatch):
    """An application whose messages are measured."""
    monkeypatch.setattr(celery_queue, "polls", Polls())
    monkeypatch.setattr(celery_queue, "_watched", set())
    patches = celery_message.instrument(celery.app.amqp)
    with Celery("books", broker=redis_server.url, set_as_current=False) as made:
        made.conf.task_default_queue = "books"
        yield made
    patches.restore()


def headers(connection):
    """The headers of the one message that was sent."""
    (message,) = connection.lrange("books", 0, -1)
    connection.delete("books")
    return json.loads(message)["headers"]


def test_a_message_says_when_it_was_sent(app, connection):
    """In a header more; those of the application are as they were."""
    before = datetime.now(timezone.utc).timestamp()
    given = {"tier": "PRO"}
    app.send_task("add", headers=given)
    found = headers(connection)
    assert found["tier"] == "PRO"
    assert before <= found[READY_AT] <= datetime.now(timezone.utc).timestamp()
    assert given == {"tier": "PRO"}


def test_a_message_with_an_eta_is_ready_then(app, connection):
    """Until then it waits for nobody; without a time zone it is UTC, as it is to workers."""
    tomorrow = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=1)
    app.send_task("add", eta=tomorrow)
    assert headers(connection)[READY_AT] == tomorrow.timestamp()
    app.send_task("add", countdown=3600)
    found = headers(connection)
    assert found[READY_AT] == datetime.fromisoformat(found["eta"]).timestamp()
    app.send_task("add", eta=tomorrow.replace(tzinfo=None))
    assert headers(connection)[READY_AT] == tomorrow.timestamp()


def test_an_eta_that_has_passed_is_no_wait(app, connection):
    """A message cannot be taken before it is sent."""
    app.send_task("add", eta=datetime.now(timezone.utc) - timedelta(days=1))
    found = headers(connection)
    assert found[READY_AT] > datetime.fromisoformat(found["eta"]).timestamp()


def test_a_message_that_is_sent_on_is_ready_anew(app, connection):
    """Its headers may come along, with the time of another message."""
    given = {READY_AT: 1.0, "tier": "PRO"}
    app.send_task("add", headers=given)
    assert headers(connection)[READY_AT] > 1.0
    assert given == {READY_AT: 1.0, "tier": "PRO"}


def test_the_old_protocol_is_left_alone(app, connection):
    """It has no headers of its own: a task would see ours."""
    app.conf.task_protocol = 1
    app.send_task("add")
    assert READY_AT not in headers(connection)


def test_a_hook_that_fails_does_not_touch_the_message(app, connection, monkeypatch, caplog):
    """It is logged once, and the message is sent."""
    monkeypatch.setattr(celery_message, "_ready_at", None)
    monkeypatch.setattr(celery_message, "watch", None)
    app.send_task("add")
    assert headers(connection)["task"] == "add"
    assert any("marking a Celery message failed" in r.getMessage() for r in caplog.records)


def test_queues_are_known_by_what_is_sent_to_them(app, redis_server):
    """A web process asks about the queues it feeds, once for each; it does not ask in the call."""
    app.send_task("add")
    for queue in ("books", "letters", "letters"):
        app.send_task("add", queue=queue)
    app.send_task("add", exchange="to whom it concerns", routing_key="key")
    assert sorted(celery_queue.polls._polls) == [
        f"queue celery redis 127.0.0.1:{redis_server.port}/0 {name}"
        for name in ("books", "letters")
    ]


def test_restoring_puts_everything_back():
    """Afterwards Celery is what it was."""
    before = dict(vars(celery.app.amqp.AMQP))
    celery_message.instrument(celery.app.amqp).restore()
    assert dict(vars(celery.app.amqp.AMQP)) == before


BOUND = [
    Queue("direct", Exchange("work", type="direct"), routing_key="books"),
    Queue("feeds", Exchange("topics", type="topic"), routing_key="feed.*.new"),
    Queue("all", Exchange("topics", type="topic"), routing_key="log.#"),
    Queue("fans", Exchange("everybody", type="fanout")),
    Queue("many", bindings=[binding(Exchange("work"), "one"), binding(Exchange("work"), "two")]),
    Broadcast("news"),
]


@pytest.mark.parametrize(
    ("exchange", "key", "queue"),
    [
        ("", "books", "books"),
        ("work", "books", "direct"),
        ("work", "two", "many"),
        ("topics", "feed.sport.new", "feeds"),
        ("topics", "feed.sport.today.new", "feed.sport.today.new"),
        ("topics", "log", "all"),
        ("topics", "log.a.b", "all"),
        ("everybody", "", "fans"),
        ("news", "", "news"),
        ("of others", "key", "key"),
        ("of others", "", "of others"),
    ],
)
def test_the_queue_of_a_message(exchange, key, queue):
    """That which the application has bound to where the message was sent; else what is known."""
    app = Celery("books", set_as_current=False)
    app.conf.task_queues = BOUND
    assert queue_of(app, {"exchange": exchange, "routing_key": key}) == queue
