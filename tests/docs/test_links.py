"""What a page leads to is there."""

from __future__ import annotations

import re

import pytest

from otel_accubooks.stack.files import REPOSITORY
from tests.docs.pages import anchors, blocks, inline_code, links, pages

_PATH = re.compile(r"(?:docs|collector|examples|deploy|rendered|tests|otel_accubooks)/[\w./-]+")
_PAGES = set(pages())


def missing(page: str) -> list[str]:
    """The links of a page that lead nowhere in the repository."""
    found = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (REPOSITORY / page).parent.joinpath(path).resolve() if path else REPOSITORY / page
        name = str(target.relative_to(REPOSITORY))
        if not target.exists() or (anchor and (name not in _PAGES or anchor not in anchors(name))):
            found.append(link)
    return found


@pytest.mark.parametrize("page", pages())
def test_every_link_leads_somewhere(page: str) -> None:
    """Files exist, and pages have the headings that links name."""
    assert missing(page) == []


@pytest.mark.parametrize("page", pages())
def test_every_file_that_is_named_is_there(page: str) -> None:
    """Paths that stand in a sentence exist, in the repository or beside the page."""
    for code in inline_code(page):
        if _PATH.fullmatch(code.text):
            beside = (REPOSITORY / page).parent / code.text
            assert (REPOSITORY / code.text).exists() or beside.exists(), f"{code}: {code.text}"


def test_every_page_is_led_to() -> None:
    """Nobody has to guess that a page exists: README or another page names it, or its folder."""
    led_to = {page for page in pages() if "/" not in page or page.endswith("README.md")}
    for page in pages():
        folder = (REPOSITORY / page).parent
        for link in links(page):
            path = link.partition("#")[0]
            if path and not re.match(r"[a-z]+:", link):
                led_to.add(str((folder / path).resolve().relative_to(REPOSITORY)))
        led_to |= {code.text for code in inline_code(page) if code.text.startswith("docs/")}
    folders = tuple(f"{path.rstrip('/')}/" for path in led_to if not path.endswith(".md"))
    assert [page for page in pages() if page not in led_to and not page.startswith(folders)] == []


def test_every_backend_is_listed() -> None:
    """The README's table names the files that there are."""
    text = (REPOSITORY / "README.md").read_text("utf-8")
    listed = set(re.findall(r"^\| `([\w-]+\.yaml)` \|", text, re.MULTILINE))
    assert listed == {path.name for path in (REPOSITORY / "collector" / "backends").iterdir()}


def test_the_rules_page_shows_one_rule_of_a_request() -> None:
    """It is an example of every kind of rule, in one block that is a whole file."""
    (example,) = [block for block in blocks("docs/rules.md") if block.language == "toml"]
    for kind in ("[user]", "[[request]]", "[[job]]", "[[exception]]", "[[log]]", "[[lookup]]"):
        assert kind in example.text
