"""Every setting: its default, and what is said of a bad value."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_accubooks.launch import environment_variables
from otel_accubooks.launch.settings import Settings, read_settings


def test_the_defaults() -> None:
    """Without any variable the settings are these."""
    settings = read_settings({})
    assert (settings.disabled, settings.exports, settings.traces, settings.logs) == (
        False, True, False, False,
    )  # fmt: skip
    assert settings.rules is None
    assert settings.series_limit == 2000
    assert settings.cache_budget_bytes == 2 * 1024**3
    assert settings.interval_seconds == 15
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
            "OTEL_SDK_DISABLED": "TRUE",
        }
    )
    assert settings.rules == Path("/etc/rules.toml")
    assert settings.folder.parent == Path("/run/x")
    assert (settings.series_limit, settings.cache_budget_bytes) == (7, 1000)
    assert settings.interval_seconds == 2
    assert (settings.disabled, settings.exports, settings.traces) == (True, False, True)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("OTEL_ACCUBOOKS_SERIES_LIMIT", "many", "'many', expected a number above 0; 2000 is used"),
        ("OTEL_ACCUBOOKS_SERIES_LIMIT", "0", "'0', expected a number above 0"),
        ("OTEL_ACCUBOOKS_CACHE_BUDGET_BYTES", "2GB", "'2GB', expected a number above 0"),
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
