"""Code within the sentences of a runbook: somebody at night types it as it stands, so it is carried out."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx

from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.contract.pipeline import PIPELINE
from tests.docs.pages import Inline
from tests.docs.reading import Reading
from tests.docs.stand import Stand

STEPS = ("How to check", "How to mitigate")
# What is no command, though it has a space: words that a server shows.
WORDS = ("idle in transaction",)
_METRICS = "|".join((*(metric.name for metric in METRICS), *PIPELINE))


def carry_out(code: Inline, reading: Reading, stand: Stand) -> None:
    """Does what the code says. Raises AssertionError, with its place, where it is wrong."""
    for pattern, do in _KINDS.items():
        if re.search(pattern, code.text):
            try:
                do(code.text, reading, stand)
            except (AssertionError, httpx.HTTPError) as error:
                raise AssertionError(f"{code}: `{code.text}`: {error}") from error
            return
    if " " in code.text and code.text not in WORDS:
        raise AssertionError(f"{code}: nobody knows how to carry out `{code.text}`")


def _of_application(text: str, _: Reading, stand: Stand) -> None:
    httpx.get(stand.deployment.url + text.split()[1], trust_env=False).raise_for_status()


def _of_prometheus(text: str, _: Reading, stand: Stand) -> None:
    assert stand.deployment.prometheus is not None
    httpx.get(stand.deployment.prometheus.url + text, trust_env=False).raise_for_status()


def _of_redis(text: str, reading: Reading, _: Stand) -> None:
    reading.typed(f"redis-cli {text}")


def _shell(text: str, reading: Reading, _: Stand) -> None:
    reading.typed(text)


def _sql(text: str, _: Reading, stand: Stand) -> None:
    # The number of a process is the reader's to put in.
    stand.sql(text.replace("(pid)", "(0)"))


def _promql(text: str, _: Reading, stand: Stand) -> None:
    stand.query(text)


_KINDS: dict[str, Callable[[str, Reading, Stand], None]] = {
    r"^GET /": _of_application,
    r"^/api/": _of_prometheus,
    r"^(curl|redis-cli|pg_isready|rq|dmesg) ": _shell,
    r"^info ": _of_redis,
    r"^(SELECT|ANALYZE)\b": _sql,
    rf"\b({_METRICS})(_bucket|_sum|_count)?\b": _promql,
}
