"""The example's rules speak of things that the example really has."""

import importlib
import sys
from pathlib import Path

import accubooks
import pytest
from accubooks import tenancy
from accubooks.app import create_app

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RULES = tomllib.loads((Path(accubooks.__file__).parents[1] / "rules.toml").read_text())
COUNTED = {
    "calculation_errors_total": {"kind"},
    "forecasts_generated_total": {"tier"},
    "scenarios_created_total": {"tier"},
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
    assert all(set(rule["labels"]) == COUNTED[rule["count"]] for rule in rules)
