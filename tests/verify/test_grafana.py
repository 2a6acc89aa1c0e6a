"""A Grafana that is not as it should be is never said to be."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from otel_accubooks.apply.grafana import changes
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.servers.api import Api
from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.ports import free_port
from otel_accubooks.stack.prometheus import Prometheus
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.grafana.folders import FOLDERS, uid
from otel_accubooks.verify.dashboards import GIVES
from otel_accubooks.verify.dashboards_step import STEPS
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.way import Site
from tests.apply.grafana_server import TOKEN, GrafanaServer, Serving
from tests.verify.application import Application
from tests.verify.watched import scraping

TO = Addresses(
    email=("on-call@example.com",),
    escalation_email=("cto@example.com",),
    application="https://books.example",
)
EXECUTIVE, OPERATIONS = uid("executive_overview"), uid("operations")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that has everything, of now."""
    folder = tmp_path_factory.mktemp("prometheus")
    with Application() as application, scraping(folder, application) as running:
        yield running


@pytest.fixture(scope="module")
def whole(prometheus: Prometheus) -> GrafanaServer:
    """A Grafana over it with everything in place, not to be changed."""
    made = GrafanaServer()
    made.add_data_source("metrics", default=True)
    made.prometheus["metrics"] = prometheus.url
    with Serving(made) as serving:
        api = Api(serving.url, {"Authorization": f"Bearer {TOKEN}"})
        for change in changes(api, TO, public=True):
            change.carry_out()
        api.close()
    made.members = dict.fromkeys(made.teams.values(), 2)
    return made


@pytest.fixture
def grafana(whole: GrafanaServer) -> GrafanaServer:
    """The same, to be broken."""
    return copy.deepcopy(whole)


def looked(grafana: GrafanaServer, prometheus: Prometheus, **environ: str) -> dict[str, Look]:
    """The worst look of each name."""
    found: dict[str, Look] = {}
    with Serving(grafana) as serving:
        servers = Servers(prometheus=prometheus.url, grafana=serving.url)
        site = Site(servers, TO, {"GRAFANA_TOKEN": TOKEN, **environ}, lambda _: None)
        for step in STEPS:
            for look in step.look(site):
                if look.name not in found or look.state != "passed":
                    found[look.name] = look
    assert set(found) == set(GIVES)
    return found


def wrong(looks: dict[str, Look]) -> dict[str, str]:
    """What is said of those that have not passed, by name."""
    return {name: look.said for name, look in looks.items() if look.state != "passed"}


def test_what_is_whole_is_said_to_be(grafana: GrafanaServer, prometheus: Prometheus) -> None:
    """Every look passes, and shows what it saw; nothing is written."""
    grafana.writes.clear()
    looks = looked(grafana, prometheus)
    assert wrong(looks) == {}
    assert all(look.evidence for look in looks.values())
    assert grafana.writes == []


def test_a_dashboard_that_is_not_there(grafana: GrafanaServer, prometheus: Prometheus) -> None:
    """By its name, with the command that brings it."""
    del grafana.boards[OPERATIONS]
    found = wrong(looked(grafana, prometheus))
    assert {"dashboard operations", "data operations", "refresh"} <= set(found)
    assert "otel-accubooks apply grafana" in found["dashboard operations"]


def test_a_panel_that_was_taken_away(grafana: GrafanaServer, prometheus: Prometheus) -> None:
    """The dashboard differs from the contract, and the panel is named."""
    panels = grafana.boards[OPERATIONS]["dashboard"]["panels"]
    panels[:] = [panel for panel in panels if panel["title"] != "Queue Depth"]
    found = wrong(looked(grafana, prometheus))
    assert set(found) == {"dashboard operations", "data operations"}
    assert "Queue Depth" in found["data operations"]


def test_a_query_that_asks_for_nothing(grafana: GrafanaServer, prometheus: Prometheus) -> None:
    """Also where somebody changed the metric's name, which gives no error."""
    panels = {one["title"]: one for one in grafana.boards[OPERATIONS]["dashboard"]["panels"]}
    panels["CPU"]["targets"][0]["expr"] = "system_cpu_usage"
    panels["Memory"]["targets"][0]["expr"] = "sum("
    look = looked(grafana, prometheus)["data operations"]
    assert look.state == "failed"
    assert "(CPU, Memory)" in look.said
    assert any("parse error" in line for line in look.evidence)


def test_another_refresh(grafana: GrafanaServer, prometheus: Prometheus) -> None:
    """That of a dashboard, or the least that the server allows."""
    grafana.boards[OPERATIONS]["dashboard"]["refresh"] = "5m"
    assert "Operations every 5m, expected 10s" in wrong(looked(grafana, prometheus))["refresh"]


def test_a_server_that_refreshes_more_rarely(
    grafana: GrafanaServer, prometheus: Prometheus
) -> None:
    """The dashboards are right, and the server does not do what they say."""
    grafana.least_refresh = "1m"
    found = wrong(looked(grafana, prometheus))
    assert set(found) == {"refresh"}
    assert "min_refresh_interval" in found["refresh"]


def test_a_data_source_that_is_dead(grafana: GrafanaServer, prometheus: Prometheus) -> None:
    """No dashboard shows data, whatever Prometheus itself has."""
    grafana.prometheus["metrics"] = f"http://127.0.0.1:{free_port()}"
    found = wrong(looked(grafana, prometheus))
    assert {f"data {board.name}" for board in DASHBOARDS} <= set(found)
    assert "is not healthy" in found["data operations"]


def test_a_data_source_of_another_deployment(
    grafana: GrafanaServer, prometheus: Prometheus, tmp_path: Path
) -> None:
    """It has every metric of a service of that name, and is another one."""
    with Application(scale=3) as other, scraping(tmp_path, other) as running:
        grafana.prometheus["metrics"] = running.url
        found = wrong(looked(grafana, prometheus))
    assert {f"data {board.name}" for board in DASHBOARDS} <= set(found)
    assert f"another Prometheus than {prometheus.url}" in found["data operations"]


def test_a_public_link_that_is_gone(grafana: GrafanaServer, prometheus: Prometheus) -> None:
    """Switched off, which leaves its settings as they are."""
    grafana.public[EXECUTIVE]["isEnabled"] = False
    found = wrong(looked(grafana, prometheus))
    assert set(found) == {"access executives"}
    assert "apply grafana --public" in found["access executives"]


def test_another_dashboard_that_is_public_too(
    grafana: GrafanaServer, prometheus: Prometheus
) -> None:
    """Both of its teams are told."""
    grafana.public[OPERATIONS] = {"uid": "x", "isEnabled": True, "accessToken": "f" * 32}
    found = wrong(looked(grafana, prometheus))
    assert set(found) == {"access operations", "access engineering"}
    assert "Operations is shared with the public" in found["access operations"]


def test_everybody_who_signs_in_sees_it(grafana: GrafanaServer, prometheus: Prometheus) -> None:
    """By a right of the dashboard itself, of which its folder knows nothing."""
    own = {"role": "Viewer", "permission": 1, "inherited": False}
    grafana.board_permissions[uid("business_metrics")] = [own]
    assert set(wrong(looked(grafana, prometheus))) == {"access product"}


def test_anonymous_access_is_a_persons_to_judge(
    grafana: GrafanaServer, prometheus: Prometheus
) -> None:
    """Whoever reaches the server sees what the anonymous role may see."""
    grafana.anonymous = True
    for folder in FOLDERS:
        grafana.permissions[folder.uid].append({"role": "Viewer", "permission": 1})
    found = looked(grafana, prometheus)
    assert found["access product"].state == "failed"
    assert any("anonymous access is on" in line for line in found["access product"].evidence)


@pytest.mark.parametrize("members", [{}, {"Operations": 2, "Product": 1}])
def test_a_team_without_people(
    grafana: GrafanaServer, prometheus: Prometheus, members: dict[str, int]
) -> None:
    """A right that nobody has is none."""
    grafana.members = members
    found = wrong(looked(grafana, prometheus))
    assert "team Engineering has no members" in found["access engineering"]


def test_a_team_whose_right_was_taken(grafana: GrafanaServer, prometheus: Prometheus) -> None:
    """The folder's permissions are not the contract's."""
    folder = next(folder for folder in FOLDERS if folder.teams == ("product",))
    grafana.permissions[folder.uid] = [{"role": "Editor", "permission": 1}]
    found = wrong(looked(grafana, prometheus))
    assert set(found) == {"access product"}
    assert "apply grafana" in found["access product"]


def test_a_teams_own_token_is_used(grafana: GrafanaServer, prometheus: Prometheus) -> None:
    """It sees the team's dashboards, and no others."""
    grafana.team_tokens = {"product-token": "Product"}
    token = {"GRAFANA_TOKEN_PRODUCT": "product-token"}
    found = looked(grafana, prometheus, **token)
    assert wrong(found) == {}
    assert "Business Metrics is seen with $GRAFANA_TOKEN_PRODUCT" in found["access product"].said


def test_a_teams_token_that_sees_nothing(grafana: GrafanaServer, prometheus: Prometheus) -> None:
    """Whatever the permissions say."""
    grafana.team_tokens = {"other": ""}
    found = wrong(looked(grafana, prometheus, GRAFANA_TOKEN_PRODUCT="other"))
    assert set(found) == {"access product"}
    assert "Business Metrics is not seen (status 403)" in found["access product"]


def test_a_wrong_token_fails_everything(grafana: GrafanaServer, prometheus: Prometheus) -> None:
    """In one line that does not say the token."""
    found = wrong(looked(grafana, prometheus, GRAFANA_TOKEN="glsa_wrong"))
    assert set(found) == set(GIVES)
    assert "glsa_wrong" not in str(found)
    assert "lacks the right" in found["dashboard operations"]


def test_no_dashboards_anywhere(prometheus: Prometheus) -> None:
    """Nothing is assumed where no address is known."""
    site = Site(Servers(prometheus=prometheus.url), TO, {}, lambda _: None)
    found = [look for step in STEPS for look in step.look(site)]
    assert {look.state for look in found} == {"failed"}
    assert {look.name for look in found} == set(GIVES)


def test_another_service(grafana: GrafanaServer, prometheus: Prometheus) -> None:
    """One that sends nothing here."""
    with Serving(grafana) as serving:
        servers = Servers(prometheus=prometheus.url, grafana=serving.url)
        site = Site(replace(servers, service="shop"), TO, {"GRAFANA_TOKEN": TOKEN}, lambda _: None)
        found = [look for step in STEPS for look in step.look(site)]
    assert {look.state for look in found} == {"failed"}
    assert "'shop'" in found[0].said
