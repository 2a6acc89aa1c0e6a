"""An account of Datadog that is not as it should be is never said to be."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from otel_accubooks.apply.datadog import changes, our_dashboards
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.servers.api import Api
from otel_accubooks.servers.settings import Servers
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.verify.account import GIVES
from otel_accubooks.verify.datadog import STEPS
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.way import Site
from tests.apply.datadog_api import KEYS, Account, serving

TO = Addresses(
    email=("on-call@books.example",),
    escalation_email=("cto@books.example",),
    application="https://books.example",
    heartbeat_url="https://heartbeat.example/ping",
)
ENVIRON = {"DD_API_KEY": KEYS["DD-API-KEY"], "DD_APP_KEY": KEYS["DD-APPLICATION-KEY"]}
# What no account can show, or what this one does not have: a second backend, data of 30 days ago.
UNSEEN = {"refresh", "retention", "heartbeat"}
ALONE = {"pair", "standby"}


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    """The address of a page that everybody may see."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/shared" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/shared"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def whole(page: str) -> Account:
    """An account with everything in place, not to be changed."""
    made = Account()
    with serving(made) as address:
        api = Api(address, KEYS)
        for change in changes(api, TO):
            change.carry_out()
        made.settings.shared[our_dashboards(api)["executive_overview"]] = page
        api.close()
    for one in made.monitors.values():
        one["overall_state"] = "Alert" if one["name"].startswith("Watchdog") else "OK"
    made.points.ages = {metric.name: 20.0 for metric in METRICS}
    made.settings.slack["main"] = ["#alerts", "#alerts-info"]
    made.settings.pagerduty.append("accubooks")
    made.settings.webhooks["accubooks-heartbeat"] = TO.heartbeat_url
    made.settings.teams = {"operations": 3, "engineering": 3, "product": 2}
    return made


@pytest.fixture
def account(whole: Account) -> Account:
    """The same, to be broken."""
    made = Account()
    for name, value in vars(whole).items():
        if name != "_numbers":
            setattr(made, name, copy.deepcopy(value))
    return made


def looked(account: Account, service: str = "accubooks", **environ: str) -> dict[str, Look]:
    """The worst look of each name, but for the test alert."""
    found: dict[str, Look] = {}
    with serving(account) as address:
        site = Site(Servers(service=service), TO, ENVIRON | environ, lambda _: None, url=address)
        for look in STEPS[0].look(site):
            if look.name not in found or look.state != "passed":
                found[look.name] = look
    assert set(found) == set(GIVES)
    return found


def failed(looks: dict[str, Look]) -> dict[str, str]:
    """What is said of those that have failed, by name, but for the second backend."""
    return {n: one.said for n, one in looks.items() if one.state == "failed" and n not in ALONE}


def monitor(account: Account, name: str) -> dict[str, object]:
    """The one whose name begins so."""
    return next(one for one in account.monitors.values() if one["name"].startswith(name))


def test_what_is_whole_is_said_to_be(account: Account) -> None:
    """What cannot be seen is said to be so, the second backend is missing; nothing is written."""
    account.asked.clear()
    looks = looked(account)
    assert failed(looks) == {}
    assert {name for name, look in looks.items() if look.state == "unseen"} == UNSEEN
    assert {method for method, path in account.asked if "query" not in path} <= {"GET", "POST"}
    assert {path for method, path in account.asked if method == "POST"} == {
        "/api/v2/query/timeseries", "/api/v2/query/scalar", "/api/v2/events/search",
    }  # fmt: skip


def test_a_service_is_found_where_none_is_named(account: Account) -> None:
    """There is only one."""
    assert failed(looked(account, service="")) == {}


def test_old_data_prove_retention(account: Account) -> None:
    """Where there are points of 31 days ago, nobody has to be asked."""
    account.points.lived, account.points.every = 32 * 86400, 300
    assert looked(account)["retention"].state == "passed"


def test_a_key_that_is_wrong(account: Account) -> None:
    """Everything fails, at once, and the key is not told."""
    found = failed(looked(account, DD_APP_KEY="wrong-key"))
    assert set(found) == set(GIVES) - ALONE
    assert "wrong-key" not in str(found)
    assert "lacks the right" in found["interval"]


def test_a_key_that_is_not_there(account: Account) -> None:
    """With the page that says where it comes from."""
    found = failed(looked(account, DD_API_KEY=""))
    assert "DD_API_KEY is not set; docs/datadog.md" in found["backend"]


def test_another_service(account: Account) -> None:
    """What it has is named."""
    assert "of the services accubooks" in failed(looked(account, service="shop"))["backend"]


def test_points_that_stopped(account: Account) -> None:
    """Monitors and dashboards are as they should be; the data are old."""
    account.points.ages = dict.fromkeys(account.points.ages, 600.0)
    found = failed(looked(account))
    assert {"backend", "interval", "metrics api", "data operations"} <= set(found)
    assert "newest point" in found["backend"]


def test_points_that_come_too_rarely(account: Account) -> None:
    """Once a minute is no 15 s."""
    account.points.every = 60
    found = failed(looked(account))
    assert set(found) == {"interval"}
    assert "OTEL_METRIC_EXPORT_INTERVAL=15000" in found["interval"]


def test_points_with_a_gap(account: Account) -> None:
    """A few minutes without any, though the newest are fresh."""
    account.points.gap = (4, 5)
    assert "no points in" in failed(looked(account))["interval"]


def test_a_metric_that_does_not_come(account: Account) -> None:
    """In its group, and in the panels that show it."""
    del account.points.ages["forecast_queue_depth"]
    found = failed(looked(account))
    assert set(found) == {"metrics queue", "data operations"}
    assert "(Queue Depth)" in found["data operations"]


def test_one_gauge_that_is_old(account: Account) -> None:
    """It was there within the hour, so that its panel still has data."""
    account.points.ages["nps_score"] = 1800.0
    assert set(failed(looked(account))) == {"metrics business", "data business_metrics"}


def test_what_need_never_happen_is_a_persons_to_judge(account: Account) -> None:
    """Nobody wrote a ticket, perhaps."""
    del account.points.ages["support_tickets_total"]
    looks = looked(account)
    assert failed(looks) == {}
    assert looks["metrics business"].state == "unseen"


def test_a_dashboard_that_is_not_there(account: Account) -> None:
    """By its name, with the command that brings it."""
    account.dashboards = {
        identity: one
        for identity, one in account.dashboards.items()
        if one["title"] != "Operations"
    }
    found = failed(looked(account))
    assert {"dashboard operations", "data operations", "access operations"} <= set(found)
    assert "otel-accubooks apply datadog" in found["dashboard operations"]


def test_a_panel_that_was_changed(account: Account) -> None:
    """Its query asks for what is not there."""
    board = next(one for one in account.dashboards.values() if one["title"] == "Operations")
    widget = board["widgets"][0]["definition"]["widgets"][0]["definition"]
    widget["requests"][0]["queries"][0]["query"] = "sum:requests{$service}.as_count()"
    found = failed(looked(account))
    assert set(found) == {"dashboard operations", "data operations"}


def test_a_threshold_that_was_changed(account: Account) -> None:
    """The difference is said."""
    options = monitor(account, "HighLatency")["options"]
    options["thresholds"]["critical"] = 9000.0
    found = failed(looked(account))
    assert set(found) == {"alerts P1"}
    assert "9000" in found["alerts P1"]


def test_a_monitor_that_was_deleted(account: Account) -> None:
    """By its name."""
    account.monitors = {
        number: one
        for number, one in account.monitors.items()
        if not one["name"].startswith("DataIntegrityIssue")
    }
    found = failed(looked(account))
    assert set(found) == {"alerts P0"}
    assert "DataIntegrityIssue" in found["alerts P0"]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"options": {"silenced": {"*": None}}}, "is muted"),
        ({"draft_status": "draft"}, "is a draft"),
        ({"matching_downtimes": [{"id": 7, "scope": "*"}]}, "is in a downtime"),
    ],
)
def test_a_monitor_that_tells_nobody(
    account: Account, broken: dict[str, object], said: str
) -> None:
    """It is exactly as the contract has it, and silent."""
    one = monitor(account, "DataIntegrityIssue")
    for name, value in broken.items():
        one[name] = {**one[name], **value} if isinstance(value, dict) else value
    found = failed(looked(account))
    assert said in found["alerts P0"]
    assert ("told" in found) == ("matching_downtimes" in broken)


def test_a_check_that_is_paused(account: Account) -> None:
    """Nobody asks from outside whether the application answers."""
    next(iter(account.tests.values()))["status"] = "paused"
    assert set(failed(looked(account))) == {"alerts P0"}


@pytest.mark.parametrize("alert", ["DataIntegrityIssue", "HighLatency"])
def test_an_urgent_alert_that_fires(account: Account, alert: str) -> None:
    """A deployment in alarm is not let to anybody."""
    monitor(account, alert)["overall_state"] = "Alert"
    assert set(failed(looked(account))) == {"calm"}


def test_percentiles_that_are_switched_off(account: Account) -> None:
    """What monitors and panels ask of would not be there."""
    account.tags["http_request_duration_ms"]["include_percentiles"] = False
    assert set(failed(looked(account))) == {"recordings"}


def test_integrations_that_are_missing(account: Account) -> None:
    """Monitors name them, and nobody is told."""
    account.settings.slack["main"] = ["#alerts-info"]
    account.settings.pagerduty.clear()
    found = failed(looked(account))
    assert set(found) == {"told"}
    assert "no channel #alerts of main" in found["told"]
    assert "pagerduty integration knows no accubooks" in found["told"]


def test_a_heartbeat_that_goes_nowhere(account: Account) -> None:
    """Its webhook has another address, and it does not beat."""
    account.settings.webhooks["accubooks-heartbeat"] = "https://old.example"
    monitor(account, "Watchdog")["overall_state"] = "OK"
    found = failed(looked(account))
    assert set(found) == {"heartbeat"}
    assert "no webhook accubooks-heartbeat to heartbeat_url" in found["heartbeat"]
    assert "state OK, expected Alert" in found["heartbeat"]


def test_who_may_see_what(account: Account, page: str) -> None:
    """The public nothing, and everybody what is engineering's; product's team is empty."""
    identities = {one["title"]: identity for identity, one in account.dashboards.items()}
    account.settings.shared = {identities["Database Performance"]: page}
    account.settings.bindings = {identities["Operations"]: ["team:id-engineering"]}
    account.settings.teams["product"] = 0
    found = failed(looked(account))
    assert "Executive Overview is not public" in found["access executives"]
    assert "Database Performance is shared with the public" in found["access engineering"]
    assert "team operations may not see Operations" in found["access operations"]
    assert "team product has nobody in it" in found["access product"]


def test_a_public_page_that_does_not_answer(account: Account, page: str) -> None:
    """The account says that it is shared."""
    account.settings.shared = dict.fromkeys(account.settings.shared, f"{page}-no-more")
    assert "its page answers 404" in failed(looked(account))["access executives"]


def test_every_panel_is_asked(account: Account) -> None:
    """Without points no panel of any dashboard shows data, but for the list of alerts."""
    account.points.ages = {"system_uptime_seconds": 20.0}
    looks = looked(account)
    for board in DASHBOARDS:
        silent = [line for line in looks[f"data {board.name}"].evidence if "nothing for" in line]
        assert len(silent) == sum(panel.kind != "alerts" for panel in board.panels)
