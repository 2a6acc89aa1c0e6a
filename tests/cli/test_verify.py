"""`otel-accubooks verify` as a person meets it: exit codes, questions, and the report in any case."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args

import pytest

from otel_accubooks.cli.verify import run
from otel_accubooks.contract.checklist import LookName
from otel_accubooks.servers.settings import Servers
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.verify.look import Look, State
from otel_accubooks.verify.way import Site, Step
from otel_accubooks.verify.ways import WAYS

TO = Addresses(("a@books.example",), ("b@books.example",), "https://books.example")
NAMES: tuple[LookName, ...] = get_args(LookName)
Looking = Callable[[Site], Iterable[Look]]


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> Callable[[Looking], None]:
    """Has a backend looked at by one step that gives every name."""

    def choose(look: Looking) -> None:
        monkeypatch.setitem(WAYS, "prometheus", lambda: (Step("everything", NAMES, look),))

    return choose


def looks(**states: State) -> Looking:
    """All of them passed, but for `states` by name."""
    return lambda _: [Look(name, states.get(name, "passed"), f"so is {name}") for name in NAMES]


def verify(folder: Path, **options: Any) -> tuple[int, Any]:
    """The exit code, and the content of the report."""
    code = run(Servers(), TO, folder=folder, operator="Ada", **options)
    (report,) = folder.glob("*.json")
    assert "Monitoring Setup Verification" in report.with_suffix(".md").read_text()
    return code, json.loads(report.read_text())


def test_every_box_checked_is_success(
    way: Callable[[Looking], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0; not on a terminal there are plain lines, without colour."""
    way(looks())
    code, report = verify(tmp_path)
    assert (code, report["decision"]) == (0, "SUCCESS")
    told = capsys.readouterr().out
    assert "[1/1] everything\n" in told
    assert told.endswith("SUCCESS: every box is checked.\n")
    assert "\x1b" not in told


def test_one_box_left_is_incomplete(
    way: Callable[[Looking], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1, and what is missing is said in a line."""
    way(looks(retention="failed"))
    code, report = verify(tmp_path)
    assert (code, report["decision"]) == (1, "INCOMPLETE")
    told = capsys.readouterr().out
    assert "  [ ] Metrics retention is at least 30 days\n" in told
    assert told.endswith("what is missing, and what to do:\n- retention: so is retention\n")


@pytest.mark.parametrize(
    ("typed", "code"),
    [("y\n", 0), ("YES\n", 0), ("n\n", 1), ("", 1), ("perhaps\ny\n", 0), ("perhaps\n", 1)],
)
def test_what_cannot_be_seen_is_asked(
    way: Callable[[Looking], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    code: int,
) -> None:
    """One line for each answer; no answer is none."""
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    way(looks(**{"channel phone": "unseen"}))
    found, report = verify(tmp_path, confirm=True)
    assert found == code
    (phone,) = {
        look["confirmed_by"]
        for section in report["sections"]
        for box in section["boxes"]
        for look in box["looks"]
        if look["name"] == "channel phone"
    }
    assert phone == ("Ada" if code == 0 else None)


def test_nobody_is_asked_without_being_told_to(
    way: Callable[[Looking], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What cannot be seen stays unchecked, and --confirm is named."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    way(looks(**{"channel phone": "unseen"}))
    assert verify(tmp_path)[0] == 1
    assert capsys.readouterr().out.endswith("asked with --confirm.\n")


def test_an_interrupted_one_leaves_a_report(way: Callable[[Looking], None], tmp_path: Path) -> None:
    """Exit 130; it says so, and is no success."""

    def look(_: Site) -> list[Look]:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
        return []

    way(look)
    code, report = verify(tmp_path)
    assert code == 130
    assert (report["decision"], report["interrupted"]) == ("INCOMPLETE", True)


def test_a_folder_that_cannot_be_written_is_told_first(
    way: Callable[[Looking], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, and nothing was looked at."""
    looked: list[Site] = []
    way(lambda site: looked.append(site) or [])  # type: ignore[func-returns-value]
    file = tmp_path / "file"
    file.touch()
    assert run(Servers(), TO, folder=file / "evidence") == 2
    assert looked == []
    assert "cannot be written" in capsys.readouterr().out


def test_a_folder_that_is_lost_meanwhile_is_no_success(
    way: Callable[[Looking], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a report nobody can sign; one line says so."""
    folder = tmp_path / "evidence"

    def lose(_: Site) -> Iterable[Look]:
        shutil.rmtree(folder)
        return looks()(_)

    way(lose)
    assert run(Servers(), TO, folder=folder) == 2
    told = capsys.readouterr().out
    assert "what was seen is lost" in told
    assert "SUCCESS" not in told


def test_a_way_that_cannot_be_gone_is_incomplete(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A report all the same, and no traceback."""

    def none() -> Any:
        raise RuntimeError("no such way")

    monkeypatch.setitem(WAYS, "prometheus", none)
    code, report = verify(tmp_path)
    assert (code, report["decision"]) == (1, "INCOMPLETE")


def test_secrets_of_the_environment_stay_there(
    way: Callable[[Looking], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the report nor on the screen."""
    monkeypatch.setenv("GRAFANA_TOKEN", "battery-staple")
    way(lambda site: [Look("pair", "failed", f"{site.environ['GRAFANA_TOKEN']} was refused")])
    verify(tmp_path)
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "… was refused" in written
    assert os.environ["GRAFANA_TOKEN"] not in written
