"""What shows the dashboards of a deployment: the built-in viewer, and Grafana where there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from otel_accubooks.stack.grafana import PORT as GRAFANA_PORT
from otel_accubooks.stack.grafana import Grafana, find_grafana
from otel_accubooks.stack.ports import free_port, tcp_open
from otel_accubooks.stack.viewer import Viewer
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.rendering import BACKENDS

VIEWER_PORT, PUBLIC_PORT = 8050, 8051
# Everybody may see this one, and no other (docs/dashboards.md).
_PUBLIC = "executive_overview"


def start(
    running: ExitStack, folder: Path, prometheus: str, to: Addresses, say: Callable[[str], None]
) -> dict[str, str]:
    """Starts them over the Prometheus at that address; the address of each, by its name.

    They end with `running`; their files are in `folder`. Raises StartError.
    """
    say("the dashboards")
    shown = {}
    for name, only, usual in (
        ("Dashboards", None, VIEWER_PORT),
        ("Executives", _PUBLIC, PUBLIC_PORT),
    ):
        viewer = Viewer(
            folder / name.lower(), prometheus, runbooks=to.runbooks, only=only, port=_or_free(usual)
        )
        shown[name] = running.enter_context(viewer).url
    if binary := find_grafana():
        say("Grafana")
        rendered, port = BACKENDS["grafana"](to), _or_free(GRAFANA_PORT)
        grafana = Grafana(folder / "grafana", binary, rendered, prometheus, port=port)
        shown["Grafana"] = running.enter_context(grafana).url
    return shown


def as_servers(shown: Mapping[str, str]) -> dict[str, Any]:
    """What `start` gave, as fields of `Servers`."""
    fields = {"viewer": "Dashboards", "public": "Executives", "grafana": "Grafana"}
    return {field: shown.get(name, "") for field, name in fields.items()}


def _or_free(port: int) -> int:
    return free_port() if tcp_open(port) else port
