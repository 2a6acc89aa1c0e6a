"""What is written from the contract is what stands in the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_accubooks.cli.reference import PAGES

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_up_to_date(name: str) -> None:
    """A changed metric or setting changes its page: run `make docs`."""
    assert (DOCS / name).read_text("utf-8") == PAGES[name]()
