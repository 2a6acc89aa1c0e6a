"""redis-py, measured in applications of their own on a real Redis."""

import textwrap

import pytest

from otel_accubooks.contract.metrics import (
    CACHE_HITS_TOTAL,
    CACHE_MISSES_TOTAL,
    CACHE_OPERATION_DURATION_MS,
)
from otel_accubooks.instrument.redis_commands import command


@pytest.fixture
def run(application, redis_server):
    """Runs a script that has `url` and `client`, on an empty database."""
    head = f"""
import redis
url = {redis_server.url!r}
client = redis.Redis.from_url(url)
client.flushall()
"""

    def run_script(script, *imported_before):
        return application(head + textwrap.dedent(script), *imported_before)

    return run_script


def found(outcome):
    """(hits, misses)."""
    return outcome.of(CACHE_HITS_TOTAL)[()], outcome.of(CACHE_MISSES_TOTAL)[()]


FILLED = """
client.mset({"a": "1", "b": "2"})
client.hset("h", mapping={"x": "1", "y": ""})
"""


@pytest.mark.parametrize(
    ("read", "hits", "misses"),
    [
        ("client.get('a'); client.get('no')", 1, 1),
        ("client.getex('a', ex=9); client.getex('no')", 1, 1),
        ("client.getdel('a'); client.getdel('a')", 1, 1),
        ("client.mget('a', 'no', 'b')", 2, 1),
        ("client.hget('h', 'x'); client.hget('h', 'no'); client.hget('no', 'x')", 1, 2),
        ("client.hget('h', 'y')", 1, 0),
        ("client.hmget('h', 'x', 'y', 'no')", 2, 1),
        ("client.hgetall('h'); client.hgetall('no')", 1, 1),
        ("client.execute_command('get', 'a')", 1, 0),
        ("client.exists('a', 'no'); client.hexists('h', 'x'); client.ttl('a')", 0, 0),
        ("redis.Redis.from_url(url, decode_responses=True).get('a')", 1, 0),
        ("redis.Redis.from_url(url, protocol=3).hgetall('h')", 1, 0),
    ],
)
def test_what_a_read_finds_is_a_hit_or_a_miss(run, read, hits, misses):
    """Each value that was asked for is one of the two; a check is neither."""
    assert found(run(FILLED + read)) == (hits, misses)


@pytest.mark.parametrize("imported_before", [[], ["redis"]])
def test_operations_are_counted_by_command(run, imported_before):
    """Each key command is one observation under its name; others are none, unknown ones "other"."""
    outcome = run(
        """
        client.set("a", 1)
        client.get("a")
        client.execute_command("get", "a")
        client.object("encoding", "a")
        client.eval("return 1", 1, "a")
        client.ping(); client.info(); client.config_get("maxmemory"); client.publish("c", "m")
        client.dbsize(); client.client_list()
        try:
            client.execute_command("NEW.COMMAND", "a")
        except redis.ResponseError:
            pass
        """,
        *imported_before,
    )
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {
        "set": 1,
        "get": 2,
        "object": 1,
        "eval": 1,
        "other": 1,
    }


@pytest.mark.parametrize("transaction", [True, False])
def test_a_pipeline_is_one_operation_and_its_reads_count(run, transaction):
    """The whole pipeline is one observation; hits and misses go by the position of the results."""
    outcome = run(
        FILLED
        + f"""
pipe = client.pipeline(transaction={transaction})
pipe.get("a").set("c", 1).mget("a", "b", "no").lpush("a", 1).hgetall("no").get("no")
said["results"] = len(pipe.execute(raise_on_error=False))
"""
    )
    assert outcome.said == {"results": 6}
    assert found(outcome) == (3, 3)
    assert outcome.of(CACHE_OPERATION_DURATION_MS)["pipeline"] == 1


def test_a_pipeline_that_raises_found_nothing(run):
    """The caller got no value, so there is neither hit nor miss; the time counts."""
    outcome = run(
        FILLED
        + """
pipe = client.pipeline()
pipe.get("a").lpush("a", 1)
try:
    pipe.execute()
except redis.ResponseError as error:
    said["error"] = "WRONGTYPE" in str(error)
"""
    )
    assert outcome.said == {"error": True}
    assert found(outcome) == (0, 0)
    assert outcome.of(CACHE_OPERATION_DURATION_MS)["pipeline"] == 1


def test_reads_under_watch_count(run):
    """A command that a watching pipeline sends at once is an operation of its own."""
    outcome = run(
        FILLED
        + """
def change(pipe):
    value = pipe.get("a")
    pipe.multi()
    pipe.set("a", value)
client.transaction(change, "a")
"""
    )
    assert found(outcome) == (1, 0)
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {
        "mset": 1,
        "hset": 1,
        "get": 1,
        "pipeline": 1,
    }


def test_an_empty_pipeline_is_no_operation(run):
    """Nothing was sent."""
    assert run("client.pipeline().execute()").of(CACHE_OPERATION_DURATION_MS) == {}


def test_a_failed_command_is_an_operation_and_its_exception_is_untouched(run):
    """A failure takes time, too; it is neither hit nor miss."""
    outcome = run(
        FILLED
        + """
try:
    client.get("h")
except redis.ResponseError as error:
    said["error"] = str(error).startswith("WRONGTYPE"), error.__context__ is None
"""
    )
    assert outcome.said == {"error": [True, True]}
    assert found(outcome) == (0, 0)
    assert outcome.of(CACHE_OPERATION_DURATION_MS)["get"] == 1


def test_queue_traffic_is_no_cache_traffic(run):
    """What goes to keys of RQ and Celery is not measured, alone or in a pipeline."""
    outcome = run(
        """
        from rq import Queue
        queue = Queue("forecasts", connection=client)
        job = queue.enqueue("math.sqrt", 4)
        said["depth"] = queue.count
        job.get_status(); job.refresh()
        for key in ("rq:a", b"rq:a", "celery-task-meta-1", "_kombu.binding.x", "unacked"):
            client.get(key)
        client.eval("return 1", 1, "rq:a")
        pipe = client.pipeline()
        pipe.get("rq:a").get("celery")
        pipe.execute()
        """
    )
    assert outcome.said == {"depth": 1}
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {}
    assert found_or_nothing(outcome) == (0, 0)


def found_or_nothing(outcome):
    """(hits, misses) of an application that may have recorded nothing at all."""
    return (
        outcome.of(CACHE_HITS_TOTAL).get((), 0),
        outcome.of(CACHE_MISSES_TOTAL).get((), 0),
    )


def test_a_mixed_pipeline_counts_its_cache_commands_alone(run):
    """Queue commands beside cache commands neither hit nor miss."""
    outcome = run(
        """
        pipe = client.pipeline()
        pipe.get("rq:a").get("a").get("rq:b")
        pipe.execute()
        """
    )
    assert found(outcome) == (0, 1)
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {"pipeline": 1}


def test_hits_and_misses_exist_at_zero(run):
    """A first hit is growth, since its series was there before."""
    assert found(run("client.set('a', 1)")) == (0, 0)


def test_an_exception_of_a_signal_reaches_the_application(run):
    """A time limit that a signal raises while Redis is waited for is passed on."""
    outcome = run(
        """
        import signal
        class JobTimeout(Exception):
            pass
        def ring(*_):
            raise JobTimeout
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            client.blpop("no", timeout=5)
        except JobTimeout:
            said["raised"] = True
        """
    )
    assert outcome.said == {"raised": True}
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {"blpop": 1}


def test_the_methods_look_as_before(run):
    """Names, signatures and pickling are those of the library."""
    outcome = run(
        """
        import inspect, pickle
        from redis.client import Pipeline
        checks = [
            pickle.loads(pickle.dumps(redis.Redis)) is redis.Redis,
            redis.Redis.execute_command.__qualname__ == "Redis.execute_command",
            str(inspect.signature(redis.Redis.execute_command)) == "(self, *args, **options)",
            "raise_on_error" in inspect.signature(Pipeline.execute).parameters,
            "execute_command" not in vars(client),
        ]
        said["wrong"] = [n for n, right in enumerate(checks) if not right]
        """
    )
    assert outcome.said == {"wrong": []}


@pytest.mark.parametrize(
    ("name", "operation", "first_key"),
    [
        ("GET", "get", 1),
        (b"hget", "hget", 1),
        ("EVALSHA", "evalsha", 3),
        ("XINFO STREAM", "xinfo", 1),
        ("OBJECT", "object", 2),
        ("OBJECT ENCODING", "object", 1),
        ("JSON.GET", "json.get", 1),
        ("TS.ADD", "other", 1),
    ],
)
def test_a_command_is_known_by_its_first_word(name, operation, first_key):
    """The label is of a bounded set; the first key tells whose traffic it is."""
    known = command(name)
    assert known is not None
    assert (known.operation, known.first_key) == (operation, first_key)


@pytest.mark.parametrize("name", ["PING", "CLIENT SETINFO", b"config get", "SCRIPT LOAD", ""])
def test_a_command_that_is_not_about_keys_is_no_operation(name):
    """It is not measured at all."""
    assert command(name) is None
