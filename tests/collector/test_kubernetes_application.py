"""deploy/kubernetes/: applications, who is scraped, and what the page says of it all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from otel_accubooks.recorder.folder import FolderError, StateFolder
from otel_accubooks.stack.files import (
    COLLECTOR,
    REPOSITORY,
)
from tests.collector.kubernetes_manifests import (
    FOLDER,
    built,
    container,
    environment,
    one,
)
from tests.collector.kubernetes_schemas import check

# The first test builds kustomize, once.
pytestmark = pytest.mark.timeout(900)
PAGE = REPOSITORY / "docs" / "kubernetes.md"


def test_applications_carry_the_label_that_the_gateway_lets_in() -> None:
    """A pod without it would count, and nothing of it would arrive."""
    rule = one("gateway/prometheus", "NetworkPolicy")["spec"]["ingress"][0]
    label = rule["from"][0]["podSelector"]["matchLabels"].items()
    for deployment in (m for m in built("application") if m["kind"] == "Deployment"):
        assert label <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_an_application_shows_its_token() -> None:
    """The header is made from a Secret."""
    for deployment in (m for m in built("application") if m["kind"] == "Deployment"):
        settings = container(deployment)["env"]
        names = [setting["name"] for setting in settings]
        # A reference is only replaced by what stands before it.
        assert names.index("GATEWAY_TOKEN") < names.index("OTEL_EXPORTER_OTLP_HEADERS")
        check(deployment)


def test_a_pod_that_the_operator_instruments_shows_its_token() -> None:
    """By names that every version of the operator takes; without the Secret the pod starts all the same."""
    settings = one("operator/instrumentation", "Instrumentation")["spec"]["python"]["env"]
    names = [setting["name"] for setting in settings]
    assert all(name.startswith("OTEL_") for name in names)
    told = names.index("OTEL_EXPORTER_OTLP_HEADERS")
    assert settings[told]["value"] == f"authorization=Bearer $({names[told - 1]})"
    reference = {"name": "otel-gateway-token", "key": "token", "optional": True}
    assert settings[told - 1]["valueFrom"] == {"secretKeyRef": reference}


def test_the_processes_of_a_pod_share_a_folder_in_memory() -> None:
    """In a volume that lives as long as the pod, and below its top, which is anybody's."""
    for deployment in (m for m in built("application") if m["kind"] == "Deployment"):
        folder = Path(environment(container(deployment))["OTEL_ACCUBOOKS_STATE_DIR"])
        mounts = {Path(m["mountPath"]): m["name"] for m in container(deployment)["volumeMounts"]}
        volumes = {v["name"]: v for v in deployment["spec"]["template"]["spec"]["volumes"]}
        assert folder.parent in mounts
        assert volumes[mounts[folder.parent]]["emptyDir"]["medium"] == "Memory"


def test_a_folder_of_a_pods_volume_is_one_that_the_plugin_takes(tmp_path: Path) -> None:
    """The top of an emptyDir may be written by everybody: it is refused, a folder in it is not."""
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(0o2777)
    with pytest.raises(FolderError):
        StateFolder(volume / "key").make()
    StateFolder(volume / "state" / "key").make()


def test_an_unhealthy_application_is_not_restarted() -> None:
    """Readiness asks for its health, liveness only whether it listens; grace outlasts gunicorn's."""
    (web, _) = (m for m in built("application") if m["kind"] == "Deployment")
    assert "httpGet" not in container(web)["livenessProbe"]
    assert container(web)["readinessProbe"]["httpGet"]["path"] == "/api/monitoring/health"
    assert web["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= 5 + 30 + 30
    assert container(web)["command"] == ["opentelemetry-instrument"]


def test_scrape_jobs_are_those_of_prometheus_yml() -> None:
    """Rules look for `up` under these names; Prometheus and Alertmanager are their operator's to watch."""
    config = yaml.safe_load((COLLECTOR / "prometheus" / "prometheus.yml").read_text())
    endpoints = [
        endpoint
        for manifest in built("monitoring")
        if manifest["kind"] == "PodMonitor"
        for endpoint in manifest["spec"]["podMetricsEndpoints"]
    ]
    jobs = {
        endpoint["relabelings"][0]["replacement"]: endpoint.get("path", "/metrics")
        for endpoint in endpoints
    }
    expected = {c["job_name"]: c.get("metrics_path", "/metrics") for c in config["scrape_configs"]}
    operators = {"prometheus", "alertmanager"}
    assert jobs == {job: path for job, path in expected.items() if job not in operators}


@pytest.mark.parametrize(
    "dockerfile", sorted(FOLDER.rglob("Dockerfile")), ids=lambda p: p.parent.name
)
def test_what_an_image_is_made_of_exists(dockerfile: Path) -> None:
    """Each COPY from the repository names something that is there."""
    copies = re.findall(r"^COPY (?!--)(.+) \S+$", dockerfile.read_text(), re.MULTILINE)
    assert copies
    assert all((REPOSITORY / source).exists() for line in copies for source in line.split())


def test_the_page_names_what_is_there() -> None:
    """Each folder of the page can be applied, and each resource on it follows its schema."""
    text = PAGE.read_text()
    folders = re.findall(r"deploy/kubernetes/([\w./-]*\w)", text)
    assert folders
    assert all((FOLDER / folder).exists() for folder in folders)
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        for document in yaml.safe_load_all(block):
            if document["apiVersion"].startswith("kustomize"):
                parts = [*document["resources"], *document.get("components", [])]
                assert all((REPOSITORY / part).exists() for part in parts)
            else:
                check(document)
