"""Where servers are said to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_accubooks.servers.settings import Servers, servers, settings


def test_flags_go_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    """Each address comes from the first place that names it."""
    file = tmp_path / "alerting.toml"
    file.write_text(
        'email = ["a@b.example"]\n[servers]\nprometheus = "http://file:1/"\n'
        'grafana = "http://file:2"\nviewer = "http://file:3"\n'
    )
    found = servers(
        file,
        {"prometheus": "http://flag:1", "grafana": None},
        {"GRAFANA_URL": "http://environment:2", "PROMETHEUS_URL": "http://environment:1"},
    )
    assert found.prometheus == "http://flag:1"
    assert found.grafana == "http://environment:2"
    assert found.viewer == "http://file:3"
    assert found.gateway == "http://127.0.0.1:4318"


def test_where_nothing_is_said_servers_are_on_their_usual_ports(tmp_path: Path) -> None:
    """Neither a file nor a variable has to be there."""
    assert servers(tmp_path / "none.toml", {}, {}) == Servers() == servers(None, {}, {})


def test_a_pair_of_alertmanagers() -> None:
    """Several addresses have commas between them, and lose their last slash."""
    found = servers(None, {}, {"ALERTMANAGER_URL": "http://a:9093, http://b:9093/"})
    assert found.alertmanager == ("http://a:9093", "http://b:9093")


@pytest.mark.parametrize("one", settings(), ids=lambda one: one.name)
def test_every_setting_has_a_variable_and_help(one: object) -> None:
    """What a flag's help and the documentation say of it."""
    told = one.metadata  # type: ignore[attr-defined]
    assert told["variable"].isupper()
    assert told["help"].endswith(".")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[servers]\nprometheus = "prometheus:9090"', "servers.prometheus is 'prometheus:9090': "),
        ("[servers]\nprometheus = 9090", "servers.prometheus is 9090: expected a text"),
        ('[servers]\nprometheus = ["http://a"]', "expected a text"),
        ("[servers]\nalertmanager = [1]", "servers.alertmanager is [1]: expected texts"),
        ('[servers]\nmailbox = "http://a"', "expected imaps:// or imap://"),
        ('[servers]\nprometeus = "http://a"', "unknown prometeus in [servers]; known are service"),
        ('servers = "http://a"', "expected a table, [servers]"),
        ("[servers", "alerting.toml:1: "),
        (
            '\n[servers]\nstandby = "http://[::1"',
            "alerting.toml:3: servers.standby is 'http://[::1': ",
        ),
        ('[servers]\nstandby = "http://"', "expected an address such as http://host:9090"),
        ('[servers]\nstandby = "http://h:99999"', "expected an address such as http://host:9090"),
        ('[servers]\nstandby = "http://a b"', "expected an address such as http://host:9090"),
        ('[servers]\nstandby = "ftp://me:sesame@h"', "servers.standby is 'h': expected http:"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_in_one_line(
    text: str, said: str, tmp_path: Path
) -> None:
    """The file, the key, what was found and what was expected."""
    file = tmp_path / "alerting.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"alerting\.toml") as error:
        servers(file, {}, {})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_variable_or_a_flag_that_is_wrong_is_named() -> None:
    """Who reads the line knows where to look."""
    with pytest.raises(ValueError, match=r"^PROMETHEUS_URL is .x.: expected http:"):
        servers(None, {}, {"PROMETHEUS_URL": "x"})
    with pytest.raises(ValueError, match=r"^--slack-api is "):
        servers(None, {"slack_api": "x"}, {})
