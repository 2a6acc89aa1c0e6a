"""The metric behind the test alert, sent by OTLP over HTTP as an application sends its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError

from otel_accubooks.contract.pipeline import TEST, TEST_ALERT
from otel_accubooks.servers.api import LOOPBACK
from otel_accubooks.servers.settings import Servers
from otel_accubooks.trial.station import Trial

AGAIN_SECONDS = 5.0  # fresh for whoever looks at the last minute alone
TIMEOUT_SECONDS = 10.0  # in which the exporter tries again what is temporary


@dataclass(frozen=True)
class Sent:
    """What became of one point: taken or not, and what was answered in one line."""

    taken: bool
    said: str
    # False where nothing listens at all.
    there: bool = True


class Sender:
    """Sends the metric of `trial` to the gateway of `servers`; `environ` has the headers."""

    def __init__(self, servers: Servers, trial: Trial, environ: Mapping[str, str]) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.util.re import parse_env_headers

        self.address = f"{servers.gateway}/v1/metrics"
        self._servers, self._trial = servers, trial
        self._session = _Session()
        name = "OTEL_EXPORTER_OTLP_METRICS_HEADERS"
        headers = environ.get(name) or environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
        self._exporter = OTLPMetricExporter(
            endpoint=self.address,
            headers=parse_env_headers(headers, liberal=True),
            timeout=TIMEOUT_SECONDS,
            session=self._session,
        )
        self._last = 0.0

    def send(self, value: float) -> Sent:
        """Sends `value` now."""
        from opentelemetry.sdk.metrics.export import MetricExportResult

        self._last = time.monotonic()
        self._session.answer, self._session.error = None, None
        with _quiet():
            done = self._exporter.export(self._data(value), timeout_millis=TIMEOUT_SECONDS * 1000)
        answer = self._session.answer
        if answer is None:
            there = not _unconnected(self._session.error)
            reason = "no answer" if there else "no connection"
            told = f"POST {self.address}: {reason}; is the gateway up, and its address right?"
            return Sent(False, told, there)
        said = f"{answer.status_code} {' '.join(answer.reason.split())}"
        if done is not MetricExportResult.SUCCESS:
            return Sent(False, f"POST {self.address}: {said}; {_advice(answer)}")
        if refused := _refused(answer):
            return Sent(False, f"POST {self.address}: {said}, but {refused}")
        return Sent(True, f"POST {self.address}: {said}")

    def again(self) -> None:
        """Sends 1 again where it is time to."""
        if time.monotonic() - self._last >= AGAIN_SECONDS:
            self.send(1)

    def close(self) -> None:
        """Ends the connections."""
        with _quiet():
            self._exporter.shutdown()
        self._session.close()

    def _data(self, value: float) -> Any:
        from opentelemetry.sdk.metrics import export as sdk
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        number = self._trial.number
        told = {"service.instance.id": f"test-alert-{number}"}
        if self._servers.service:
            told["service.name"] = self._servers.service
        now = time.time_ns()
        point = sdk.NumberDataPoint({TEST: number}, now, now, value)
        metric = sdk.Metric(
            TEST_ALERT.name, TEST_ALERT.description, TEST_ALERT.unit, sdk.Gauge([point])
        )
        scope = sdk.ScopeMetrics(InstrumentationScope("otel_accubooks"), [metric], "")
        return sdk.MetricsData([sdk.ResourceMetrics(Resource.create(told), [scope], "")])


class _Session(requests.Session):
    """Keeps what was answered last, which the exporter tells nobody."""

    answer: requests.Response | None = None
    error: Exception | None = None

    def merge_environment_settings(self, url: Any, proxies: Any, *rest: Any) -> Any:
        host = urlsplit(url).hostname
        direct = {"no_proxy": host} if host in LOOPBACK else {}
        return super().merge_environment_settings(url, {**(proxies or {}), **direct}, *rest)

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        try:
            self.answer = super().request(*args, **kwargs)
        except Exception as error:
            self.error = error
            raise
        return self.answer


@contextmanager
def _quiet() -> Iterator[None]:
    """What the exporter would log is in what is returned."""
    logger = logging.getLogger("opentelemetry.exporter.otlp.proto.http.metric_exporter")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _unconnected(error: Exception | None) -> bool:
    """Whether nothing can have been received: a connection that broke later was one."""
    reason = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else None
    if isinstance(reason, MaxRetryError):
        reason = reason.reason
    return isinstance(reason, NewConnectionError) or isinstance(error, requests.ConnectTimeout)


def _advice(answer: requests.Response) -> str:
    if answer.status_code in (401, 403):
        return "the token of OTEL_EXPORTER_OTLP_HEADERS is not the gateway's"
    if answer.status_code == 404:
        return "nothing there takes metrics: is it the gateway's address for OTLP over HTTP?"
    return "the gateway does not take it now: its log and its own metrics say why"


def _refused(answer: requests.Response) -> str:
    """How many points were refused, and why, where any were."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceResponse,
    )

    if "protobuf" not in answer.headers.get("content-type", ""):
        return "the answer is not OTLP's: is it the gateway's address?"
    try:
        part = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    except DecodeError:
        return "the answer is not OTLP's: is it the gateway's address?"
    count = part.rejected_data_points
    return f"{count} points were refused: {part.error_message}" if count else ""
