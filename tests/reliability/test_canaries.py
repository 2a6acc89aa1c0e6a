"""Secrets and people's data are in nothing that is told: the short form of the drill."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from otel_accubooks.instrument import guard
from tests.reliability.canaries import IN_SPANS, PLACES, SLIPPED, Canaries, Stand, leaks
from tests.reliability.canary_commands import OPERATORS, QUICK, said


def test_what_is_secret_or_personal_is_in_no_output(tmp_path: Path) -> None:
    """With traces on, everywhere a text is looked for: spans say where a request went, and no more.

    The gateway takes out what the application put into its own labels.
    """
    with Stand(tmp_path, traces=True) as stand:
        stand.use(rounds=1)
        found = leaks(stand.canaries, stand.outputs())
        sent = stand.canaries.found_in(stand.sent(), slipped=False)
        slipped = set(stand.canaries.found_in(stand.sent())) & set(SLIPPED)
    where = {text.partition(" in ")[0] for text in found}
    assert where <= IN_SPANS, found
    assert all("Datadog" in text or "New Relic" in text or "_traces" in text for text in found)
    assert set(sent) <= IN_SPANS
    assert slipped == set(SLIPPED)


def test_commands_say_no_password(tmp_path: Path) -> None:
    """Not of an address that does not answer, nor a token of their environment."""
    word = Canaries(OPERATORS)
    commands = (*QUICK[-1:], ["apply", "grafana", "--dry-run"], ["soak", "--past", "--for", "1m"])
    assert leaks(word, said(commands, word, {}, tmp_path)) == []


@pytest.mark.parametrize("place", ["path", "job_result", "own_card"])
@pytest.mark.parametrize("form", ["plain", "capitals", "percent", "base64"])
def test_what_is_there_is_found(place: str, form: str) -> None:
    """The search itself: in each form in which a text may be written."""
    from base64 import b64encode

    word = Canaries((*PLACES, *SLIPPED))
    text = word[place]
    written = {
        "plain": text,
        "capitals": text.upper(),
        "percent": "".join(f"%{ord(letter):02x}" for letter in text),
        "base64": b64encode(f"x{text}y".encode()).decode(),
    }[form]
    assert word.found_in(f"a {written} b".encode()) == [place]


def test_a_fault_of_ours_does_not_say_what_the_applications_data_is(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log tells what failed, the class and the place: messages of exceptions quote what they met."""
    monkeypatch.setattr(guard, "_told", set())
    with caplog.at_level(logging.DEBUG):
        try:
            int("hunter2")
        except ValueError:
            guard.failed("reading a number")
    assert "reading a number failed; the application is not affected: ValueError" in caplog.text
    assert "test_canaries.py" in caplog.text
    assert "hunter2" not in caplog.text.replace('int("hunter2")', "")
