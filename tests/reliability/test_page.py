"""Sections of docs/reliability.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.page import write

WHOLE = "# Reliability\n\n## Outages\n\nold\n\n## Long run\n\nkept\n"


def test_a_section_is_replaced_and_others_stay(tmp_path: Path) -> None:
    """Twice the same: what was there goes, and nothing grows."""
    page = tmp_path / "page.md"
    page.write_text(WHOLE)
    for text in ("first", "second"):
        write("Outages", text, page)
    whole = page.read_text()
    assert whole.startswith("# Reliability\n\n## Outages\n\nsecond\n\nSeen ")
    assert whole.endswith(".\n\n## Long run\n\nkept\n")
    write("Long run", "last", page)
    assert page.read_text().count("\n## ") == 2


def test_an_unknown_heading_is_an_error(tmp_path: Path) -> None:
    """Figures that nobody would find are not written."""
    page = tmp_path / "page.md"
    page.write_text(WHOLE)
    with pytest.raises(LookupError, match="## Nowhere"):
        write("Nowhere", "text", page)
    assert page.read_text() == WHOLE
