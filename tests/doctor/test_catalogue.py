"""The list of all that can be found, and its page."""

from __future__ import annotations

import re
from pathlib import Path

from otel_accubooks.doctor import catalogue
from otel_accubooks.doctor.finding import SEVERITIES, Kind

ROOT = Path(__file__).parents[2]


def test_every_kind_has_an_id_of_its_own() -> None:
    """Two faults never go by one id, in any module."""
    found: dict[str, Kind] = {}
    for _, module in catalogue.SUBJECTS:
        for kind in vars(module).values():
            if isinstance(kind, Kind):
                assert found.setdefault(kind.id, kind) is kind
    assert found.keys() == catalogue.kinds().keys()


def test_every_kind_is_told_in_lines() -> None:
    """Each says what it is, what was expected and what to do, in one line."""
    for kind in catalogue.kinds().values():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", kind.id)
        assert kind.severity in SEVERITIES
        for text in (kind.about, kind.expected, kind.fix):
            assert text
            assert "\n" not in text


def test_every_module_is_in_it() -> None:
    """No module with findings is forgotten."""
    package = Path(catalogue.__file__).parent
    having = {
        p.stem for p in package.glob("*.py") if re.search(r"^\w+ = Kind\(", p.read_text(), re.M)
    }
    assert having == {module.__name__.rpartition(".")[2] for _, module in catalogue.SUBJECTS}


def test_the_page_is_the_one_in_the_documentation() -> None:
    """docs/doctor.md is written from the code: `make docs`."""
    page = (ROOT / "docs" / "doctor.md").read_text()
    assert page.endswith(catalogue.page())
