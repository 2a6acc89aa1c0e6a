"""A step: something that an application does with a library that is measured, with one answer.

A step makes what it needs and closes it, so that it says the same in every process and again in the
same one. What it says holds whatever the application can notice: values, exceptions with their
functions and context, and whether a pool of one connection gives it three times.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from tests.reliability.fault_walk import raised

DSN, URL = os.environ.get("FAULTS_DSN", ""), os.environ.get("FAULTS_REDIS", "")
CLUSTER = int(os.environ.get("FAULTS_CLUSTER", "0"))

Step = Callable[[], Any]
STEPS: dict[str, Step] = {}


def step(function: Step) -> Step:
    """A step, by the name of its function."""
    STEPS[function.__name__] = function
    return function


class LedgerError(Exception):
    """What the books may raise."""


def told(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a call gives, or how it ends."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return raised(error)


@contextlib.contextmanager
def closing(made: Any) -> Iterator[Any]:
    try:
        yield made
    finally:
        made.close()
