"""deploy/kubernetes/, built by kustomize and read as a cluster would: the gateway."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from otel_accubooks.stack import kubernetes
from otel_accubooks.stack.collector import DATADOG_GATE, feature_gates, validate
from otel_accubooks.stack.files import (
    BACKENDS,
    COLLECTOR,
    GATEWAY,
    RENDERED,
    REPOSITORY,
    backend_file,
    backend_names,
)
from tests.collector.kubernetes_manifests import (
    APPLICABLE,
    FOLDER,
    built,
    combined,
    container,
    environment,
    one,
    workloads,
)
from tests.collector.kubernetes_schemas import check

# The first test builds kustomize, once.
pytestmark = pytest.mark.timeout(900)
COMPOSE = yaml.safe_load((COLLECTOR / "deploy" / "compose.yaml").read_text())
MOUNTED = "/etc/otelcol-accubooks"
SETTINGS = {
    "DD_API_KEY": "0123456789abcdef0123456789abcdef",
    "NEW_RELIC_LICENSE_KEY": "key",
    "OTLP_BACKEND_ENDPOINT": "https://127.0.0.1",
}


def mounted(name: str, folder: Path) -> list[Path]:
    """The files that this backend's gateway is started with, written to `folder`, in their order."""
    config = one(f"gateway/{name}", "ConfigMap")["data"]
    for key, text in config.items():
        (folder / key).write_text(text)
    args = container(one(f"gateway/{name}", "StatefulSet"))["args"]
    prefix = f"--config={MOUNTED}/"
    return [folder / arg.removeprefix(prefix) for arg in args if arg.startswith(prefix)]


@pytest.mark.parametrize("folder", APPLICABLE, ids=str)
def test_every_manifest_follows_its_schema(folder: Path) -> None:
    """Of Kubernetes, old and new, and of the operators, with no key that they do not know."""
    for manifest in built(folder):
        check(manifest)


@pytest.mark.parametrize(
    ("folder", "kind", "path"),
    [
        ("gateway/prometheus", "StatefulSet", ("spec", "template", "spec", "containers", 0)),
        ("gateway/prometheus", "NetworkPolicy", ("spec",)),
        ("operator/prometheus", "OpenTelemetryCollector", ("spec", "resources")),
        ("operator/prometheus", "OpenTelemetryCollector", ("spec", "config", "service")),
        ("operator/instrumentation", "Instrumentation", ("spec", "python", "env", 0)),
        ("monitoring", "PrometheusRule", ("spec", "groups", 0, "rules", 0)),
    ],
)
def test_a_misspelt_key_is_refused(folder: str, kind: str, path: tuple[Any, ...]) -> None:
    """The check of the schemas would see it, at any depth and for every API."""
    manifest = one(folder, kind)
    at = functools.reduce(lambda value, key: value[key], path, manifest)
    at["imagePullPolice"] = "Always"
    with pytest.raises(jsonschema.ValidationError, match="imagePullPolice"):
        check(manifest)


def test_a_wrong_type_is_refused_of_the_operators_too() -> None:
    """A number where a text belongs is what a cluster would refuse at last."""
    manifest = one("operator/prometheus", "OpenTelemetryCollector")
    manifest["spec"]["replicas"] = "two"
    with pytest.raises(jsonschema.ValidationError, match="two"):
        check(manifest)


def test_each_backend_has_its_folder_with_and_without_the_operator() -> None:
    """Choosing a vendor is naming one folder."""
    for variant in ("gateway", "operator"):
        assert {str(folder) for folder in APPLICABLE} >= {f"{variant}/{n}" for n in backend_names()}


@pytest.mark.parametrize("name", backend_names())
def test_replicas_are_one_where_more_would_be_wrong(name: str) -> None:
    """Converting to delta needs all of a sender's values, and a page that is scraped has them once."""
    config = yaml.safe_load(backend_file(name).read_text())
    alone = any(key.startswith("cumulativetodelta") for key in config.get("processors", {}))
    alone = alone or "prometheus" in config["exporters"]
    for manifest in (
        one(f"gateway/{name}", "StatefulSet"),
        one(f"operator/{name}", "OpenTelemetryCollector"),
    ):
        assert manifest["spec"]["replicas"] == (1 if alone else 2)


def test_which_backends_have_one_replica() -> None:
    """Those three, by name."""
    replicas = {n: one(f"gateway/{n}", "StatefulSet")["spec"]["replicas"] for n in backend_names()}
    assert {n for n in replicas if replicas[n] == 1} == {"datadog", "newrelic", "prometheus-scrape"}


@pytest.mark.parametrize("name", backend_names())
def test_the_configuration_is_the_repositorys(name: str) -> None:
    """Every file is in the ConfigMap, byte for byte, and the name says which version."""
    sources = [GATEWAY, *COLLECTOR.glob("options/*.yaml"), *BACKENDS.glob("*.yaml")]
    config = one(f"gateway/{name}", "ConfigMap")
    assert config["data"] == {path.name: path.read_text() for path in sources}
    volumes = one(f"gateway/{name}", "StatefulSet")["spec"]["template"]["spec"]["volumes"]
    (volume,) = (volume for volume in volumes if "configMap" in volume)
    assert volume["configMap"]["name"] == config["metadata"]["name"] != "otel-gateway"


@pytest.mark.parametrize("name", backend_names())
def test_the_collector_takes_what_is_mounted(
    collector_binary: Path, name: str, tmp_path: Path
) -> None:
    """Files and settings as they are in the pod, with the feature gates that they need."""
    gateway = container(one(f"gateway/{name}", "StatefulSet"))
    configs = mounted(name, tmp_path)
    assert [path.name for path in configs] == ["gateway.yaml", "bearer-auth.yaml", f"{name}.yaml"]
    gates = [arg for arg in gateway["args"] if arg.startswith("--feature-gates=")]
    assert gates == [f"--feature-gates={gate}" for gate in feature_gates(configs)]
    validate(collector_binary, configs, {**environment(gateway), **SETTINGS})


def merge(into: dict[str, Any], parts: dict[str, Any]) -> None:
    """As the collector does: maps are merged, and a list replaces a list."""
    for key, part in parts.items():
        if isinstance(part, dict) and isinstance(into.get(key), dict):
            merge(into[key], part)
        else:
            into[key] = part


@pytest.mark.parametrize("name", backend_names())
def test_the_operators_configuration_is_the_same(
    collector_binary: Path, name: str, tmp_path: Path
) -> None:
    """It is what the collector would merge of the files, and the collector takes it."""
    spec = one(f"operator/{name}", "OpenTelemetryCollector")["spec"]
    merged: dict[str, Any] = {}
    for file in (GATEWAY, COLLECTOR / "options" / "bearer-auth.yaml", backend_file(name)):
        merge(merged, kubernetes.collector_patch(file)["spec"]["config"])
    assert spec["config"] == merged
    path = tmp_path / "collector.yaml"
    path.write_text(yaml.safe_dump(spec["config"]))
    validate(collector_binary, [path], {**environment(spec), **SETTINGS})
    gates = {"feature-gates": DATADOG_GATE} if name == "datadog" else None
    assert spec.get("args") == gates


def test_ports_of_the_operators_gateway_are_written_out() -> None:
    """It makes ports and probes of the configuration, and knows no environment."""
    text = yaml.safe_dump(one("operator/prometheus", "OpenTelemetryCollector")["spec"]["config"])
    assert not [name for name in kubernetes.listening() if name in text]
    for port in (4317, 4318, 13133):
        assert f"0.0.0.0:{port}" in text
    assert "127.0.0.1:8125" in text


@pytest.mark.parametrize("path", sorted(kubernetes.files("groups: []")))
def test_what_is_written_from_other_files_is_up_to_date(path: str) -> None:
    """`make docs` would change nothing."""
    rules = (RENDERED / "prometheus" / "rules" / "accubooks.yml").read_text()
    assert (REPOSITORY / path).read_text() == kubernetes.files(rules)[path]


def test_both_variants_have_the_same_settings() -> None:
    """With the operator, only the addresses to listen on are in the configuration instead."""
    plain = container(one("gateway/datadog", "StatefulSet"))
    operators = one("operator/datadog", "OpenTelemetryCollector")["spec"]
    assert environment(plain) == {**environment(operators), **kubernetes.listening()}
    for key in ("image", "resources", "securityContext", "envFrom"):
        assert operators[key] == plain[key]


def test_images_are_those_of_compose() -> None:
    """One version of the collector is tested, and is what runs everywhere."""
    image = COMPOSE["services"]["gateway"]["image"]
    assert container(one("gateway/prometheus", "StatefulSet"))["image"] == image
    assert one("operator/prometheus", "OpenTelemetryCollector")["spec"]["image"] == image


def test_every_image_is_pinned() -> None:
    """No manifest brings up another program tomorrow."""
    images = [container(workload)["image"] for workload in workloads()]
    images.append(one("operator/instrumentation", "Instrumentation")["spec"]["python"]["image"])
    assert all(re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+", image) for image in images)


def test_probes_and_services_use_the_ports_of_the_gateway() -> None:
    """Each port by a name, and each name for the port on which the gateway listens."""
    gateway = container(one("gateway/prometheus-scrape", "StatefulSet"))
    listening = kubernetes.listening()
    assert {k: v for k, v in environment(gateway).items() if k in listening} == listening
    ports = {port["name"]: port["containerPort"] for port in gateway["ports"]}
    assert ports == {
        "otlp-grpc": kubernetes.PORTS.otlp_grpc,
        "otlp-http": kubernetes.PORTS.otlp_http,
        "health": kubernetes.PORTS.health,
        "metrics": kubernetes.PORTS.metrics,
        "prometheus": kubernetes.PORTS.prometheus_scrape,
    }
    for probe in ("startupProbe", "livenessProbe"):
        assert gateway[probe]["httpGet"] == {"path": "/", "port": "health"}
    assert gateway["readinessProbe"]["tcpSocket"] == {"port": "otlp-http"}
    for service in (m for m in built("gateway/prometheus") if m["kind"] == "Service"):
        assert all(ports[port["targetPort"]] == port["port"] for port in service["spec"]["ports"])


@pytest.mark.parametrize("folder", APPLICABLE, ids=str)
def test_there_is_no_secret_in_any_manifest(folder: Path) -> None:
    """No Secret is made here, and what looks like one is a reference to one."""
    assert not [m for m in built(folder) if m["kind"] == "Secret"]
    for manifest in built(folder):
        text = yaml.safe_dump(manifest)
        for name, value in re.findall(r"name: (\w+)\n +value: (.+)", text):
            secret = re.search(r"KEY|TOKEN$|SECRET|PASSWORD|DATABASE_URL|REDIS_URL", name)
            assert not secret, f"{name} is {value}"


@pytest.mark.parametrize("name", ["datadog", "newrelic", "otlp"])
def test_keys_of_a_backend_come_from_its_secret(name: str) -> None:
    """Without the Secret the pod does not start, and says which is missing."""
    reference = [{"secretRef": {"name": f"otel-gateway-{name}"}}]
    assert container(one(f"gateway/{name}", "StatefulSet"))["envFrom"] == reference
    assert one(f"operator/{name}", "OpenTelemetryCollector")["spec"]["envFrom"] == reference


def test_every_pod_is_confined() -> None:
    """No root, no writable root folder, no capability, the runtime's filter, no token of the API."""
    for workload in workloads():
        pod = workload["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container(workload)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        resources = container(workload)["resources"]
        assert resources["requests"].keys() == {"cpu", "memory"}
        assert resources["limits"].keys() == {"memory"}  # of CPU none, which would throttle


def test_the_queue_is_on_a_volume_that_stays() -> None:
    """What is not yet sent outlives the pod, the StatefulSet and a smaller number of replicas."""
    workload = one("gateway/prometheus", "StatefulSet")
    gateway, spec = container(workload), workload["spec"]
    places = {mount["mountPath"]: mount["name"] for mount in gateway["volumeMounts"]}
    (claim,) = spec["volumeClaimTemplates"]
    assert places[environment(gateway)["GATEWAY_STORAGE"]] == claim["metadata"]["name"]
    kept = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert spec["persistentVolumeClaimRetentionPolicy"] == kept


def test_memory_has_room_above_the_limiter() -> None:
    """The gateway turns senders away before the kernel kills it, and collects garbage before that."""
    gateway = container(one("gateway/prometheus", "StatefulSet"))
    settings = environment(gateway)
    limiter = int(settings["GATEWAY_MEMORY_MIB"])
    assert int(settings["GOMEMLIMIT"].removesuffix("MiB")) <= 0.8 * limiter + 1
    assert int(gateway["resources"]["limits"]["memory"].removesuffix("Mi")) >= 1.25 * limiter


def test_the_disruption_budget_never_holds_a_node_for_ever() -> None:
    """Of one replica it lets that one go; of several, one at a time."""
    budgets = [m for m in built("gateway/datadog") if m["kind"] == "PodDisruptionBudget"]
    assert [budget["spec"]["maxUnavailable"] for budget in budgets] == [1]


@pytest.mark.parametrize("name", backend_names())
def test_the_network_policy_lets_out_to_the_backend_alone(name: str) -> None:
    """Names are looked up, the backend is reached, and nothing else."""
    for variant in ("gateway", "operator"):
        spec = one(f"{variant}/{name}", "NetworkPolicy")["spec"]
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        ports = [port["port"] for rule in spec["egress"] for port in rule["ports"]]
        ways = {
            "prometheus": [9090],
            "prometheus-remote-write": [9090, 443],
            "prometheus-scrape": [],
            "prometheus-standby": [9090],
        }
        assert ports == [53, 53, *ways.get(name, [443])]
        selected = spec["podSelector"]["matchLabels"].items()
        assert selected <= pod_labels(variant, name).items()


def pod_labels(variant: str, name: str) -> dict[str, str]:
    if variant == "operator":  # which hands its resource's labels to the pods
        labels = one(f"operator/{name}", "OpenTelemetryCollector")["metadata"]["labels"]
    else:
        labels = one(f"gateway/{name}", "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    return dict(labels)


def test_several_backends_and_authentication_combine(
    collector_binary: Path, tmp_path: Path
) -> None:
    """Each is one more component, with and without the operator, and the collector takes the whole."""
    chosen = [f"gateway/components/{n}" for n in ("datadog", "prometheus", "bearer-auth")]
    for variant in ("gateway", "operator"):
        manifests = combined(tmp_path, FOLDER / variant / "base", *chosen)
        for manifest in manifests:
            check(manifest)
        kinds = {manifest["kind"]: manifest for manifest in manifests}
        if variant == "gateway":
            gateway = container(kinds["StatefulSet"])
            for key, text in kinds["ConfigMap"]["data"].items():
                (tmp_path / key).write_text(text)
            names = [Path(arg).name for arg in gateway["args"] if arg.startswith("--config=")]
            order = ["gateway.yaml", "bearer-auth.yaml", "datadog.yaml", "prometheus.yaml"]
            assert names == order
            configs = [tmp_path / name for name in names]
        else:
            gateway = kinds["OpenTelemetryCollector"]["spec"]
            assert "bearertokenauth" in gateway["config"]["service"]["extensions"]
            configs = [tmp_path / "collector.yaml"]
            configs[0].write_text(yaml.safe_dump(gateway["config"]))
        tokens = environment(gateway)["GATEWAY_TOKENS_FILE"]
        assert "/etc/otel-gateway-tokens" in {m["mountPath"] for m in gateway["volumeMounts"]}
        assert tokens == "/etc/otel-gateway-tokens/tokens"
        validate(collector_binary, configs, {**environment(gateway), **SETTINGS})


@pytest.mark.parametrize(
    "option",
    ["tls", "client-certificates", "otlp-without-authentication", "statsd-without-authentication"],
)
def test_each_way_to_send_is_one_more_component(
    collector_binary: Path, tmp_path: Path, option: str
) -> None:
    """Its file is named, and what it reads is there; the manifests follow their schemas."""
    chosen = ["prometheus", *({"client-certificates": ["tls"]}.get(option, [])), option]
    for variant in ("gateway", "operator"):
        components = [f"gateway/components/{name}" for name in chosen]
        manifests = combined(tmp_path, FOLDER / variant / "base", *components)
        for manifest in manifests:
            check(manifest)
        kinds = {manifest["kind"]: manifest for manifest in manifests}
        if variant == "gateway":
            gateway = container(kinds["StatefulSet"])
            assert f"--config={MOUNTED}/{option}.yaml" in gateway["args"]
            needed = set(
                re.findall(r"\$\{env:(\w+)\}", kinds["ConfigMap"]["data"][f"{option}.yaml"])
            )
            assert needed <= environment(gateway).keys()
        else:
            configured = kinds["OpenTelemetryCollector"]["spec"]
            expected = kubernetes.collector_patch(COLLECTOR / f"options/{option}.yaml")
            for name, receiver in expected["spec"]["config"]["receivers"].items():
                merged = dict(configured["config"]["receivers"][name])
                merge(merged, receiver)
                assert merged == configured["config"]["receivers"][name]
