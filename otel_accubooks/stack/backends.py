"""The gateway, and the Prometheis that it feeds, started in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from otel_accubooks.stack.binaries import find_collector, find_prometheus
from otel_accubooks.stack.collector import Collector, GatewayPorts
from otel_accubooks.stack.group import Group, Say
from otel_accubooks.stack.ports import free_port
from otel_accubooks.stack.prometheus import Prometheus

_PROMETHEIS = {"prometheus": "Prometheus", "prometheus-standby": "a second Prometheus as standby"}


class Backends(Group):
    """The gateway into `names`, files of collector/backends, with their data and logs in `folder`.

    "prometheus" and "prometheus-standby" are started here; of the others the gateway is told by
    `env`, as the head of the file says. `applications` and `alertmanagers` (host:port) are scraped,
    and told of alerts. `rules` and `scrape_interval` are as for `Prometheus`, `token` is shown to the
    applications, `prometheus_ports` says where which Prometheus listens.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        *,
        applications: Sequence[str],
        alertmanagers: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        ports: GatewayPorts | None = None,
        prometheus_ports: Mapping[str, int] | None = None,
        rules: Path | None = None,
        scrape_interval: str | None = None,
        token: str | None = None,
    ) -> None:
        super().__init__()
        self.folder, self.names = folder, tuple(names)
        self.ports = ports or GatewayPorts()
        self.prometheus: Prometheus | None = None
        self.standby: Prometheus | None = None
        self._env = dict(env or {})
        given = prometheus_ports or {}
        self._prometheus_ports = {
            name: given.get(name) or free_port() for name in names if name in _PROMETHEIS
        }
        self._targets = {
            "app": applications,
            "gateway": [f"127.0.0.1:{self.ports.metrics}"],
            "alertmanager": alertmanagers,
            "prometheus": [f"127.0.0.1:{port}" for port in self._prometheus_ports.values()],
        }
        self._rules, self._scrape_interval, self._token = rules, scrape_interval, token

    def _start(self, say: Say) -> None:
        files = list(self.names)
        if "prometheus" in files:
            self.prometheus = self._prometheus("prometheus", say)
            self._env["PROMETHEUS_URL"] = self.prometheus.url
            self._env["PROMETHEUS_REMOTE_WRITE_URL"] = f"{self.prometheus.url}/api/v1/write"
            if not self.prometheus.takes_otlp:
                files[files.index("prometheus")] = "prometheus-remote-write"
        if "prometheus-standby" in files:
            self.standby = self._prometheus("prometheus-standby", say)
            self._env["PROMETHEUS_STANDBY_URL"] = self.standby.url
        binary = find_collector(say)
        say(f"the collector with backends/{'.yaml and backends/'.join(files)}.yaml")
        self.gateway = self._running.enter_context(
            Collector(self.folder / "gateway", binary, files, env=self._env, ports=self.ports)
        )

    def _prometheus(self, name: str, say: Say) -> Prometheus:
        binary = find_prometheus(say)
        say(_PROMETHEIS[name])
        return self._running.enter_context(
            Prometheus(
                self.folder / name,
                binary,
                targets=self._targets,
                scrape_interval=self._scrape_interval,
                rules=self._rules,
                token=self._token,
                port=self._prometheus_ports[name],
            )
        )
