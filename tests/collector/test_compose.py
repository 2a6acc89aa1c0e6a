"""collector/deploy/compose.yaml, read as Docker would: nothing in it may contradict the rest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_accubooks.stack.alertmanager import PEER_TIMEOUT
from otel_accubooks.stack.collector import DATADOG_GATE, GatewayPorts, validate
from otel_accubooks.stack.files import (
    BACKENDS,
    COLLECTOR,
    GATEWAY,
    PROMETHEUS,
    RENDERED,
    backend_file,
)
from otel_accubooks.stack.gobuild import locked_version, prometheus_version
from otel_accubooks.stack.prometheus import OTLP_FLAG, PUSHED, REMOTE_WRITE_FLAG, RETENTION

FOLDER = COLLECTOR / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OWNER = "gateway-storage"


def mounts(service: str) -> list[tuple[str, str]]:
    """Source and place of what is mounted from this repository, not of volumes."""
    split = [volume.split(":") for volume in SERVICES[service].get("volumes", [])]
    return [(source, place) for source, place, *_ in split if source.startswith(".")]


def test_everything_that_is_promised_is_there() -> None:
    """The six servers, two of them twice, and who hands the gateway its volume; nothing missing."""
    names = {"gateway", "prometheus", "alertmanager", "grafana", "postgres", "redis"}
    assert SERVICES.keys() == names | {"prometheus-standby", "alertmanager-2", OWNER}


@pytest.mark.parametrize("service", SERVICES)
def test_images_are_pinned(service: str) -> None:
    """The same files bring up the same programs tomorrow."""
    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+(\.\d+)?(-alpine)?", SERVICES[service]["image"])


def test_images_are_of_the_versions_that_are_tested() -> None:
    """Collector and Prometheus in containers are those that the tests build and run."""
    collector = locked_version(COLLECTOR / "builder.yaml", "otlpreceiver")
    assert SERVICES["gateway"]["image"].endswith(f":{collector}")
    assert SERVICES["prometheus"]["image"].endswith(f":v{prometheus_version()}")


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_mounted_exists(service: str) -> None:
    """Docker would make an empty folder of a file that is not there, without a word."""
    assert all((FOLDER / source).exists() for source, _ in mounts(service))


def test_the_gateway_uses_the_same_files_and_gates() -> None:
    """Configuration and feature gates are those of the demo and the tests."""
    mounted = {(FOLDER / source).resolve() for source, _ in mounts("gateway")}
    assert mounted == {GATEWAY, BACKENDS, COLLECTOR / "options"}
    assert SERVICES["gateway"]["command"] == [
        "--config=/etc/otelcol/gateway.yaml",
        # The explicit word, since Docker needs an address of the container's; see the ports.
        "--config=/etc/otelcol/options/otlp-without-authentication.yaml",
        "--config=/etc/otelcol/options/statsd-without-authentication.yaml",
        "--config=/etc/otelcol/backends/${BACKEND:-prometheus}.yaml",
        "--config=/etc/otelcol/backends/${STANDBY:-${BACKEND:-prometheus}}.yaml",
        f"--feature-gates={DATADOG_GATE}",
    ]


def test_the_gateway_is_given_every_setting_that_cannot_be_left_out() -> None:
    """What a backend file has no default for is handed through from who starts the containers."""
    texts = [path.read_text() for path in BACKENDS.glob("*.yaml")]
    needed = {name for text in texts for name in re.findall(r"\$\{env:(\w+)\}", text)}
    assert needed <= SERVICES["gateway"]["environment"].keys()


def test_every_listening_address_of_the_gateway_leaves_its_container() -> None:
    """Loopback, the default, would be the container's own."""
    names = {name for name in GatewayPorts().environment() if not name.endswith("_PORT")}
    names |= {"GATEWAY_OTLP_HOST", "GATEWAY_STATSD_HOST"}
    given = SERVICES["gateway"]["environment"]
    assert {given[name].split(":")[0] for name in names} == {"0.0.0.0"}


def test_what_is_not_yet_sent_outlives_the_container() -> None:
    """The queue's folder is a volume."""
    default = re.search(r"GATEWAY_STORAGE:-([^}]+)", GATEWAY.read_text())
    assert default
    assert f"gateway-storage:{default[1]}" in SERVICES["gateway"]["volumes"]


def test_prometheus_has_the_same_configuration_and_flags() -> None:
    """Its configuration is that of collector/prometheus; only who is scraped differs."""
    assert [(FOLDER / source).resolve() for source, _ in mounts("prometheus")] == [
        PUSHED,
        PROMETHEUS / "redundancy.yml",
        RENDERED / "prometheus" / "rules",
        FOLDER / "targets",
    ]
    flags = {OTLP_FLAG, REMOTE_WRITE_FLAG, f"--storage.tsdb.retention.time={RETENTION}"}
    assert flags <= set(SERVICES["prometheus"]["command"])


def test_without_a_second_backend_the_first_is_named_twice(collector_binary: Path) -> None:
    """Which is the same as once: the collector takes it."""
    one = backend_file("prometheus")
    validate(collector_binary, [GATEWAY, one, one], {})


@pytest.mark.parametrize(
    ("one", "other"), [("prometheus", "prometheus-standby"), ("alertmanager", "alertmanager-2")]
)
def test_the_second_is_as_the_first(one: str, other: str) -> None:
    """The same program, files and flags; data and the port outside are its own."""
    assert mounts(one) == mounts(other)
    for key in SERVICES[one].keys() - {"ports", "volumes"}:
        assert SERVICES[one][key] == SERVICES[other][key]
    assert SERVICES[one]["ports"] != SERVICES[other]["ports"]
    assert SERVICES[one]["volumes"] != SERVICES[other]["volumes"]


def test_the_alertmanagers_are_a_pair() -> None:
    """Each finds both, and Prometheus tells both; the second Prometheus is there if asked for."""
    pair = ["alertmanager", "alertmanager-2"]
    flags = SERVICES["alertmanager"]["command"]
    assert [flag for flag in flags if "peer=" in flag] == [f"--cluster.peer={n}:9094" for n in pair]
    assert f"--cluster.peer-timeout={PEER_TIMEOUT:g}s" in flags
    (group,) = yaml.safe_load((FOLDER / "targets" / "alertmanager.yml").read_text())
    assert group["targets"] == [f"{name}:9093" for name in pair]
    assert [name for name in SERVICES if "profiles" in SERVICES[name]] == ["prometheus-standby"]


def test_targets_have_the_same_names_as_outside() -> None:
    """A target file that one side lacks would be scraped on the other side alone."""
    inside, outside = FOLDER / "targets", PROMETHEUS / "targets"
    assert {path.name for path in inside.iterdir()} == {path.name for path in outside.iterdir()}
    for path in inside.iterdir():
        assert [group.keys() for group in yaml.safe_load(path.read_text())] == [{"targets"}]


@pytest.mark.parametrize("service", sorted(SERVICES.keys() - {OWNER}))
def test_ports_are_bound_to_loopback(service: str) -> None:
    """Nothing of it is offered to the network."""
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service]["ports"])


def test_grafana_is_on_3001() -> None:
    """3000 is where so many applications are developed."""
    assert SERVICES["grafana"]["ports"] == ["127.0.0.1:3001:3000"]


@pytest.mark.parametrize("service", sorted(SERVICES.keys() - {"gateway", OWNER}))
def test_health_is_checked(service: str) -> None:
    """Each container whose image can run a check says whether it is ready."""
    assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"


def test_every_volume_that_is_used_is_declared() -> None:
    """Docker refuses a volume that is not."""
    named = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }
    assert named == COMPOSE["volumes"].keys()


@pytest.mark.parametrize("service", sorted(SERVICES.keys() - {OWNER}))
def test_every_container_is_confined(service: str) -> None:
    """No root, no writable image, no capability and no way to one, bounds to memory and processes."""
    given = SERVICES[service]
    assert re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", given["user"])
    assert given["read_only"] is True
    assert given["cap_drop"] == ["ALL"]
    assert "cap_add" not in given
    assert given["security_opt"] == ["no-new-privileges:true"]
    assert given["pids_limit"]
    assert given["mem_limit"]
    assert given.keys() & {"privileged", "pid", "ipc", "network_mode", "devices"} == set()


def test_who_hands_over_the_volume_can_do_nothing_else() -> None:
    """It is root without a network, changes an owner, and ends before the gateway begins."""
    given, gateway = SERVICES[OWNER], SERVICES["gateway"]
    assert given["entrypoint"][:3] == ["chown", "-R", gateway["user"]]
    assert given["volumes"] == [f"gateway-storage:{given['entrypoint'][3]}"]
    assert set(given["cap_add"]) == {"CHOWN", "DAC_READ_SEARCH"}
    assert (given["network_mode"], given["restart"]) == ("none", "no")
    assert gateway["depends_on"][OWNER] == {"condition": "service_completed_successfully"}


def test_the_database_shares_no_network_with_what_watches() -> None:
    """PostgreSQL and Redis are on one of their own."""
    apart = {name for name, service in SERVICES.items() if service.get("networks") == ["data"]}
    assert apart == {"postgres", "redis"}
