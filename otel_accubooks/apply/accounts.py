"""The APIs of the accounts that things are brought into, with their keys from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from otel_accubooks.servers.api import Api
from otel_accubooks.servers.settings import check_address

_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})"
_NUMBER = r"[0-9]{1,18}"
_KEY = r"[!-~]+"  # what may stand in a header
_NEW_RELIC = {"US": "https://api.newrelic.com", "EU": "https://api.eu.newrelic.com"}


def grafana(url: str | None, environ: Mapping[str, str] = os.environ) -> Api:
    """That of the Grafana at `url`, else at $GRAFANA_URL. Raises ValueError without $GRAFANA_TOKEN."""
    address = url or environ.get("GRAFANA_URL") or "http://127.0.0.1:3000"
    check_address("--url" if url else "GRAFANA_URL", address)
    token = _given("grafana", "GRAFANA_TOKEN", environ)
    return Api(address, {"Authorization": f"Bearer {token}"})


def datadog(url: str | None, environ: Mapping[str, str] = os.environ) -> Api:
    """That of the account of $DD_API_KEY and $DD_APP_KEY; raises ValueError where one is missing."""
    site = environ.get("DD_SITE") or "datadoghq.com"
    if not re.fullmatch(_HOST, site):
        raise ValueError(f"DD_SITE is {site!r}: expected a name such as datadoghq.eu")
    keys = {
        "DD-API-KEY": _given("datadog", "DD_API_KEY", environ),
        "DD-APPLICATION-KEY": _given("datadog", "DD_APP_KEY", environ),
    }
    return Api(url or f"https://api.{site}", keys)


def newrelic(url: str | None, environ: Mapping[str, str] = os.environ) -> tuple[Api, int]:
    """The API, and the account's number. Raises ValueError for a variable that is missing or wrong."""
    account = _given("newrelic", "NEW_RELIC_ACCOUNT_ID", environ)
    if not re.fullmatch(_NUMBER, account):
        raise ValueError(f"NEW_RELIC_ACCOUNT_ID is {account[:60]!r}: expected a number")
    region = (environ.get("NEW_RELIC_REGION") or "US").upper()
    if region not in _NEW_RELIC:
        raise ValueError(f"NEW_RELIC_REGION is {region!r}: expected US or EU")
    key = _given("newrelic", "NEW_RELIC_API_KEY", environ)
    return Api(url or _NEW_RELIC[region], {"API-Key": key}), int(account)


def _given(backend: str, name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if not value:
        raise ValueError(f"{name} is not set; docs/{backend}.md says where it comes from")
    if not re.fullmatch(_KEY, value):
        raise ValueError(
            f"{name} is no key (its text is not shown): expected printable ASCII without blanks; "
            f"docs/{backend}.md says where it comes from"
        )
    return value
