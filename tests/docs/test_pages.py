"""Every code block of the documentation does what it says: each page is read from its top to its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.elsewhere import STAND_INS
from tests.docs.pages import blocks, inline_code, pages
from tests.docs.proofs import PROOFS
from tests.docs.reading import EXECUTORS, FINDERS, SERVING, Reading, Serving
from tests.docs.spoken import STEPS, carry_out
from tests.docs.stand import Stand

# One deployment is set up and looked at in whole, on a machine that may be busy.
pytestmark = pytest.mark.timeout(900)
EVERY = [block for page in pages() for block in blocks(page)]
RUNBOOKS = [page for page in pages() if page.startswith("docs/runbooks/")]
SPOKEN = {page: [c for c in inline_code(page) if c.heading in STEPS] for page in RUNBOOKS}
TYPED = "\n".join(
    [block.text for block in EVERY if block.language in ("sh", "console")]
    + [code.text for spoken in SPOKEN.values() for code in spoken]
)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with Stand(tmp_path_factory.mktemp("stand")) as stand:
        yield stand


@pytest.mark.parametrize("page", [page for page in pages() if blocks(page)])
def test_the_page_does_what_it_says(page: str, tmp_path: Path, stand: Stand) -> None:
    """Each block is carried out, in the page's order; in a runbook the code in its steps, too."""
    with Reading(page, tmp_path, stand) as reading:
        for block in blocks(page):
            reading.run(block)
        for code in SPOKEN.get(page, ()):
            carry_out(code, reading, stand)
        if page in PROOFS:
            PROOFS[page](reading, stand)
        reading.finish()


def test_every_block_is_carried_out() -> None:
    """Each has a language that somebody carries out; none is only indented, which has none."""
    assert [
        f"{block}: {block.language!r}" for block in EVERY if block.language not in EXECUTORS
    ] == []


@pytest.mark.parametrize("name", STAND_INS)
def test_no_stand_in_is_left_over(name: str) -> None:
    """What takes the place of a command is there for a page that types it."""
    assert re.search(rf"(?:^|[\s|&;(]){re.escape(name)}(?=\s)", TYPED), name


@pytest.mark.parametrize("serving", SERVING, ids=lambda serving: serving.pattern)
def test_nobody_waits_for_what_no_page_starts(serving: Serving) -> None:
    """Each kind of server is started by some page."""
    assert re.search(serving.pattern, TYPED)


def test_a_server_that_ends_by_itself_fails_its_page(tmp_path: Path, stand: Stand) -> None:
    """It is not enough that its command could be started."""
    (block,) = blocks("docs/made-up.md", "```sh\ngunicorn app:no_such_thing\n```\n")
    ended = pytest.raises(AssertionError, match="ended by itself: gunicorn app:no_such_thing")
    with Reading(block.page, tmp_path, stand) as reading, ended:
        reading.run(block)


@pytest.mark.parametrize("command", FINDERS)
def test_what_takes_minutes_is_carried_out_once(command: str) -> None:
    """The page that is about such a command types it."""
    typed = [block.text for block in EVERY if block.page == FINDERS[command]]
    assert any(f"otel-accubooks {command}" in text for text in typed)
