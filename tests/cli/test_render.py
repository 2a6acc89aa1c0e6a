"""`otel-accubooks render`, as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from otel_accubooks.cli.commands import commands
from otel_accubooks.stack.files import REPOSITORY
from otel_accubooks.vendors.rendering import BACKENDS

ADDRESSES = REPOSITORY / "examples" / "accubooks" / "alerting.toml"


def render(*arguments: str | Path) -> Result:
    return CliRunner().invoke(commands, ["render", *map(str, arguments)])


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_s_files_are_written(backend: str, tmp_path: Path) -> None:
    """Those of the example are the repository's own; a second time changes nothing."""
    for _ in range(2):
        done = render("--backend", backend, "--out", tmp_path / "out", "--addresses", ADDRESSES)
        assert done.exit_code == 0, done.output
        assert "Left alone" not in done.output
    expected = REPOSITORY / "rendered" / backend
    names = [path.relative_to(expected) for path in expected.rglob("*") if path.is_file()]
    assert names
    for name in names:
        assert (tmp_path / "out" / name).read_text() == (expected / name).read_text()


def test_what_is_not_ours_is_left_and_named(tmp_path: Path) -> None:
    """An alert of somebody's own, or one of ours that has another name now."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.yml").write_text("groups: []")
    done = render("--backend", "prometheus", "--out", tmp_path, "--addresses", ADDRESSES)
    assert "Left alone, since they are not from here: rules/own.yml" in done.output
    assert (tmp_path / "rules" / "own.yml").read_text() == "groups: []"


def test_a_missing_file_of_addresses_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to do; nothing is written."""
    monkeypatch.chdir(tmp_path)
    done = render("--backend", "prometheus", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "there is no alerting.toml; write one" in done.output
    assert not (tmp_path / "out").exists()


def test_a_wrong_file_of_addresses_is_said(tmp_path: Path) -> None:
    """In the words of who reads it."""
    wrong = tmp_path / "alerting.toml"
    wrong.write_text("emial = 1")
    done = render("--backend", "prometheus", "--out", tmp_path / "out", "--addresses", wrong)
    assert done.exit_code == 2
    assert "unknown emial" in " ".join(done.output.split())
