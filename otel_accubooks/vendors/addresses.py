"""Where alerts go, and where people find the application and the runbooks: one file for every vendor."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from otel_accubooks.contract.endpoints import HEALTH

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Ours, for who has none of their own.
RUNBOOKS = "https://github.com/otel-accubooks/otel-accubooks/blob/main/docs/runbooks"
Phone = Literal["pagerduty", "opsgenie", "webhook"]


@dataclass(frozen=True)
class Addresses:
    """None of this is secret. Alertmanager's secrets are files in the folder `secrets`: slack_url,
    slack_info_url, pagerduty_key, opsgenie_key, webhook_token, smtp_password, each only where its
    channel is used.
    """

    email: tuple[str, ...]
    escalation_email: tuple[str, ...]
    # The application's own address, as the outside world reaches it.
    application: str
    # The address below which <alert>.md is found.
    runbooks: str = RUNBOOKS
    email_from: str = "alerts@localhost"
    smtp: str = "localhost:25"  # host:port
    smtp_user: str = ""
    smtp_tls: bool = True
    # Datadog and New Relic know a workspace of Slack and a service of the phone's vendor by these names.
    slack_workspace: str = "main"
    slack_channel: str = "#alerts"
    slack_info_channel: str = "#alerts-info"
    phone: Phone = "pagerduty"
    phone_service: str = "accubooks"
    phone_url: str = ""  # of the webhook; of the others where it is not the vendor's own
    heartbeat_url: str = ""  # the dead-man's switch outside
    secrets: str = "/etc/alertmanager/secrets"

    @property
    def health(self) -> str:
        """Where one asks from outside whether the application is healthy."""
        return f"{self.application.rstrip('/')}{HEALTH.paths()[0]}"


def runbook(runbooks: str, alert: str) -> str:
    """The address of an alert's runbook below `runbooks`; `alert` is its name, or stands for one."""
    return f"{runbooks.rstrip('/')}/{runbook_file(alert)}"


def runbook_file(alert: str) -> str:
    """What an alert's runbook is called."""
    return f"{alert}.md"


def read(path: Path) -> Addresses:
    """The addresses in a TOML file. Raises ValueError with one line on what is wrong in it, and where."""
    text, told = read_toml(path)
    told.pop("servers", None)  # where servers are is read by who asks them
    known = {field.name: field for field in fields(Addresses)}
    if unknown := sorted(set(told) - set(known)):
        where = f"{path}:{line_of(text, unknown[0])}"
        raise ValueError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(known)}")
    given = {}
    for name in told:
        try:
            given[name] = _checked(name, known[name].type, told[name])
        except ValueError as error:
            raise ValueError(f"{path}:{line_of(text, name)}: {error}") from None
    try:
        addresses = Addresses(**given)
    except TypeError as error:
        missing = str(error).partition(": ")[2] or str(error)
        raise ValueError(f"{path}: missing {missing}") from error
    if addresses.phone == "webhook" and not addresses.phone_url:
        where = f"{path}:{line_of(text, 'phone')}"
        raise ValueError(f"{where}: phone is webhook, and phone_url is missing")
    return addresses


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """A TOML file, as text and read. Raises ValueError with one line: file, line, column, what."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is not UTF-8, expected TOML") from error
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rpartition(" (at ")
        at = re.match(r"line (\d+), column (\d+)", where)
        place = f"{at[1]}:{at[2]}" if at else f"{text.count(chr(10)) + 1}"
        raise ValueError(f"{path}:{place}: {what or error}, expected TOML") from error
    except (ValueError, RecursionError) as error:  # a number of 5000 digits, 1000 brackets
        raise ValueError(f"{path}: cannot be read as TOML: {error}") from error


def line_of(text: str, key: str, table: str = "") -> int:
    """The line of a TOML text in which `key` of `table` stands; that of the table, or 1, if none does."""
    here, found = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        if header := re.match(r"\s*\[+\s*([^\[\]]+?)\s*\]", line):
            here = header[1].strip("\"'")
            found = number if here == table else found
        elif here == table and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*[.=]""", line):
            return number
        elif not here and table and re.match(rf"""\s*["']?{re.escape(table)}["']?\s*[.=]""", line):
            found = number
    return found


def _checked(name: str, type_name: Any, value: Any) -> Any:
    if type_name == "tuple[str, ...]":
        if isinstance(value, list) and value and all(isinstance(one, str) and one for one in value):
            _fitting(name, value)
            return tuple(value)
        raise ValueError(f"{name} = {_short(value)}: expected a list of texts")
    if type_name == "bool":
        if isinstance(value, bool):
            return value
        raise ValueError(f"{name} = {_short(value)}: expected true or false")
    if not isinstance(value, str):
        raise ValueError(f"{name} = {_short(value)}: expected a text")
    if type_name == "Phone" and value not in get_args(Phone):
        raise ValueError(f"{name} = {_short(value)}: expected one of {', '.join(get_args(Phone))}")
    if value or name not in _MAY_BE_EMPTY:
        _fitting(name, [value])
    return value


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…"


def _fitting(name: str, texts: Sequence[str]) -> None:
    pattern, expected = _FORMS.get(name, _TEXT)
    for text in texts:
        if not re.fullmatch(pattern, text):
            shown = _short(text.rpartition("@")[2] if pattern is _URL[0] else text)
            raise ValueError(f"{name} = {shown}: expected {expected}")


_SHOWN_CHARACTERS = 60
_TEXT = (r"[^\x00-\x1f\x7f]+", "a text of one line")
_EMAIL = (r"[^\s@<>,]+@[^\s@<>,]+", "an e-mail address such as on-call@books.example")
# Alertmanager encodes a name of other letters together with its address.
_NAME = r"""("[ !#-\[\]-~]+"|[ !#-'*+./0-9=?A-Z^-z{|}~-]+)"""
_SENDER = (rf"{_EMAIL[0]}|{_NAME} <{_EMAIL[0]}>", f"{_EMAIL[1]}, or Books <alerts@books.example>")
_URL = (
    r"https?://(\[[0-9a-fA-F:.]+\]|[^\s/?#@:\[\]]+)(:\d{1,5})?([/?#]\S*)?",
    "an address such as https://books.example, without user and password",
)
_CHANNEL = (r"[#@]?[^\s#@,]+", "a channel such as #alerts")
_FORMS = {
    "email": _EMAIL,
    "escalation_email": _EMAIL,
    "email_from": _SENDER,
    "application": _URL,
    "runbooks": _URL,
    "phone_url": _URL,
    "heartbeat_url": _URL,
    "smtp": (r"(\[[0-9a-fA-F:]+\]|[^\s:/@]+):\d{1,5}", "host:port such as smtp.books.example:587"),
    "slack_channel": _CHANNEL,
    "slack_info_channel": _CHANNEL,
    "secrets": (r"/[^\x00-\x1f\x7f]*", "the path of a folder, from / on"),
}
_MAY_BE_EMPTY = ("smtp_user", "phone_url", "heartbeat_url")
