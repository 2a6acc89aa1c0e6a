"""What of deploy/kubernetes/ is written from other files: resources that hold a file's content.

Kustomize puts files into ConfigMaps by itself, but not into the resources of the operators.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from otel_accubooks.stack.collector import GatewayPorts
from otel_accubooks.stack.files import COLLECTOR, GATEWAY, backend_file, backend_names
from otel_accubooks.stack.ports import LOOPBACK

FOLDER = "deploy/kubernetes"
# Where a gateway listens in its pod. OpenTelemetry's operator reads ports from the configuration,
# and does not look into the environment for them.
PORTS = GatewayPorts(
    otlp_grpc=4317, otlp_http=4318, statsd=8125, health=13133, metrics=8888, prometheus_scrape=8889
)
_ANY = "0.0.0.0"  # noqa: S104 - the network policy says from where
_REFERENCE = re.compile(r"\$\{env:(\w+):-([^{}]*)\}")


def files(rules: str) -> dict[str, str]:
    """Path in the repository, and content, of each; `rules` is the text of a Prometheus rule file.

    The collector's files become patches, one for each, of an OpenTelemetryCollector. Kustomize
    merges them as the collector does: maps are merged, a list replaces a list.
    """
    components = f"{FOLDER}/gateway/components"
    backends = {
        f"{components}/{name}/collector.yaml": backend_file(name) for name in backend_names()
    }
    options = {
        f"{components}/{path.stem}/collector.yaml": path
        for path in COLLECTOR.glob("options/*.yaml")
    }
    configs = {f"{FOLDER}/operator/base/config.yaml": GATEWAY, **backends, **options}
    return {
        **{path: _dump(source, collector_patch(source)) for path, source in configs.items()},
        f"{FOLDER}/monitoring/rules.yaml": _dump("the rules of Prometheus", prometheus_rule(rules)),
    }


def listening() -> dict[str, str]:
    """The settings of a gateway that is reached from outside its pod, by OTLP alone, by name."""
    settings = {"GATEWAY_OTLP_HOST": LOOPBACK, **PORTS.environment()}
    return {name: value.replace(LOOPBACK, _ANY) for name, value in settings.items()}


def collector_patch(source: Path) -> dict[str, Any]:
    """The configuration in `source` as a patch of the OpenTelemetryCollector `otel-gateway`."""
    import yaml

    return {
        "apiVersion": "opentelemetry.io/v1beta1",
        "kind": "OpenTelemetryCollector",
        "metadata": {"name": "otel-gateway"},
        "spec": {"config": _resolved(yaml.safe_load(source.read_text("utf-8")))},
    }


def prometheus_rule(rules: str) -> dict[str, Any]:
    """The text of a rule file as a PrometheusRule of the Prometheus operator."""
    import yaml

    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "accubooks"},
        "spec": yaml.safe_load(rules),
    }


def _resolved(value: Any) -> Any:
    """The same, with the addresses to listen on instead of references to them."""
    if isinstance(value, dict):
        return {key: _resolved(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item) for item in value]
    if not isinstance(value, str):
        return value
    known = _REFERENCE.sub(_known, value)
    return int(known) if known != value and known.isdigit() else known


def _known(reference: re.Match[str]) -> str:
    # Only the file of options/ that opens StatsD has a default for its host.
    statsd = {"GATEWAY_STATSD_HOST": _ANY if reference[2] else ""}
    return (listening() | statsd).get(reference[1], reference[0])


def _dump(source: Path | str, content: dict[str, Any]) -> str:
    import yaml

    name = source.relative_to(COLLECTOR.parent) if isinstance(source, Path) else source
    text: str = yaml.dump(content, Dumper=_plain(), sort_keys=False, width=1000)
    return f"# Written by `make docs` from {name}.\n{text}"


def _plain() -> type[Any]:
    """A dumper that writes out what the sources state once and refer to: patches have no anchors."""
    import yaml

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, _data: Any) -> bool:
            return True

    return Plain
