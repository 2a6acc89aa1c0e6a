"""Names in rules that are nowhere, judged by the source alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_accubooks.doctor.rules import absent


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("shop.orders.Refused", True),
        ("shop.orders.Gone", False),
        ("shop.nowhere.Refused", False),
        ("nowhere.Refused", False),
        ("shop.Anything", True),  # it takes what it has from elsewhere
        ("shop.orders.Order.Inner", True),  # a class within a class: nobody can tell
        ("builtins.ValueError", True),
        ("builtins.ValuError", False),
        ("json.JSONDecodeError", True),
    ],
)
def test_absent(tmp_path: Path, name: str, there: bool) -> None:
    """What is not there is said; of what nobody can tell nothing is."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("from shop.orders import *\n")
    (tmp_path / "shop" / "orders.py").write_text("class Refused(Exception): ...\n")
    assert (absent(name, [tmp_path]) == "") is there
