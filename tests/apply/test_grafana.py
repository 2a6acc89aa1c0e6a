"""Grafana's folders, permissions and dashboards over HTTP, as its documented API answers."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
from grafana_server import TOKEN, GrafanaServer, Serving

from otel_accubooks.apply.change import Change
from otel_accubooks.apply.grafana import changes
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.servers.api import Api, ApiError
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.grafana.folders import FOLDERS, MARK, uid

TO = Addresses(
    email=("on-call@example.com",),
    escalation_email=("cto@example.com",),
    application="https://books.example",
    runbooks="https://runbooks.example",
)
OPERATIONS = uid("operations")
EXECUTIVE = uid("executive_overview")


@pytest.fixture
def grafana() -> GrafanaServer:
    """A new Grafana that knows one Prometheus."""
    new = GrafanaServer()
    new.add_data_source("logs", "loki", default=True)
    new.add_data_source("metrics")
    return new


@pytest.fixture
def api(grafana: GrafanaServer) -> Iterator[Api]:
    """Its API, with the token of a service account."""
    with Serving(grafana) as serving:
        api = Api(serving.url, {"Authorization": f"Bearer {TOKEN}"})
        yield api
        api.close()


def apply(api: Api, *, public: bool = False) -> list[Change]:
    """Carries out what is to be changed; all changes, the kept ones among them."""
    every = []
    for change in changes(api, TO, public=public):
        if change.action != "keep":
            change.carry_out()
        every.append(change)
    return every


def changed(every: list[Change]) -> list[tuple[str, str, str]]:
    return [(one.action, one.kind, one.name) for one in every if one.action != "keep"]


def test_a_new_grafana_gets_every_dashboard_in_the_folder_of_its_teams(
    grafana: GrafanaServer, api: Api
) -> None:
    """Four dashboards, by their uids."""
    assert {one.action for one in apply(api)} == {"create", "update"}
    places = {name: board["meta"]["folderUid"] for name, board in grafana.boards.items()}
    assert places == {uid(b.name): folder.uid for folder in FOLDERS for b in folder.boards}
    assert len(places) == len(DASHBOARDS)


def test_only_the_teams_of_a_folder_may_look_into_it(grafana: GrafanaServer, api: Api) -> None:
    """The executive one is everybody's; nobody but administrators may change any."""
    apply(api)
    seen = {
        folder.title: [
            (item.get("role") or grafana.teams[item["teamId"]], item["permission"])
            for item in grafana.permissions[folder.uid]
        ]
        for folder in FOLDERS
    }
    assert seen == {
        "AccuBooks Executives": [("Viewer", 1)],
        "AccuBooks Operations and Engineering": [("Operations", 1), ("Engineering", 1)],
        "AccuBooks Engineering": [("Engineering", 1)],
        "AccuBooks Product": [("Product", 1)],
    }


def test_a_second_time_everything_is_kept(grafana: GrafanaServer, api: Api) -> None:
    """Whatever Grafana has added by itself: nothing is written."""
    first = apply(api, public=True)
    grafana.writes.clear()
    second = apply(api, public=True)
    assert changed(second) == []
    assert [(one.kind, one.name) for one in second] == [(one.kind, one.name) for one in first]
    assert grafana.writes == []


def test_asking_what_would_change_writes_nothing(grafana: GrafanaServer, api: Api) -> None:
    """Of an empty Grafana, and of one that has everything but for a difference."""
    assert changed(list(changes(api, TO, public=True)))
    assert grafana.writes == []
    apply(api)
    grafana.boards[OPERATIONS]["dashboard"]["refresh"] = "1d"
    grafana.writes.clear()
    (update,) = (one for one in changes(api, TO) if one.action != "keep")
    assert {'+  "refresh": "10s",', '-  "refresh": "1d",'} < set(update.difference)
    assert grafana.writes == []


def test_a_dashboard_that_was_changed_is_changed_back(grafana: GrafanaServer, api: Api) -> None:
    """A panel taken away, and a dashboard in another folder."""
    apply(api)
    board = copy.deepcopy(grafana.boards[OPERATIONS]["dashboard"])
    number = len(board["panels"])
    board["panels"].pop()
    grafana.save(board, FOLDERS[0].uid)
    assert changed(apply(api)) == [("update", "dashboard", "Operations")]
    there = grafana.boards[OPERATIONS]
    assert (len(there["dashboard"]["panels"]), there["dashboard"]["version"]) == (number, 3)
    assert there["meta"]["folderUid"] == FOLDERS[1].uid


def test_who_saves_in_between_is_not_overwritten(grafana: GrafanaServer, api: Api) -> None:
    """Grafana refuses what was compared with an older version, and the message says so."""
    apply(api)
    grafana.boards[OPERATIONS]["dashboard"]["refresh"] = "1d"
    (update,) = (one for one in changes(api, TO) if one.action == "update")
    grafana.save(grafana.boards[OPERATIONS]["dashboard"] | {"refresh": "2d"}, FOLDERS[1].uid)
    with pytest.raises(ApiError, match=r"412 .*changed by someone else"):
        update.carry_out()
    assert grafana.boards[OPERATIONS]["dashboard"]["refresh"] == "2d"


def test_a_dashboard_of_ours_that_is_no_longer_wanted_is_deleted(
    grafana: GrafanaServer, api: Api
) -> None:
    """Other people's, and copies that they made of ours, stay."""
    apply(api)
    grafana.save({"uid": "accubooks-old", "title": "Old", "tags": [MARK]})
    grafana.save({"uid": "x7Gh2", "title": "A copy", "tags": [MARK]})
    grafana.save({"uid": "accubooks-of-mine", "title": "Mine", "tags": []})
    assert changed(apply(api)) == [("delete", "dashboard", "Old")]
    assert {"x7Gh2", "accubooks-of-mine"} < grafana.boards.keys()


def test_a_team_that_is_there_is_used(grafana: GrafanaServer, api: Api) -> None:
    """Its members may look: no second team of the name is made."""
    grafana.teams = {5: "Engineering", 6: "Engineering managers"}
    apply(api)
    assert sorted(grafana.teams.values()) == [
        "Engineering", "Engineering managers", "Operations", "Product"
    ]  # fmt: skip
    assert {"teamId": 5, "permission": 1} in grafana.permissions[FOLDERS[2].uid]


def test_permissions_that_were_widened_are_taken_back(grafana: GrafanaServer, api: Api) -> None:
    """Those of administrators, and what is inherited, do not count."""
    apply(api)
    there = grafana.permissions[FOLDERS[3].uid]
    there += [
        {"role": "Admin", "permission": 4},
        {"role": "Viewer", "permission": 1, "inherited": True},
    ]
    assert changed(apply(api)) == []
    there.append({"role": "Editor", "permission": 2})
    assert changed(apply(api)) == [("update", "permissions of", "AccuBooks Product")]
    assert [set(item) for item in grafana.permissions[FOLDERS[3].uid]] == [{"teamId", "permission"}]


def test_a_folder_keeps_its_name(grafana: GrafanaServer, api: Api) -> None:
    """It is known by its uid, whatever somebody called it."""
    apply(api)
    grafana.folders[FOLDERS[0].uid].update(title="Bosses", version=4)
    assert changed(apply(api)) == [("update", "folder", "AccuBooks Executives")]
    assert grafana.folders[FOLDERS[0].uid]["title"] == "AccuBooks Executives"


def test_the_executive_dashboard_is_shared_where_that_is_asked_for(
    grafana: GrafanaServer, api: Api
) -> None:
    """With nothing but itself; what somebody stopped sharing stays so until it is asked for again."""
    apply(api)
    assert grafana.public == {}
    assert changed(apply(api, public=True)) == [
        ("create", "public access to", "Executive Overview")
    ]
    assert {name for name, shared in grafana.public.items() if shared["isEnabled"]} == {EXECUTIVE}
    grafana.public[EXECUTIVE]["isEnabled"] = False
    assert changed(apply(api)) == []
    assert changed(apply(api, public=True)) == [
        ("update", "public access to", "Executive Overview")
    ]
    assert grafana.public[EXECUTIVE]["isEnabled"]


def test_the_executive_dashboard_asks_the_prometheus_that_this_grafana_has(
    grafana: GrafanaServer, api: Api
) -> None:
    """No variable chooses it: its own uid is in every query."""
    apply(api)
    panels = grafana.boards[EXECUTIVE]["dashboard"]["panels"]
    asked = {target["datasource"]["uid"] for panel in panels for target in panel.get("targets", [])}
    assert asked == {"metrics"}


@pytest.mark.parametrize(
    ("known", "message"),
    [([], "no data sources .*: add the one"), (["a", "b"], "2 data sources .*: make one of them")],
)
def test_a_grafana_without_the_one_prometheus_is_refused(
    grafana: GrafanaServer, api: Api, known: list[str], message: str
) -> None:
    """Before anything is written."""
    grafana.data_sources.clear()
    for name in known:
        grafana.add_data_source(name)
    with pytest.raises(ApiError, match=message):
        apply(api)
    assert grafana.writes == []


def test_of_several_the_default_is_asked(grafana: GrafanaServer, api: Api) -> None:
    """As Grafana itself does where nobody chooses."""
    grafana.add_data_source("chosen", default=True)
    apply(api)
    assert grafana.boards[EXECUTIVE]["dashboard"]["panels"][1]["datasource"]["uid"] == "chosen"


def test_a_wrong_token_is_said_in_one_line(grafana: GrafanaServer) -> None:
    """With what to look at."""
    with Serving(grafana) as serving:
        api = Api(serving.url, {"Authorization": "Bearer wrong"})
        with pytest.raises(ApiError, match=r"401 .*the key or token lacks the right"):
            next(changes(api, TO))
        api.close()


def test_a_provisioned_dashboard_is_left_to_its_files(grafana: GrafanaServer, api: Api) -> None:
    """Grafana refuses to save it; equal as it is, it is kept, and the folders get their rights."""
    apply(api)
    for board in grafana.boards.values():
        board["meta"]["provisioned"] = True
    assert changed(apply(api)) == []
    grafana.boards[OPERATIONS]["dashboard"]["refresh"] = "1d"
    with pytest.raises(ApiError, match="Cannot save provisioned dashboard"):
        apply(api)
