"""Flask-Caching's caches, in memory and on disk, and in Redis, where its commands count instead."""

import inspect
import pickle

import cachelib
import flask
import flask_caching
import pytest
import redis
from flask_caching.backends.base import BaseCache

from otel_accubooks.contract.metrics import (
    CACHE_HITS_TOTAL,
    CACHE_MISSES_TOTAL,
    CACHE_OPERATION_DURATION_MS,
)
from otel_accubooks.instrument import flask_caching as measured
from otel_accubooks.instrument import redis as measured_redis


@pytest.fixture
def patches():
    made = [measured.instrument(flask_caching), measured_redis.instrument(redis)]
    yield made
    while made:
        made.pop().restore()


class Cached:
    """A cache of an application, and what was counted of it."""

    def __init__(self, recorded, config):
        self.app = flask.Flask("shop")
        self.cache = flask_caching.Cache(self.app, config={"CACHE_NO_NULL_WARNING": True, **config})
        self._recorded = recorded

    def found(self):
        """(hits, misses)."""
        return tuple(
            sum(point.value for point in self._recorded().of(metric))
            for metric in (CACHE_HITS_TOTAL, CACHE_MISSES_TOTAL)
        )

    def operations(self):
        """How often each operation was recorded."""
        points = self._recorded().of(CACHE_OPERATION_DURATION_MS)
        return {point.labels[0]: sum(point.counts) for point in points if sum(point.counts)}


@pytest.fixture
def cached(recorded, patches, tmp_path):
    """Makes a measured cache of the kind `CACHE_TYPE`."""

    def make(kind, **config):
        return Cached(
            recorded, {"CACHE_TYPE": kind, "CACHE_DIR": str(tmp_path / "files"), **config}
        )

    return make


@pytest.mark.parametrize("kind", ["SimpleCache", "FileSystemCache"])
def test_each_key_that_was_asked_for_is_a_hit_or_a_miss(cached, kind):
    """Each call is one operation, by the method's name; writing and looking find nothing."""
    shop = cached(kind)
    with shop.app.app_context():
        cache = shop.cache
        assert cache.get("a") is None
        cache.set("a", 1)
        cache.set_many({"b": 2, "c": 0})
        assert cache.get("a") == 1
        assert list(cache.get_many("a", "no", "c")) == [1, None, 0]
        assert cache.get_dict("b", "no") == {"b": 2, "no": None}
        assert cache.has("a")
        assert not cache.add("a", 5)
        cache.delete("a")
        cache.delete_many("b", "c")
        cache.clear()
    assert shop.found() == (4, 3)
    assert shop.operations() == {
        **{"get": 2, "set": 1, "set_many": 1, "get_many": 1, "get_dict": 1, "has": 1, "add": 1},
        **{"delete": 1, "delete_many": 1, "clear": 1},
    }


def test_a_cache_that_keeps_nothing_finds_nothing(cached):
    """Its reads are misses."""
    shop = cached("NullCache")
    with shop.app.app_context():
        shop.cache.set("a", 1)
        shop.cache.get("a")
    assert shop.found() == (0, 1)


def test_a_cached_view_is_one_hit_or_miss_for_each_request(cached):
    """The first request has to make the answer, the second finds it."""
    shop = cached("SimpleCache")

    @shop.app.get("/")
    @shop.cache.cached()
    def index():
        return "page"

    browser = shop.app.test_client()
    assert [browser.get("/").text for _ in range(3)] == ["page"] * 3
    assert shop.found() == (2, 1)
    assert shop.operations() == {"get": 3, "set": 1}


def test_a_memoized_function_is_one_hit_or_miss_for_each_call(cached):
    """What Flask-Caching remembers of the function's version is none of the application's."""
    shop = cached("SimpleCache")

    @shop.cache.memoize()
    def double(number):
        return 2 * number

    with shop.app.app_context():
        assert [double(1), double(1), double(2)] == [2, 2, 4]
        shop.cache.delete_memoized(double, 1)
        shop.cache.delete_memoized(double)
        assert double(2) == 4
    assert shop.found() == (1, 3)
    assert shop.operations() == {"get": 4, "set": 3, "delete": 1}


def test_a_cache_in_redis_counts_once_by_its_commands(cached, redis_server):
    """Also a backend of somebody else's that holds a client of redis-py."""
    shop = cached("RedisCache", CACHE_REDIS_URL=redis_server.url)
    with shop.app.app_context():
        shop.cache.clear()
        shop.cache.set("a", 1)
        assert shop.cache.get("a") == 1
        assert shop.cache.get_many("a", "no") == [1, None]
    own = cached(f"{__name__}.OwnBackend", CACHE_REDIS_URL=redis_server.url)
    with own.app.app_context():
        assert own.cache.get("no") is None
    assert shop.found() == (2, 2)
    assert {"get": 2, "mget": 1}.items() <= shop.operations().items()
    assert "get_many" not in shop.operations()


class OwnBackend(BaseCache):
    """A backend that an application may have written."""

    def __init__(self, client):
        super().__init__()
        self._client = client

    @classmethod
    def factory(cls, app, config, args, options):
        return cls(redis.Redis.from_url(config["CACHE_REDIS_URL"]))

    def get(self, key):
        return self._client.get(key)


class Broken(cachelib.BaseCache):
    """A backend that fails."""

    def get(self, key):
        raise OSError("no disk")


def test_an_exception_of_the_backend_is_the_applications(cached):
    """A failed call is an operation that found nothing."""
    shop = cached("SimpleCache")
    shop.app.extensions["cache"][shop.cache] = Broken()
    with shop.app.app_context(), pytest.raises(OSError, match="no disk") as raised:
        shop.cache.get("a")
    assert raised.value.__context__ is None
    assert shop.found() == (0, 0)
    assert shop.operations() == {"get": 1}


def test_a_cache_without_an_application_says_so_as_before(patches, recorded, caplog):
    """Its exception is its own, and we have nothing to say."""
    with pytest.raises((AttributeError, KeyError, RuntimeError)):
        flask_caching.Cache().get("a")
    assert not [record for record in caplog.records if record.name == "otel_accubooks"]


def test_the_methods_look_as_before(patches):
    """Names, signatures and pickling are those of the library."""
    get = flask_caching.Cache.get
    assert pickle.loads(pickle.dumps(get)) is get
    assert get.__qualname__ == "Cache.get"
    assert list(inspect.signature(get).parameters) == ["self", "args", "kwargs"]


def test_it_is_measured_once_it_is_imported(application):
    """The library is not imported before the application does so."""
    outcome = application(
        """
        import sys
        said["before"] = "flask_caching" in sys.modules
        import flask, flask_caching
        cache = flask_caching.Cache(flask.Flask("shop"), config={"CACHE_TYPE": "SimpleCache"})
        cache.get("no")
        """
    )
    assert outcome.said == {"before": False}
    assert outcome.of(CACHE_OPERATION_DURATION_MS) == {"get": 1}
    assert outcome.of(CACHE_HITS_TOTAL) == {(): 0}
    assert outcome.of(CACHE_MISSES_TOTAL) == {(): 1}
