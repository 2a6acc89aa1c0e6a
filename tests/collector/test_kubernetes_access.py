"""deploy/kubernetes/: who may send to the gateway, and what its Service says of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_accubooks.stack import kubernetes
from otel_accubooks.stack.ports import free_port
from tests.collector.kubernetes_manifests import FOLDER, combined, container, environment
from tests.collector.kubernetes_schemas import check
from tests.collector.refusing import refusal
from tests.reliability.access import Keys

# The first test builds kustomize, once.
pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("more", [[], ["tls"]], ids=["alone", "tls"])
@pytest.mark.parametrize("variant", ["gateway", "operator"])
def test_a_gateway_for_which_nobody_said_who_may_send_does_not_start(
    collector_binary: Path, tmp_path: Path, variant: str, more: list[str]
) -> None:
    """The base with a backend, which TLS alone does not change, with and without the operator."""
    components = [f"gateway/components/{name}" for name in ("prometheus", *more)]
    manifests = combined(tmp_path, FOLDER / variant / "base", *components)
    kinds = {manifest["kind"]: manifest for manifest in manifests}
    if variant == "gateway":
        gateway = container(kinds["StatefulSet"])
        for key, text in kinds["ConfigMap"]["data"].items():
            (tmp_path / key).write_text(text)
        names = [Path(arg).name for arg in gateway["args"] if arg.startswith("--config=")]
        files = [tmp_path / name for name in names]
    else:
        gateway = kinds["OpenTelemetryCollector"]["spec"]
        files = [tmp_path / "collector.yaml"]
        text = yaml.safe_dump(gateway["config"]).replace("13133", str(free_port()))
        files[0].write_text(text.replace("8888", str(free_port())))
    keys = Keys(tmp_path / "keys").of_gateway()
    settings = {**environment(gateway), **keys, "GATEWAY_STORAGE": str(tmp_path / "storage")}
    told = refusal(collector_binary, files, settings)
    assert re.search(r"431[78]0\.0\.0\.0: unknown port", told)


def test_a_service_says_that_tls_is_spoken(tmp_path: Path) -> None:
    """What routes by the protocol of a port is not told of plain text where there is none."""
    for variant in ("gateway", "operator"):
        chosen = [f"gateway/components/{name}" for name in ("prometheus", "bearer-auth", "tls")]
        manifests = combined(tmp_path, FOLDER / variant / "base", *chosen)
        for manifest in manifests:
            check(manifest)
        kind = {"gateway": "Service", "operator": "OpenTelemetryCollector"}[variant]
        (ports,) = (m["spec"]["ports"] for m in manifests if _named(m, kind))
        assert {port["port"]: port["appProtocol"] for port in ports} == {
            kubernetes.PORTS.otlp_grpc: "https",
            kubernetes.PORTS.otlp_http: "https",
        }


def _named(manifest: dict[str, Any], kind: str) -> bool:
    return manifest["kind"] == kind and manifest["metadata"]["name"] == "otel-gateway"
