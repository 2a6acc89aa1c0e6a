"""The gateway: whether it answers, takes what is sent with this token, and can hand it on."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from urllib.parse import urlsplit

import psutil

from otel_accubooks.contract import pipeline
from otel_accubooks.doctor.asking import Answer, ask, proxy_of
from otel_accubooks.doctor.destinations import Destination, destinations
from otel_accubooks.doctor.exporter import TOKEN, UNREACHABLE
from otel_accubooks.doctor.finding import Finding, Kind
from otel_accubooks.doctor.scene import Clock, Scene
from otel_accubooks.servers.api import LOOPBACK
from otel_accubooks.servers.exposition import parse

WRONG_PATH = Kind(
    "gateway-wrong-path", "wrong",
    "Something answers at the gateway's address, and takes no metrics there.",
    "200 to a POST of /v1/metrics",
    "correct OTEL_EXPORTER_OTLP_ENDPOINT: host and port of the gateway's OTLP over HTTP, without path",
)  # fmt: skip
NO_OTLP = Kind(
    "not-an-otlp-port", "wrong",
    "What answers at the gateway's address does not speak OTLP over HTTP.",
    "the port for OTLP over HTTP, 4318 unless it was changed",
    "correct the port in OTEL_EXPORTER_OTLP_ENDPOINT: 4318 is OTLP over HTTP, 4317 gRPC, 13133 "
    "health, 8888 the gateway's own metrics",
)  # fmt: skip
TLS = Kind(
    "tls-mismatch", "wrong",
    "One side speaks TLS, and the other does not.",
    "https:// where the gateway has a certificate, http:// where it has none",
    "change http to https (or back) in OTEL_EXPORTER_OTLP_ENDPOINT",
)  # fmt: skip
CERTIFICATE = Kind(
    "certificate-refused", "wrong",
    "The gateway's certificate is not trusted.",
    "a certificate for this name, by somebody who is trusted",
    "name the file with its authority in OTEL_EXPORTER_OTLP_CERTIFICATE, or renew the certificate",
)  # fmt: skip
OVERLOADED = Kind(
    "gateway-refuses-for-now", "wrong",
    "The gateway takes nothing at the moment: its memory or its queue is full.",
    "200 to each export",
    "see whether its backend answers; give it more memory by GATEWAY_MEMORY_MIB",
)  # fmt: skip
REFUSES = Kind(
    "gateway-refuses", "wrong",
    "The gateway refuses what is sent.",
    "200 to each export",
    "read what it says, and its log",
)  # fmt: skip
CANNOT_HAND_ON = Kind(
    "gateway-cannot-hand-on", "wrong",
    "The gateway takes what it is sent, and cannot hand it on.",
    "a backend that acknowledges, and an empty queue",
    "correct the backend's address or key in the gateway's environment (the head of its file in "
    "collector/backends/ says which), and read the gateway's log",
)  # fmt: skip
PROXY = Kind(
    "proxy-between", "wrong",
    "Exports go through an HTTP proxy, and do not arrive: without it the gateway answers.",
    "the gateway's host in NO_PROXY",
    "add the gateway's host to NO_PROXY, and restart the application",
)  # fmt: skip

ANOTHER_BACKEND = Kind(
    "gateway-feeds-another", "wrong",
    "The gateway hands on what it is sent, and to another backend than the one that is asked.",
    "the backend that is asked among the gateway's exporters",
    "start the gateway with the file of this backend in collector/backends/, or name the backend that "
    "it feeds: otel-accubooks doctor --prometheus http://host:9090",
)  # fmt: skip

GATEWAY_JOB = "otel-gateway"
_SENT = "otelcol_exporter_sent_metric_points"
_FAILED = (pipeline.SEND_FAILED.name, pipeline.ENQUEUE_FAILED.name)
_REFUSED = (pipeline.RECEIVER_REFUSED.name, pipeline.PROCESSOR_REFUSED.name)
_BY_STATUS = {
    400: NO_OTLP,
    404: WRONG_PATH,
    405: WRONG_PATH,
    415: NO_OTLP,
    429: OVERLOADED,
    503: OVERLOADED,
}
_PROTOBUF = {"content-type": "application/x-protobuf"}


def check(scene: Scene) -> Iterator[Finding]:
    """Every address to which something is sent."""
    scene.destinations = destinations(
        scene.processes.applications, scene.services, scene.servers.gateway, scene.environ
    )
    for to in scene.destinations:
        if to.grpc:
            found = _reached(to)
        else:
            answer = _asked(to, to.env)
            if answer.apart is not None:
                scene.clocks.append(Clock(f"the gateway at {to.base}", answer.apart))
            found = _by_proxy(to, judged(to, answer))
        scene.looked.append(f"gateway {to.shown} ({'refused or silent' if found else 'answers'})")
        if found is None:
            scene.gateways.append(to)
            continue
        same = [f for f in scene.findings if f.kind is found.kind and to.base in f.found]
        if not same:  # the exporter has said so itself
            yield found


def _asked(to: Destination, env: Mapping[str, str]) -> Answer:
    return ask(
        "POST", to.url, headers={**to.headers, **_PROTOBUF}, content=b"",
        certificate=to.certificate, shown=to.client, env=env,
    )  # fmt: skip


def _by_proxy(to: Destination, found: Finding | None) -> Finding | None:
    """Where a proxy is in between, whether it is the cause."""
    proxy = proxy_of(to.url, to.env)
    if found is None or not proxy:
        return found
    shown = proxy.rpartition("@")[2].removeprefix("http://")
    if judged(to, _asked(to, {})) is not None:
        return replace(found, found=f"{found.found} (by the HTTP proxy {shown})")
    return PROXY.found(
        f"{to.who} sends to {to.shown} by the HTTP proxy {shown}, and it does not arrive; without "
        "the proxy the gateway answers",
        fix=f"add {urlsplit(to.url).hostname} to NO_PROXY, and restart the application",
        **found.where,
    )


def _beside(gateways: Sequence[Destination]) -> list[str]:
    """Pages that gateways of this host may have, at the ports beside those that they are sent to."""
    mine = {urlsplit(to.url).port for to in gateways if urlsplit(to.url).hostname in LOOPBACK}
    try:
        listening = [
            (c.pid, c.laddr.port)
            for c in psutil.net_connections("tcp")
            if c.status == psutil.CONN_LISTEN and c.laddr and c.pid
        ]
    except (psutil.Error, OSError):
        return []
    pids = {pid for pid, port in listening if port in mine}
    others = sorted({port for pid, port in listening if pid in pids and port not in mine})
    return [f"http://127.0.0.1:{port}/metrics" for port in others]


def _reached(to: Destination) -> Finding | None:
    parts = urlsplit(to.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=5).close()
    except OSError as error:
        return UNREACHABLE.found(f"{to.base} (gRPC): {error}", address=to.base)
    return None


def judged(to: Destination, answer: Answer) -> Finding | None:
    """What an answer to an empty export says is wrong; None for a good one."""
    where = {"address": to.shown, "service": to.who}
    if answer.trouble:
        kind = {
            "certificate": CERTIFICATE, "tls": TLS, "protocol": NO_OTLP, "address": WRONG_PATH,
        }.get(answer.trouble, UNREACHABLE)  # fmt: skip
        named = {"name": "no such name: ", "timeout": "no answer in 5 s: "}.get(answer.trouble, "")
        fix = {
            "timeout": "restart the gateway, or let the firewall between pass it; or correct "
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "name": "correct the host in OTEL_EXPORTER_OTLP_ENDPOINT, and restart the application",
        }.get(answer.trouble, "")
        return kind.found(f"{to.shown}: {named}{answer.said}", fix=fix, **where)
    return _refusal(to, answer, where)


def _refusal(to: Destination, answer: Answer, where: dict[str, str]) -> Finding | None:
    said = f"{to.shown} answers {answer.status} {answer.text.strip()[:200]}"
    content = (answer.headers or {}).get("content-type", "")
    if answer.status == 200:
        # Who says nothing of an empty answer may be a backend's own receiver.
        otlp = "protobuf" in content or "json" in content or not (answer.text or content)
        return None if otlp else NO_OTLP.found(f"{said} ({content or 'no type'})", **where)
    if answer.status in (401, 403):
        shows = "with" if to.headers else "without"
        return TOKEN.found(f"{said}, to {to.who} {shows} a token", **where)
    if answer.status == 400 and "https" in answer.text.lower():
        return TLS.found(said, **where)
    kind = _BY_STATUS.get(answer.status, REFUSES)
    return (WRONG_PATH if 300 <= answer.status < 400 else kind).found(said, **where)


class OwnMetrics:
    """What gateways say of themselves, at the start and at the end of an examination."""

    def __init__(self, scene: Scene, targets: list[str]) -> None:
        """`targets` are addresses of metrics pages that a Prometheus scrapes."""
        hosts = {urlsplit(to.url).hostname for to in scene.gateways}
        pages = [*targets, *(f"http://{host}:8888/metrics" for host in sorted(filter(None, hosts)))]
        self._gateways = scene.gateways
        pages += _beside(scene.gateways)
        self._pages = list(dict.fromkeys(pages))
        self._before = {page: self._read(page) for page in self._pages}

    def seen(self) -> list[str]:
        """The pages that answered."""
        return [page for page, found in self._before.items() if found]

    @staticmethod
    def _read(page: str) -> dict[tuple[str, str], float]:
        answer = ask("GET", page)
        try:
            shown = parse(answer.text if answer.status == 200 else "")
        except ValueError:  # something else answers there
            return {}
        found: dict[tuple[str, str], float] = {}
        for sample in chain.from_iterable(shown.values()):
            by = sample.labels
            who = by.get("exporter") or by.get("receiver") or by.get("processor", "")
            key = sample.name.removesuffix("_total"), who
            if not sample.name.startswith("otelcol_"):
                continue
            found[key] = found.get(key, 0.0) + sample.value
        return found

    def check(self, *, lost: bool, losing: Collection[str]) -> Iterator[Finding]:
        """What grew in between; and what waits, where something was `lost`: else it is on its way.

        `losing` are the gateways that took the marked metric, which did not arrive.
        """
        own = _beside([to for to in self._gateways if to.base in losing])
        for page in self.seen():
            before, now = self._before[page], self._read(page)
            sending = [
                who for (name, who), value in sorted(now.items())
                if name == _SENT and value > before.get((name, who), 0.0)
            ]  # fmt: skip
            stuck = any(
                value > (before.get((name, who), 0.0) if name in _FAILED else 0.0)
                for (name, who), value in now.items()
                if name in (*_FAILED, pipeline.QUEUE_SIZE.name)
            )
            if page in own and sending and not stuck:
                yield ANOTHER_BACKEND.found(
                    f"the gateway hands on to {', '.join(sending)} ({page}), and nothing of it arrives",
                    address=page,
                )
            for (name, who), value in sorted(now.items()):
                grown = value - before.get((name, who), 0.0)
                if name in _FAILED and grown > 0:
                    yield CANNOT_HAND_ON.found(
                        f"the exporter {who} of the gateway lost {grown:.0f} points meanwhile "
                        f"({name} at {page})",
                        address=page,
                    )
                if name in _REFUSED and grown > 0:
                    yield OVERLOADED.found(f"{name} of {who} grew by {grown:.0f}", address=page)
                if lost and name == pipeline.QUEUE_SIZE.name and value > 0:
                    yield CANNOT_HAND_ON.found(
                        f"in the queue of the exporter {who} of the gateway {value:.0f} wait, and "
                        f"nothing arrives in the backend ({page})",
                        address=page,
                    )
