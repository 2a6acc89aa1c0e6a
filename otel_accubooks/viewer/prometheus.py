"""Questions to Prometheus's HTTP API: asked at the same time, and once for everybody who looks."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx

from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.contract.query import DAY
from otel_accubooks.servers.prometheus import Sample, samples
from otel_accubooks.vendors.promql import SERVICE, quoted

_TIMEOUT = httpx.Timeout(20, connect=3)
_AT_ONCE = 8
# Four dashboards of fifty curves and a few services; the oldest go first.
_KEPT = 1000
# Of which services anything has come; every metric of ours has the service's label.
_OURS = f"{{__name__=~{quoted('|'.join(metric.name for metric in METRICS))}}}"

_Asked = dict[str, "str | float"]


class UnansweredError(Exception):
    """Prometheus did not answer: what was found instead, in one line without its address."""


Rows = Future[list[Sample]]


class Prometheus:
    """The Prometheus at `address`, read only.

    Every method answers at once with a future; its result raises UnansweredError. Who asks the same
    of the same moment gets the same future, so ten browsers cost as much as one. A failure is
    forgotten, so that the next question tries again.
    """

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")
        # An address may hold a password, which nobody needs to see.
        parts = urlsplit(self._address)
        self.shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self._client = httpx.Client(timeout=_TIMEOUT, trust_env=False)
        self._asking = ThreadPoolExecutor(_AT_ONCE, "prometheus")
        # Again by the same thread: what has failed already is forgotten while it is being kept.
        self._lock = threading.RLock()
        self._known: OrderedDict[tuple[Any, ...], Future[Any]] = OrderedDict()

    def at(self, expression: str, moment: float) -> Rows:
        """The instant vector of `expression` at `moment` (Unix seconds)."""
        asked: _Asked = {"query": expression, "time": moment}
        return self._once("/api/v1/query", samples, moment, asked)

    def over(self, expression: str, start: float, end: float, step: float, moment: float) -> Rows:
        """The values of `expression` from `start` to `end`, one every `step` seconds.

        What was asked of another `moment` is asked again: late points may have come.
        """
        asked: _Asked = {"query": expression, "start": start, "end": end, "step": step}
        return self._once("/api/v1/query_range", samples, moment, asked)

    def services(self, moment: float) -> Future[list[str]]:
        """The services of which anything came in the day before `moment`, sorted."""
        asked: _Asked = {"match[]": _OURS, "start": moment - DAY, "end": moment}
        return self._once(f"/api/v1/label/{SERVICE}/values", sorted, moment, asked)

    def _once(self, path: str, read: Any, moment: float, asked: _Asked) -> Future[Any]:
        key = (path, moment, *asked.items())
        with self._lock:
            if key in self._known:
                return self._known[key]
            if len(self._known) >= _KEPT:
                self._known.popitem(last=False)
            future = self._known[key] = self._asking.submit(self._ask, path, read, asked)
            future.add_done_callback(lambda done: self._forget(key) if done.exception() else None)
        return future

    def _forget(self, key: tuple[Any, ...]) -> None:
        with self._lock:
            self._known.pop(key, None)

    def _ask(self, path: str, read: Any, asked: _Asked) -> Any:
        try:
            answer = self._client.get(self._address + path, params=asked)
        except httpx.TimeoutException:
            raise UnansweredError("does not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = re.sub(r"^\[Errno -?\d+\] ", "", str(error))
            raise UnansweredError(f"does not answer ({reason})") from None
        try:
            said = answer.json()
            if said["status"] == "success":
                return read(said["data"])
            reason = said["error"]
        except (ValueError, KeyError, TypeError):
            raise UnansweredError(
                f"answers {answer.status_code}, not as Prometheus does: is the address right?"
            ) from None
        raise UnansweredError(f"refuses: {reason}")
