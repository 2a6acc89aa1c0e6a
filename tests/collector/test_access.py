"""Who may send to a gateway: nobody from outside, until a file says who."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import httpx
import pytest

from otel_accubooks.stack.collector import Collector, GatewayPorts, arguments, check_hosts
from otel_accubooks.stack.files import COLLECTOR, GATEWAY, backend_file
from otel_accubooks.stack.ports import LOOPBACK, tcp_open
from otel_accubooks.stack.process import Server, StartError
from tests.collector.refusing import refusal
from tests.reliability.access import FAULTS, VISITORS, Keys, Stand, reached

BACKEND = backend_file("prometheus-scrape")
HOSTS = ("GATEWAY_OTLP_HOST", "GATEWAY_STATSD_HOST")
# Another address of this machine, which stands for that of a network.
OUTSIDE = "127.0.0.2"


def option(name: str) -> Path:
    return COLLECTOR / "options" / f"{name}.yaml"


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "gateway.example.org"])
@pytest.mark.parametrize("name", HOSTS)
def test_no_setting_opens_the_gateway(
    collector_binary: Path, tmp_path: Path, name: str, host: str
) -> None:
    """Without a file that says who may send it does not start, whoever starts it."""
    told = refusal(
        collector_binary, [GATEWAY, BACKEND], {name: host, "GATEWAY_STORAGE": str(tmp_path)}
    )
    assert "unknown port" in told or "too many colons" in told


@pytest.mark.parametrize("name", HOSTS)
def test_who_starts_it_by_our_commands_is_told_what_to_do(
    collector_binary: Path, tmp_path: Path, name: str
) -> None:
    """One line, before anything is started; TLS alone says nothing of who sends."""
    keys = Keys(tmp_path / "keys")
    for options in ([], [option("tls")]):
        with pytest.raises(StartError, match=f"{name} is '0.0.0.0', which gateway.yaml alone"):
            Collector(
                tmp_path,
                collector_binary,
                ["prometheus-scrape"],
                env={name: "0.0.0.0", **keys.of_gateway()},
                options=options,
            )


@pytest.mark.parametrize("name", ["GATEWAY_OTLP_GRPC", "GATEWAY_OTLP_HTTP", "GATEWAY_STATSD"])
def test_an_address_by_its_old_name_is_refused(name: str) -> None:
    """Nobody reads it: a gateway that was told so would listen elsewhere, and say nothing."""
    with pytest.raises(StartError, match=f"{name} is '0.0.0.0:1', .* {name}_PORT"):
        check_hosts([GATEWAY, option("otlp-without-authentication")], {name: "0.0.0.0:1"})


@pytest.mark.parametrize(
    "options",
    [
        ["otlp-without-authentication"],
        ["bearer-auth"],
        ["tls", "client-certificates"],
        ["tls", "bearer-auth", "client-certificates"],
    ],
    ids="+".join,
)
def test_a_file_opens_it_and_says_for_whom(
    collector_binary: Path, tmp_path: Path, options: list[str]
) -> None:
    """Both ports are there for others, and answer a stranger as that file says; StatsD stays inside."""
    ports, keys = GatewayPorts(), Keys(tmp_path / "keys")
    files = [GATEWAY, *map(option, options), BACKEND]
    health = f"http://{LOOPBACK}:{ports.health}/"
    server = Server(
        "gateway",
        [str(collector_binary), *arguments(files)],
        log=tmp_path / "log",
        env={
            **ports.environment(),
            **keys.of_gateway(),
            "GATEWAY_OTLP_HOST": OUTSIDE,
            "GATEWAY_STORAGE": str(tmp_path / "storage"),
        },
        ready=lambda: _is_open(ports.otlp_http) and _is_open(ports.otlp_grpc),
    )
    with server:
        assert httpx.get(health, trust_env=False).status_code == 200
        assert not tcp_open(ports.otlp_http)  # nothing on 127.0.0.1 any more
        scheme = "https" if "tls" in options else "http"
        trusted = ssl.create_default_context(cafile=keys.path("ca.pem"))
        trusted.check_hostname = False
        try:
            answer = str(
                httpx.post(
                    f"{scheme}://{OUTSIDE}:{ports.otlp_http}/v1/metrics",
                    json={},
                    verify=trusted,
                    trust_env=False,
                ).status_code
            )
        except httpx.HTTPError:
            answer = "no answer"
    expected = {"bearer-auth": "401", "client-certificates": "no answer"}
    assert answer == expected.get(options[-1], "200")


def _is_open(port: int) -> bool:
    try:
        socket.create_connection((OUTSIDE, port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("path", ["", "/nowhere/ca.pem"])
def test_without_an_authority_nobody_is_let_in(
    collector_binary: Path, tmp_path: Path, path: str
) -> None:
    """A setting that is missing, or names nothing, keeps the gateway from starting."""
    files = [GATEWAY, option("tls"), option("client-certificates"), BACKEND]
    settings = {
        **Keys(tmp_path / "keys").of_gateway(),
        "GATEWAY_TLS_CLIENT_CA": path,
        "GATEWAY_STORAGE": str(tmp_path / "storage"),
    }
    assert "failed to load CA" in refusal(collector_binary, files, settings)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_old_tls_is_refused_and_strangers_too(tmp_path: Path) -> None:
    """1.2 is the oldest that is spoken; who shows what is wrong is told 401, or nothing."""
    stand = Stand(tmp_path)
    with stand.datadog, stand.gateway:
        spoken = {
            version: _speaks(stand, getattr(ssl.TLSVersion, version))
            for version in ("TLSv1_1", "TLSv1_2", "TLSv1_3")
        }
        answers = {visitor.who: stand.knock(visitor) for visitor in VISITORS}
    assert spoken == {"TLSv1_1": False, "TLSv1_2": True, "TLSv1_3": True}
    assert answers == {visitor.who: visitor.answer for visitor in VISITORS}


def _speaks(stand: Stand, version: ssl.TLSVersion) -> bool:
    context = ssl.create_default_context(cafile=stand.keys.path("ca.pem"))
    context.load_cert_chain(stand.keys.path("sender.pem"), stand.keys.path("sender.key"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    try:
        with (
            socket.create_connection((LOOPBACK, stand.gateway.ports.otlp_http)) as plain,
            context.wrap_socket(plain, server_hostname=LOOPBACK),
        ):
            return True
    except OSError:
        return False


def test_what_is_wrong_is_said_once_and_nothing_is_lost(tmp_path: Path) -> None:
    """A token that is taken away, a certificate that expires: wrong for a while, under load."""
    stand = Stand(tmp_path)
    with stand:
        with stand.load() as load:
            assert reached(lambda: stand.arrived() > 0)
            for fault in FAULTS[:2]:
                lines = stand.broken(fault, load)
                assert sum(fault.says in line for line in lines) == 1, lines
        assert reached(lambda: stand.arrived() == load.count)
        assert reached(lambda: stand.in_datadog() == load.count)
        assert "first-token" not in stand.application.log.read_text()


def test_certificates_and_tokens_change_under_load(tmp_path: Path) -> None:
    """Nobody is restarted for a certificate; no count is lost or doubled by any of it."""
    stand = Stand(tmp_path)
    with stand:
        with stand.load() as load:
            assert reached(lambda: stand.arrived() > 0)
            before = stand.served()
            stand.keys.certify_gateway()
            stand.keys.certify_sender()
            assert reached(lambda: stand.served() != before)
            stand.keys.tokens("first-token", "second-token")
            stand.keys.tokens("second-token")
            assert reached(lambda: "401" in "".join(stand.said()))
            stand.keys.tokens("first-token")
            count = load.count
            assert reached(lambda: stand.arrived() > count)
        assert reached(lambda: stand.arrived() == load.count)
        assert reached(lambda: stand.in_datadog() == load.count)
