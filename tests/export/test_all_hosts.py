"""Users of several hosts in one real Redis, as their exporters put them there."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from otel_accubooks.export.all_hosts import NumbersFile, SharedUsers
from otel_accubooks.export.people import Numbers
from otel_accubooks.recorder.visits import Row, Visits
from otel_accubooks.stack.redis import Redis

ANN, BOB = 11, 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with Redis(tmp_path_factory.mktemp("redis")) as started:
        yield started


class Host:
    """A host: the rows of its users, and what its exporter then says of all."""

    def __init__(self, url: str, folder: Path, secret: str) -> None:
        env = {"OTEL_SERVICE_NAME": "shop", "OTEL_ACCUBOOKS_SECRET": secret}
        folder.mkdir(exist_ok=True)
        self.file = NumbersFile(folder / "hosts")
        self.users = SharedUsers(url, env, self.file)
        self.rows: dict[int, list[Row]] = {}

    def numbers(self) -> Numbers | None:
        visits, now = Visits(self.rows), time.time()
        return self.users.numbers(visits, visits.sessions(now), now)


@pytest.fixture
def host(server: Redis, tmp_path: Path) -> Callable[..., Host]:
    redis.Redis.from_url(server.url).flushall()
    return lambda name, secret="common": Host(server.url, tmp_path / name, secret)


def eventually(host: Host, numbers: Numbers | None) -> bool:
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        if host.numbers() == numbers:
            return True
        time.sleep(0.05)
    return False


def test_what_comes_late_changes_nothing(host: Callable[..., Host]) -> None:
    """A sign of life from before a logout does not begin the session again, a later one does."""
    one, two, now = host("one"), host("two"), time.time()
    one.rows = {ANN: [(now - 60, now - 50, now - 40, 0.0)]}
    assert eventually(one, Numbers(1, 0, 0))
    two.rows = {ANN: [(now - 55, now - 45, 0.0, now - 45)]}
    assert eventually(two, Numbers(1, 1, 0))
    two.rows = {ANN: [(now - 55, now - 45, 0.0, now - 45), (now - 20, now - 10, 0.0, 0.0)]}
    assert eventually(two, Numbers(1, 1, 1))


def test_the_silent_are_forgotten(host: Callable[..., Host]) -> None:
    """Users after 5 minutes, sessions after 30, whoever told of them."""
    one, now = host("one"), time.time()
    one.rows = {
        ANN: [(now - 900, now - 100, 0.0, 0.0)],
        BOB: [(now - 900, now - 600, 0.0, now - 600)],
    }
    assert eventually(one, Numbers(1, 0, 2))


def test_the_other_processes_of_the_host_read_the_numbers(host: Callable[..., Host]) -> None:
    """Theirs are at least what they see themselves; what is old is not shown."""
    one, now = host("one"), time.time()
    one.rows = {ANN: [(now - 9, now - 8, 0.0, 0.0)]}
    assert eventually(one, Numbers(1, 0, 1))
    visits = Visits({who: [(now - 2, now - 1, 0.0, 0.0)] for who in (ANN, BOB)})
    assert one.file.numbers(Visits(), {}, now) == Numbers(1, 0, 1)
    assert one.file.numbers(visits, visits.sessions(now), now) == Numbers(2, 0, 2)
    assert one.file.numbers(Visits(), {}, now + 90) is None


def test_hosts_with_different_secrets_are_not_added(host: Callable[..., Host]) -> None:
    """The same user would be two: it is said, and each host counts for itself."""
    one, two = host("one"), host("two", "another")
    assert eventually(one, Numbers(0, 0, 0))
    assert eventually(two, None)
    give_up = time.monotonic() + 60
    while two.users.problem is None and time.monotonic() < give_up:
        two.numbers()
    assert "made with another secret; set OTEL_ACCUBOOKS_SECRET" in (two.users.problem or "")
    assert one.users.problem is None


def test_without_the_package_it_is_an_import_error(
    host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which the exporter turns into one line."""
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError):
        host("one")
