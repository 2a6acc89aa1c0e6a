"""Which Redis is the cache, found out in applications of their own on a real Redis."""

import textwrap

import pytest

from otel_accubooks.contract.metrics import (
    CACHE_HITS_TOTAL,
    CACHE_MEMORY_USAGE_BYTES,
    CACHE_MISSES_TOTAL,
    CACHE_OPERATION_DURATION_MS,
    SYSTEM_HEALTH_STATUS,
)
from otel_accubooks.instrument.redis_owners import Owner


@pytest.fixture
def run(application, redis_server):
    """Runs a script that has `url` and `targets()`, whose answer is the caches that are asked."""
    head = f"""
import redis
from otel_accubooks.instrument.polling import polls
url = {redis_server.url!r}
redis.Redis.from_url(url).flushall()
def targets():
    return [name for name, poll in polls._polls.items() if poll.component == "cache"]
"""

    def run_script(script):
        return application(head + textwrap.dedent(script))

    return run_script


def found_or_nothing(outcome):
    """(hits, misses) of an application that may have recorded nothing at all."""
    return (
        outcome.of(CACHE_HITS_TOTAL).get((), 0),
        outcome.of(CACHE_MISSES_TOTAL).get((), 0),
    )


def test_a_client_of_rq_alone_is_no_cache(run):
    """Nothing that RQ does is a cache operation, and its Redis is not asked as a cache."""
    outcome = run(
        """
        from rq import Queue, SimpleWorker
        queue = Queue("forecasts", connection=redis.Redis.from_url(url))
        queue.enqueue("math.sqrt", 4)
        queue.enqueue_many([Queue.prepare_data("math.sqrt", (9,))])
        SimpleWorker([queue], connection=queue.connection).work(burst=True, logging_level="ERROR")
        said["targets"] = targets()
        """
    )
    assert outcome.said == {"targets": []}
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {}


@pytest.mark.parametrize("key", ["'mine'", "b'mine'"])
def test_on_a_client_that_is_shared_with_rq_keys_decide(run, key):
    """The application's own keys are the cache's."""
    outcome = run(
        f"""
        from rq import Queue
        client = redis.Redis.from_url(url)
        Queue("forecasts", connection=client).enqueue("math.sqrt", 4)
        client.get({key})
        said["targets"] = len(targets())
        """
    )
    assert outcome.said == {"targets": 1}
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {"get": 1}


def test_the_broker_and_the_results_of_celery_are_no_cache(run):
    """Whatever queues and keys are called: the clients are kombu's and Celery's own."""
    outcome = run(
        """
        from celery import Celery
        app = Celery(broker=url, backend=url)
        app.conf.result_backend_transport_options = {"global_keyprefix": "mine:"}
        with app.connection_for_write() as connection:
            queue = connection.SimpleQueue("invoices")
            queue.put("task")
            said["got"] = queue.get(timeout=30).payload
            queue.close()
        app.backend.store_result("1", 5, "SUCCESS")
        said["result"] = app.backend.get_result("1")
        said["targets"] = targets()
        """
    )
    assert outcome.said == {"got": "task", "result": 5, "targets": []}
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {}


SESSIONS = """
import flask, flask_session
client = redis.Redis.from_url(url)
app = flask.Flask("shop")
app.config.update(SESSION_TYPE="redis", SESSION_REDIS=client, {more})
flask_session.Session(app)
@app.get("/")
def index():
    flask.session["visits"] = flask.session.get("visits", 0) + 1
    return str(flask.session["visits"])
browser = app.test_client()
said["pages"] = [browser.get("/").text, browser.get("/").text]
"""


@pytest.mark.parametrize("more", ["", "SESSION_KEY_PREFIX='shop:'", "SESSION_KEY_PREFIX=''"])
def test_the_session_store_is_no_cache(run, more):
    """Its keys are known by the prefix that it was given; with none, the client is its own."""
    outcome = run(SESSIONS.format(more=more) + "said['targets'] = targets()")
    assert outcome.said == {"pages": ["1", "2"], "targets": []}
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {}


def test_on_a_client_that_is_shared_with_the_sessions_keys_decide(run):
    """The application's own keys are the cache's, alone and in a pipeline."""
    outcome = run(
        SESSIONS.format(more="")
        + """
client.get("mine")
client.get("session:1")
client.pipeline().get("session:1").get("mine").execute()
said["targets"] = len(targets())
"""
    )
    assert outcome.said["targets"] == 1
    assert found_or_nothing(outcome) == (0, 2)
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {"get": 1, "pipeline": 1}


def test_the_prefix_of_sessions_is_nobody_elses(run):
    """A key that begins like a session's is the cache's where there is no session store."""
    outcome = run("redis.Redis.from_url(url).get('session:1')")
    assert found_or_nothing(outcome) == (0, 1)


@pytest.mark.parametrize(("database", "counted"), [(1, 1), (2, 0)])
def test_the_setting_names_the_one_cache(run, database, counted):
    """Only clients of that server and database count, and only it is asked."""
    outcome = run(
        f"""
        from otel_accubooks.instrument import redis_owners
        from otel_accubooks.instrument.redis_place import read_place
        redis_owners.named = read_place(url.replace("127.0.0.1", "localhost")[:-1] + "{database}")
        client = redis.Redis.from_url(url[:-1] + "1")
        client.get("no")
        client.pipeline().get("no").execute()
        poll()
        """
    )
    assert found_or_nothing(outcome) == (0, 2 * counted)
    assert len(outcome.of(CACHE_MEMORY_USAGE_BYTES)) == counted
    assert len(outcome.of(SYSTEM_HEALTH_STATUS)) == counted


def test_keys_are_known_by_their_beginning():
    """As text and as bytes; a key of another type belongs to nobody in particular."""
    owner = Owner(lambda: None, True)
    owner.leave_out("session:")
    assert all(owner.is_others(key) for key in ("rq:a", b"rq:a", "session:1", b"session:1"))
    assert not any(owner.is_others(key) for key in ("user:1", b"cache", 7, None, "rqx", "req:1"))
