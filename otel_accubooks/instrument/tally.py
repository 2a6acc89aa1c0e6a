"""Counting a business event, with label values that come from outside."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from logging import getLogger
from typing import Any

from otel_accubooks.contract.metric import Metric
from otel_accubooks.contract.metrics import TRUST_LAYER_USAGE_TOTAL, UNKNOWN
from otel_accubooks.instrument import users
from otel_accubooks.recorder.family import MAX_LABEL_CHARACTERS
from otel_accubooks.recorder.process import recorder

_log = getLogger("otel_accubooks")
_told: set[str] = set()


def told_once(text: str, about: str = "") -> None:
    """Logs `text` as a warning, the first time that anything is said `about` the same."""
    about = about or text
    if about not in _told and len(_told) < 100:
        _told.add(about)
        _log.warning("otel-accubooks: %s", text)


def text_of(value: Any) -> str | None:
    """`value` as one short text, or None where it is nothing, or no single value."""
    if type(value) is str:
        return value[:MAX_LABEL_CHARACTERS].strip() or None
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, (bool, bytes, Mapping, list, tuple, set)):
        return None
    return str(value)[:MAX_LABEL_CHARACTERS].strip() or None


def tally(metric: Metric, values: tuple[Any, ...], amount: float = 1.0) -> None:
    """Adds `amount` to the counter `metric`; `values` are those of its labels, in their order.

    A value that is not to be had, or outside a closed set, is "unknown"; where the closed set has
    no such value, nothing is counted and one line is logged.
    """
    texts = []
    for label, value in zip(metric.labels, values, strict=True):
        text = text_of(value) or UNKNOWN
        if label.values is not None and text not in label.values:
            if UNKNOWN not in label.values:
                expected = ", ".join(label.values)
                told_once(f"{metric.name}: {label.name} is {text!r}, expected one of {expected}")
                return
            text = UNKNOWN
        texts.append(text)
    recorder.counter(metric).labels(*texts).add(amount)
    if metric is TRUST_LAYER_USAGE_TOTAL:
        users.trust_used()
