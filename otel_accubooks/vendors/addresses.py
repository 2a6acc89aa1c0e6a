"""Where alerts go, and where people find the application and the runbooks: one file for every vendor."""

from __future__ import annotations

import sys
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
    """The addresses in a TOML file. Raises ValueError with one line on what is wrong in it."""
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    told.pop("servers", None)  # where servers are is read by who asks them
    known = {field.name: field for field in fields(Addresses)}
    if unknown := sorted(set(told) - set(known)):
        raise ValueError(f"{path}: unknown {', '.join(unknown)}; known are {', '.join(known)}")
    try:
        addresses = Addresses(
            **{name: _checked(name, known[name].type, told[name]) for name in told}
        )
    except TypeError as error:
        missing = str(error).partition(": ")[2] or str(error)
        raise ValueError(f"{path}: missing {missing}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if addresses.phone == "webhook" and not addresses.phone_url:
        raise ValueError(f"{path}: phone is webhook, and phone_url is missing")
    return addresses


def _checked(name: str, type_name: Any, value: Any) -> Any:
    if type_name == "tuple[str, ...]":
        if isinstance(value, list) and value and all(isinstance(one, str) and one for one in value):
            return tuple(value)
        raise ValueError(f"{name} = {value!r}: expected a list of texts")
    if type_name == "bool":
        if isinstance(value, bool):
            return value
        raise ValueError(f"{name} = {value!r}: expected true or false")
    if not isinstance(value, str):
        raise ValueError(f"{name} = {value!r}: expected a text")
    if type_name == "Phone" and value not in get_args(Phone):
        raise ValueError(f"{name} = {value!r}: expected one of {', '.join(get_args(Phone))}")
    return value
