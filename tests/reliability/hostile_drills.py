"""A day of everything that clients and senders should not do: writes its section of the page."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.recorder.processes import record_and_die
from tests.reliability import fuzzing, page
from tests.reliability.hostile import SERIES_LIMIT, Stand, answer, distinct_urls, post
from tests.reliability.hostile_senders import Attack

URLS = 1_000_000
TEXTS, AT_ONCE = 100_000, 2000
QUEUES = 3000
ROUNDS = 3
EXAMPLES = {"SQL": 50_000, "rules files": 20_000, "settings": 20_000, "pages": 5000, "merges": 5000}


def test_hostile_input(tmp_path: Path) -> None:
    """Answers as the bare application's, memory that rests, series within the limit, totals exact."""
    rng = random.Random(20261123)
    with Stand(tmp_path) as stand:
        assert answer(stand.ours, post(b"/item/1", b""))
        distinct_urls(stand.ours, 2000, "warm")
        stand.wait_until_exact()
        stand.look("before")
        broken = 0
        for _ in range(ROUNDS):
            number, others = stand.refused_otherwise(rng)
            broken += number
            assert others == []
        stand.look(f"{broken} broken requests")
        for one in range(TEXTS // AT_ONCE):
            assert answer(stand.ours, post(b"/texts/%d" % AT_ONCE, b"", b"X-Round: %d" % one), 120)
        stand.look(f"{TEXTS:,} SQL texts")
        answer(stand.ours, post(b"/queues/%d" % QUEUES, b"flood"), 120)
        stand.look(f"{QUEUES:,} queues")
        for part in range(10):
            assert distinct_urls(stand.ours, URLS // 10, f"part{part}") == URLS // 10
            if part in (0, 9):
                stand.look(f"{(part + 1) * URLS // 10:,} URLs")
        ports = stand.gateway.ports
        attack = Attack(stand.gateway.otlp_url, ports.otlp_grpc, ports.statsd)
        attack.nonsense(rng, 500)
        attack.bombs(10, 2**29)
        attack.senseless()
        stand.look("broken OTLP")
        attack.masses(100_000, 10_000)
        attack.statsd(rng, 10_000)
        stand.look("masses of series")
        distinct_urls(stand.ours, 1000, "after")
        series = stand.holds()
        page.write("Hostile input", told(stand, broken, attack, series))


SEEN = """\
gunicorn with PostgreSQL, Redis, a gateway and Prometheus; {reached:,} requests reached the application,
and Prometheus has {arrived:,.0f} of them.

- {broken} requests with forged hosts, unknown methods, NUL and bytes that are no UTF-8 in paths,
  headers, JSON, SQL, commands and keys of Redis and names of queues, headers of 64 KB, SQL of 3 MB:
  each was answered byte for byte as by the same application without telemetry.
- {urls:,} URLs, and a host for each, methods among them that nobody knows; {texts:,} SQL texts;
  {queues:,} queues. The metric with the most series has {most:,} (limit {limit:,}); each route is one
  that the application declares, or `unmatched`; each tier one of the contract's, or `unknown`.
- To the gateway: {sent:,} requests and packets that are no OTLP and no StatsD, or that make no sense.
  It lives on.

{memory}

{answers}

A point that Prometheus refuses takes the points along that are exported with it; totals are cumulative,
so that the next export makes up for it.

The drill also gives {examples} that hypothesis makes up to what reads them: SQL is given a verb of the
contract, a rules file is read or refused with its lines, settings can always be used, a page reads back
equal in both formats, and damaged segments neither raise, nor hang, nor count twice.
"""


def told(stand: Stand, broken: int, attack: Attack, series: dict[str, int]) -> str:
    """The section."""
    moments = stand.memory.seen
    memory = [f"| MiB after | {' | '.join(moments)} |", f"|---|{'---|' * len(moments)}"]
    memory += [f"| {w} | {stand.memory.row(w)} |" for w in ("application", "exporter", "gateway")]
    answers = ["| sent to the gateway | answers |", "|---|---|"]
    for kind, found in attack.answers.items():
        said = ", ".join(f"{status}: {number}" for status, number in sorted(found.items()))
        answers.append(f"| {sum(found.values())} of: {kind} | {said} |")
    return SEEN.format(
        reached=stand.reached(),
        arrived=stand.arrived(),
        broken=broken,
        urls=URLS,
        texts=TEXTS,
        queues=QUEUES,
        most=max(series.values()),
        limit=SERIES_LIMIT,
        sent=sum(attack.sent.values()),
        memory="\n".join(memory),
        answers="\n".join(answers),
        examples=", ".join(f"{number:,} {what}" for what, number in EXAMPLES.items()),
    )


@pytest.mark.parametrize("what", EXAMPLES)
def test_any_input(what: str, tmp_path: Path) -> None:
    """Many examples of each."""
    good = fuzzing.good_segment(tmp_path, record_and_die)
    strategy, check = {
        "SQL": (st.tuples(fuzzing.queries), fuzzing.sql_holds),
        "rules files": (st.tuples(fuzzing.rules_texts), fuzzing.rules_hold),
        "settings": (st.tuples(fuzzing.environments), fuzzing.settings_hold),
        "pages": (st.tuples(fuzzing.pages), fuzzing.exposition_holds),
        "merges": (
            st.tuples(fuzzing.folders, st.just(good), st.booleans()),
            fuzzing.merging_holds,
        ),
    }[what]

    @seed(1)
    @settings(
        max_examples=EXAMPLES[what],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def holds(given_now: tuple[object, ...]) -> None:
        check(*given_now)  # type: ignore[operator]

    holds()
