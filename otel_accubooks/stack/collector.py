"""The Collector gateway: one base file, one or more backend files, started and watched."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from otel_accubooks.stack.files import GATEWAY, backend_file
from otel_accubooks.stack.ports import LOOPBACK, free_port, http_ok, tcp_open
from otel_accubooks.stack.process import Server, StartError

# Without it the exporter acknowledges before it has sent, and a queue on disk protects nothing.
DATADOG_GATE = "-exporter.datadogexporter.metricexportserializerclient"


@dataclasses.dataclass(frozen=True)
class GatewayPorts:
    """Where one gateway listens on the loopback address. Kept over a restart, senders find it."""

    otlp_grpc: int = dataclasses.field(default_factory=free_port)
    otlp_http: int = dataclasses.field(default_factory=free_port)
    statsd: int = dataclasses.field(default_factory=free_port)
    health: int = dataclasses.field(default_factory=free_port)
    metrics: int = dataclasses.field(default_factory=free_port)
    prometheus_scrape: int = dataclasses.field(default_factory=free_port)

    def environment(self) -> dict[str, str]:
        """The settings of gateway.yaml and of the scrape backend that say so."""
        return {
            "GATEWAY_OTLP_GRPC_PORT": str(self.otlp_grpc),
            "GATEWAY_OTLP_HTTP_PORT": str(self.otlp_http),
            "GATEWAY_STATSD_PORT": str(self.statsd),
            "GATEWAY_HEALTH": f"{LOOPBACK}:{self.health}",
            "GATEWAY_METRICS_HOST": LOOPBACK,
            "GATEWAY_METRICS_PORT": str(self.metrics),
            "PROMETHEUS_SCRAPE_ENDPOINT": f"{LOOPBACK}:{self.prometheus_scrape}",
        }


class Collector(Server):
    """A gateway into `backends`, by name ("prometheus", "datadog", ...; see `backend_names`).

    `env` holds the settings that the backend files name at their head, and is added to this
    process's environment. What is not yet sent is kept in `folder`, over kills and restarts: a
    new Collector with the same folder and ports, and other backends, is the swap.
    `options` are further configuration files, e.g. collector/options/bearer-auth.yaml.
    """

    def __init__(
        self,
        folder: Path,
        binary: Path,
        backends: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        ports: GatewayPorts | None = None,
        options: Sequence[Path] = (),
    ) -> None:
        self.ports = ports or GatewayPorts()
        self.configs = [GATEWAY, *options, *map(backend_file, backends)]
        self.otlp_url = f"http://{LOOPBACK}:{self.ports.otlp_http}"
        check_hosts(self.configs, {**os.environ, **(env or {})})
        super().__init__(
            f"Collector ({', '.join(backends)})",
            [str(binary), *arguments(self.configs)],
            log=folder / "collector.log",
            env={
                **os.environ,
                **self.ports.environment(),
                "GATEWAY_STORAGE": str(folder / "storage"),
                **(env or {}),
            },
            # The health check says up before the receivers are there.
            ready=lambda: (
                http_ok(f"http://{LOOPBACK}:{self.ports.health}/")
                and tcp_open(self.ports.otlp_http)
                and tcp_open(self.ports.otlp_grpc)
            ),
        )


def check_hosts(configs: Sequence[Path], environ: Mapping[str, str]) -> None:
    """Raises StartError where `environ` names an address that no file of options/ opens, or nobody reads.

    The collector itself refuses the first too, in words that say less, and says nothing of the second.
    """
    for name in ("GATEWAY_OTLP_GRPC", "GATEWAY_OTLP_HTTP", "GATEWAY_STATSD"):
        if environ.get(name):
            raise StartError(
                f"{name} is {environ[name]!r}, which {GATEWAY.name} does not read: unset it, and give "
                f"the port as {name}_PORT; for the host see docs/security.md"
            )
    texts = [path.read_text("utf-8") for path in configs]
    for name in ("GATEWAY_OTLP_HOST", "GATEWAY_STATSD_HOST"):
        read = any(f"${{env:{name}:-{LOOPBACK}}}" in text for text in texts)
        if environ.get(name) and not read:
            raise StartError(
                f"{name} is {environ[name]!r}, which {GATEWAY.name} alone does not take: unset it, or "
                "start a collector with the file of options/ that says who may send (docs/security.md)"
            )


def arguments(configs: Sequence[Path]) -> list[str]:
    """The command line for these files, with the feature gates that their exporters need."""
    argv = [word for path in configs for word in ("--config", str(path))]
    gates = feature_gates(configs)
    return [*argv, f"--feature-gates={','.join(gates)}"] if gates else argv


def feature_gates(configs: Sequence[Path]) -> list[str]:
    """The gates that the exporters of these files need; other collectors may not know them."""
    import yaml

    exporters = {
        name.partition("/")[0]
        for path in configs
        for name in (yaml.safe_load(path.read_text()).get("exporters") or {})
    }
    return [DATADOG_GATE] if "datadog" in exporters else []


def validate(binary: Path, configs: Sequence[Path], env: Mapping[str, str]) -> None:
    """Have the collector check these files; raises StartError with its words if it refuses them."""
    done = subprocess.run(
        [str(binary), "validate", *arguments(configs)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **env},
    )
    if done.returncode:
        names = ", ".join(path.name for path in configs)
        raise StartError(f"the collector refuses {names}:\n{done.stderr.strip()}")
