"""AccuBooks with everything around it: the servers of one deployment, started in order."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from otel_accubooks.stack.backends import Backends
from otel_accubooks.stack.collector import GatewayPorts
from otel_accubooks.stack.datadog_intake import DatadogIntake
from otel_accubooks.stack.files import REPOSITORY
from otel_accubooks.stack.group import Group, Say
from otel_accubooks.stack.ports import free_port, tcp_open
from otel_accubooks.stack.postgres import Postgres
from otel_accubooks.stack.process import Server
from otel_accubooks.stack.prometheus import Prometheus
from otel_accubooks.stack.redis import Redis

EXAMPLE = REPOSITORY / "examples" / "accubooks"
EXPORT_INTERVAL_MS = 2000
EXPORTER_SECONDS = 10.0
SERVICE = "accubooks"
_API_KEY = "0" * 32


def _has_argument(process: psutil.Process, start: str) -> bool:
    try:
        return any(part.startswith(start) for part in process.cmdline())
    except psutil.Error:
        return False


class Deployment(Group):
    """One deployment of the example application, its metrics going to the named backends.

    Everything is in `folder`, the logs among it; the application listens on `port`. As a context
    manager it leaves nothing running.
    `settings` are added to the environment of the application's processes. `rules` is a rule file
    for Prometheus in place of the rendered ones, `scrape_interval` replaces its 15 s, e.g. "1s";
    `alertmanager` is the host:port that it tells of alerts, or those of several. With
    "prometheus-standby" among the backends there is a second Prometheus, `standby`, like the first.
    """

    def __init__(
        self,
        folder: Path,
        backends: Sequence[str],
        *,
        port: int | None = None,
        workers: int = 3,
        threads: int = 1,
        settings: Mapping[str, str] | None = None,
        rules: Path | None = None,
        scrape_interval: str | None = None,
        alertmanager: str | Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.folder = folder
        self.backends = tuple(backends)
        self.ports = GatewayPorts()
        self.app_port = port or free_port()
        self.url = f"http://127.0.0.1:{self.app_port}"
        self.prometheus: Prometheus | None = None
        self.standby: Prometheus | None = None
        self.datadog: DatadogIntake | None = None
        self._workers, self._threads = workers, threads
        self._settings = dict(settings or {})
        self._rules, self._scrape_interval = rules, scrape_interval
        told = [alertmanager] if isinstance(alertmanager, str) else alertmanager
        self._alertmanagers = tuple(told)
        self._env: dict[str, str] = {}

    def _start(self, say: Say) -> None:
        say("PostgreSQL")
        self.postgres = self._running.enter_context(Postgres(self.folder / "postgres"))
        say("Redis")
        self.redis = self._running.enter_context(Redis(self.folder / "redis"))
        self._start_backends(say)
        self._env = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DATABASE_URL": self.postgres.dsn,
            "REDIS_URL": self.redis.url,
            "SECRET_KEY": os.urandom(16).hex(),
        }
        say("the ledger of five tenants")
        self._run_once("seed", sys.executable, "-m", "accubooks.seed")
        # From here on under the launcher: the commands are those of any application.
        self._env |= {
            "OTEL_SERVICE_NAME": SERVICE,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.ports.otlp_http}",
            "OTEL_METRIC_EXPORT_INTERVAL": str(EXPORT_INTERVAL_MS),
            "OTEL_ACCUBOOKS_RULES": str(EXAMPLE / "rules.toml"),
            "OTEL_ACCUBOOKS_STATE_DIR": str(self.folder / "state"),
            **self._settings,
        }
        self._running.callback(self._end_exporter)
        say("an RQ worker under opentelemetry-instrument")
        self.worker = self._enter(
            Server(
                "rq worker",
                ["opentelemetry-instrument", "rq", "worker", "--url", self.redis.url, "forecasts"],
                log=self.folder / "worker.log",
                env=self._env,
                cwd=EXAMPLE,
                ready=lambda: "Listening on forecasts" in self._log("worker.log"),
            )
        )
        say(f"gunicorn with {self._workers} workers under opentelemetry-instrument")
        bind = f"127.0.0.1:{self.app_port}"
        workers = ["--workers", str(self._workers), "--threads", str(self._threads)]
        gunicorn = ["gunicorn", *workers, "--bind", bind]
        self.gunicorn = self._enter(
            Server(
                "gunicorn",
                ["opentelemetry-instrument", *gunicorn, "accubooks.wsgi:app"],
                log=self.folder / "gunicorn.log",
                env=self._env,
                cwd=EXAMPLE,
                ready=lambda: tcp_open(self.app_port),
            )
        )

    def _start_backends(self, say: Say) -> None:
        env: dict[str, str] = {}
        if "datadog" in self.backends:
            say("a local Datadog intake")
            self.datadog = self._running.enter_context(DatadogIntake())
            env = {"DD_URL": self.datadog.url, "DD_TRACES_URL": self.datadog.url}
            env |= {"DD_API_KEY": _API_KEY, "DD_HOSTNAME": "demo"}
        backends = Backends(
            self.folder,
            self.backends,
            applications=[f"127.0.0.1:{self.app_port}"],
            alertmanagers=self._alertmanagers,
            env=env,
            ports=self.ports,
            rules=self._rules,
            scrape_interval=self._scrape_interval,
            token=self._settings.get("OTEL_ACCUBOOKS_MONITORING_TOKEN"),
        )
        self._running.enter_context(backends).start(say)
        self.prometheus, self.standby = backends.prometheus, backends.standby
        self.gateway = backends.gateway

    def _end_exporter(self) -> None:
        """Waits for the exporter, which ends after the service; one that cannot is ended."""
        state = str(self.folder / "state")
        give_up = time.monotonic() + EXPORTER_SECONDS
        while exporters := [p for p in psutil.process_iter() if _has_argument(p, state)]:
            if time.monotonic() > give_up:
                for exporter in exporters:
                    exporter.kill()
            time.sleep(0.1)

    def _enter(self, server: Server) -> Server:
        return self._running.enter_context(server)

    def _run_once(self, name: str, *argv: str) -> None:
        import subprocess

        with open(self.folder / f"{name}.log", "wb") as log:
            subprocess.run(argv, env=self._env, cwd=EXAMPLE, stdout=log, stderr=log, check=True)

    def _log(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(errors="replace")
        except FileNotFoundError:
            return ""
