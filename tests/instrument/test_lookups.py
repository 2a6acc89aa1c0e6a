"""Gauges over what an application stores, asked for on real servers."""

from __future__ import annotations

import sys
import time
from contextlib import closing

import psycopg2
import pytest
import redis

from otel_accubooks.contract.metrics import (
    BY_NAME,
    DB_QUERY_DURATION_MS,
    SYSTEM_HEALTH_STATUS,
    USERS_BY_TIER,
)
from otel_accubooks.instrument import lookup_redis, lookup_sql, lookups, tally
from otel_accubooks.instrument.databases import readers
from otel_accubooks.instrument.polling import Polls
from otel_accubooks.instrument.psycopg2_health import connection_strings
from otel_accubooks.instrument.rules_check import check_rules

TIERS = "(VALUES ('FREE', 7), ('PRO', 2)) AS users (tier, number)"


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Asked:
    """Look-ups under rules, asked for when a test says so."""

    def __init__(self, recorded, monkeypatch):
        self._recorded = recorded
        self._polls = Polls()
        self.clock = Clock()
        monkeypatch.setattr(lookups, "polls", self._polls)
        monkeypatch.setattr(lookups, "monotonic", self.clock)
        monkeypatch.setattr(tally, "_told", set())

    def under(self, text):
        lookups.watch(check_rules("rules.toml", text).lookups)
        self.again()
        self.again()  # first it is seen that it can be asked, then it is
        return self

    def again(self):
        for poll in list(self._polls._polls.values()):
            self._polls._ask(poll)

    def values(self, name="users_by_tier"):
        return {point.labels: point.value for point in self._recorded().of(BY_NAME[name])}


@pytest.fixture
def asked(recorded, monkeypatch, postgres, redis_server):
    """With the addresses of the servers in BOOKS and STORE."""
    monkeypatch.setenv("BOOKS", postgres.dsn)
    monkeypatch.setenv("STORE", redis_server.url)
    known = len(readers)
    connection_strings(psycopg2, psycopg2._connect)
    yield Asked(recorded, monkeypatch)
    del readers[known:]


@pytest.fixture
def database(postgres):
    with closing(psycopg2.connect(postgres.dsn)) as connection:
        connection.autocommit = True
        yield connection.cursor()


@pytest.fixture
def store(redis_server):
    client = redis.Redis.from_url(redis_server.url)
    client.flushall()
    return client


def by_sql(sql, gauge="users_by_tier", more=""):
    return f'[[lookup]]\ngauge = "{gauge}"\nsql = """{sql}"""\ndatabase = "BOOKS"\n{more}'


def by_redis(command, gauge="users_by_tier"):
    return f'[[lookup]]\ngauge = "{gauge}"\nredis = {command}\nredis_url = "STORE"\n'


def told(caplog):
    return [record.getMessage() for record in caplog.records]


def test_a_query_gives_a_value_for_each_label(asked, caplog):
    """What the closed set has not is unknown, added up; what the answer has not is 0."""
    sql = f"""SELECT number, tier AS tier FROM {TIERS}
              UNION ALL SELECT 3, 'GOLD' UNION ALL SELECT 4, NULL -- and that is all"""
    asked.under(by_sql(sql.replace("number, tier", "number AS value, tier")))
    assert asked.values() == {("FREE",): 7, ("STARTER",): 0, ("PRO",): 2, ("unknown",): 7}
    assert told(caplog) == []


def test_a_query_without_labels_gives_one_value(asked):
    """A null, as an average over nothing, is no value at all."""
    asked.under(
        by_sql("SELECT -12.5", "nps_score") + by_sql("SELECT NULL", "beta_trust_rate_percent")
    )
    assert asked.values("nps_score") == {(): -12.5}
    assert asked.values("beta_trust_rate_percent") == {}


def test_of_shares_the_highest_is_shown_where_rows_are_one(asked):
    """Two percentages are never added."""
    sql = "SELECT * FROM (VALUES ('GOLD', 80.0), ('IRON', 50.0)) AS shares (tier, value)"
    asked.under(by_sql(sql, "users_at_tier_limit_percent"))
    assert asked.values("users_at_tier_limit_percent")["unknown",] == 80


@pytest.mark.parametrize(
    ("sql", "gauge", "message"),
    [
        ("SELECT 'many'", "nps_score", "a value is 'many', expected a number from -100 to 100"),
        ("SELECT 101", "nps_score", "a value is '101', expected a number from -100 to 100"),
        ("SELECT 'NaN'::float", "nps_score", "a value is 'nan', expected a number from -100"),
        ("SELECT true", "nps_score", "a value is 'True', expected a number"),
        ("SELECT 'PRO' AS tier, -1", "users_by_tier", "a value is '-1', expected a number from 0"),
        ("SELECT 1 UNION SELECT 2", "nps_score", "it has 2 rows, expected one"),
        ("SELECT 1 AS a, 2 AS b", "nps_score", "its columns are a, b, expected value"),
        ("SELECT 'PRO' AS plan, 1", "users_by_tier", "its columns are plan, ?column?, expected tier"),
        ("SELECT generate_series(1, 5000)", "nps_score", "it has more than 1000 rows"),
        ("SELECT * FROM nowhere", "nps_score", 'relation "nowhere" does not exist'),
        ("DELETE FROM users", "nps_score", "syntax error"),
        ("SELECT set_config('transaction_read_only', 'off', false)", "nps_score",
         "transaction read-write mode must be set before"),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_told_once_with_its_place(asked, caplog, sql, gauge, message):
    """File, line and reason; nothing is shown."""
    asked.under("\n" + by_sql(sql, gauge))
    asked.again()
    (line,) = told(caplog)
    assert line.startswith(
        f"otel-accubooks: rules.toml:2: the look-up of {gauge} failed: {message}"
    )
    assert asked.values(gauge) == {}


def test_a_look_up_only_reads(asked, database, caplog):
    """Not even a function that the query calls may write."""
    database.execute("CREATE TABLE spoilt (n int)")
    database.execute(
        "CREATE FUNCTION spoil() RETURNS int LANGUAGE sql AS 'INSERT INTO spoilt VALUES (1) RETURNING n'"
    )
    asked.under(by_sql("SELECT spoil()", "nps_score"))
    assert "read-only transaction" in told(caplog)[0]
    database.execute("SELECT count(*) FROM spoilt")
    assert database.fetchone() == (0,)


def test_a_slow_look_up_is_given_up(asked, database, monkeypatch, caplog):
    """Here and on the server, where it would go on."""
    monkeypatch.setattr(lookup_sql, "LIMIT_SECONDS", 0.3)
    asked.under(by_sql("SELECT 1 FROM pg_sleep(600)", "nps_score"))
    assert "the look-up of nps_score failed" in told(caplog)[0]
    give_up = time.monotonic() + 60
    running = 1
    while running and time.monotonic() < give_up:
        database.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' "
            "AND state = 'active' AND pid <> pg_backend_pid()"
        )
        (running,) = database.fetchone()
    assert running == 0


def test_the_last_value_stands_for_three_intervals(asked, database, caplog):
    """Then there is no data, until it can be had again."""
    database.execute("CREATE TABLE plans AS SELECT 'PRO' AS tier, 5 AS value")
    asked.under(by_sql("SELECT * FROM plans", more='every = "10s"'))
    assert asked.values()["PRO",] == 5
    database.execute("ALTER TABLE plans RENAME TO gone")
    for seconds, shown in ((29, 4), (2, 0)):
        asked.clock.now += seconds
        asked.again()
        assert len(asked.values()) == shown
    database.execute("ALTER TABLE gone RENAME TO plans")
    asked.again()
    assert asked.values()["PRO",] == 5
    assert len(told(caplog)) == 1


def test_redis_gives_pairs_or_one_number(asked, store):
    """A hash for a gauge with a label, one number for one without."""
    store.hset("users", mapping={"PRO": 4, "GOLD": 1})
    store.set("nps", "37.5")
    asked.under(by_redis('["HGETALL", "users"]') + by_redis('["GET", "nps"]', "nps_score"))
    assert asked.values() == {("FREE",): 0, ("STARTER",): 0, ("PRO",): 4, ("unknown",): 1}
    assert asked.values("nps_score") == {(): 37.5}
    store.delete("nps")
    asked.again()
    assert asked.values("nps_score") == {}


def test_a_hash_of_any_size_is_not_fetched(asked, store, monkeypatch, caplog):
    """It is asked for its size first."""
    monkeypatch.setattr(lookup_redis, "MAX_PAIRS", 3)
    store.hset("users", mapping=dict.fromkeys("abcd", 1))
    asked.under(by_redis('["HGETALL", "users"]'))
    assert "it has more than 3 fields" in told(caplog)[0]


@pytest.mark.parametrize(
    ("variable", "value", "rules", "message"),
    [
        ("BOOKS", "", by_sql("SELECT 1", "nps_score"), "BOOKS is not set, expected the address"),
        ("BOOKS", "sesame", by_sql("SELECT 1", "nps_score"), "BOOKS is no address of a database"),
        ("BOOKS", "postgresql://me:sesame@[", by_sql("SELECT 1", "nps_score"), "BOOKS is no addr"),
        ("STORE", "", by_redis('["GET", "x"]', "nps_score"), "STORE is not set, expected the addr"),
        (
            "STORE",
            "sesame",
            by_redis('["GET", "x"]', "nps_score"),
            "STORE is no address of a Redis",
        ),
    ],
)
def test_an_address_that_is_none_is_told_without_it(
    asked, monkeypatch, caplog, variable, value, rules, message
):
    """It may hold a password."""
    monkeypatch.setenv(variable, value)
    asked.under(rules)
    (line,) = told(caplog)
    assert line.startswith(f"otel-accubooks: rules.toml:1: nps_score is not looked up: {message}")
    assert "sesame" not in line


def test_an_address_may_be_written_as_for_sqlalchemy(asked, monkeypatch, postgres):
    """With the name of a driver in it."""
    server = psycopg2.extensions.parse_dsn(postgres.dsn)
    place = "{user}@{host}:{port}/{dbname}".format(**server)
    monkeypatch.setenv("BOOKS", f"postgresql+psycopg2://{place}")
    asked.under(by_sql("SELECT 12", "nps_score"))
    assert asked.values("nps_score") == {(): 12}


def test_without_the_library_nothing_is_asked_and_nothing_is_imported(
    recorded, monkeypatch, caplog
):
    """An application without a driver or redis stays without."""
    asked = Asked(recorded, monkeypatch)
    monkeypatch.setattr(lookup_sql, "readers", [])
    monkeypatch.delitem(sys.modules, "redis")
    asked.under(by_sql("SELECT 1", "nps_score") + by_redis('["HGETALL", "x"]'))
    assert (told(caplog), asked.values(), "redis" in sys.modules) == ([], {}, False)


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_the_database_is_the_one_that_the_application_uses(application, postgres, driver):
    """Asked past what is measured: neither a query nor health is told of it."""
    outcome = application(
        f"""
        import {driver}
        from otel_accubooks.instrument import business
        from otel_accubooks.instrument.rules_check import check_rules

        sql = "SELECT tier, number FROM {TIERS}"
        business.apply(check_rules("r", '[[lookup]]\\ngauge = "users_by_tier"\\nsql = "%s"' % sql))
        poll()
        connection = {driver}.connect({postgres.dsn!r})
        connection.cursor().execute("SELECT 1")
        poll()
        poll()
        connection.close()
        """
    )
    assert outcome.counted(USERS_BY_TIER) == {"FREE": 7, "PRO": 2}
    assert outcome.of(DB_QUERY_DURATION_MS) == {"SELECT": 1}
    assert outcome.of(SYSTEM_HEALTH_STATUS) == {(): 1}
