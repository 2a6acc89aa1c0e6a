"""A test alert by way of a vendor: its points and its alert are asked of the vendor's API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.trial import test_alert, vendor
from otel_accubooks.trial.hop import Hop
from otel_accubooks.trial.test_alert import Backend
from otel_accubooks.vendors.addresses import Addresses
from tests.trial.vendor_apis import ACCOUNT, Datadog, NewRelic

TO = Addresses(("me@books.example",), ("chief@books.example",), "https://books.example")
KEYS = {
    "DD_API_KEY": "api-key",
    "DD_APP_KEY": "app-key",
    "NEW_RELIC_API_KEY": "NRAK-TEST",
    "NEW_RELIC_ACCOUNT_ID": str(ACCOUNT),
}
VENDORS = {"datadog": Datadog, "newrelic": NewRelic}
EACH = pytest.mark.parametrize("backend", list(VENDORS))


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    monkeypatch.setattr(vendor, "EVERY_SECONDS", 0.1)
    with OtlpReceiver() as made:
        yield made


def run(
    backend: Backend, gateway: OtlpReceiver, api: Datadog | NewRelic, **environ: str
) -> dict[str, Hop]:
    hops = test_alert.run(
        Servers(service="books", gateway=gateway.endpoint),
        TO,
        backend=backend,
        environ=KEYS | environ,
        url=api.url,
    )
    return {hop.name: hop for hop in hops}


@EACH
def test_it_is_followed_to_the_alert_and_back(backend: Backend, gateway: OtlpReceiver) -> None:
    """What cannot be read without a token stays unseen."""
    with VENDORS[backend](gateway) as api:
        hops = run(backend, gateway, api)
    name = {"datadog": "Datadog", "newrelic": "New Relic"}[backend]
    way = ["gateway", name, "rule", "the end", "rule: over"]
    assert [hops[hop].state for hop in way] == ["arrived"] * 5, hops
    assert {hop.state for hop in hops.values() if hop.channel} == {"unseen"}
    assert not test_alert.whole(list(hops.values()))


@EACH
def test_a_monitor_that_is_not_there_is_missed(
    backend: Backend, gateway: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how to have it."""
    monkeypatch.setattr(vendor, "FIRES_SECONDS", 1.0)
    with VENDORS[backend](gateway) as api:
        api.has_alert = False
        hops = run(backend, gateway, api)
    assert hops["rule"].state == "missing"
    assert f"otel-accubooks apply {backend}" in hops["rule"].said
    assert hops["the end"].state == "arrived"


@EACH
def test_points_that_do_not_come_are_missed(
    backend: Backend, gateway: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway took them, and sends them elsewhere, or nowhere."""
    monkeypatch.setattr(vendor, "STORED_SECONDS", 1.0)
    with VENDORS[backend](gateway) as api:
        api.keeps_points = False
        hops = run(backend, gateway, api)
    assert hops["gateway"].state == "arrived"
    assert hops["rule"].state == "missing"
    assert "got no further than" in hops["rule"].said


@pytest.mark.parametrize(
    ("backend", "variable"), [("datadog", "DD_APP_KEY"), ("newrelic", "NEW_RELIC_API_KEY")]
)
def test_a_key_that_is_not_set_is_named(backend: Backend, variable: str) -> None:
    """Nothing is fired then."""
    environ = {name: value for name, value in KEYS.items() if name != variable}
    (hop,) = test_alert.run(Servers(), TO, backend=backend, environ=environ)
    assert (hop.name, hop.state) == (backend, "missing")
    assert f"{variable} is not set" in hop.said
