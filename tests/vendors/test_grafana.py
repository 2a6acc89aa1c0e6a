"""Grafana's dashboards: every panel of the contract, as Grafana and Prometheus take it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard as Parsed
from promtool import promtool

from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.contract.panel import Dashboard, Panel
from otel_accubooks.stack.files import REPOSITORY
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.grafana import files
from otel_accubooks.vendors.grafana.folders import FOLDERS, uid
from otel_accubooks.vendors.grafana.units import grafana_unit
from otel_accubooks.vendors.promql import duration

Json = dict[str, Any]

FILES = files(
    Addresses(
        email=("on-call@example.com",),
        escalation_email=("cto@example.com",),
        application="https://books.example",
        runbooks="https://runbooks.example/",
    )
)
MADE: dict[str, Json] = {
    board["uid"]: board
    for board in (json.loads(text) for name, text in FILES.items() if name.endswith(".json"))
}
PANELS = [(board, panel) for board in DASHBOARDS for panel in board.panels]
PUBLIC = [board for board in DASHBOARDS if board.public]
OTHERS = [board for board in DASHBOARDS if not board.public]
KINDS = {
    "lines": "timeseries", "bars": "timeseries", "stat": "stat", "gauge": "gauge",
    "pie": "piechart", "status": "stat", "alerts": "table",
}  # fmt: skip
COLOURS = {"transparent": "", "green": "", "yellow": "yellow", "red": "red"}

every_panel = pytest.mark.parametrize(
    ("board", "panel"), PANELS, ids=[f"{board.name}-{panel.title}" for board, panel in PANELS]
)
every_board = pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.name)


def made(board: Dashboard, panel: Panel) -> Json:
    (found,) = (one for one in shown(board) if one["title"] == panel.title)
    return found


def shown(board: Dashboard) -> list[Json]:
    return [one for one in MADE[uid(board.name)]["panels"] if one["type"] != "row"]


def expressions(board: Dashboard) -> Iterator[str]:
    for panel in shown(board):
        yield from (target["expr"] for target in panel["targets"])


def test_the_uids_are_those_of_every_version() -> None:
    """Another uid would be a second dashboard beside the first, and break everybody's links."""
    assert set(MADE) == {
        "accubooks-executive-overview",
        "accubooks-operations",
        "accubooks-database-performance",
        "accubooks-business-metrics",
    }


@every_board
def test_every_panel_is_there_in_its_section(board: Dashboard) -> None:
    """In the contract's order, under the contract's headings, each as Grafana's kind of it."""
    told = [
        ("row" if isinstance(one, str) else KINDS[one.kind], one if isinstance(one, str) else one.title)
        for section in board.sections
        for one in (section.title, *section.panels)
    ]  # fmt: skip
    found = [
        (one["type"], one["title"].partition(", $")[0]) for one in MADE[uid(board.name)]["panels"]
    ]
    assert found == told


@every_board
def test_panels_fill_the_width_and_do_not_overlap(board: Dashboard) -> None:
    """Every cell of the grid belongs to one panel at most, every line of panels is 24 wide."""
    cells: list[tuple[int, int]] = []
    for one in MADE[uid(board.name)]["panels"]:
        place = one["gridPos"]
        cells += [
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        ]
    bottom = max(y for _, y in cells) + 1
    assert sorted(cells) == sorted((x, y) for x in range(24) for y in range(bottom))


@every_board
def test_the_sdk_reads_what_it_wrote(board: Dashboard) -> None:
    """Nothing is in the file that its model of a dashboard does not know."""
    told = MADE[uid(board.name)]
    read = json.loads(json.dumps(Parsed.from_json(told), cls=JSONEncoder))
    for link in read["links"]:
        del link["placement"]  # it says one for every link, asked or not
    assert read == told


@every_board
def test_times_are_those_of_the_contract(board: Dashboard) -> None:
    """Refresh, range, and the other ranges at hand."""
    told = MADE[uid(board.name)]
    assert told["refresh"] == duration(board.refresh)
    assert told["time"] == {"from": f"now-{duration(board.span)}", "to": "now"}
    ranges = [one["from"] for one in told.get("timepicker", {}).get("quick_ranges", [])]
    assert set(ranges) == {f"now-{duration(span)}" for span in board.spans}


def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    """promtool parses each of them as a recording rule, and the query of the services' names."""
    every = {expression for board in DASHBOARDS for expression in expressions(board)}
    rules = [{"record": f"panel:{i}", "expr": one} for i, one in enumerate(sorted(every))]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(every)} rules found" in promtool("check", "rules", path)


@every_panel
def test_every_curve_is_asked_and_named(board: Dashboard, panel: Panel) -> None:
    """One query each, with the contract's name and Grafana's form of a label in it."""
    targets = made(board, panel)["targets"]
    assert len(targets) == max(1, len(panel.curves))
    assert len({target["refId"] for target in targets}) == len(targets)
    for curve, target in zip(panel.curves, targets, strict=False):
        name = curve.name.replace("{", "{{").replace("}", "}}")
        alone = "{{job}}" if curve.name == panel.title else f"{name}, {{{{job}}}}"
        assert target["legendFormat"] == (alone if board.public else name)


@every_panel
def test_what_changes_is_asked_over_time_and_what_is_now_once(
    board: Dashboard, panel: Panel
) -> None:
    """A number asked over time would cost as many evaluations as the panel is wide."""
    over_time = panel.kind in ("lines", "bars")
    for target in made(board, panel)["targets"]:
        assert (target["range"], target["instant"]) == (over_time, not over_time)


@every_panel
def test_colours_change_where_the_contract_says(board: Dashboard, panel: Panel) -> None:
    """At each threshold and on both sides of it; below, where less is worse."""
    defaults = made(board, panel)["fieldConfig"]["defaults"]
    if not panel.thresholds:
        assert len(defaults.get("thresholds", {}).get("steps", [None])) == 1
        return
    steps = defaults["thresholds"]["steps"]
    assert steps[0]["value"] is None
    assert {step["value"] for step in steps[1:]} == {one.value for one in panel.thresholds}
    for value in (one.value + aside for one in panel.thresholds for aside in (-0.01, 0.01)):
        passed = {
            one.colour
            for one in panel.thresholds
            if (value < one.value if one.below else value > one.value)
        }
        worst = "red" if "red" in passed else "yellow" if passed else ""
        step = [one for one in steps if one["value"] is None or one["value"] <= value][-1]
        assert COLOURS[step["color"]] == worst
    if panel.kind in ("lines", "bars"):
        assert defaults["custom"]["thresholdsStyle"] == {"mode": "line+area"}


@every_panel
def test_units_and_limits_are_grafanas(board: Dashboard, panel: Panel) -> None:
    """A gauge goes from 0 to the contract's most; an axis names what Grafana has no unit for."""
    defaults = made(board, panel)["fieldConfig"]["defaults"]
    if panel.kind not in ("status", "alerts"):
        assert defaults["unit"] == grafana_unit(panel.unit)
    if panel.kind == "gauge":
        assert (defaults["min"], defaults["max"]) == (0, panel.most)
    if panel.kind in ("lines", "bars") and panel.unit.startswith("{"):
        assert defaults["custom"]["axisLabel"] == re.sub(r"[{}]", "", panel.unit)


def test_a_unit_that_nobody_mapped_is_refused() -> None:
    """A number without its unit would be shown otherwise."""
    with pytest.raises(ValueError, match="no unit of Grafana's is known for 'furlong'"):
        grafana_unit("furlong")


@every_panel
def test_a_panel_leads_to_the_runbooks_of_its_alerts(board: Dashboard, panel: Panel) -> None:
    """At least to those whose thresholds it draws; every address is that of an alert."""
    links = {link["title"]: link["url"] for link in made(board, panel).get("links", [])}
    assert (
        links.items()
        <= {
            f"Runbook {alert.name}": f"https://runbooks.example/{alert.name}.md" for alert in ALERTS
        }.items()
    )
    drawn = {(one.value, one.below) for one in panel.thresholds}
    conditions = {
        (condition.threshold, condition.comparison == "<")
        for alert in ALERTS
        if f"Runbook {alert.name}" in links
        for condition in alert.conditions
    }
    assert drawn <= conditions


def test_the_alerts_lead_to_their_runbooks() -> None:
    """Each row of the table, by the name in it."""
    (table,) = (one for board in PUBLIC for one in shown(board) if one["type"] == "table")
    links = [
        link
        for override in table["fieldConfig"]["overrides"]
        for prop in override["properties"]
        if prop["id"] == "links"
        for link in prop["value"]
    ]
    assert [link["url"] for link in links] == ["https://runbooks.example/${__value.raw}.md"]


@pytest.mark.parametrize("board", OTHERS, ids=lambda board: board.name)
def test_each_chosen_service_has_rows_of_its_own(board: Dashboard) -> None:
    """Every selector of ours keeps to the chosen service, every section is repeated for each."""
    told = MADE[uid(board.name)]
    assert [one["name"] for one in told["templating"]["list"]] == ["datasource", "job"]
    rows = [one for one in told["panels"] if one["type"] == "row"]
    assert {row["repeat"] for row in rows} == {"job"}
    names = "|".join(metric.name for metric in METRICS)
    for expression in expressions(board):
        selectors = re.findall(rf"\b(?:{names})(?:_bucket|_sum|_count)?\b(.{{0,12}})", expression)
        assert set(selectors) == {'{job=~"$job"'}


@pytest.mark.parametrize("board", PUBLIC, ids=lambda board: board.name)
def test_a_public_dashboard_has_nothing_that_grafana_does_not_share(board: Dashboard) -> None:
    """No variables, annotations or library panels; data of one data source with a uid alone."""
    told = MADE[uid(board.name)]
    assert told["templating"] == {"list": []}
    assert told["annotations"] == {"list": []}
    assert not told.get("links")
    for panel in shown(board):
        assert panel["type"] != "alertlist"
        assert "libraryPanel" not in panel
        assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            assert "$" not in target["expr"]
            assert not target.get("exemplar")


def test_every_dashboard_is_provisioned_into_the_folder_of_its_teams() -> None:
    """Each folder of files has a provider, and each provider a folder of files."""
    providers = yaml.safe_load(FILES["provisioning/dashboards/accubooks.yml"])["providers"]
    places = {
        one["options"]["path"].removeprefix("${ACCUBOOKS_DASHBOARDS}/"): one["folderUid"]
        for one in providers
    }
    assert places == {folder.name: folder.uid for folder in FOLDERS}
    found = {Path(name).parts[1] for name in FILES if name.startswith("dashboards/")}
    assert found == places.keys()
    assert all(len(one) <= 40 for one in (*MADE, *places.values()))


def test_grafana_in_a_container_is_given_what_its_files_name() -> None:
    """Variables that are not set would be empty, and the folder of dashboards `/`."""
    compose = yaml.safe_load((REPOSITORY / "collector/deploy/compose.yaml").read_text())
    environment = compose["services"]["grafana"]["environment"]
    named = {name for text in FILES.values() for name in re.findall(r"\$\{([A-Z_]+)\}", text)}
    assert named == {"ACCUBOOKS_DASHBOARDS", "PROMETHEUS_URL"}
    assert named <= environment.keys()
    (mount,) = (v for v in compose["services"]["grafana"]["volumes"] if "rendered" in v)
    place = mount.split(":")[1]
    assert environment["ACCUBOOKS_DASHBOARDS"] == f"{place}/dashboards"
    assert environment["GF_PATHS_PROVISIONING"] == f"{place}/provisioning"


def test_a_new_kind_of_panel_fails_the_type_check(tmp_path: Path) -> None:
    """Whoever adds one to the contract is told that Grafana has none for it yet."""
    source = REPOSITORY / "otel_accubooks/contract/panel.py"
    shadow = tmp_path / "panel.py"
    shadow.write_text(source.read_text().replace('Literal["lines",', 'Literal["map", "lines",'))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path}"),
            *("--follow-imports=silent", "--ignore-missing-imports"),
            *("--shadow-file", str(source), str(shadow)),
            "otel_accubooks/vendors/grafana/kinds.py",
        ],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 2, done.stdout + done.stderr
    assert all("kinds.py" in line and "Missing return statement" in line for line in errors)
