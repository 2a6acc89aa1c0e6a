"""What the phone's vendor has is looked up there: an incident, whom it called, the end."""

from __future__ import annotations

import pytest
from httpx import post

from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.opsgenie_sink import OpsgenieSink
from otel_accubooks.stack.pager_sink import PagerSink
from otel_accubooks.trial.phone import Opsgenie, PagerDuty, vendor
from otel_accubooks.trial.station import Trial, Unreadable
from otel_accubooks.vendors.addresses import Addresses

TO = Addresses(("me@books.example",), ("chief@books.example",), "https://books.example")
TOKEN = {"PAGERDUTY_API_TOKEN": "u+token", "OPSGENIE_API_KEY": "genie-key-0"}


def page(pager: PagerSink, trial: Trial, action: str) -> None:
    payload = {"summary": f"test TestAlert {trial.number}", "source": "x", "severity": "critical"}
    event = {"routing_key": "0" * 32, "event_action": action, "dedup_key": trial.number}
    body = event | ({"payload": payload} if action == "trigger" else {})
    post(f"{pager.url}/v2/enqueue", json=body, trust_env=False).raise_for_status()


def test_pagerduty_tells_of_incident_call_and_end() -> None:
    """Each of this run alone."""
    with PagerSink(token=TOKEN["PAGERDUTY_API_TOKEN"]) as pager:
        trial, reader = Trial(), PagerDuty(Servers(phone_api=pager.url), TO, TOKEN)
        page(pager, Trial(), "trigger")
        assert reader.opened(trial) is None
        assert reader.called(trial) is None
        page(pager, trial, "trigger")
        assert reader.opened(trial) == "incident 2 of PagerDuty is open"
        assert reader.called(trial) == "PagerDuty called The on-call engineer (phone, success)"
        assert reader.closed(trial) is None
        page(pager, trial, "resolve")
        assert reader.closed(trial) == "incident 2 of PagerDuty is resolved"
        reader.close()


def test_an_incident_about_which_nobody_was_called_is_no_call() -> None:
    """It is open, and PagerDuty has nobody on call."""
    with PagerSink(token=TOKEN["PAGERDUTY_API_TOKEN"]) as pager:
        pager.on_call = None
        trial, reader = Trial(), PagerDuty(Servers(phone_api=pager.url), TO, TOKEN)
        page(pager, trial, "trigger")
        assert reader.opened(trial)
        assert reader.called(trial) is None
        reader.close()


def test_a_token_that_is_refused_is_said() -> None:
    """Without what is in it."""
    with PagerSink(token="another") as pager:
        reader = PagerDuty(Servers(phone_api=pager.url), TO, TOKEN)
        with pytest.raises(ApiError, match=r"401.*lacks the right") as raised:
            reader.opened(Trial())
        assert TOKEN["PAGERDUTY_API_TOKEN"] not in str(raised.value)
        reader.close()


def test_opsgenie_tells_of_alert_and_end() -> None:
    """Whom it called nobody can ask it."""
    with OpsgenieSink(key=TOKEN["OPSGENIE_API_KEY"]) as opsgenie:
        trial, reader = Trial(), Opsgenie(Servers(phone_api=opsgenie.url), TO, TOKEN)
        headers = {"Authorization": f"GenieKey {TOKEN['OPSGENIE_API_KEY']}"}
        assert reader.opened(trial) is None
        alert = {"message": f"test TestAlert {trial.number}", "alias": "a1"}
        post(f"{opsgenie.url}/v2/alerts", json=alert, headers=headers, trust_env=False)
        assert reader.opened(trial) == "alert 1 of Opsgenie was made"
        assert reader.closed(trial) is None
        with pytest.raises(Unreadable, match="whom it called"):
            reader.called(trial)
        close = f"{opsgenie.url}/v2/alerts/a1/close?identifierType=alias"
        post(close, json={}, headers=headers, trust_env=False)
        assert reader.closed(trial) == "alert 1 of Opsgenie is closed"
        reader.close()


@pytest.mark.parametrize(
    ("phone", "variable"), [("pagerduty", "PAGERDUTY_API_TOKEN"), ("opsgenie", "OPSGENIE_API_KEY")]
)
def test_a_vendor_without_a_key_cannot_be_read(phone: str, variable: str) -> None:
    """It says which variable it wants."""
    to = Addresses(TO.email, TO.escalation_email, TO.application, phone=phone)  # type: ignore[arg-type]
    reader = vendor(Servers(), to, {})
    assert reader is not None
    assert not reader.readable
    with pytest.raises(Unreadable, match=f"{variable} is not set"):
        reader.opened(Trial())
