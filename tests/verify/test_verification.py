"""What follows from what was seen: a box is checked only where every look that it needs has passed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import get_args

import pytest

from otel_accubooks.contract.checklist import ALL, TWELVE, LookName
from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.settings import Servers
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.verification import (
    Seen,
    Verification,
    confirmed,
    run_step,
)
from otel_accubooks.verify.way import Site, Step
from otel_accubooks.verify.ways import WAYS

NAMES: tuple[LookName, ...] = get_args(LookName)
MOMENT = datetime(2026, 11, 23, 2, 0, tzinfo=timezone.utc)
TO = Addresses(("a@books.example",), ("b@books.example",), "https://books.example")


def site(**environ: str) -> Site:
    return Site(Servers(), TO, environ, lambda _: None)


def verification(*looks: Look) -> Verification:
    """One that came to its end, in which everything else has passed."""
    given = {look.name for look in looks}
    others = [Look(name, "passed", "well") for name in NAMES if name not in given]
    seen = [Seen(look) for look in (*looks, *others)]
    return Verification("prometheus", "", "Ada", MOMENT, seen, MOMENT)


def test_there_are_twelve_and_all_that_is_looked_at_is_needed() -> None:
    """No look that no box needs, no box that needs nothing."""
    assert len(TWELVE.boxes) == 12
    boxes = [box for group in ALL for box in group.boxes]
    assert {name for box in boxes for name in box.needs} == set(NAMES)
    assert all(box.needs for box in boxes)


@pytest.mark.parametrize("backend", list(WAYS))
def test_every_backend_has_its_way_to_every_box(backend: str) -> None:
    """Nothing that a box needs is left out by its steps."""
    assert {name for step in WAYS[backend]() for name in step.gives} == set(NAMES)


def test_success_is_when_all_has_passed() -> None:
    """And only once it has come to its end."""
    whole = verification()
    assert whole.success
    whole.ended = None
    assert not whole.success


def test_an_interrupted_one_is_no_success() -> None:
    """Whatever was seen until then."""
    whole = verification()
    whole.interrupted = True
    assert not whole.success


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("state", ["failed", "unseen"])
def test_one_look_that_did_not_pass_is_enough(name: LookName, state: str) -> None:
    """Also where another one of the same name did."""
    one = Look(name, "failed" if state == "failed" else "unseen", "mend it")
    found = verification(Look(name, "passed", "well"), one)
    assert not found.success
    assert any("mend it" in line for line in found.wrong)


@pytest.mark.parametrize("name", NAMES)
def test_what_nobody_looked_at_has_not_passed(name: LookName) -> None:
    """A missing look is no passed one."""
    whole = verification()
    whole.seen = [seen for seen in whole.seen if seen.look.name != name]
    assert not whole.success
    assert f"{name}: nobody looked" in whole.wrong


def test_a_person_is_asked_only_what_cannot_be_seen() -> None:
    """A word makes up for that, and never for what is wrong."""
    asked: list[str] = []

    def yes(question: str) -> bool:
        asked.append(question)
        return True

    unseen, failed = (Look("channel phone", "unseen", "rang"), Look("pair", "failed", "alone"))
    seen = confirmed([unseen, failed, Look("told", "passed", "well")], yes)
    assert asked == ["rang"]
    assert [one.passed for one in seen] == [True, False, True]
    assert [one.passed for one in confirmed([unseen], lambda _: False)] == [False]
    assert [one.passed for one in confirmed([unseen], None)] == [False]


def test_a_step_that_raises_has_failed_for_all_that_it_gives() -> None:
    """Also for what it had given before, and the rest goes on: one line, no traceback."""

    def look(_: Site) -> Iterator[Look]:
        yield Look("pair", "passed", "well")
        raise ApiError("GET http://nowhere: refused")

    looks = run_step(Step("two of them", ("pair", "standby"), look), site())
    assert [(one.name, one.state) for one in looks] == [
        ("pair", "passed"),
        ("pair", "failed"),
        ("standby", "failed"),
    ]
    assert looks[-1].said == "GET http://nowhere: refused"


def test_a_fault_of_ours_is_said_in_a_line() -> None:
    """Whatever is raised, and however many lines it has."""

    def look(_: Site) -> list[Look]:
        raise KeyError("data\nof another server")

    (only,) = run_step(Step("one", ("pair",), look), site())
    assert only.state == "failed"
    assert only.said.startswith("could not be looked at: KeyError: ")
    assert "\n" not in only.said


def test_a_step_that_gives_nothing_has_failed() -> None:
    """Its name says what was not seen."""
    (only,) = run_step(Step("the second one", ("pair",), lambda _: []), site())
    assert (only.state, only.said) == ("failed", "the second one: nothing was seen of it")


def test_no_secret_is_told() -> None:
    """Neither one of the environment, nor the password of an address."""

    def look(_: Site) -> list[Look]:
        said = "refused correct-horse at https://user:battery-staple@books.example/x"
        return [Look("pair", "failed", said, (said,))]

    (only,) = run_step(Step("one", ("pair",), look), site(DD_API_KEY="correct-horse"))
    for text in (only.said, *only.evidence):
        assert text == "refused … at https://…@books.example/x"


def test_no_secret_is_told_while_looking() -> None:
    """Nor in a line about what is being done."""
    lines: list[str] = []

    def look(looked_at: Site) -> list[Look]:
        looked_at.say("waiting for http://user:battery@staple@books.example with correct-horse")
        return []

    watched = Site(Servers(), TO, {"DD_API_KEY": "correct-horse"}, lines.append)
    run_step(Step("one", ("pair",), look), watched)
    assert lines == ["waiting for http://…@books.example with …"]
