"""The table of process models."""

from __future__ import annotations

import os

from models.table import PAGE, Table


def test_the_page_says_what_was_proved(table: Table) -> None:
    """Where all models ran, docs/process-models.md has their rows and no others."""
    if not table.whole:
        return  # a part of the tests proves nothing about the whole page
    if os.environ.get("WRITE_TABLE"):
        PAGE.write_text(table.page(), "utf-8")
    assert PAGE.read_text("utf-8") == table.page()
