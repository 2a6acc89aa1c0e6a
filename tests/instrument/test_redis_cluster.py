"""Clients of a Redis cluster, blocking and asyncio, on a real one of two nodes."""

import textwrap
import time
from contextlib import ExitStack

import pytest
import redis

from otel_accubooks.contract.metrics import (
    CACHE_HITS_TOTAL,
    CACHE_MEMORY_USAGE_BYTES,
    CACHE_MISSES_TOTAL,
    CACHE_OPERATION_DURATION_MS,
    SYSTEM_HEALTH_STATUS,
)
from otel_accubooks.stack.ports import free_port
from otel_accubooks.stack.redis import Redis

HEAD = """
import asyncio, inspect, json, redis, redis.asyncio
first, second = {ports}
async def value(given):
    return await given if inspect.isawaitable(given) else given
async def main():
    made = {client}(host="127.0.0.1", port=first)
    client = await made if inspect.isawaitable(made) else made
    await value(client.flushall(target_nodes="primaries"))
{body}
    poll()
    await value(client.aclose() if hasattr(client, "aclose") else client.close())
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def ports(tmp_path_factory):
    """The ports of two nodes: the first has the lower half of the slots, the second the upper."""
    with ExitStack() as stack:
        nodes = []
        for name in ("first", "second"):
            folder, bus = tmp_path_factory.mktemp(name), free_port()
            flags = [
                *("--cluster-enabled", "yes", "--cluster-port", str(bus)),
                *("--cluster-config-file", str(folder / "nodes.conf")),
            ]
            server = stack.enter_context(Redis(folder, args=flags))
            nodes.append((redis.Redis(port=server.port), server.port, bus))
        (one, first, _), (other, second, bus) = nodes
        one.execute_command("CLUSTER SET-CONFIG-EPOCH", 1)
        other.execute_command("CLUSTER SET-CONFIG-EPOCH", 2)
        one.execute_command("CLUSTER ADDSLOTSRANGE", 0, 8191)
        other.execute_command("CLUSTER ADDSLOTSRANGE", 8192, 16383)
        one.execute_command("CLUSTER MEET", "127.0.0.1", second, bus)
        for client, _, _ in nodes:
            _until_joined(client)
            client.close()
        yield first, second


def _until_joined(client):
    deadline = time.monotonic() + 60
    while True:
        told = client.execute_command("CLUSTER INFO")
        if (told["cluster_state"], told["cluster_known_nodes"]) == ("ok", "2"):
            return
        assert time.monotonic() < deadline, told
        time.sleep(0.05)


@pytest.fixture(params=["redis.RedisCluster", "redis.asyncio.RedisCluster"])
def run(request, application, ports):
    """Runs a coroutine's body that has `client`, of an empty cluster, and `value`, which awaits."""

    def run_script(body):
        body = textwrap.indent(textwrap.dedent(body), "    ")
        return application(HEAD.format(ports=ports, client=request.param, body=body))

    return run_script


def found(outcome):
    """(hits, misses)."""
    return outcome.of(CACHE_HITS_TOTAL)[()], outcome.of(CACHE_MISSES_TOTAL)[()]


def test_a_cluster_is_measured(run):
    """Commands and pipelines count as on one server, and the nodes are asked."""
    outcome = run(
        """
        await value(client.set("a", 1))
        await value(client.get("a"))
        await value(client.get("no"))
        await value(client.get("rq:no"))
        pipe = client.pipeline()
        pipe.get("a").get("no").get("rq:no").set("b", 1)
        said["results"] = len(await value(pipe.execute()))
        """
    )
    assert outcome.said == {"results": 4}
    assert found(outcome) == (2, 2)
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {"set": 1, "get": 2, "pipeline": 1}
    assert outcome.of(CACHE_MEMORY_USAGE_BYTES)[()] > 0
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 1}


def test_a_read_over_several_slots_counts_each_key_once(run):
    """Keys a and b are on different nodes; the whole is one operation."""
    outcome = run(
        """
        await value(client.mset_nonatomic({"a": 1, "b": 2}))
        said["got"] = [str(each) for each in await value(client.mget_nonatomic("a", "b", "no"))]
        """
    )
    assert outcome.said == {"got": ["b'1'", "b'2'", "None"]}
    assert found(outcome) == (2, 1)
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {"pipeline": 2}


MOVE = """
def ask(port, *words):
    with redis.Redis(port=port) as node:
        return node.execute_command(*words)
slot = ask(first, "CLUSTER KEYSLOT", "b")
def epoch(port):
    return ask(port, "CLUSTER INFO")["cluster_current_epoch"]
def move(port):
    to = ask(port, "CLUSTER MYID").decode()
    while epoch(first) != epoch(second):  # a bump is the highest only if the last one is known
        pass
    ask(port, "CLUSTER BUMPEPOCH")  # else what the nodes tell each other may undo it
    for each in (second, first) if port == second else (first, second):
        ask(each, "CLUSTER SETSLOT", slot, "NODE", to)
await value(client.get("b"))
move(second)
ask(second, "SET", "b", "2")
{read}
ask(second, "DEL", "b")
move(first)
"""


@pytest.mark.parametrize(
    ("read", "counts"),
    [
        ("await value(client.get('b'))", {"get": 2}),
        ("pipe = client.pipeline(); pipe.get('b'); await value(pipe.execute())",
         {"get": 1, "pipeline": 1}),
    ],
)  # fmt: skip
def test_what_a_moved_key_makes_the_client_send_again_counts_once(run, read, counts):
    """The first read was a miss, the second found the key where its slot had moved to."""
    outcome = run(MOVE.format(read=read))
    assert found(outcome) == (1, 1)
    kinds = outcome.of(CACHE_OPERATION_DURATION_MS)
    assert {kind: kinds[kind] for kind in ("get", "pipeline") if kind in kinds} == counts


def test_reads_under_watch_count(run):
    """A command that a watching pipeline of a cluster sends at once is an operation of its own."""
    outcome = run(
        """
        await value(client.set("a", 1))
        pipe = client.pipeline(transaction=True)
        if isinstance(client, redis.RedisCluster):
            pipe.watch("a")
            pipe.get("a")
            pipe.multi()
        pipe.set("a", 2)
        said["results"] = len(await value(pipe.execute()))
        """
    )
    assert outcome.said == {"results": 1}
    counts = outcome.of(CACHE_OPERATION_DURATION_MS)
    assert (counts["set"], counts["pipeline"]) == (1, 1)
    assert counts.get("get", 0) == found(outcome)[0]


def test_a_node_that_left_the_cluster_is_asked_no_more(run):
    """Who is asked follows what the client knows of its cluster."""
    outcome = run(
        """
        from otel_accubooks.instrument.polling import polls
        await value(client.set("a", 1))
        poll()
        said["before"] = len(polls._polls)
        nodes = client.nodes_manager.nodes_cache
        nodes.pop(next(name for name, node in nodes.items() if node.port == second))
        poll()
        said["after"] = [name.rpartition(":")[2] for name in polls._polls]
        said["first"] = f"{first}/0"
        """
    )
    assert outcome.said["before"] == 2
    assert outcome.said["after"] == [outcome.said["first"]]
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 1}
