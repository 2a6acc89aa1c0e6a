"""The example's rules speak of things that the example really has."""

import importlib
import sys
from pathlib import Path

import accubooks
import psycopg2
import pytest
from accubooks import tenancy
from accubooks.app import create_app
from accubooks.tiers import TIERS

from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.instrument import lookup_sql, lookups
from otel_accubooks.instrument.psycopg2_health import connection_strings
from otel_accubooks.instrument.rules_check import read_rules

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(accubooks.__file__).parents[1] / "rules.toml"
RULES = tomllib.loads(FILE.read_text())
COUNTED = {
    "calculation_errors_total": {"kind"},
    "forecasts_generated_total": {"tier"},
    "scenarios_created_total": {"tier"},
    "support_tickets_total": {"priority"},
    "tenant_isolation_violations_total": {"kind"},
    "tier_limit_hits_total": {"tier", "limit_type"},
    "trust_layer_usage_total": {"component"},
    "upgrade_conversions_total": {"from_tier", "to_tier"},
    "user_logins_total": {"tier"},
}


def routes() -> set[tuple[str, str]]:
    """Method and URL rule of everything that the application answers, without a server."""
    nowhere = {"DATABASE_URL": "-", "REDIS_URL": "redis://127.0.0.1:1", "SECRET_KEY": "-"}
    rules = create_app(nowhere).url_map.iter_rules()
    return {(method, rule.rule) for rule in rules for method in rule.methods or ()}


def named(path: str) -> object:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(
    "rule", [*RULES["request"], RULES["user"]["logout"]], ids=lambda rule: rule["route"]
)
def test_a_request_rule_names_a_route_of_the_application(rule):
    """A route that is renamed in the application must be renamed in the rules."""
    assert (rule["method"], rule["route"]) in routes()


def test_jobs_and_exceptions_can_be_imported():
    """Their dotted names lead to a function and to an exception class."""
    assert all(callable(named(rule["function"])) for rule in RULES["job"])
    assert all(issubclass(named(rule["class"]), Exception) for rule in RULES["exception"])


def test_the_logger_is_the_one_that_the_application_writes_to():
    """A log rule listens where the tenancy check speaks."""
    assert [rule["logger"] for rule in RULES["log"]] == [tenancy.log.name]


def test_each_business_event_is_counted_with_its_labels():
    """Every event is counted by some rule, and each rule gives exactly the labels of its event."""
    rules = [rule for kind in ("request", "job", "exception", "log") for rule in RULES[kind]]
    assert {rule["count"] for rule in rules} == set(COUNTED)
    business = {m.name for m in METRICS if m.group == "business" and m.type == "counter"}
    assert set(COUNTED) == business
    assert all(set(rule["labels"]) == COUNTED[rule["count"]] for rule in rules)


@pytest.fixture
def looked_up(environ, monkeypatch):
    """What the look-ups of the file find in the example's database, by gauge and label."""
    monkeypatch.setattr(lookup_sql, "readers", [])
    strings = connection_strings(psycopg2, psycopg2._connect)
    _, connect = strings._read(environ["DATABASE_URL"])

    def look() -> dict[str, dict[str, float]]:
        found = {}
        for lookup in read_rules(FILE).lookups:
            values = lookups.values_of(lookup.gauge, lookup_sql._ask(lookup, connect))
            found[lookup.gauge.name] = {"".join(labels): value for labels, value in values.items()}
        return found

    return look


def test_what_is_stored_is_looked_up(looked_up, database):
    """Users by tier; who is at a limit of the application's own tiers; opinions, once there are any."""
    assert looked_up() == {
        "users_by_tier": {"FREE": 5, "STARTER": 5, "PRO": 5, "unknown": 0},
        "users_at_tier_limit_percent": {"FREE": 0, "STARTER": 0, "PRO": 0, "unknown": 0},
        "beta_trust_rate_percent": {},
        "nps_score": {},
    }
    with database.transaction() as cursor:
        cursor.execute("SELECT id, tenant_id, tier FROM users ORDER BY id LIMIT 3")
        owners = {row["tier"]: (row["tenant_id"], row["id"]) for row in cursor.fetchall()}
        for tier, limit in (("FREE", TIERS["FREE"].scenarios), ("STARTER", 9)):
            for _ in range(limit):
                cursor.execute(
                    """INSERT INTO scenarios (tenant_id, user_id, name, income_percent,
                       expense_percent) VALUES (%s, %s, 'x', 0, 0)""",
                    owners[tier],
                )
        for _ in range(TIERS["STARTER"].forecasts):
            cursor.execute(
                """INSERT INTO forecasts (tenant_id, user_id, income_percent, expense_percent)
                   VALUES (%s, %s, 0, 0)""",
                owners["STARTER"],
            )
        for (tenant_id, user_id), score in zip(owners.values(), (9, 7, 3), strict=True):
            cursor.execute(
                "INSERT INTO opinions VALUES (%s, %s, %s, %s)",
                (tenant_id, user_id, score, score > 4),
            )
    found = looked_up()
    at_limit = {"FREE": 20, "STARTER": 20, "PRO": 0, "unknown": 0}
    assert found["users_at_tier_limit_percent"] == at_limit
    assert found["beta_trust_rate_percent"] == {"": pytest.approx(200 / 3)}
    assert found["nps_score"] == {"": 0}


def test_the_limits_in_the_file_are_those_of_the_application():
    """They are written twice, in two languages."""
    (sql,) = [each["sql"] for each in RULES["lookup"] if "VALUES" in each["sql"]]
    for name, tier in TIERS.items():
        assert f"('{name}', {tier.scenarios}, {tier.forecasts})" in sql
