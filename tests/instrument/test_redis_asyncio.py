"""The clients of redis.asyncio, measured in applications of their own on a real Redis."""

import textwrap

import pytest

from otel_accubooks.contract.metrics import (
    CACHE_HITS_TOTAL,
    CACHE_MEMORY_USAGE_BYTES,
    CACHE_MISSES_TOTAL,
    CACHE_OPERATION_DURATION_MS,
    SYSTEM_HEALTH_STATUS,
)
from otel_accubooks.stack.redis import Redis

MAIN = """
import asyncio, redis, redis.asyncio
async def main(client):
{body}
async def run():
    async with {client} as client:
        await client.flushall()
        await client.mset({{"a": "1", "b": "2"}})
        await main(client)
asyncio.run(run())
poll()
"""


@pytest.fixture
def run(application, redis_server):
    """Runs a coroutine's body that has `client`, on a database with the keys a and b."""

    def run_script(body, client=None):
        client = client or f"redis.asyncio.Redis.from_url({redis_server.url!r})"
        body = textwrap.indent(textwrap.dedent(body), "    ")
        return application(MAIN.format(body=body, client=client))

    return run_script


def found(outcome):
    """(hits, misses)."""
    return outcome.of(CACHE_HITS_TOTAL)[()], outcome.of(CACHE_MISSES_TOTAL)[()]


def test_commands_and_pipelines_count_as_those_of_blocking_clients(run):
    """Each value asked for is a hit or a miss; a pipeline is one operation; queues' keys are none."""
    outcome = run(
        """
        await client.get("a")
        await client.mget("a", "no", "b")
        await client.get("rq:no")
        await client.ping()
        async with client.pipeline() as pipe:
            pipe.get("a").get("no").get("rq:no").set("c", 1)
            said["results"] = len(await pipe.execute())
        async def change(pipe):
            value = await pipe.get("a")
            pipe.multi()
            pipe.set("a", value)
        await client.transaction(change, "a")
        """
    )
    assert outcome.said == {"results": 4}
    assert found(outcome) == (5, 2)
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {
        "mset": 1,
        "get": 2,
        "mget": 1,
        "pipeline": 2,
    }


def test_their_server_is_asked_in_the_background(run):
    """Over a blocking connection of our own, with the settings of the asyncio pool."""
    outcome = run("pass")
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 1}
    assert outcome.of(CACHE_MEMORY_USAGE_BYTES)[()] > 0


def test_their_unix_socket_with_a_password_is_asked_alike(application, tmp_path):
    """Path, database and password are those of the application's pool."""
    path = tmp_path / "redis.sock"
    with Redis(tmp_path, args=["--unixsocket", str(path)]):
        outcome = application(
            f"""
            import asyncio, redis, redis.asyncio
            redis.Redis(unix_socket_path={str(path)!r}).config_set("requirepass", "pw")
            async def main():
                url = "unix://:pw@{path}?db=1&protocol=3"
                async with redis.asyncio.Redis.from_url(url) as client:
                    await client.get("no")
                    poll()
            asyncio.run(main())
            """
        )
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 1}
    assert outcome.of(CACHE_MEMORY_USAGE_BYTES)[()] > 0


def test_exceptions_and_cancellation_pass_through(run):
    """A failed and a cancelled command are operations that found nothing; the client works on."""
    outcome = run(
        """
        try:
            await client.lpush("a", 1)
        except redis.ResponseError as error:
            said["error"] = str(error).startswith("WRONGTYPE"), error.__context__ is None
        waiting = asyncio.create_task(client.blpop("no", timeout=60))
        while not (await client.info("clients"))["blocked_clients"]:
            await asyncio.sleep(0.01)
        waiting.cancel()
        try:
            await waiting
        except asyncio.CancelledError:
            said["cancelled"] = waiting.cancelled()
        try:
            await asyncio.wait_for(client.blpop("no", timeout=60), 0.2)
        except asyncio.TimeoutError:
            said["timed_out"] = True
        said["after"] = (await client.get("a")).decode()
        """
    )
    assert outcome.said == {
        "error": [True, True],
        "cancelled": True,
        "timed_out": True,
        "after": "1",
    }
    assert found(outcome) == (1, 0)
    counts = outcome.of(CACHE_OPERATION_DURATION_MS)
    assert (counts["lpush"], counts["blpop"], counts["get"]) == (1, 2, 1)


def test_nothing_runs_before_it_is_awaited(run):
    """A call gives a coroutine, of the library's name, that may be awaited in any order or closed."""
    outcome = run(
        """
        import inspect, pickle
        from redis.asyncio.client import Pipeline, Redis
        from redis.asyncio.cluster import ClusterPipeline, RedisCluster
        second, first = client.execute_command("GET", "n"), client.execute_command("SET", "n", "1")
        said["kind"] = inspect.iscoroutine(first), first.__qualname__, first.__name__
        await first
        said["got"] = (await second).decode()
        client.execute_command("GET", "n").close()
        methods = [
            Redis.execute_command, Pipeline.immediate_execute_command, Pipeline.execute,
            RedisCluster.execute_command, ClusterPipeline.execute,
        ]
        said["async"] = [inspect.iscoroutinefunction(method) for method in methods]
        said["signature"] = str(inspect.signature(Pipeline.execute)).partition(" ->")[0]
        said["pickled"] = pickle.loads(pickle.dumps(Redis.execute_command)) is Redis.execute_command
        said["same"] = all(hasattr(method, "__wrapped__") for method in methods)
        """
    )
    assert outcome.said == {
        "kind": [True, "Redis.execute_command", "execute_command"],
        "got": "1",
        "async": [True] * 5,
        "signature": "(self, raise_on_error: bool = True)",
        "pickled": True,
        "same": True,
    }
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {"mset": 1, "set": 1, "get": 1}


def test_concurrent_tasks_count_each_for_itself(run):
    """Commands that overlap on one client are all counted."""
    outcome = run("await asyncio.gather(*(client.get('a' if n % 2 else 'no') for n in range(40)))")
    assert found(outcome) == (20, 20)
    assert outcome.of(CACHE_OPERATION_DURATION_MS)["get"] == 40


def test_a_sentinels_master_is_asked_where_it_was_found(application, redis_server, tmp_path):
    """A pool that finds its server through Sentinel is measured and asked as any other."""
    config = tmp_path / "sentinel.conf"
    config.write_text(f"sentinel monitor books 127.0.0.1 {redis_server.port} 1\n")
    sentinel = Redis(tmp_path)
    # Without the flags of a data server, which Sentinel refuses.
    sentinel.argv = ["redis-server", str(config), "--sentinel", "--port", str(sentinel.port)]
    with sentinel:
        outcome = application(
            f"""
            import asyncio, redis.asyncio.sentinel
            async def main():
                where = [("127.0.0.1", {sentinel.port})]
                found = redis.asyncio.sentinel.Sentinel(where, socket_timeout=5)
                async with found.master_for("books") as client:
                    await client.get("no such key")
                poll()
            asyncio.run(main())
            """
        )
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {"get": 1}
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 1}
    assert outcome.of(CACHE_MEMORY_USAGE_BYTES)[()] > 0
