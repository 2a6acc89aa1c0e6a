"""A Grafana of our own, provisioned with rendered files, where one is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from otel_accubooks.stack.ports import LOOPBACK, http_ok
from otel_accubooks.stack.process import Server, StartError
from otel_accubooks.vendors.grafana.provisioning import DASHBOARDS_VARIABLE, PROMETHEUS_VARIABLE

if TYPE_CHECKING:
    from typing_extensions import Self

PORT = 3001
ADMIN = ("admin", "accubooks")
# Where its packages put what the program itself has not: defaults and pages.
_PACKAGED_HOME = Path("/usr/share/grafana")
# Its first start makes a database, with some hundred migrations.
START_SECONDS = 120.0


def find_grafana() -> Path | None:
    """The program of $GRAFANA_HOME, or of PATH; None where there is none, which is no error."""
    home = os.environ.get("GRAFANA_HOME")
    folders = [str(Path(home, "bin"))] if home else []
    path = os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])
    # Until Grafana 9 there was grafana-server alone; it is still there, and says that it is old.
    found = shutil.which("grafana", path=path) or shutil.which("grafana-server", path=path)
    return Path(found) if found else None


class Grafana(Server):
    """A Grafana on the loopback address that shows `rendered`, the files of the compiler.

    `prometheus` is the address of what its dashboards ask. Everybody may look without signing in;
    ADMIN may do everything. Data, logs and provisioning are in `folder`.
    """

    def __init__(
        self, folder: Path, binary: Path, rendered: Mapping[str, str], prometheus: str,
        *, port: int = PORT,
    ) -> None:  # fmt: skip
        self.port = port
        self.url = f"http://{LOOPBACK}:{port}"
        home = _home(binary)
        _write(folder, rendered)
        server = [] if binary.name == "grafana-server" else ["server"]
        super().__init__(
            "Grafana",
            [str(binary), *server, f"--homepath={home}"],
            log=folder / "grafana.log",
            env={**os.environ, **_settings(folder, port, prometheus)},
            cwd=folder,
            ready=lambda: http_ok(f"{self.url}/api/health"),
        )

    def start(self, timeout: float = START_SECONDS) -> Self:
        """Start it, and wait until its database is ready; raises StartError."""
        return super().start(timeout)


def _home(binary: Path) -> Path:
    """The folder that has conf/defaults.ini: above bin/, or that of the system's packages."""
    unpacked = binary.resolve().parent.parent
    named = os.environ.get("GRAFANA_HOME")
    for home in (*([Path(named)] if named else []), unpacked, _PACKAGED_HOME):
        if (home / "conf" / "defaults.ini").is_file():
            return home
    raise StartError(
        f"Grafana: no conf/defaults.ini in {unpacked} or {_PACKAGED_HOME}: "
        "set GRAFANA_HOME to the folder that has it"
    )


def _write(folder: Path, rendered: Mapping[str, str]) -> None:
    # What a dashboard that is no longer rendered left would be shown too.
    for stale in ("provisioning", "dashboards"):
        shutil.rmtree(folder / stale, ignore_errors=True)
    for name, text in rendered.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _settings(folder: Path, port: int, prometheus: str) -> dict[str, str]:
    """Grafana's configuration, as its environment says it: GF_<section>_<key>."""
    user, password = ADMIN
    return {
        PROMETHEUS_VARIABLE: prometheus,
        DASHBOARDS_VARIABLE: str(folder / "dashboards"),
        "GF_PATHS_DATA": str(folder / "data"),
        "GF_PATHS_LOGS": str(folder / "logs"),
        "GF_PATHS_PLUGINS": str(folder / "plugins"),
        "GF_PATHS_PROVISIONING": str(folder / "provisioning"),
        "GF_SERVER_HTTP_ADDR": LOOPBACK,
        "GF_SERVER_HTTP_PORT": str(port),
        "GF_LOG_MODE": "console",
        "GF_SECURITY_ADMIN_USER": user,
        "GF_SECURITY_ADMIN_PASSWORD": password,
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_NEWS_NEWS_FEED_ENABLED": "false",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    }
