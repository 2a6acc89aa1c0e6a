"""Nothing is found wrong with a deployment as it was started."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import yaml

from otel_accubooks.cli.verify import run
from otel_accubooks.contract.checklist import LookName
from otel_accubooks.stack.viewer import Viewer
from otel_accubooks.trial import test_alert
from otel_accubooks.verify.trying import look_others_of_pair
from otel_accubooks.verify.way import Site
from tests.integration.verify.deployed import Place, reloaded

pytestmark = pytest.mark.timeout(900)  # the deployment is started by the first test


@dataclass(frozen=True)
class Verified:
    """What a verification ended with: its exit code, and the report that it wrote."""

    code: int
    report: Any
    text: str


@pytest.fixture(scope="module")
def verified(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Verified:
    """The whole of it, at the deployment as it was started."""
    folder = tmp_path_factory.mktemp("evidence")
    runbooks = place.receivers.to.runbooks
    viewer = Viewer(folder / "viewer", place.prometheus.url, runbooks=runbooks)
    public = Viewer(
        folder / "public", place.prometheus.url, runbooks=runbooks, only="executive_overview"
    )
    with viewer, public, pytest.MonkeyPatch.context() as patch:
        for name, value in place.receivers.environment.items():
            patch.setenv(name, value)
        servers = replace(place.servers, viewer=viewer.url, public=public.url)
        code = run(servers, place.receivers.to, folder=folder / "reports", operator="Ada")
    (report,) = (folder / "reports").glob("*.json")
    return Verified(code, json.loads(report.read_text()), report.with_suffix(".md").read_text())


@pytest.mark.parametrize("name", get_args(LookName))
def test_what_is_as_it_should_be_is_seen_so(verified: Verified, name: LookName) -> None:
    """The deployment as it was started: nothing is found wrong with it."""
    boxes = [box for section in verified.report["sections"] for box in section["boxes"]]
    looks = [look for box in boxes for look in box["looks"] if look["name"] == name]
    assert [look["said"] for look in looks if look["state"] != "passed"] == []
    assert looks


def test_success(verified: Verified, place: Place) -> None:
    """Every box is checked without asking anybody, the operator is named, and no secret is told."""
    assert verified.report["wrong"] == []
    assert (verified.code, verified.report["decision"]) == (0, "SUCCESS")
    assert verified.report["operator"] == "Ada"
    assert "- [ ]" not in verified.text.replace("- [ ] INCOMPLETE", "")
    secrets = [v for k, v in place.receivers.environment.items() if not k.endswith("_URL")]
    assert [secret for secret in secrets if secret in verified.text] == []


def test_the_second_of_a_pair_has_wrong_secrets(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first tells everybody, and nobody would know until it dies: so the second is tried too."""
    ours = Path(place.receivers.to.secrets)
    for secret in ours.iterdir():
        (tmp_path / secret.name).write_text(secret.read_text())
    (tmp_path / "slack_url").write_text(place.receivers.slack.webhook("nobody"))

    def elsewhere(config: Any) -> None:
        config.update(yaml.safe_load(yaml.safe_dump(config).replace(str(ours), str(tmp_path))))

    clusters = [
        (httpx.get(f"{one.url}/api/v2/status").json()["cluster"]["name"], one)
        for one in place.receivers.alertmanagers
    ]
    second = max(clusters, key=lambda cluster: cluster[0])[1]
    site = Site(place.servers, place.receivers.to, place.receivers.environment, lambda _: None)
    monkeypatch.setattr(test_alert, "ARRIVED_SECONDS", 20.0)
    monkeypatch.setattr(test_alert, "OVER_SECONDS", 60.0)
    with reloaded(second, second.config, elsewhere):
        looks = list(look_others_of_pair(site))
    assert {look.name for look in looks} == {"pair"}
    wrong = [look.said for look in looks if look.state != "passed"]
    told = "\n".join([second.url, *(f"{look.state}: {look.said}" for look in looks)])
    assert [said for said in wrong if f"by {second.url}: Slack #alerts" in said], told
    assert [look for look in looks if "PagerDuty" in look.said and look.state == "passed"], told
