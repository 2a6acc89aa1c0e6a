"""Opsgenie's Alert API: what it takes and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from otel_accubooks.stack.opsgenie_sink import OpsgenieSink

KEY = {"Authorization": "GenieKey 12345678-abcd"}


@pytest.fixture
def opsgenie() -> Iterator[OpsgenieSink]:
    with OpsgenieSink() as started:
        yield started


def post(opsgenie: OpsgenieSink, path: str, alert: Any, **headers: str) -> httpx.Response:
    return httpx.post(f"{opsgenie.url}{path}", json=alert, headers=headers, trust_env=False)


def test_an_alert_is_created_and_closed(opsgenie: OpsgenieSink) -> None:
    """Later, as its answer says; closed by the alias that it was given."""
    created = post(opsgenie, "/v2/alerts", {"message": "fire", "alias": "a", "tags": ["x"]}, **KEY)
    closed = post(opsgenie, "/v2/alerts/a/close?identifierType=alias", {"source": "x"}, **KEY)
    assert (created.status_code, closed.status_code) == (202, 202)
    assert created.json()["result"] == "Request will be processed"
    assert [(a.action, a.alias) for a in opsgenie.taken()] == [("create", "a"), ("close", "a")]


@pytest.mark.parametrize(
    "wrong",
    [{}, {"message": "x" * 131}, {"message": "x", "priority": "P0"}, {"message": "x", "a": 1}],
)
def test_an_alert_that_is_wrong_is_refused(opsgenie: OpsgenieSink, wrong: dict[str, Any]) -> None:
    """Without a message, with one that is too long, and with what the API does not know."""
    assert post(opsgenie, "/v2/alerts", wrong, **KEY).status_code == 422
    assert opsgenie.taken() == []


@pytest.mark.parametrize("shown", ["", "Bearer 12345678-abcd", "GenieKey", "GenieKey a b"])
def test_without_its_key_nobody_is_known(opsgenie: OpsgenieSink, shown: str) -> None:
    """The scheme is Opsgenie's own."""
    headers = {"Authorization": shown}
    assert post(opsgenie, "/v2/alerts", {"message": "x"}, **headers).status_code == 401
