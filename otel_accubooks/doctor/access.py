"""Gateways that anybody may send to, and secrets of theirs that anybody may read."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil

from otel_accubooks.doctor.asking import ask
from otel_accubooks.doctor.destinations import Destination
from otel_accubooks.doctor.finding import Finding, Kind
from otel_accubooks.doctor.scene import Scene
from otel_accubooks.servers.api import LOOPBACK

OPEN = Kind(
    "gateway-open", "suspicious",
    "The gateway takes metrics from whoever reaches it, without a token or a certificate.",
    "senders that show who they are, or a gateway on 127.0.0.1",
    "start it with collector/options/bearer-auth.yaml or client-certificates.yaml (docs/security.md); "
    "where everybody in that network may send, leave it",
)  # fmt: skip
READABLE = Kind(
    "secret-readable", "suspicious",
    "A file with tokens or a key can be read by every user of the host.",
    "a file that its owner alone, or its group, may read",
    "chmod o-rwx the file",
)  # fmt: skip
_OF_GATEWAY = ("GATEWAY_TOKENS_FILE", "GATEWAY_TLS_KEY")
_OF_SENDER = ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY")
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - what is looked for


class Listener(NamedTuple):
    """A port on which a process of this host listens; `pid` where that may be known."""

    host: str
    port: int
    pid: int | None


def check(scene: Scene) -> Iterator[Finding]:
    """Each gateway that answered, and the files that gateways and senders of this host are told."""
    listening = _listening()
    everywhere = {one.port for one in listening if one.host in _EVERYWHERE}
    for to in scene.gateways:
        if not to.grpc and _is_reached_by_others(to, everywhere) and _takes_from_anybody(to):
            yield OPEN.found(f"{to.base} takes an export without a token", address=to.base)
    for name, path in sorted(_secrets(scene, listening)):
        try:
            mode = path.stat().st_mode
            entered = all(one.stat().st_mode & stat.S_IXOTH for one in path.resolve().parents)
        except OSError:
            continue  # not to be seen from here: another host's, or a container's
        if mode & stat.S_IROTH and entered:
            yield READABLE.found(
                f"{name} names {path}, which every user may read ({mode & 0o777:o})",
                fix=f"chmod o-rwx {path}",
                file=path,
            )


def _is_reached_by_others(to: Destination, everywhere: set[int]) -> bool:
    return not _is_here(to) or urlsplit(to.url).port in everywhere


def _takes_from_anybody(to: Destination) -> bool:
    answer = ask(
        "POST", to.url, headers={"content-type": "application/x-protobuf"}, content=b"",
        certificate=to.certificate, env=to.env,
    )  # fmt: skip
    return answer.status == 200


def _listening() -> list[Listener]:
    try:
        return [
            Listener(one.laddr.ip, one.laddr.port, one.pid)
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN and one.laddr
        ]
    except (psutil.Error, OSError):
        return []


def _secrets(scene: Scene, listening: Sequence[Listener]) -> set[tuple[str, Path]]:
    named = [(to.env, _OF_SENDER) for to in scene.destinations]
    mine = {urlsplit(to.url).port for to in scene.destinations if _is_here(to)}
    for pid in {one.pid for one in listening if one.pid and one.port in mine}:
        try:
            named.append((psutil.Process(pid).environ(), _OF_GATEWAY))
        except psutil.Error:
            continue  # another user's, or gone
    return {
        (name, Path(env[name]))
        for env, names in named
        for name in names
        if env.get(name, "")[:1] == "/"
    }


def _is_here(to: Destination) -> bool:
    return urlsplit(to.url).hostname in LOOPBACK
