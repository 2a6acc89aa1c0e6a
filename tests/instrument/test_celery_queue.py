"""What the brokers of Celery's queues are asked in the background, and what they answer."""

import json
import time

import pytest
import redis
from celery import Celery

from otel_accubooks.contract.metrics import FORECAST_OLDEST_JOB_AGE_SECONDS, FORECAST_QUEUE_DEPTH
from otel_accubooks.contract.unsent import QUEUE_UNATTENDED
from otel_accubooks.instrument import celery_queue
from otel_accubooks.instrument.celery_queue import READY_AT
from otel_accubooks.instrument.polling import Polls
from otel_accubooks.stack.redis import Redis


@pytest.fixture
def connection(redis_server):
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        yield client


class Asked:
    """An application, and the one question that is asked about its queue."""

    def __init__(self, monkeypatch, recorded):
        self._monkeypatch = monkeypatch
        self._recorded = recorded

    def about(self, broker, **conf):
        """The application, whose queue is watched from now on, and no other."""
        self._polls = Polls()
        self._monkeypatch.setattr(celery_queue, "polls", self._polls)
        self._monkeypatch.setattr(celery_queue, "_watched", set())
        self.app = Celery("books", broker=broker, set_as_current=False)
        self.app.conf.update(task_default_queue="books", **conf)
        with self.app.pool.acquire(block=True) as client, client.channel() as channel:
            celery_queue.watch(self.app, channel, "books")
        return self.app

    def names(self):
        return list(self._polls._polls)

    def ask(self):
        (poll,) = self._polls._polls.values()
        assert poll.component == "queue"
        poll.ask()

    def told(self, metric):
        """What a gauge says after another question; None where it does not exist."""
        self.ask()
        return next((p.value for p in self._recorded().of(metric)), None)


@pytest.fixture
def asked(monkeypatch, recorded):
    return Asked(monkeypatch, recorded)


def make_older(connection, key, seconds):
    """Makes the message that was last put into the list `key` older by `seconds`."""
    message = json.loads(connection.lpop(key))
    message["headers"][READY_AT] = time.time() - seconds
    connection.lpush(key, json.dumps(message))


def test_depth_and_age_over_all_priorities(asked, connection, redis_server):
    """Each step of priority is a list of its own; the oldest message of all counts."""
    app = asked.about(redis_server.url)
    assert asked.told(FORECAST_QUEUE_DEPTH) == 0
    assert asked.told(FORECAST_OLDEST_JOB_AGE_SECONDS) == 0
    for priority, age in ((0, 5000), (0, 10), (9, 9000), (9, 20)):
        app.send_task("add", priority=priority)
        make_older(connection, "books" if not priority else "books\x06\x169", age)
    assert asked.told(FORECAST_QUEUE_DEPTH) == 4
    assert 9000 <= asked.told(FORECAST_OLDEST_JOB_AGE_SECONDS) < 9100


def test_a_message_that_does_not_say_when_it_was_sent_has_no_age(asked, connection, redis_server):
    """It was sent without us: how long it waits is not known."""
    asked.about(redis_server.url).send_task("add")
    assert asked.told(FORECAST_QUEUE_DEPTH) == 1
    assert asked.told(FORECAST_OLDEST_JOB_AGE_SECONDS) == 0


def test_a_message_that_is_not_due_has_no_age(asked, connection, redis_server):
    """Its time begins with its ETA."""
    asked.about(redis_server.url).send_task("add")
    make_older(connection, "books", -3600)
    assert asked.told(FORECAST_OLDEST_JOB_AGE_SECONDS) == 0


def test_a_broker_without_any_worker_is_seen(asked, connection, redis_server):
    """Workers listen for orders in the broker's database, wherever they run."""
    asked.about(redis_server.url)
    assert asked.told(QUEUE_UNATTENDED) == 1
    with redis.Redis(port=redis_server.port, db=5) as other, other.pubsub() as elsewhere:
        elsewhere.psubscribe("of another database")
        elsewhere.get_message(timeout=10)
        assert asked.told(QUEUE_UNATTENDED) == 1
    with connection.pubsub() as worker:
        worker.psubscribe("/0.celery.pidbox")
        worker.get_message(timeout=10)
        assert asked.told(QUEUE_UNATTENDED) == 0


def test_workers_that_take_no_orders_are_not_missed(asked, connection, redis_server):
    """Where the application has switched that off, nobody knows whether there is a worker."""
    asked.about(redis_server.url, worker_enable_remote_control=False)
    assert asked.told(QUEUE_UNATTENDED) == 0


def test_the_own_connection_is_as_the_applications(asked, tmp_path):
    """Password, database, socket and prefix are those of the application; none is in a name."""
    socket = tmp_path / "redis.sock"
    with Redis(tmp_path, args=["--unixsocket", str(socket)]) as server:
        with redis.Redis(port=server.port) as client:
            client.config_set("requirepass", "secret")
        over_tcp = f"redis://:secret@127.0.0.1:{server.port}/3"
        for broker, options, depth in (
            (over_tcp, {}, 1),
            (f"redis+socket://:secret@{socket}?virtual_host=3", {}, 2),
            (over_tcp, {"global_keyprefix": "shop:"}, 1),
        ):
            app = asked.about(broker, broker_transport_options=options)
            app.send_task("add")
            assert asked.told(FORECAST_QUEUE_DEPTH) == depth
            assert "secret" not in str(asked.names())


def test_a_server_that_is_gone_is_an_error_to_the_poll(asked, recorded, tmp_path):
    """So that the poll is told ill, and no gauge says that the queue is empty."""
    with Redis(tmp_path) as server:
        asked.about(server.url)
    with pytest.raises(redis.ConnectionError):
        asked.ask()
    assert not list(recorded().of(FORECAST_QUEUE_DEPTH))


def test_another_broker_tells_how_many_wait(asked, tmp_path):
    """By a passive declaration; it does not tell how long."""
    folders = {name: str(tmp_path) for name in ("data_folder_in", "data_folder_out")}
    options = {**folders, "control_folder": str(tmp_path / "control")}
    app = asked.about("filesystem://", broker_transport_options=options)
    assert asked.told(FORECAST_QUEUE_DEPTH) == 0
    for _ in range(3):
        app.send_task("add")
    assert asked.told(FORECAST_QUEUE_DEPTH) == 3
    assert asked.told(FORECAST_OLDEST_JOB_AGE_SECONDS) is None


def test_a_broker_in_memory_is_not_asked(asked):
    """It is of this process alone."""
    asked.about("memory://")
    assert asked.names() == []
