"""The example application on real servers: PostgreSQL, Redis, gunicorn and an RQ worker."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import date
from itertools import count
from pathlib import Path

import httpx
import psycopg2
import pytest
from psycopg2.extensions import make_dsn
from redis import Redis
from rq import Queue, Worker

from otel_accubooks.stack import postgres, redis
from otel_accubooks.stack.ports import free_port, tcp_open
from otel_accubooks.stack.process import Server

EXAMPLE = Path(__file__).parents[2] / "examples" / "accubooks"
sys.path.insert(0, str(EXAMPLE))

from accubooks import seed  # noqa: E402
from accubooks.database import Database  # noqa: E402

BIN = Path(sys.executable).parent


class Site:
    """AccuBooks with a database and a Redis of its own, as people and operators see it."""

    password = seed.PASSWORD

    def __init__(self, url: str, environ: dict[str, str], log: Path) -> None:
        self.url, self.environ, self._log = url, environ, log
        self.jobs = Queue("forecasts", connection=Redis.from_url(environ["REDIS_URL"]))

    def browser(self, cookies: dict[str, str] | None = None) -> httpx.Client:
        return httpx.Client(base_url=self.url, cookies=cookies, trust_env=False, timeout=30)

    def sign_in(self, email: str) -> httpx.Client:
        client = self.browser()
        who = {"email": email, "password": self.password}
        assert client.post("/login", json=who).status_code == 200
        return client

    def wait(self, client: httpx.Client, forecast_id: int) -> dict:
        """The forecast, once the worker is through with it."""
        return eventually(
            lambda: client.get(f"/api/forecasts/{forecast_id}").json(),
            lambda forecast: forecast["status"] in ("finished", "failed"),
        )

    def failure_of(self, job_id: str) -> str:
        """What the queue keeps of the exception that ended a job."""
        job = eventually(lambda: self.jobs.fetch_job(job_id), lambda job: job.is_failed)
        return job.latest_result().exc_string

    @contextmanager
    def database(self) -> Iterator[Database]:
        with closing(Database(self.environ["DATABASE_URL"])) as database:
            yield database

    def log(self) -> str:
        """What gunicorn and the application have logged."""
        return self._log.read_text()

    def statuses_in_log(self, number: int) -> list[str]:
        """The status of each request that gunicorn has answered, once there are so many.

        It writes a line after it has sent the answer.
        """

        def statuses() -> list[str]:
            lines = self.log().splitlines()
            return [line.removeprefix("status ") for line in lines if line.startswith("status ")]

        return eventually(statuses, lambda found: len(found) >= number)


def eventually(read: Callable, good: Callable, seconds: float = 30):
    """What `read` gives, as soon as it is `good`; fails with the last one seen."""
    deadline = time.monotonic() + seconds
    while not good(value := read()):
        assert time.monotonic() < deadline, f"still {value!r} after {seconds} s"
        time.sleep(0.05)
    return value


@pytest.fixture(scope="session")
def installation(tmp_path_factory):
    """Makes environments for AccuBooks, each with a seeded database and an empty Redis database."""
    logs, numbers = tmp_path_factory.mktemp("servers"), count(1)

    def make() -> dict[str, str]:
        number = next(numbers)
        with closing(psycopg2.connect(database_server.dsn)) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE accubooks_{number}")
        environ = {
            **os.environ,
            "DATABASE_URL": make_dsn(database_server.dsn, dbname=f"accubooks_{number}"),
            "REDIS_URL": f"redis://127.0.0.1:{redis_server.port}/{number}",
            "SECRET_KEY": "for tests",
            "CACHE_SECONDS": "3600",  # a slow machine must not turn a hit into a miss
        }
        with (
            closing(Database(environ["DATABASE_URL"])) as database,
            database.transaction() as cursor,
        ):
            seed.seed(cursor, date.today())
        return environ

    with postgres.Postgres(logs) as database_server, redis.Redis(logs) as redis_server:
        yield make


@pytest.fixture(scope="session")
def open_site(installation, tmp_path_factory):
    """Makes sites: an installation with gunicorn and a worker, for a `with`."""

    @contextmanager
    def make() -> Iterator[Site]:
        environ, logs = installation(), tmp_path_factory.mktemp("site")
        url = f"http://127.0.0.1:{(port := free_port())}"
        gunicorn = [str(BIN / "gunicorn"), "--bind", f"127.0.0.1:{port}", "--workers", "2"]
        gunicorn += ["--access-logfile", "-", "--access-logformat", "status %(s)s"]
        rq = [str(BIN / "rq"), "worker", "--url", environ["REDIS_URL"], "forecasts"]
        site = Site(url, environ, logs / "gunicorn.log")
        with ExitStack() as stack:
            for name, argv, ready in [
                ("gunicorn", [*gunicorn, "accubooks.wsgi:app"], lambda: tcp_open(port)),
                ("worker", rq, lambda: Worker.count(connection=site.jobs.connection) == 1),
            ]:
                server = Server(
                    name, argv, log=logs / f"{name}.log", env=environ, cwd=EXAMPLE, ready=ready
                )
                stack.enter_context(server)
            yield site

    return make


@pytest.fixture(scope="module")
def site(open_site):
    """One running AccuBooks for the tests of a file."""
    with open_site() as site:
        yield site


@pytest.fixture
def fresh_site(open_site):
    """A running AccuBooks that nobody has used yet."""
    with open_site() as site:
        yield site


@pytest.fixture(scope="module")
def environ(installation):
    """The settings of an installation without running processes."""
    return installation()


@pytest.fixture
def password():
    """What every seeded user signs in with."""
    return seed.PASSWORD


@pytest.fixture
def database(environ):
    """The seeded database of the file's installation."""
    with closing(Database(environ["DATABASE_URL"])) as database:
        yield database
