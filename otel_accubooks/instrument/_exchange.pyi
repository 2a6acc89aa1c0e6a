"""The compiled classes of a request. To a type checker they are those of exchange.py."""

from collections.abc import Callable
from typing import Any

from otel_accubooks.instrument.exchange import Body as Body
from otel_accubooks.instrument.exchange import Exchange as Exchange
from otel_accubooks.instrument.exchange import Labels
from otel_accubooks.instrument.exchange import SizedBody as SizedBody
from otel_accubooks.instrument.exchange import watched as watched
from otel_accubooks.recorder.series import Counter, Histogram

def configure(
    known: dict[Labels, tuple[Histogram, Counter]],
    series_of: Callable[[Labels], tuple[Histogram, Counter]],
    methods: frozenset[str],
    other_method: str,
    unmatched: str,
    told: dict[str, Any],
    fault: Callable[[str, BaseException], None],
    /,
) -> None: ...
