"""What is written from the contract is what stands in the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_accubooks.cli.reference import FOLDERS, generated, main

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", generated())
def test_the_file_is_up_to_date(path: str) -> None:
    """A changed metric, alert or setting changes it: run `make docs`."""
    assert (ROOT / path).read_text("utf-8") == generated()[path]


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_is_left_over(folder: str) -> None:
    """A file that nobody writes any more is gone."""
    every = (ROOT / folder).rglob("*")
    found = {str(path.relative_to(ROOT)) for path in every if path.is_file()}
    assert found == {path for path in generated() if path.startswith(f"{folder}/")}


def test_leftovers_are_removed(tmp_path: Path) -> None:
    """`make docs` cleans the folders that it fills, and writes everything."""
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "renamed.md").write_text("old")
    main(tmp_path)
    written = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert written == set(generated())
