"""A gateway that asks who sends, an application that sends to it, and keys that change meanwhile."""

from __future__ import annotations

import datetime
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import trustme

from otel_accubooks.stack.binaries import find_collector
from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.datadog_intake import DatadogIntake
from otel_accubooks.stack.files import COLLECTOR
from otel_accubooks.stack.ports import LOOPBACK, free_port
from otel_accubooks.stack.process import Server
from tests.reliability.service import environment, gunicorn

APP = """
from flask import Flask

app = Flask(__name__)

@app.get("/work/<name>")
def work(name):
    return "done"
"""
OPTIONS = ("bearer-auth", "tls", "client-certificates")
# A minute is long for a test.
QUICKLY = """
receivers:
  otlp:
    protocols:
      grpc: {tls: {reload_interval: 1s}}
      http: {tls: {reload_interval: 1s}}
"""
_ARRIVED = re.compile(
    r'^http_requests_total\{.*route="/work/<name>".*\} ([0-9.e+]+)$', re.MULTILINE
)
_SAID = re.compile(r"metrics are not arriving at .*")
ARRIVAL_SECONDS = 60.0
AWHILE_SECONDS = 2.0


class Keys:
    """Certificates and tokens, in files of `folder`, that are replaced as `options/` say."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.authority, self.client_authority = trustme.CA(), trustme.CA()
        self.write("ca.pem", self.authority.cert_pem.bytes())
        self.write("client-ca.pem", self.client_authority.cert_pem.bytes())
        self.certify_gateway()
        self.certify_sender()
        self.tokens("first-token")

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def write(self, name: str, content: bytes) -> None:
        """In one step: who reads has the old file or the new one."""
        new = self.folder / f"{name}.new"
        new.touch(mode=0o600)
        new.write_bytes(content)
        new.replace(self.folder / name)

    def tokens(self, *tokens: str) -> None:
        self.write("tokens", "".join(f"{token}\n" for token in tokens).encode())

    def certify_gateway(self, *, by: trustme.CA | None = None, expired: bool = False) -> None:
        """A new certificate for the gateway, of its authority or of another one."""
        ends = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
        made = (by or self.authority).issue_cert(
            LOOPBACK,
            "localhost",
            not_before=ends - datetime.timedelta(days=30) if expired else None,
            not_after=ends if expired else None,
        )
        self._keep("gateway", made)

    def certify_sender(self, by: trustme.CA | None = None) -> None:
        """A new certificate for the sender."""
        self._keep("sender", (by or self.client_authority).issue_cert("sender@example.org"))

    def _keep(self, name: str, made: trustme.LeafCert) -> None:
        self.write(f"{name}.key", made.private_key_pem.bytes())
        self.write(f"{name}.pem", b"".join(blob.bytes() for blob in made.cert_chain_pems))

    def of_gateway(self) -> dict[str, str]:
        """What the options read."""
        return {
            "GATEWAY_TOKENS_FILE": self.path("tokens"),
            "GATEWAY_TLS_CERT": self.path("gateway.pem"),
            "GATEWAY_TLS_KEY": self.path("gateway.key"),
            "GATEWAY_TLS_CLIENT_CA": self.path("client-ca.pem"),
        }

    def of_sender(self, token: str = "first-token") -> dict[str, str]:
        """What the exporter reads."""
        return {
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {token}",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": self.path("ca.pem"),
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": self.path("sender.pem"),
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": self.path("sender.key"),
        }


class Load:
    """Requests, all the time, until the end of the block; `count` is how many were answered."""

    def __init__(self, url: str) -> None:
        self.count = 0
        self._url, self._over = url, threading.Event()
        self._thread = threading.Thread(target=self._go)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _go(self) -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not self._over.wait(0.01):
                self.count += client.get(f"{self._url}/work/{self.count}").status_code == 200


class Stand:
    """The gateway with TLS, client certificates and tokens, and an application that sends to it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.keys = folder, Keys(folder / "keys")
        self.datadog = DatadogIntake(free_port())
        quickly = folder / "quickly.yaml"
        quickly.write_text(QUICKLY)
        options = [*(COLLECTOR / f"options/{name}.yaml" for name in OPTIONS), quickly]
        self.gateway = Collector(
            folder / "gateway",
            find_collector(),
            ["prometheus-scrape", "datadog"],
            env={
                **self.keys.of_gateway(),
                "DD_URL": self.datadog.url,
                "DD_API_KEY": "0" * 32,
                "DD_HOSTNAME": "gateway-host",
            },
            options=options,
        )
        self.url = f"https://{LOOPBACK}:{self.gateway.ports.otlp_http}"
        (folder / "app.py").write_text(APP)
        self.port = free_port()
        self.env = environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=self.url,
            OTEL_SERVICE_NAME="access",
            OTEL_METRIC_EXPORT_INTERVAL="1000",
            OTEL_ACCUBOOKS_STATE_DIR=str(folder / "state"),
            **self.keys.of_sender(),
        )
        self._running = ExitStack()

    def __enter__(self) -> Stand:
        self._running.enter_context(self.datadog)
        self._running.enter_context(self.gateway)
        self.application = self._running.enter_context(self._server())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.__exit__(kind, error, trace)

    def _server(self) -> Server:
        return gunicorn(self.folder, self.port, self.env, workers=2)

    def load(self) -> Load:
        return Load(f"http://{LOOPBACK}:{self.port}")

    def arrived(self) -> float:
        """Requests, as the gateway's page for Prometheus has them."""
        url = f"http://{LOOPBACK}:{self.gateway.ports.prometheus_scrape}/metrics"
        page = httpx.get(url, trust_env=False).text
        return sum(map(float, _ARRIVED.findall(page)))

    def said(self) -> list[str]:
        """What the application's log has of what does not arrive."""
        return _SAID.findall((self.folder / "server.log").read_text())

    def in_datadog(self) -> float:
        """The same, as Datadog was told of it."""
        return self.datadog.value("http_requests_total", route="/work/<name>")

    def restart_gateway(self) -> None:
        """Senders have to shake hands again."""
        self.gateway.stop()
        self.gateway.start()

    def restart_application(self, **settings: str) -> None:
        """With other settings, over the same counts."""
        self.application.stop()
        self.env |= settings
        self.application = self._running.enter_context(self._server())

    def broken(self, fault: Fault, load: Load) -> list[str]:
        """Breaks it until it is said why, goes on for a while, mends it; what was said meanwhile."""
        before = len(self.said())
        fault.wrong(self)
        assert reached(lambda: any(fault.says in line for line in self.said()[before:]))
        count = load.count
        time.sleep(AWHILE_SECONDS)
        fault.right(self)
        assert reached(lambda: self.arrived() > count)
        return self.said()[before:]

    def served(self) -> int:
        """The serial number of the certificate that the gateway shows."""
        context = ssl.create_default_context(cafile=self.keys.path("ca.pem"))
        context.load_cert_chain(self.keys.path("sender.pem"), self.keys.path("sender.key"))
        with (
            socket.create_connection((LOOPBACK, self.gateway.ports.otlp_http)) as plain,
            context.wrap_socket(plain, server_hostname=LOOPBACK) as made,
        ):
            shown = made.getpeercert()
        assert shown is not None
        return int(str(shown["serialNumber"]), 16)

    def knock(self, visitor: Visitor) -> str:
        """What is answered to somebody who sends nothing: the status, or that there is no answer."""
        context = ssl.create_default_context(cafile=self.keys.path("ca.pem"))
        if visitor.certificate is not None:
            authority = {"ours": self.keys.client_authority, "theirs": trustme.CA()}
            authority[visitor.certificate].issue_cert("sender@example.org").configure_cert(context)
        headers = {"Authorization": visitor.shows} if visitor.shows is not None else {}
        url = f"{visitor.scheme}://{LOOPBACK}:{self.gateway.ports.otlp_http}/v1/metrics"
        # Who speaks no TLS is told so and reset, which may overtake the answer: he knocks again.
        for _ in range(5 if visitor.scheme == "http" else 1):
            try:
                answer = httpx.post(url, json={}, headers=headers, verify=context, trust_env=False)
            except httpx.HTTPError:
                continue
            return str(answer.status_code)
        return "no answer"


@dataclass(frozen=True)
class Visitor:
    """Somebody who knocks at the gateway's door: `answer` is what he is to be told."""

    who: str
    shows: str | None
    certificate: str | None
    answer: str
    scheme: str = "https"


VISITORS = (
    Visitor("the application", "Bearer first-token", "ours", "200"),
    Visitor("nobody's token", None, "ours", "401"),
    Visitor("a wrong token", "Bearer first-tokem", "ours", "401"),
    Visitor("the beginning of the token", "Bearer first", "ours", "401"),
    Visitor("an empty token", "Bearer", "ours", "401"),
    Visitor("the token by another scheme", "Basic first-token", "ours", "401"),
    Visitor("no certificate", "Bearer first-token", None, "no answer"),
    Visitor("a stranger's certificate", "Bearer first-token", "theirs", "no answer"),
    Visitor("without TLS", "Bearer first-token", None, "400", "http"),
)


@dataclass(frozen=True)
class Fault:
    """What is wrong for a while, and what of it is said."""

    name: str
    says: str
    wrong: Callable[[Stand], None]
    right: Callable[[Stand], None]


def _gateway_is(stand: Stand, **how: Any) -> None:
    stand.keys.certify_gateway(**how)
    stand.restart_gateway()


def _sender_is_a_stranger(stand: Stand) -> None:
    stand.keys.certify_sender(trustme.CA())
    stand.restart_gateway()


FAULTS = (
    Fault(
        "the token is taken out of the gateway's file",
        "it answered 401 Unauthorized: set OTEL_EXPORTER_OTLP_HEADERS to what it lets in",
        lambda stand: stand.keys.tokens("second-token"),
        lambda stand: stand.keys.tokens("second-token", "first-token"),
    ),
    Fault(
        "the gateway's certificate expires",
        "its certificate is refused (certificate has expired)",
        lambda stand: _gateway_is(stand, expired=True),
        lambda stand: stand.keys.certify_gateway(),
    ),
    Fault(
        "the gateway's certificate is of an authority that the sender does not trust",
        "its certificate is refused (unable to get local issuer certificate)",
        lambda stand: _gateway_is(stand, by=trustme.CA()),
        lambda stand: stand.keys.certify_gateway(),
    ),
    Fault(
        "the sender's certificate is of an authority that the gateway does not trust",
        "it ends the TLS handshake",
        _sender_is_a_stranger,
        lambda stand: stand.keys.certify_sender(),
    ),
)


def reached(condition: Callable[[], object], seconds: float = ARRIVAL_SECONDS) -> bool:
    """True as soon as it holds; False if it does not within the time."""
    give_up = time.monotonic() + seconds
    while not (found := bool(condition())) and time.monotonic() < give_up:
        time.sleep(0.1)
    return found
