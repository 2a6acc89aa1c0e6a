"""The functions that an application may call."""

import doctest
import time

import pytest

from otel_accubooks import business
from otel_accubooks.contract.metrics import BY_NAME
from otel_accubooks.instrument import tally, users
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.fork import generation
from otel_accubooks.recorder.process import recorder
from otel_accubooks.recorder.service import ServiceReader


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """What this process recorded since the start of the test."""
    monkeypatch.setattr(users, "_key", None)
    monkeypatch.setattr(users, "_written", {})
    monkeypatch.setattr(tally, "_told", set())
    recorder.folder = folder = StateFolder(tmp_path / "services" / "one")
    generation[0] = 0  # as after a fork: the next record opens a segment in the new folder
    yield lambda: ServiceReader(folder).read()
    recorder.folder = None
    generation[0] = 0


def counts(recorded, name):
    return {p.labels: p.value for p in recorded().of(BY_NAME[name]) if p.value}


def test_an_event_is_counted_with_its_labels(recorded):
    """By name, in any order, once or by an amount."""
    business.count("tier_limit_hits_total", limit_type="scenarios", tier="FREE")
    business.count("tier_limit_hits_total", tier="FREE", limit_type="scenarios", amount=2)
    assert counts(recorded, "tier_limit_hits_total") == {("FREE", "scenarios"): 3}


def test_a_tier_that_is_none_is_unknown(recorded):
    """As from a rule."""
    business.count("scenarios_created_total", tier="GOLD")
    assert counts(recorded, "scenarios_created_total") == {("unknown",): 1}


@pytest.mark.parametrize(
    ("args", "labels", "message"),
    [
        (["scenario_created"], {"tier": "PRO"}, "'scenario_created' is no business counter"),
        (["nps_score"], {}, "'nps_score' is no business counter, expected one of calculation_err"),
        (["scenarios_created_total"], {"teir": "PRO"}, "labels teir, expected tier"),
        (["scenarios_created_total"], {}, "labels none, expected tier"),
        (["scenarios_created_total", -1], {"tier": "PRO"}, "was given -1, expected a whole number"),
        (["scenarios_created_total", 0.5], {"tier": "PRO"}, "was given 0.5, expected a whole"),
        (["scenarios_created_total", 10**400], {"tier": "PRO"}, "expected a whole number"),
        (["scenarios_created_total", "2"], {"tier": "PRO"}, "was given '2', expected a whole"),
        (["scenarios_created_total", float("nan")], {"tier": "PRO"}, "was given nan, expected"),
        (["trust_layer_usage_total"], {"component": "x"}, "component is 'x', expected one of"),
    ],
)
def test_a_wrong_call_is_logged_once_and_counted_nowhere(recorded, caplog, args, labels, message):
    """One clear line, however often it is made."""
    for _ in range(2):
        business.count(*args, **labels)
    (record,) = caplog.records
    assert message in record.getMessage()
    assert not [p for p in recorded().points.values() if p.value]


@pytest.mark.parametrize(
    "value", [None, object(), [], {}, 3.5, b"x", type("T", (), {"__str__": 3})()]
)
def test_nothing_is_ever_raised(recorded, value):
    """Whatever is handed over."""
    business.count(value, tier=value)
    business.count("scenarios_created_total", tier=value)
    business.count("scenarios_created_total", value, tier="PRO")
    business.user_seen(value)
    business.session_ended(value)


def test_users_and_sessions_come_and_go(recorded):
    """A user who was seen is there; who signed out has no session until the next sign of life."""

    def present():
        visits, now = recorded().visits, time.time()
        found = visits.sessions(now).values()
        return len(visits.active(now)), sum(1 for sessions in found if sessions.open)

    business.user_seen("ada")
    business.user_seen(4711)
    business.session_ended(4711)
    assert present() == (2, 1)
    business.user_seen(4711)
    assert present() == (2, 2)


def test_it_is_safe_without_telemetry(tmp_path, caplog):
    """Without the launcher, calls are nothing to notice."""
    assert recorder.folder is None
    business.count("scenarios_created_total", tier="PRO")
    business.user_seen("ada")
    business.session_ended("ada")
    assert not caplog.records


def test_the_examples_work(recorded):
    """What the documentation shows is what runs."""
    assert doctest.testmod(business).attempted >= 6
    assert doctest.testmod(business).failed == 0
    assert counts(recorded, "scenarios_created_total") == {("PRO",): 2}
    assert counts(recorded, "support_tickets_total") == {("high",): 6}
