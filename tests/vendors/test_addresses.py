"""The file of addresses: what it holds, and what is said of a wrong one."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_accubooks.servers.settings import servers
from otel_accubooks.stack.files import REPOSITORY
from otel_accubooks.vendors.addresses import Addresses, read

GOOD = """
email = ["on-call@books.example"]
escalation_email = ["cto@books.example", "dpo@books.example"]
application = "https://books.example"
runbooks = "https://runbooks.example"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "alerting.toml"
    path.write_text(text)
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    """Lists are many people; what is not named has its default."""
    to = read(written(tmp_path, GOOD))
    assert to.email == ("on-call@books.example",)
    assert to.escalation_email == ("cto@books.example", "dpo@books.example")
    assert to.phone == "pagerduty"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("application", "http://[::1]:8000"),
        ("phone_url", "https://[2001:db8::7]/hook?a=b"),
        ("email_from", "AccuBooks <alerts@books.example>"),
        ("email_from", '"Books, Ltd." <alerts@books.example>'),
    ],
)
def test_what_is_right_is_taken(name: str, value: str, tmp_path: Path) -> None:
    """Addresses of IPv6, and a sender with a name."""
    text = "".join(line for line in GOOD.splitlines(True) if not line.startswith(name))
    assert getattr(read(written(tmp_path, f"{text}{name} = {value!r}")), name) == value


def test_the_example_s_file_is_good() -> None:
    """It is the model for everybody's."""
    assert read(REPOSITORY / "examples" / "accubooks" / "alerting.toml").email


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + 'emial = "a"', "unknown emial; known are email, "),
        (
            'email = ["a@b"]\napplication = "http://b"\nrunbooks = "http://c"',
            "alerting.toml: missing 'escalation_email'",
        ),
        (GOOD + 'smtp_tls = "yes"', "smtp_tls = 'yes': expected true or false"),
        (GOOD.replace('["on-call@books.example"]', '"a"'), "email = 'a': expected a list of texts"),
        (GOOD.replace('["on-call@books.example"]', "[]"), "email = []: expected a list of texts"),
        (GOOD + "smtp = 25", "smtp = 25: expected a text"),
        (GOOD + 'phone = "fax"', "phone = 'fax': expected one of pagerduty, opsgenie, webhook"),
        (GOOD + 'phone = "webhook"', "phone is webhook, and phone_url is missing"),
        ("email = [", "alerting.toml:1: Invalid value, expected TOML"),
        (
            "email = 1 2",
            "alerting.toml:1:11: Expected newline or end of document after a statement",
        ),
        (GOOD + "\nsmtp = 25", f"alerting.toml:{len(GOOD.splitlines()) + 2}: smtp = 25: expected"),
        (
            GOOD + 'smtp = "mail"',
            "smtp = 'mail': expected host:port such as smtp.books.example:587",
        ),
        (GOOD + 'secrets = "keys"', "secrets = 'keys': expected the path of a folder, from / on"),
        (GOOD + 'email_from = "me"', "email_from = 'me': expected an e-mail address such as"),
        (GOOD + 'email_from = "Books, Ltd <a@b>"', "email_from = 'Books, Ltd <a@b>': expected an"),
        (
            GOOD.replace("https://books.example", "http://[::g]"),
            "application = 'http://[::g]': exp",
        ),
        (GOOD + 'heartbeat_url = "u:p@h"', "heartbeat_url = 'h': expected an address such as"),
        (GOOD + 'slack_channel = ""', "slack_channel = '': expected a channel such as #alerts"),
        (GOOD + 'smtp_user = "a\\u0000b"', "expected a text of one line"),
        (GOOD + "phone = " + "9" * 5000, "alerting.toml: cannot be read as TOML: "),
        ("a = " + "[" * 5000, "alerting.toml: cannot be read as TOML: "),
    ],
)
def test_one_line_says_what_is_wrong(text: str, said: str, tmp_path: Path) -> None:
    """And in which file."""
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=r"alerting\.toml") as error:
        read(path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the system's own words."""
    with pytest.raises(ValueError, match=r"nowhere\.toml"):
        read(tmp_path / "nowhere.toml")


KEYS = st.sampled_from(
    [field.name for field in fields(Addresses)] + ["servers", "emial", "[servers]"]
)
VALUES = st.sampled_from(
    [
        '"a"',
        "1",
        "-1.5",
        "true",
        "[]",
        "[1]",
        '["a@b"]',
        "{}",
        "{a=1}",
        "1979-05-27",
        "nan",
        '""',
        "[",
        "",
    ]
) | st.text(max_size=10).map(lambda text: f'"{text}"')


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lines=st.lists(st.builds("{} = {}".format, KEYS, VALUES), max_size=5))
def test_no_file_makes_it_fail_otherwise(lines: list[str], tmp_path: Path) -> None:
    """Whatever stands in it: addresses, or one line that begins with the file."""
    path = written(tmp_path, "\n".join(lines))
    for reading in (read, lambda path: servers(path, {}, {})):
        said = ""
        try:
            reading(path)
        except ValueError as error:
            said = str(error)
        assert not said or (said.startswith(str(path)) and len(said.splitlines()) == 1)
