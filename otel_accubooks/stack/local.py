"""All that observes an application of one's own, on this machine, on the usual ports."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.alertmanager import Alertmanager, several
from otel_accubooks.stack.backends import Backends
from otel_accubooks.stack.binaries import find_alertmanager, find_collector
from otel_accubooks.stack.collector import GatewayPorts, check_hosts
from otel_accubooks.stack.dashboards import as_servers
from otel_accubooks.stack.dashboards import start as start_dashboards
from otel_accubooks.stack.files import GATEWAY as GATEWAY_FILE
from otel_accubooks.stack.files import backend_file
from otel_accubooks.stack.gateway_check import check, validate
from otel_accubooks.stack.group import Group, Say
from otel_accubooks.stack.ports import tcp_open
from otel_accubooks.stack.process import StartError
from otel_accubooks.stack.receivers import Receivers
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.rendering import BACKENDS as RENDERED

GATEWAY = GatewayPorts(4317, 4318, 8125, 13133, 8888, 8889)
PROMETHEIS = {"prometheus": 9090, "prometheus-standby": 9091}
ALERTMANAGERS = (9093, 9095)  # 9094 is where those of a pair agree, where nobody says otherwise
# What backends' files need, and is started here.
_STARTED_HERE = ("PROMETHEUS_URL", "PROMETHEUS_REMOTE_WRITE_URL", "PROMETHEUS_STANDBY_URL")


class Local(Group):
    """The gateway into `names`, files of collector/backends, and what belongs to them.

    With "prometheus" there are Prometheus, Alertmanager and dashboards too; with
    "prometheus-standby" a second Prometheus, and a pair of Alertmanagers. `applications` (host:port)
    are scraped. Alerts tell `to`, or stand-ins for everybody where that is None. What is kept from
    one time to the next is in `folder`. After the start `servers` and `shown` say where all is, and
    `environment` has the keys of the stand-ins.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        *,
        applications: Sequence[str],
        to: Addresses | None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        super().__init__()
        self.folder, self.names, self.to = folder, tuple(names), to
        self.servers = Servers(gateway=f"http://127.0.0.1:{GATEWAY.otlp_http}")
        self.environment: Mapping[str, str] = {}
        self.shown: dict[str, str] = {"OTLP": self.servers.gateway}
        self._applications, self._environ = applications, environ

    def _start(self, say: Say) -> None:
        files = [GATEWAY_FILE, *map(backend_file, self.names)]
        check(files, self._environ, given=_STARTED_HERE)
        check_hosts(files, self._environ)
        self._check_ports()
        self._check_by_collector(files, say)
        if "prometheus" in self.names:
            self._start_with_prometheus(say)
        else:
            self._start_backends((), None, say)

    def _start_with_prometheus(self, say: Say) -> None:
        alertmanagers = tuple(self._alertmanagers(say))
        assert self.to is not None
        rules = self.folder / "rules" / "accubooks.yml"
        rules.parent.mkdir(parents=True, exist_ok=True)
        rules.write_text(RENDERED["prometheus"](self.to)["rules/accubooks.yml"], "utf-8")
        backends = self._start_backends([one.address for one in alertmanagers], rules, say)
        assert backends.prometheus is not None
        prometheus = backends.prometheus.url
        shown = start_dashboards(self._running, self.folder, prometheus, self.to, say)
        standby = backends.standby.url if backends.standby else ""
        self.servers = replace(
            self.servers,
            prometheus=prometheus,
            standby=standby,
            alertmanager=tuple(one.url for one in alertmanagers),
            **as_servers(shown),
        )
        self.shown |= {"Prometheus": prometheus, **({"Standby": standby} if standby else {})}
        self.shown |= {"Alertmanager": ", ".join(self.servers.alertmanager), **shown}

    def _alertmanagers(self, say: Say) -> Iterator[Alertmanager]:
        pair = "prometheus-standby" in self.names
        folder = self.folder / "alertmanager"
        if self.to is None:
            say("Alertmanager, and a mailbox, a Slack and a pager to tell")
            receivers = Receivers(folder, pair=pair, ports=ALERTMANAGERS)
            self._running.enter_context(receivers)
            self.to, self.environment = receivers.to, receivers.environment
            self.servers = replace(receivers.servers, gateway=self.servers.gateway)
            self.shown |= receivers.shown
            yield from receivers.alertmanagers
            return
        say("Alertmanager")
        for one in several(folder, find_alertmanager(say), self.to, pair=pair, ports=ALERTMANAGERS):
            yield self._running.enter_context(one)

    def _start_backends(
        self, alertmanagers: Sequence[str], rules: Path | None, say: Say
    ) -> Backends:
        backends = Backends(
            self.folder,
            self.names,
            applications=self._applications,
            alertmanagers=alertmanagers,
            ports=GATEWAY,
            prometheus_ports=PROMETHEIS,
            rules=rules,
            token=self._environ.get("OTEL_ACCUBOOKS_MONITORING_TOKEN"),
        )
        return self._running.enter_context(backends).start(say)

    def _check_by_collector(self, files: Sequence[Path], say: Say) -> None:
        say("the collector, to check its files")
        stand_ins = dict.fromkeys(_STARTED_HERE, "http://127.0.0.1:9090")
        validate(find_collector(say), files, {**self._environ, **stand_ins})

    def _check_ports(self) -> None:
        listens = (GATEWAY.otlp_grpc, GATEWAY.otlp_http, GATEWAY.health, GATEWAY.metrics)
        wanted = dict.fromkeys(listens, "the gateway")
        if "prometheus" in self.names:
            wanted |= {port: name for name, port in PROMETHEIS.items() if name in self.names}
            wanted |= {ALERTMANAGERS[0]: "Alertmanager"}
        for port, name in wanted.items():
            if tcp_open(port):
                raise StartError(
                    f"port {port}, which {name} would listen on, is taken: end what listens there "
                    f"(`ss -ltnp sport = :{port}` names it), or use that one instead"
                )
