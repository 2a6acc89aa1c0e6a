"""What clients and senders should not do, and any input to what reads: the short form of the drill."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.recorder.processes import record_and_die
from tests.reliability import fuzzing
from tests.reliability.hostile import MIB, Stand, answer, distinct_urls, post
from tests.reliability.hostile_senders import Attack

URLS = 10_000
FLAT = (
    40 * MIB
)  # what a process may hold more than before: connections, buffers, caches that are bounded


def test_nobody_outside_changes_what_is_counted(tmp_path: Path) -> None:
    """Answers are as the bare application's, memory rests, series are few, and totals stay exact.

    The gateway lives on, whatever it is sent.
    """
    rng = random.Random(1)
    with Stand(tmp_path) as stand:
        distinct_urls(stand.ours, 500, "warm")
        stand.wait_until_exact()
        stand.look("before")
        _, others = stand.refused_otherwise(rng)
        assert others == []
        assert answer(stand.ours, post(b"/texts/2000", b"", b"X-Round: 1"))
        assert distinct_urls(stand.ours, URLS, "one") == URLS
        ports = stand.gateway.ports
        attack = Attack(stand.gateway.otlp_url, ports.otlp_grpc, ports.statsd)
        attack.nonsense(rng, 20)
        attack.bombs(1, 2**29)
        attack.senseless()
        attack.masses(2000, 1000)
        attack.statsd(rng, 500)
        stand.holds()
        stand.look("after")
    before, after = stand.memory.seen["before"], stand.memory.seen["after"]
    for who in ("application", "exporter"):
        assert after[who] - before[who] < FLAT, (who, before, after)
    assert after["gateway"] < 512 * MIB


EASY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@EASY
@given(fuzzing.queries)
def test_any_query_has_a_verb(query: object) -> None:
    """Text or bytes, however it is broken."""
    fuzzing.sql_holds(query)


@EASY
@given(fuzzing.rules_texts)
def test_any_rules_file_is_read_or_refused(text: str) -> None:
    """With the line of each fault."""
    fuzzing.rules_hold(text)


@EASY
@given(fuzzing.environments)
def test_any_settings_can_be_used(env: dict[str, str]) -> None:
    """What is wrong is one line; what was to close something does not leave it open."""
    fuzzing.settings_hold(env)


@EASY
@given(fuzzing.pages)
def test_any_page_reads_back_equal(points: list[fuzzing.Point]) -> None:
    """Number for number, in both formats."""
    fuzzing.exposition_holds(points)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return fuzzing.good_segment(tmp_path_factory.mktemp("good"), record_and_die)


@EASY
@given(contents=fuzzing.folders, as_base=st.booleans())
def test_any_files_are_added_up_once(good: bytes, contents: list[bytes], as_base: bool) -> None:
    """Whatever is in a service's folder: what is whole counts, once, and can be sent and shown."""
    fuzzing.merging_holds(contents, good, as_base)
