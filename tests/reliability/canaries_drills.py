"""Canaries everywhere, with traces off and on, and all commands: writes its section of the page."""

from __future__ import annotations

from pathlib import Path

from tests.reliability import page
from tests.reliability.canaries import IN_SPANS, PLACES, SLIPPED, Canaries, Stand, leaks
from tests.reliability.canary_commands import ALL, OPERATORS, said

ROUNDS = 25


def test_canaries(tmp_path: Path) -> None:
    """No text of any place is in any output, but for what a span says of where a request went."""
    rows = [used(tmp_path / word, traces=word == "on") for word in ("off", "on")]
    word = Canaries(OPERATORS)
    written = said(ALL, word, {}, tmp_path / "commands")
    assert leaks(word, written) == []
    size = sum(map(len, written.values()))
    rows.append((f"{len(ALL)} runs of our commands", len(OPERATORS), len(written), size, "0"))
    page.write("Canaries", told(rows))


def used(folder: Path, *, traces: bool) -> tuple[str, int, int, int, str]:
    """What was planted in an application, and found."""
    folder.mkdir()
    with Stand(folder, traces=traces) as stand:
        stand.use(ROUNDS)
        outputs = stand.outputs()
        outputs["sent to the gateway"] = b""
        found = leaks(stand.canaries, outputs)
        found += [f"{p} in sent" for p in stand.canaries.found_in(stand.sent(), slipped=False)]
    places = {one.partition(" in ")[0] for one in found}
    assert places <= (IN_SPANS if traces else set()), found
    name = f"application, traces {'on' if traces else 'off'}"
    seen = f"0 but {', '.join(sorted(places))} in spans" if places else "0"
    size = sum(map(len, outputs.values()))
    return name, len(PLACES) + len(SLIPPED), len(outputs), size, seen


PLANTED = """\
{places} texts of which there is one each were planted wherever a secret or a person's data can be: in
paths, queries, forms, JSON, headers, cookies, bearer tokens, hosts, sessions, SQL and its parameters,
keys and values of Redis, arguments, results and exceptions of jobs and tasks, log records, passwords in
addresses, environment variables, keys of vendors, tokens of the gateway. {slipped} more were put by the
application into labels, scope and resource of its own meter: the gateway has to take those out. The
application ran under gunicorn with PostgreSQL, Redis, RQ and Celery, its log at DEBUG, through the
gateway (log at debug) into Prometheus, Datadog, New Relic and an OTLP backend, {rounds} rounds of
requests and jobs. Each output was searched for each text, also in capitals, percent-encoded and in
base64: what Prometheus knows, what vendors were sent, all monitoring endpoints with and without token,
shared memory, the gateway's queue on disk, all logs, users in Redis, the command line of each process,
and what our commands print and write.

| where | planted | outputs | bytes searched | found |
|---|---|---|---|---|
{rows}

A span says the path as it was asked for and the name of the host (`docs/traces.md`); query strings,
values in SQL and messages of exceptions are taken out before it is sent.
"""


def told(rows: list[tuple[str, int, int, int, str]]) -> str:
    """The section."""
    table = "\n".join(f"| {a} | {b} | {c} | {d:,} | {e} |" for a, b, c, d, e in rows)
    return PLANTED.format(places=len(PLACES), slipped=len(SLIPPED), rounds=ROUNDS, rows=table)
