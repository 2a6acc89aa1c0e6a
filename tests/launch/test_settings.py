"""Every setting: its default, and what is said of a bad value."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_accubooks.launch import environment_variables
from otel_accubooks.launch.settings import Settings, read_settings


def test_the_defaults() -> None:
    """Without any variable the settings are these."""
    settings = read_settings({})
    assert (settings.exports, settings.exemplars) == (True, False)
    assert settings.rules is None
    assert settings.series_limit == 2000
    assert settings.cache_budget_bytes == 2 * 1024**3
    assert settings.interval_seconds == 15
    assert settings.monitoring_prefix == "/api/monitoring"
    assert settings.monitoring_tokens == ()
    assert settings.test_errors is False
    assert settings.users_key is None
    assert settings.problems == []


def test_every_setting_is_read() -> None:
    """Each of our variables changes something, and OpenTelemetry's own are respected."""
    settings = read_settings(
        {
            "OTEL_ACCUBOOKS_RULES": "/etc/rules.toml",
            "OTEL_ACCUBOOKS_STATE_DIR": "/run/x",
            "OTEL_ACCUBOOKS_SERIES_LIMIT": "7",
            "OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES": "1000",
            "OTEL_METRIC_EXPORT_INTERVAL": "2000",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_TRACES_EXPORTER": "otlp",
        }
    )
    assert settings.rules == Path("/etc/rules.toml")
    assert settings.folder.parent == Path("/run/x")
    assert (settings.series_limit, settings.cache_budget_bytes) == (7, 1000)
    assert settings.interval_seconds == 2
    assert (settings.exports, settings.exemplars) == (False, True)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("OTEL_ACCUBOOKS_SERIES_LIMIT", "many", "'many', expected a number from 1 to 1000000"),
        ("OTEL_ACCUBOOKS_SERIES_LIMIT", "0", "'0', expected a number from 1"),
        ("OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES", "2GB", "'2GB', expected a number from 1"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "15s", "'15s', expected milliseconds from 1000"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5", "'5', expected milliseconds from 1000"),
    ],
)
def test_a_bad_value_is_named_and_the_default_stands(name: str, value: str, expected: str) -> None:
    """The message has the variable, what was found, what was expected, and what is done."""
    settings = read_settings({name: value})
    (problem,) = settings.problems
    assert problem.startswith(f"{name} is {expected}")
    plain = Settings()
    assert settings.series_limit == plain.series_limit
    assert settings.cache_budget_bytes == plain.cache_budget_bytes
    assert settings.interval_seconds == plain.interval_seconds


def test_deployments_have_folders_of_their_own() -> None:
    """Name, namespace, environment and instance tell services on a host apart."""
    folders = {
        read_settings({"OTEL_SERVICE_NAME": "a"}).folder,
        read_settings({"OTEL_SERVICE_NAME": "b"}).folder,
        read_settings({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,service.namespace=n"}).folder,
        read_settings(
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,deployment.environment=e"}
        ).folder,
        read_settings({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,service.instance.id=i"}).folder,
    }
    assert len(folders) == 5
    same = read_settings({"OTEL_RESOURCE_ATTRIBUTES": "team=x, service.name=a"}).folder
    assert same == read_settings({"OTEL_SERVICE_NAME": "a"}).folder


def test_every_variable_is_documented_where_it_is_defined() -> None:
    """The name is its own value, and a text with its default stands below it."""
    source = Path(environment_variables.__file__).read_text()
    names = [name for name in vars(environment_variables) if name.startswith("OTEL_")]
    assert names
    for name in names:
        assert getattr(environment_variables, name) == name
        _, _, after = source.partition(f'{name} = "{name}"\n"""\n.. envvar:: {name}\n')
        assert "Default:" in after.partition('"""')[0], name


def test_the_endpoints_move_and_are_switched_off() -> None:
    """The prefix is a path, with or without a slash at its end; `none` is no endpoint at all."""
    for value, expected in (("/ops", "/ops"), ("/ops/", "/ops/"), ("/", "/"), ("None", None)):
        settings = read_settings({"OTEL_ACCUBOOKS_MONITORING_PREFIX": value})
        assert (settings.monitoring_prefix, settings.problems) == (expected, [])


@pytest.mark.parametrize(
    "value", ["monitoring", "/a b", "/a//b", "/a?b", "/<x>", "http://h/x", "//"]
)
def test_a_prefix_that_is_no_path_is_named(value: str) -> None:
    """The default stands."""
    settings = read_settings({"OTEL_ACCUBOOKS_MONITORING_PREFIX": value})
    assert settings.monitoring_prefix == "/api/monitoring"
    (problem,) = settings.problems
    assert problem.startswith(f"OTEL_ACCUBOOKS_MONITORING_PREFIX is {value!r}, expected a path")


def test_tokens_are_separated_by_commas() -> None:
    """So that a new one is known before the old one is gone; blanks around them do not count."""
    for value, expected in (("a", ("a",)), (" a , b,", ("a", "b")), ("  ", ())):
        settings = read_settings({"OTEL_ACCUBOOKS_MONITORING_TOKEN": value})
        assert (settings.monitoring_tokens, settings.problems) == (expected, [])
    assert "secret" not in repr(read_settings({"OTEL_ACCUBOOKS_MONITORING_TOKEN": "secret"}))


def test_commas_without_a_token_let_nobody_in() -> None:
    """Two secrets that are missing are no reason to be open."""
    settings = read_settings({"OTEL_ACCUBOOKS_MONITORING_TOKEN": " , "})
    assert settings.monitoring_tokens == ("",)
    assert settings.problems == [
        "OTEL_ACCUBOOKS_MONITORING_TOKEN is no token (its text is not shown), expected one or several, "
        "with commas between; until then all endpoints but health are closed"
    ]


def test_errors_can_be_triggered_only_with_a_token() -> None:
    """Switched on without one, it stays off and says so; so does a word that is neither."""
    token = {"OTEL_ACCUBOOKS_MONITORING_TOKEN": "a"}
    assert read_settings({"OTEL_ACCUBOOKS_TEST_ERRORS": "True", **token}).test_errors is True
    assert read_settings({"OTEL_ACCUBOOKS_TEST_ERRORS": "false", **token}).test_errors is False
    for env, said in (
        ({"OTEL_ACCUBOOKS_TEST_ERRORS": "true"}, "is true without a token"),
        ({"OTEL_ACCUBOOKS_TEST_ERRORS": "yes", **token}, "is 'yes', expected true or false"),
    ):
        settings = read_settings(env)
        assert settings.test_errors is False
        assert f"OTEL_ACCUBOOKS_TEST_ERRORS {said}" in settings.problems[0]


def test_users_have_one_key_on_all_hosts() -> None:
    """By the secret, else by the address of the Redis that they share."""
    place = {"OTEL_ACCUBOOKS_REDIS_URL": "redis://10.0.0.1:6379/0"}
    by_place = read_settings(place)
    by_secret = read_settings({**place, "OTEL_ACCUBOOKS_SECRET": "long and random"})
    assert by_place.problems == by_secret.problems == []
    assert by_place.users_key == read_settings(place).users_key != by_secret.users_key
    assert (
        by_secret.users_key == read_settings({"OTEL_ACCUBOOKS_SECRET": "long and random"}).users_key
    )


def test_a_wrong_address_of_the_users_redis_is_told_without_it() -> None:
    """It may hold a password."""
    (problem,) = read_settings({"OTEL_ACCUBOOKS_REDIS_URL": "me:sesame@10.0.0.1"}).problems
    assert problem.startswith(
        "OTEL_ACCUBOOKS_REDIS_URL is no address of a Redis, expected one such"
    )
    assert "sesame" not in problem


def test_the_cache_may_be_named() -> None:
    """By default nothing is; a bad value is told without the password that it may hold."""
    assert read_settings({}).cache_redis is None
    named = read_settings({"OTEL_ACCUBOOKS_CACHE_REDIS": "redis://localhost:6380/3"})
    assert str(named.cache_redis) == "127.0.0.1:6380/3"
    assert named.problems == []
    wrong = read_settings({"OTEL_ACCUBOOKS_CACHE_REDIS": "redis://ann:pw@cache:6379/first"})
    assert wrong.cache_redis is None
    assert wrong.problems == [
        "OTEL_ACCUBOOKS_CACHE_REDIS is 'cache:6379/first', expected redis://host:port/database or "
        "unix://path?db=database; every Redis that the application uses counts as cache"
    ]


@pytest.mark.parametrize(
    ("env", "linked"),
    [
        ({}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_METRICS_EXEMPLAR_FILTER": "always_on"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_METRICS_EXEMPLAR_FILTER": "always_off"}, False),
    ],
)
def test_exemplars_come_with_traces(env: dict[str, str], linked: bool) -> None:
    """Without spans there is nothing to link to; the filter can forbid it."""
    assert read_settings(env).exemplars is linked


def test_an_unknown_exemplar_filter_is_named() -> None:
    """The default stands for it."""
    env = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_METRICS_EXEMPLAR_FILTER": "sometimes"}
    settings = read_settings(env)
    assert settings.exemplars is True
    assert settings.problems == [
        "OTEL_METRICS_EXEMPLAR_FILTER is 'sometimes', expected trace_based, always_on or "
        "always_off; trace_based is used"
    ]
