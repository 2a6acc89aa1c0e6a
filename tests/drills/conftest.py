"""The stand of a file's drills, and the table of what was seen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table
from stand import Stand

from otel_accubooks.contract.alerts import BY_NAME

PAGE = Path(__file__).parents[2] / "docs" / "drills.md"
MARK = "<!-- From here on written by `make drills WRITE_TABLE=1`. -->"
COLUMNS = ("alert", "fault", "pending", "firing", "resolved", "fired too")


@pytest.fixture(scope="module")
def stand(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stand]:
    """Of the file's DRILLS, with the file's STAND as arguments."""
    folder = tmp_path_factory.mktemp("stand")
    options = getattr(request.module, "STAND", {})
    with Stand(folder, request.module.DRILLS, **options) as made:
        yield made


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "drill" in metafunc.fixturenames:
        metafunc.parametrize("drill", metafunc.module.DRILLS, ids=str)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    table = Table(title="Fault drills", title_justify="left")
    for name in COLUMNS:
        table.add_column(name)
    order = list(BY_NAME)
    seen = [
        row
        for report in terminalreporter.getreports("passed")
        for name, row in report.user_properties
        if name == "drill" and report.when == "call"
    ]
    lines = [
        [row[column] for column in COLUMNS]
        for row in sorted(seen, key=lambda row: order.index(row["alert"]))
    ]
    for line in lines:
        table.add_row(*line)
    if table.row_count:
        Console(width=160).print(table)
    if os.environ.get("WRITE_TABLE") and {line[0] for line in lines} == set(order):
        write(lines)


def write(lines: list[list[str]]) -> None:
    """Puts the table, where every alert was seen, below the mark in the page about them."""
    told = PAGE.read_text().partition(MARK)[0] + MARK + "\n\n"
    for cells in (COLUMNS, ["---"] * len(COLUMNS), *lines):
        told += f"| {' | '.join(cells)} |\n"
    PAGE.write_text(told)
