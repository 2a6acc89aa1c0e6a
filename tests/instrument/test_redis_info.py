"""What a Redis server says of itself, asked in the background by applications of their own."""

import textwrap

import pytest

from otel_accubooks.contract.metrics import (
    CACHE_EVICTION_RATE_PER_SEC,
    CACHE_MEMORY_USAGE_BYTES,
    CACHE_MEMORY_USAGE_PERCENT,
    CACHE_OPERATION_DURATION_MS,
    SYSTEM_HEALTH_STATUS,
)
from otel_accubooks.instrument.redis_connections import own_connection, own_settings
from otel_accubooks.instrument.redis_info import parse_info, target_name
from otel_accubooks.stack.redis import Redis


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


def test_the_server_is_asked_for_its_memory(run):
    """Bytes used, their share of the budget, and health; asking is no operation."""
    outcome = run("client.set('a', 1); poll()")
    used = outcome.of(CACHE_MEMORY_USAGE_BYTES)[()]
    assert used > 100_000
    assert outcome.of(CACHE_MEMORY_USAGE_PERCENT)[()] == pytest.approx(100 * used / 2 / 1024**3)
    assert outcome.of(CACHE_EVICTION_RATE_PER_SEC) == {(): 0}
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 1}
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {"set": 1}


def test_the_share_is_of_maxmemory_where_there_is_one(run):
    """A server's own limit goes before the configured budget."""
    outcome = run(
        """
        client.config_set("maxmemory", 10_000_000)
        client.set("a", 1)
        poll()
        client.config_set("maxmemory", 0)
        """
    )
    used = outcome.of(CACHE_MEMORY_USAGE_BYTES)[()]
    assert outcome.of(CACHE_MEMORY_USAGE_PERCENT)[()] == pytest.approx(used / 100_000)


def test_evictions_are_a_rate_between_two_answers_and_never_negative(run):
    """Keys that went while the server was full; a server that has begun anew starts at 0."""
    outcome = run(
        """
        from pathlib import Path
        from tempfile import mkdtemp
        from otel_accubooks.stack.redis import Redis
        flags = ["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"]
        with Redis(Path(mkdtemp()), args=flags) as server:
            small = redis.Redis.from_url(server.url)
            small.set("a", 1)
            poll()
            for n in range(400):
                small.set(n, "x" * 10_000)
            poll()
            said["full"] = recorded()
            server.stop()
            server.start()
            poll()
        """
    )
    full = {(name, *labels): value for name, labels, value in outcome.said["full"]}
    assert full[CACHE_EVICTION_RATE_PER_SEC.name,] > 0
    assert outcome.of(CACHE_EVICTION_RATE_PER_SEC) == {(): 0}


def test_a_server_that_is_gone_is_ill_health(run):
    """Health is 0 while the cache does not answer; the application sees its own exception."""
    outcome = run(
        """
        from otel_accubooks.stack.ports import free_port
        try:
            redis.Redis(port=free_port()).get("a")
        except redis.ConnectionError:
            said["raised"] = True
        poll()
        """
    )
    assert outcome.said == {"raised": True}
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 0}
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {"get": 1}


def test_a_server_that_is_used_no_more_is_no_ill_health(run):
    """Its last pool has gone, so it is forgotten, in every process that asks."""
    outcome = run(
        """
        import gc
        from otel_accubooks.instrument import redis_info
        from otel_accubooks.stack.ports import free_port
        client.get("a")
        old = redis.Redis(port=free_port())
        try:
            old.get("a")
        except redis.ConnectionError:
            pass
        poll()
        said["while_used"] = [v for name, _, v in recorded() if name == "system_health_status"]
        del old
        gc.collect()
        redis_info.KEPT_SECONDS = 0
        poll()
        """
    )
    assert outcome.said == {"while_used": [0]}
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 1}
    assert outcome.of(CACHE_MEMORY_USAGE_BYTES)[()] > 0


def test_pools_that_come_and_go_are_one_server(run):
    """An application that makes a client for each request has its server asked all the time."""
    outcome = run(
        """
        for n in range(3):
            redis.Redis.from_url(url).set("a", n)
        poll()
        """
    )
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 1}
    assert outcome.of(CACHE_MEMORY_USAGE_BYTES)[()] > 0


def test_of_several_servers_the_worst_is_shown(run):
    """The metrics have no label."""
    outcome = run(
        """
        from pathlib import Path
        from tempfile import mkdtemp
        from otel_accubooks.stack.redis import Redis
        with Redis(Path(mkdtemp()), args=["--maxmemory", "3mb"]) as server:
            small = redis.Redis.from_url(server.url)
            small.set("a", 1)
            client.set("a", "x" * 3_000_000)
            poll()
            said["share"] = 100 * small.info()["used_memory"] / (3 * 1024 * 1024)
        client.delete("a")
        """
    )
    assert outcome.of(CACHE_MEMORY_USAGE_BYTES)[()] > 3_000_000
    assert outcome.of(CACHE_MEMORY_USAGE_PERCENT)[()] == pytest.approx(
        outcome.said["share"], rel=0.2
    )


def test_a_password_that_has_ended_is_no_ill_health(run):
    """The server answers, though not to whom it was known by."""
    outcome = run(
        """
        client.execute_command("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all")
        ann = redis.Redis.from_url(url, username="ann", password="pw")
        ann.get("a")
        client.execute_command("ACL", "SETUSER", "ann", "resetpass", ">other")
        poll()
        client.execute_command("ACL", "DELUSER", "ann")
        """
    )
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 1}


def test_a_user_without_the_right_to_info_is_not_ill_health(run):
    """The server answers, though it does not tell its memory."""
    outcome = run(
        """
        client.execute_command("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all", "-info")
        redis.Redis.from_url(url, username="ann", password="pw").get("a")
        poll()
        client.execute_command("ACL", "DELUSER", "ann")
        """
    )
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 1}
    assert outcome.of(CACHE_MEMORY_USAGE_BYTES) == {}


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_unix_socket_with_a_password_is_asked_alike(application, tmp_path, protocol):
    """The connection that asks has the settings of the application's pool."""
    path = tmp_path / "redis.sock"
    with Redis(tmp_path, args=["--unixsocket", str(path)]):
        outcome = application(
            f"""
            import redis
            client = redis.Redis(unix_socket_path={str(path)!r}, protocol={protocol}, db=1)
            client.config_set("requirepass", "pw")
            client = redis.Redis.from_url("unix://:pw@{path}?db=1&protocol={protocol}")
            client.get("a")
            poll()
            client.config_set("requirepass", "")
            """
        )
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 1}
    assert outcome.of(CACHE_MEMORY_USAGE_BYTES)[()] > 0


def test_a_sentinel_pool_is_asked_at_the_master(application, redis_server, tmp_path):
    """A pool that finds its server through Sentinel is measured and asked as any other."""
    config = tmp_path / "sentinel.conf"
    config.write_text(f"sentinel monitor books 127.0.0.1 {redis_server.port} 1\n")
    sentinel = Redis(tmp_path)
    # Without the flags of a data server, which Sentinel refuses.
    sentinel.argv = ["redis-server", str(config), "--sentinel", "--port", str(sentinel.port)]
    with sentinel:
        outcome = application(
            f"""
            import redis.sentinel
            found = redis.sentinel.Sentinel([("127.0.0.1", {sentinel.port})], socket_timeout=5)
            client = found.master_for("books")
            client.get("no such key")
            poll()
            """
        )
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {"get": 1}
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 1}
    assert outcome.of(CACHE_MEMORY_USAGE_BYTES)[()] > 0


def test_a_target_is_named_without_user_or_password():
    """Host, port and database tell targets apart; nothing secret is in a name."""
    from redis import ConnectionPool

    pool = ConnectionPool.from_url("redis://ann:pw@cache:6380/3")
    assert target_name(pool) == "cache redis cache:6380/3"
    assert target_name(ConnectionPool()) == "cache redis 127.0.0.1:6379/0"


def test_asking_has_its_own_time_limits():
    """The application's retries and patience are not those of a question in the background."""
    from redis import ConnectionPool
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry

    retry = Retry(ExponentialBackoff(), 9)
    pool = ConnectionPool(socket_timeout=60, retry=retry, retry_on_error=[OSError], username="ann")
    settings = own_settings(pool)
    assert (settings["socket_timeout"], settings["socket_connect_timeout"]) == (2, 2)
    assert settings["username"] == "ann"
    assert settings["retry"].get_retries() == 0
    assert "retry_on_error" not in settings


def test_asking_keeps_no_client_of_a_cluster_alive():
    """What a cluster's client gave to its nodes' pools is not taken over."""
    from redis import ConnectionPool

    class Cluster:
        nodes_manager = None

        def on_connect(self):
            pass

    pool = ConnectionPool(redis_connect_func=Cluster().on_connect)
    assert "redis_connect_func" not in own_settings(pool)
    assert own_settings(ConnectionPool(redis_connect_func=print))["redis_connect_func"] is print


@pytest.mark.parametrize("url", ["redis://h", "rediss://h?ssl_check_hostname=false", "unix:///s"])
def test_an_asyncio_pool_is_asked_by_a_blocking_connection(url):
    """Over TCP, TLS or a Unix socket, as the pool itself connects."""
    from redis import ConnectionPool
    from redis.asyncio import ConnectionPool as AsyncioPool

    expected = ConnectionPool.from_url(url).connection_class
    connection = own_connection(AsyncioPool.from_url(url, health_check_interval=3))()
    assert type(connection) is expected
    assert connection.health_check_interval == 0


def test_info_is_read_as_bytes_or_text():
    """Only what is wanted, wherever it stands; a name that ends like another one is not it."""
    text = "used_memory:12\r\n\r\n# Memory\r\ntotal_maxmemory:3\r\nmaxmemory_human:0B\r\nrun_id:a:b"
    for answer in (text, text.encode()):
        assert parse_info(answer) == {"used_memory": "12", "run_id": "a:b"}
