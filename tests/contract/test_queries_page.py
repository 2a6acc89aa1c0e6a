"""docs/queries.md, which explains the algebra."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from otel_accubooks.contract.query import Query

PAGE = (Path(__file__).parents[2] / "docs" / "queries.md").read_text("utf-8")


@pytest.mark.parametrize("node", get_args(Query), ids=lambda node: node.__name__)
def test_every_kind_of_question_is_explained(node: type) -> None:
    """With its meaning, and what Prometheus makes of it."""
    assert f"\n| `{node.__name__}` |" in PAGE
