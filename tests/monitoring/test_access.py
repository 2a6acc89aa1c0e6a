"""Who is let in."""

from __future__ import annotations

import pytest

from otel_accubooks.monitoring import access
from otel_accubooks.monitoring.access import allowed


@pytest.mark.parametrize(
    ("authorization", "let_in"),
    [
        ("Bearer first", True),
        ("bearer  second ", True),
        ("Bearer firs", False),
        ("Bearer firstsecond", False),
        ("Basic first", False),
        ("first", False),
        ("Bearer", False),
        ("Bearer ", False),
        ("", False),
    ],
)
def test_one_of_the_tokens_lets_in(authorization: str, let_in: bool) -> None:
    """While tokens change, the old and the new one are right; nothing else is."""
    assert allowed(authorization, ("first", "second")) is let_in


def test_a_token_may_have_any_letters() -> None:
    """WSGI hands on the bytes of a header as Latin-1."""
    sent = "Bearer šlüssel".encode().decode("latin-1")
    assert allowed(sent, ("šlüssel",))
    assert not allowed("Bearer ščřž", ("šlüssel",))


def test_an_empty_token_lets_nobody_in() -> None:
    """A setting that holds commas alone."""
    assert not allowed("Bearer ", ("",))
    assert not allowed("", ("",))


@pytest.mark.parametrize("shown", ["first", "second", "f", "x" * 60_000, "ščřž", "", "firsu"])
def test_every_token_is_compared_whole(monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    """In constant time, by hashes of one length, all of them also after the right one."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(access.hmac, "compare_digest", compare)
    sent = f"Bearer {shown}".encode().decode("latin-1")
    assert allowed(sent, ("first", "second", "šlüssel")) is (shown in ("first", "second"))
    assert [{len(one), len(other)} for one, other in compared] == [{32}] * 3
