"""What the pages speak of, running: one deployment for all pages, and whose addresses stand for which."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx

from otel_accubooks.stack.datadog_intake import DatadogIntake
from otel_accubooks.stack.deployment import EXAMPLE, SERVICE, Deployment
from otel_accubooks.stack.hand_over import addresses_file
from otel_accubooks.stack.ports import LOOPBACK
from otel_accubooks.stack.receivers import Receivers
from tests.apply import datadog_api, grafana_server, newrelic_api


class Stand:
    """AccuBooks with everything around it, and vendors' accounts; each started when a page wants it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running = ExitStack()

    def __enter__(self) -> Stand:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @functools.cached_property
    def receivers(self) -> Receivers:
        return self._running.enter_context(Receivers(self.folder / "alertmanager"))

    @functools.cached_property
    def deployment(self) -> Deployment:
        """The example, used by people for a moment, so that there are series of every kind."""
        deployment = Deployment(
            self.folder,
            ["prometheus", "datadog"],
            workers=1,
            scrape_interval="1s",
            alertmanager=self.receivers.alertmanager.address,
        )
        deployment.start(lambda _: None)
        self._running.callback(deployment.stop)
        traffic = [sys.executable, "traffic.py", deployment.url, "--rounds", "1"]
        subprocess.run(traffic, cwd=EXAMPLE, check=True, capture_output=True)
        return deployment

    @functools.cached_property
    def grafana(self) -> str:
        """The address of a Grafana with one data source, as far as `apply` speaks to it."""
        grafana = grafana_server.GrafanaServer()
        grafana.add_data_source("prometheus", default=True)
        return self._running.enter_context(grafana_server.Serving(grafana)).url

    @functools.cached_property
    def datadog(self) -> str:
        """The address of `datadog_account`."""
        return self._running.enter_context(datadog_api.serving(self.datadog_account))

    @functools.cached_property
    def datadog_account(self) -> datadog_api.Account:
        """An account of Datadog, without any of our things in it."""
        return datadog_api.Account()

    @functools.cached_property
    def datadog_intake(self) -> str:
        return self._running.enter_context(DatadogIntake()).url

    @functools.cached_property
    def newrelic(self) -> str:
        """The address of an account of New Relic, with the destinations that only people can make."""
        account = newrelic_api.Account().people_have_made()
        return self._running.enter_context(newrelic_api.serving(account))

    def known_to_finders(self) -> str:
        """What verify and the like read of the environment, as a command; what a page has said stays."""
        known = {
            **self.receivers.environment,
            "OTEL_SERVICE_NAME": SERVICE,
            "PROMETHEUS_URL": f"http://127.0.0.1:{_prometheus(self)}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.deployment.ports.otlp_http}",
        }
        return "; ".join(f'export {name}="${{{name}:-{value}}}"' for name, value in known.items())

    def people(self) -> str:
        """An alerting.toml with those whom the deployment's alerts tell, and its servers."""
        return addresses_file(self.receivers.to, self.receivers.servers)

    def query(self, promql: str) -> list[object]:
        """What Prometheus answers; raises AssertionError with its own words if the query is wrong."""
        assert self.deployment.prometheus is not None
        url = f"{self.deployment.prometheus.url}/api/v1/query"
        answer = httpx.post(url, data={"query": promql}, trust_env=False, timeout=30).json()
        assert answer["status"] == "success", f"{promql}: {answer['error']}"
        found: list[object] = answer["data"]["result"]
        return found

    def sql(self, query: str) -> None:
        """Has PostgreSQL carry it out; raises AssertionError with its own words if it is wrong."""
        argv = ["psql", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", self.deployment.postgres.dsn]
        done = subprocess.run([*argv, "-c", query], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{query}: {done.stderr}"


def _port(url: str) -> int:
    return int(url.rsplit(":", 1)[1].strip("/"))


def _prometheus(stand: Stand) -> int:
    assert stand.deployment.prometheus is not None
    return stand.deployment.prometheus.port


# The ports that pages name, and whose port that is here, as long as a page has not started its own.
PORTS: dict[int, Callable[[Stand], int]] = {
    3000: lambda stand: _port(stand.grafana),
    3001: lambda stand: _port(stand.grafana),
    4317: lambda stand: stand.deployment.ports.otlp_grpc,
    4318: lambda stand: stand.deployment.ports.otlp_http,
    5432: lambda stand: stand.deployment.postgres.port,
    6379: lambda stand: stand.deployment.redis.port,
    8000: lambda stand: stand.deployment.app_port,
    8125: lambda stand: stand.deployment.ports.statsd,
    8888: lambda stand: stand.deployment.ports.metrics,
    9090: _prometheus,
    9091: _prometheus,  # the standby of some pages: nobody looks at what it has
    9093: lambda stand: stand.receivers.alertmanager.port,
    13133: lambda stand: stand.deployment.ports.health,
}
# Whoever stands before such a port is this machine here.
_HOSTS = "localhost|127\\.0\\.0\\.1|prometheus|alertmanager|gateway|redis|postgres"
_ADDRESS = re.compile(rf"(?<![\w.-])(?:({_HOSTS})|(?<=[\s'\"=])):(\d{{4,5}})\b")
_PORT_OPTION = re.compile(r"(?<=port[ =])(\d{4,5})\b")


def addresses(text: str, port: Callable[[int], int | None]) -> str:
    """The same text with the addresses that there are here; `port` knows those by what is written."""

    def host_and_port(found: re.Match[str]) -> str:
        here = port(int(found[2]))
        return found[0] if here is None else f"{LOOPBACK}:{here}"

    def option(found: re.Match[str]) -> str:
        return str(port(int(found[1])) or found[1])

    return _PORT_OPTION.sub(option, _ADDRESS.sub(host_and_port, text))


def environment(stand: Stand) -> dict[str, str]:
    """What a page's shell finds set: nothing of the surroundings that OpenTelemetry or a vendor reads."""
    ours = ("OTEL_", "DD_", "NEW_RELIC_", "GRAFANA_", "PROMETHEUS_", "GATEWAY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {
        **kept,
        "DD_URL": stand.datadog_intake,
        "DD_TRACES_URL": stand.datadog_intake,
        # Only quicker: nothing has to wait for a minute.
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    }
