"""Names in rules that are nowhere, judged by the source alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_accubooks.doctor.rules import absent, may_read


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


def test_who_may_read_the_rules(tmp_path: Path) -> None:
    """The rights of the file and of its folders count, by owner, group and others; root reads all."""
    path = tmp_path / "rules.toml"
    path.write_text("")
    another = path.stat().st_uid + 1
    path.chmod(0o600)
    assert may_read(path, 0, ())
    assert not may_read(path, another, ())
    path.chmod(0o644)
    tmp_path.chmod(0o700)
    assert not may_read(path, another, ())
    assert may_read(Path("/etc/passwd"), another, ())
