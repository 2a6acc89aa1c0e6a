"""A message is looked up in the channel that it was sent to."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from otel_accubooks.stack.slack_sink import SlackSink
from otel_accubooks.trial.slack import Channel
from otel_accubooks.trial.station import Trial, Unreadable

TOKEN = {"SLACK_TOKEN": "xoxb-0"}


@pytest.fixture
def slack() -> Iterator[SlackSink]:
    with SlackSink(token=TOKEN["SLACK_TOKEN"]) as started:
        yield started


def tell(webhook: str, title: str) -> None:
    message = {"channel": "#alerts", "attachments": [{"title": title}]}
    httpx.post(webhook, json=message, trust_env=False).raise_for_status()


def found(slack: SlackSink, trial: Trial, *, over: bool = False) -> str | None:
    channel = Channel(slack.api, "#alerts", TOKEN)
    try:
        return channel.found(trial, over=over)
    finally:
        channel.close()


def test_the_message_of_this_run_is_found(slack: SlackSink) -> None:
    """And no other's, nor the one that says that it is over."""
    trial, alerts = Trial(), slack.webhook("alerts")
    tell(alerts, "[FIRING] test TestAlert ffffffff of books: nothing is wrong")
    assert found(slack, trial) is None
    tell(alerts, f"[FIRING] test TestAlert {trial.number} of books: nothing is wrong")
    assert found(slack, trial) == "read in #alerts"
    assert found(slack, trial, over=True) is None
    tell(alerts, f"[RESOLVED] test TestAlert {trial.number} of books: nothing is wrong")
    assert found(slack, trial, over=True)


def test_a_webhook_of_another_channel_does_not_count(slack: SlackSink) -> None:
    """Whatever channel the message names."""
    trial = Trial()
    slack.webhook("alerts")
    tell(slack.webhook("general"), f"[FIRING] test TestAlert {trial.number} of books: x")
    assert found(slack, trial) is None


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "SLACK_TOKEN is not set"),
        (
            {"SLACK_TOKEN": "xoxb-1"},
            "Slack refuses conversations.list with SLACK_TOKEN: invalid_auth",
        ),
        (TOKEN, "SLACK_TOKEN sees no channel #alerts"),
    ],
)
def test_a_channel_that_cannot_be_read_says_why(
    slack: SlackSink, environ: dict[str, str], said: str
) -> None:
    """No token, a wrong one, or one whose app is not in the channel."""
    slack.webhook("general")
    with pytest.raises(Unreadable, match=said):
        Channel(slack.api, "#alerts", environ).found(Trial())
