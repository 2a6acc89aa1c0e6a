"""`otel-accubooks check`: what is wrong in each of the places that it looks at."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from otel_accubooks.cli.check import problems
from otel_accubooks.cli.commands import commands

ADDRESSES = """\
email = ["on-call@books.example"]
escalation_email = ["cto@books.example"]
application = "https://books.example"
"""


def check(*words: str, **environ: str) -> Result:
    return CliRunner(env=environ).invoke(commands, ["check", *words])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where one is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"},
            "OTEL_EXPORTER_OTLP_ENDPOINT is 'localhost:4318': expected http:// or https://…",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "htp://u:pw@h:1"},
            "OTEL_EXPORTER_OTLP_ENDPOINT is 'h:1': expected http:// or https://…",
        ),
        (
            {
                "OTEL_METRICS_EXPORTER": "none",
                "OTEL_TRACES_EXPORTER": "otlp",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h:0/v1/traces",
            },
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is 'http://h:0/v1/traces': expected an address",
        ),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grcp", "OTEL_TRACES_EXPORTER": "otlp"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'grcp', expected one of http/protobuf, grpc",
        ),
        (
            {"OTEL_METRICS_EXPORTER": "otpl"},
            "OTEL_METRICS_EXPORTER names 'otpl', which is not installed",
        ),
        (
            {"OTEL_LOGS_EXPORTER": "http://u:pw@h"},
            "OTEL_LOGS_EXPORTER names 'http://…@h', which is not installed",
        ),
    ],
)
def test_where_it_is_sent_is_looked_at(environ: dict[str, str], said: str) -> None:
    """One line, once, and without a password."""
    (line,) = problems(environ)
    assert line.startswith(said)
    assert "pw" not in line


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://u:pw@gateway:4318/otlp"},
        {"OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "of no concern"},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "of no concern",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://h:1/v1/metrics",
        },
        {"OTEL_METRICS_EXPORTER": "console", "OTEL_LOGS_EXPORTER": "otlp, console"},
    ],
)
def test_what_is_right_is_silent(environ: dict[str, str]) -> None:
    """Nor is anything said of what nobody reads."""
    assert list(problems(environ)) == []


def test_an_address_of_grpc_needs_no_scheme() -> None:
    """Its exporter is a package of its own, which has to be there."""
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "h:4317"}
    assert not [line for line in problems(environ) if "ENDPOINT" in line]


def test_one_fault_hides_no_other(folder: Path) -> None:
    """Of the environment, of the addresses, and of where the servers are."""
    (folder / "alerting.toml").write_text(
        f'{ADDRESSES}emial = "a"\n[servers]\nprometheus = "nonsense"\n'
    )
    done = check(OTEL_METRIC_EXPORT_INTERVAL="15s", OTEL_METRICS_EXPORTER="otpl")
    assert done.exit_code == 1
    begins = [
        line.partition(" is ")[0].partition(" names ")[0] for line in done.stderr.splitlines()
    ]
    assert begins[:2] == ["OTEL_METRIC_EXPORT_INTERVAL", "OTEL_METRICS_EXPORTER"]
    assert begins[2].startswith("alerting.toml:4: unknown emial; known are ")
    assert begins[3:] == ["alerting.toml:6: servers.prometheus"]


def test_a_file_that_is_no_toml_is_a_line(folder: Path) -> None:
    """It is read twice, and told of once."""
    (folder / "alerting.toml").write_text("email = [")
    done = check()
    assert done.exit_code == 1
    assert done.stderr.splitlines() == ["alerting.toml:1: Invalid value, expected TOML"]


def test_only_a_file_that_was_named_has_to_be_there(folder: Path) -> None:
    """Who has no alerts has no addresses."""
    assert check().exit_code == 0
    missing = folder / "nowhere.toml"
    done = check("--addresses", str(missing))
    assert done.exit_code == 1
    assert done.stderr == f"{missing}: cannot be read: No such file or directory\n"
