"""Slack's incoming webhooks: what they take, and in which words they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from otel_accubooks.stack.slack_sink import SlackSink


@pytest.fixture
def slack() -> Iterator[SlackSink]:
    with SlackSink() as started:
        yield started


def post(url: str, **how: Any) -> tuple[int, str]:
    answer = httpx.post(url, trust_env=False, **how)
    return answer.status_code, answer.text


def test_a_message_is_shown_where_its_webhook_leads(slack: SlackSink) -> None:
    """Whatever channel it names: a webhook of a Slack app writes to its own."""
    message = {"channel": "#general", "attachments": [{"title": "t", "color": "danger"}]}
    assert post(slack.webhook("alerts"), json=message) == (200, "ok")
    assert post(slack.webhook("info"), json={"text": "hello"}) == (200, "ok")
    (shown,) = slack.by("alerts")
    assert shown.attachments[0].title == "t"
    assert [message.text for message in slack.by("info")] == ["hello"]


@pytest.mark.parametrize(
    "how",
    [
        {"content": b"{", "headers": {"Content-Type": "application/json"}},
        {"json": ["a list"]},
        {"json": {"text": 7}},
        {"json": {"attachments": [{"title": "t", "colour": "danger"}]}},
        {"json": {"attachments": [{"title": "t", "color": "crimson"}]}},
        {"json": {"attachments": [{"title": "t", "title_link": "runbook.md"}]}},
        {"data": {"text": "a form"}},
    ],
)
def test_nonsense_is_an_invalid_payload(slack: SlackSink, how: dict[str, Any]) -> None:
    """No JSON, other types, and fields that Slack does not know."""
    assert post(slack.webhook("alerts"), **how) == (400, "invalid_payload")
    assert slack.taken() == []


def test_an_empty_message_has_no_text(slack: SlackSink) -> None:
    """Neither text nor attachments nor blocks."""
    assert post(slack.webhook("alerts"), json={"channel": "#alerts"}) == (400, "no_text")


def test_an_address_that_is_no_webhook_is_not_found(slack: SlackSink) -> None:
    """As after the webhook was removed."""
    assert post(f"{slack.url}/services/T0/B0", json={"text": "x"}) == (404, "no_service")
