"""The matrix of process models: a deployment for each test, and the table that the tests write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Service
from models.harness import Deployed
from models.table import Table

from otel_accubooks.stack.redis import Redis

HERE = Path(__file__).parent
TABLE = pytest.StashKey[Table]()


@pytest.fixture
def deployed(service: Service) -> Deployed:
    """A service whose application writes down what it does."""
    return Deployed(service)


@pytest.fixture(scope="session")
def _redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with Redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(_redis: Redis) -> Redis:
    """A Redis that is empty."""
    import redis

    with redis.Redis.from_url(_redis.url) as client:
        client.flushall()
    return _redis


@pytest.fixture
def table(request: pytest.FixtureRequest) -> Table:
    """What this session proved."""
    return request.config.stash[TABLE]


@pytest.fixture
def proves(request: pytest.FixtureRequest, table: Table) -> Iterator[Callable[..., None]]:
    """To be called at the end of a test: `proves(model, graceful="exact", ...)`, see Table.add."""
    called = []

    def add(model: str, **cells: str) -> None:
        # Without the group that pytest-xdist adds to it.
        table.add(request.node.nodeid.partition("@")[0], model, **cells)
        called.append(model)

    yield add
    failed = request.session.testsfailed
    assert called or failed, "a test with this fixture writes a row of the table"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Notes what is to be proved for the table to be whole; the table itself is looked at last."""
    mine = [item for item in items if item.path.parent == HERE]
    whole = {item.path for item in mine} == set(HERE.glob("test_*.py"))
    whole = whole and not any("::" in argument for argument in config.args)
    proving = {item.nodeid for item in mine if "proves" in getattr(item, "fixturenames", ())}
    config.stash[TABLE] = Table(proving if whole else None)
    items.sort(key=lambda item: "table" in item.path.name and item.path.parent == HERE)
