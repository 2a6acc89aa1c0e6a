"""Where a Redis is, as URLs, pools and the setting say it."""

import pytest
from redis import ConnectionPool, UnixDomainSocketConnection
from redis.sentinel import Sentinel

from otel_accubooks.instrument.redis_place import Place, of_pool, read_place


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://cache:6380/3", Place("cache:6380", 3)),
        ("redis://Cache", Place("cache:6379", 0)),
        ("redis://localhost/", Place("127.0.0.1:6379", 0)),
        ("rediss://ann:pw@cache:6380/3?ssl_cert_reqs=none", Place("cache:6380", 3)),
        ("redis://cache/1?db=2", Place("cache:6379", 2)),
        ("unix:///run/redis.sock", Place("/run/redis.sock", 0)),
        ("unix://ann:pw@/run/redis.sock?db=4", Place("/run/redis.sock", 4)),
    ],
)
def test_a_url_says_where(url, place):
    """Host, port or path, and database; the defaults are redis-py's."""
    assert read_place(url) == place


@pytest.mark.parametrize(
    "url", ["cache:6379", "http://cache/0", "redis://", "unix://", "redis://h:x/0", "redis://h/x"]
)
def test_anything_else_is_refused(url):
    """It is never taken for some other place."""
    with pytest.raises(ValueError, match=r".+"):
        read_place(url)


def test_pools_and_urls_meet():
    """A pool is found by what was named, however it was made; another database is another place."""
    named = read_place("redis://localhost:6380/3")
    assert named.names(of_pool(ConnectionPool.from_url("redis://ann:pw@127.0.0.1:6380/3")))
    assert named.names(of_pool(ConnectionPool(host="LOCALHOST", port="6380", db="3")))
    assert not named.names(of_pool(ConnectionPool(port=6380)))
    socket = ConnectionPool(UnixDomainSocketConnection, path="/run/redis.sock", db=1)
    assert read_place("unix:///run/redis.sock?db=1").names(of_pool(socket))


def test_a_sentinels_service_is_named_as_a_host():
    """Its servers change, its name does not."""
    pool = Sentinel([("127.0.0.1", 26379)]).master_for("Books", db=2).connection_pool
    assert read_place("redis://books/2").names(of_pool(pool))
    assert not read_place("redis://letters/2").names(of_pool(pool))
    assert not read_place("redis://books/1").names(of_pool(pool))
