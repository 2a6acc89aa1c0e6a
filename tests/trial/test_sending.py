"""What becomes of the metric behind a test alert is told by who was sent it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.ports import free_port
from otel_accubooks.stack.slack_sink import SlackSink
from otel_accubooks.trial import sending
from otel_accubooks.trial.sending import Sender, Sent
from otel_accubooks.trial.station import Trial

METRIC = "otel_accubooks_test_alert"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    monkeypatch.setattr(sending, "TIMEOUT_SECONDS", 1.0)
    with OtlpReceiver() as made:
        yield made


def sent(address: str, trial: Trial, value: float = 1) -> Sent:
    sender = Sender(Servers(service="books", gateway=address), trial, {})
    try:
        return sender.send(value)
    finally:
        sender.close()


def test_it_goes_under_the_services_name_and_the_runs_number(receiver: OtlpReceiver) -> None:
    """As a gauge, which the last value ends."""
    trial = Trial()
    assert sent(receiver.endpoint, trial).taken
    assert sent(receiver.endpoint, trial, 0).taken
    (series,) = receiver.series(METRIC)
    assert series.attributes == {"test": trial.number}
    assert series.resource["service.name"] == "books"
    assert series.value == 0


def test_a_gateway_on_this_machine_is_reached_without_a_proxy(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment has for others."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert sent(receiver.endpoint, Trial()).taken


def test_one_that_is_not_there_received_nothing(receiver: OtlpReceiver) -> None:
    """One that breaks the connection may have."""
    nobody = sent(f"http://127.0.0.1:{free_port()}", Trial())
    assert (nobody.taken, nobody.there) == (False, False)
    assert "no connection" in nobody.said
    receiver.fail("reset")
    broken = sent(receiver.endpoint, Trial())
    assert (broken.taken, broken.there) == (False, True)


def test_somebody_who_is_no_gateway_takes_nothing(receiver: OtlpReceiver) -> None:
    """It answers, and knows nothing of metrics."""
    with SlackSink() as other:
        refused = sent(other.url, Trial())
    assert not refused.taken
    assert "404" in refused.said
    assert "nothing there takes metrics" in refused.said
