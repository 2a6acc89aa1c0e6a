"""What the collector itself says of gateway.yaml and the backend files, before anything runs."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from otel_accubooks.contract.pipeline import OUT_OF_TIME
from otel_accubooks.stack.collector import validate
from otel_accubooks.stack.files import BACKENDS, COLLECTOR, GATEWAY, backend_file, backend_names
from otel_accubooks.stack.process import StartError

NEEDED = {
    "DD_API_KEY": "0123456789abcdef0123456789abcdef",
    "DD_HOSTNAME": "gateway-host",
    "NEW_RELIC_LICENSE_KEY": "key",
    "OTLP_BACKEND_ENDPOINT": "http://127.0.0.1:4318",
}
CONFIGS = [GATEWAY, *sorted(COLLECTOR.glob("options/*.yaml")), *sorted(BACKENDS.glob("*.yaml"))]


def test_every_backend_has_its_file() -> None:
    """There is one file for each way out that is promised."""
    assert backend_names() == [
        "datadog",
        "newrelic",
        "otlp",
        "prometheus",
        "prometheus-remote-write",
        "prometheus-scrape",
        "prometheus-standby",
    ]


def test_only_a_backends_own_filter_counts_as_out_of_time() -> None:
    """That is an alert's condition; a StatsD client whose clock is late is none."""
    import yaml

    names = {
        name
        for path in CONFIGS
        for name in yaml.safe_load(path.read_text()).get("processors") or {}
        if name.startswith(OUT_OF_TIME.where[0].value)
    }
    assert names == {f"filter/time-{name}" for name in ("prometheus", "remote-write", "standby")}


@pytest.mark.parametrize("name", backend_names())
def test_each_backend_is_valid_with_the_gateway(collector_binary: Path, name: str) -> None:
    """Choosing a vendor is naming one file."""
    validate(collector_binary, [GATEWAY, backend_file(name)], NEEDED)


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(backend_names(), 2)))
def test_each_pair_of_backends_is_valid(collector_binary: Path, one: str, other: str) -> None:
    """Two vendors at once is naming both files."""
    validate(collector_binary, [GATEWAY, backend_file(one), backend_file(other)], NEEDED)


def test_all_backends_at_once_are_valid_with_authentication(collector_binary: Path) -> None:
    """Authentication is one more file, whatever the backends."""
    files = [GATEWAY, COLLECTOR / "options/bearer-auth.yaml", *map(backend_file, backend_names())]
    validate(collector_binary, files, {**NEEDED, "GATEWAY_TOKENS_FILE": "/etc/tokens"})


def test_the_gateway_without_a_backend_is_refused(collector_binary: Path) -> None:
    """Nobody can start a gateway that takes metrics and sends them nowhere."""
    with pytest.raises(StartError, match="no exporter configuration"):
        validate(collector_binary, [GATEWAY], NEEDED)


@pytest.mark.parametrize(
    ("files", "setting"),
    [
        (("backends/datadog.yaml",), "DD_API_KEY"),
        (("backends/otlp.yaml",), "OTLP_BACKEND_ENDPOINT"),
        (("options/bearer-auth.yaml", "backends/prometheus.yaml"), "GATEWAY_TOKENS_FILE"),
    ],
)
def test_a_needed_setting_that_is_missing_is_refused(
    collector_binary: Path, files: tuple[str, ...], setting: str
) -> None:
    """A gateway does not start without what it could not work without."""
    with pytest.raises(StartError, match=r"refuses .*\n.*(not set|must be specified|provided)"):
        validate(
            collector_binary, [GATEWAY, *(COLLECTOR / file for file in files)],
            {**NEEDED, setting: ""},
        )  # fmt: skip


def test_authentication_keeps_the_gateways_own_extensions() -> None:
    """A list replaces a list: what the gateway has must be repeated where one more is added."""
    import yaml

    with_tokens = yaml.safe_load((COLLECTOR / "options/bearer-auth.yaml").read_text())
    assert with_tokens["service"]["extensions"] == [
        *yaml.safe_load(GATEWAY.read_text())["service"]["extensions"],
        "bearertokenauth",
    ]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_setting_is_explained_at_the_head_of_its_file(path: Path) -> None:
    """Who opens a file finds each variable that it reads in the comment at its top."""
    text = path.read_text()
    head = "\n".join(itertools.takewhile(lambda line: line.startswith("#"), text.splitlines()))
    used = set(re.findall(r"\$\{env:(\w+)", text)) - {"HOSTNAME"}
    assert {name for name in used if name not in head} == set()
