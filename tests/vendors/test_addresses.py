"""The file of addresses: what it holds, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_accubooks.stack.files import REPOSITORY
from otel_accubooks.vendors.addresses import read

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


def test_the_example_s_file_is_good() -> None:
    """It is the model for everybody's."""
    assert read(REPOSITORY / "examples" / "accubooks" / "alerting.toml").email


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + 'emial = "a"', "unknown emial; known are email, "),
        ('email = ["a"]\napplication = "b"\nrunbooks = "c"', "missing 'escalation_email'"),
        (GOOD + 'smtp_tls = "yes"', "smtp_tls = 'yes': expected true or false"),
        (GOOD.replace('["on-call@books.example"]', '"a"'), "email = 'a': expected a list of texts"),
        (GOOD.replace('["on-call@books.example"]', "[]"), "email = []: expected a list of texts"),
        (GOOD + "smtp = 25", "smtp = 25: expected a text"),
        (GOOD + 'phone = "fax"', "phone = 'fax': expected one of pagerduty, opsgenie, webhook"),
        (GOOD + 'phone = "webhook"', "phone is webhook, and phone_url is missing"),
        ("email = [", "alerting.toml: "),
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
