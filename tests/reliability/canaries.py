"""Secrets and people's data of which there is one each, planted wherever they can be, and looked for."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.parse
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import redis

from otel_accubooks.contract.endpoints import DEFAULT_PREFIX, ENDPOINTS
from otel_accubooks.export.spawn import ask_to_send
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.stack.binaries import find_collector, find_prometheus3
from otel_accubooks.stack.collector import Collector
from otel_accubooks.stack.files import COLLECTOR
from otel_accubooks.stack.ports import free_port, tcp_open
from otel_accubooks.stack.postgres import Postgres
from otel_accubooks.stack.process import Server
from otel_accubooks.stack.prometheus import Prometheus
from otel_accubooks.stack.redis import Redis
from tests.reliability.canary_app import APP, JOBS, RULES
from tests.reliability.canary_sinks import Datadog, Tap, Vendor

BIN = Path(sys.executable).parent

# Where there is one. The first come with a request, the next are the application's own, the last are
# what its operators set.
PLACES = (
    "path", "query", "form", "json", "header", "cookie", "bearer", "host", "user_id", "email", "tier",
    "sql_text", "parameter", "duplicate", "redis_key", "redis_value", "hash_field", "command_argument",
    "job_argument", "job_result", "job_exception", "task_argument", "task_exception", "task_header",
    "exception", "chained", "log_record", "cache_key", "answer", "streamed",
    "database_password", "redis_password", "flask_secret", "environment_token", "monitoring_token",
    "users_secret", "gateway_token", "datadog_key", "newrelic_key", "backend_header",
)  # fmt: skip
# What an application puts into meters of its own: there it may be, behind the gateway not.
# Where a request went, and by which name it was asked for: spans say so (docs/traces.md).
IN_SPANS = frozenset(("path", "host"))
SLIPPED = (
    "own_email",
    "own_card",
    "own_jwt",
    "own_url",
    "own_password",
    "own_resource",
    "own_bearer",
)


class Canaries:
    """One text for each place, in the form that such a text has there."""

    def __init__(self, places: tuple[str, ...] = (*PLACES, *SLIPPED)) -> None:
        self._core = {place: f"cnry{secrets.token_hex(8)}" for place in places}
        self.text = dict(self._core)
        if "own_card" in places:
            self._shape()

    def _shape(self) -> None:
        for place in ("email", "own_email", "own_resource"):
            self.text[place] = f"{self._core[place]}@birch.example"
        header = b64encode(b'{"alg":"HS256"}').decode().rstrip("=")
        self.text["own_jwt"] = f"{header}.{self._core['own_jwt']}.c2lnbmF0dXJl"
        self.text["own_url"] = f"postgresql://jane:{self._core['own_url']}@db/books"
        self.text["own_bearer"] = f"Bearer {self._core['own_bearer']}"
        self.text["own_card"] = self._core["own_card"] = "4" + str(secrets.randbelow(10**15)).zfill(
            15
        )

    def __getitem__(self, place: str) -> str:
        return self.text[place]

    def found_in(self, output: bytes, *, slipped: bool = True) -> list[str]:
        """The places whose text is in `output`, also where it is percent-encoded or in base64."""
        whole = output.lower()
        whole += urllib.parse.unquote_to_bytes(whole) if b"%" in whole else b""
        cores = {p: c for p, c in self._core.items() if slipped or p not in SLIPPED}
        return [place for place, core in cores.items() if any(f in whole for f in _forms(core))]


def _forms(core: str) -> Iterator[bytes]:
    yield core.encode()
    # In base64 wherever it begins: what is certain of each of the three.
    for shift in range(3):
        encoded = b64encode(b"\0" * shift + core.encode())
        yield encoded[4 if shift else 0 : -4].lower()


class Stand:
    """The application with all that it uses, and all that its telemetry goes through.

    As a context manager it is started; `use` lets everything happen; `outputs` is where to look.
    """

    def __init__(self, folder: Path, *, traces: bool) -> None:
        self.folder, self.traces = folder, traces
        self.canaries = Canaries()
        self.state = folder / "state"
        self._running = ExitStack()
        self.pages: dict[str, bytes] = {}

    def __enter__(self) -> Stand:
        with ExitStack() as running:
            self._start(running.enter_context)
            self._running = running.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()

    def _start(self, enter: Callable[[Any], Any]) -> None:
        word = self.canaries
        self.postgres = enter(Postgres(self.folder / "postgres"))
        self.redis = enter(Redis(self.folder / "redis"))
        self.store = redis.Redis.from_url(self.redis.url)
        self.store.config_set("requirepass", word["redis_password"])
        self.store.auth(word["redis_password"])
        self.prometheus = enter(Prometheus(self.folder / "prometheus", find_prometheus3()))
        self.datadog, self.vendor = enter(Datadog()), enter(Vendor())
        self.gateway = enter(self._gateway())
        self.tap = enter(Tap(lambda: self.gateway.otlp_url))
        self._write_application()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = self._environment()
        options = ("-w", "2", "-b", f"127.0.0.1:{self.port}", "--graceful-timeout", "3")
        self.web = enter(self._launched("gunicorn", *options, "app:app", up=self._listens))
        self.worker = enter(self._launched("rq", "worker", "books", up=lambda: True))
        command = ("-A", "jobs", "worker", "--pool", "solo", "--loglevel", "WARNING")
        self.celery = enter(self._launched("celery", *command, up=lambda: True))

    def _listens(self) -> bool:
        return tcp_open(self.port)

    def _gateway(self) -> Collector:
        word, tokens = self.canaries, self.folder / "gateway-tokens"
        tokens.write_text(word["gateway_token"] + "\n")
        env = {
            "GATEWAY_TOKENS_FILE": str(tokens),
            "GATEWAY_LOG_LEVEL": "debug",
            "PROMETHEUS_URL": self.prometheus.url,
            "DD_URL": self.datadog.url,
            "DD_TRACES_URL": self.datadog.url,
            "DD_API_KEY": word["datadog_key"],
            "DD_HOSTNAME": "gateway-host",
            "NEW_RELIC_OTLP_ENDPOINT": self.vendor.endpoint,
            "NEW_RELIC_LICENSE_KEY": word["newrelic_key"],
            "OTLP_BACKEND_ENDPOINT": self.vendor.endpoint,
            "OTLP_BACKEND_HEADERS": json.dumps({"x-api-key": word["backend_header"]}),
        }
        backends = ["prometheus", "datadog", "newrelic", "otlp"]
        options = [COLLECTOR / "options" / "bearer-auth.yaml"]
        gateway = Collector(
            self.folder / "gateway", find_collector(), backends, env=env, options=options
        )
        gateway.env = {
            **(gateway.env or {}),
            "GATEWAY_OTLP_GRPC_PORT": str(gateway.ports.otlp_grpc),
            "GATEWAY_OTLP_HTTP_PORT": str(gateway.ports.otlp_http),
        }
        return gateway

    def _write_application(self) -> None:
        for name, text in (("app.py", APP), ("jobs.py", JOBS), ("rules.toml", RULES)):
            (self.folder / name).write_text(text)
        (self.folder / "canaries.json").write_text(json.dumps(self.canaries.text))

    def _environment(self) -> dict[str, str]:
        word = self.canaries
        database = f"accubooks:{word['database_password']}@127.0.0.1:{self.postgres.port}/postgres"
        store = f"redis://:{word['redis_password']}@127.0.0.1:{self.redis.port}"
        return {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "DATABASE_URL": f"postgresql://{database}",
            "REDIS_URL": f"{store}/0",
            "RQ_REDIS_URL": f"{store}/0",
            "BROKER_URL": f"{store}/1",
            "FLASK_SECRET": word["flask_secret"],
            "SOME_API_TOKEN": word["environment_token"],
            "OTEL_SERVICE_NAME": "planted",
            "OTEL_RESOURCE_ATTRIBUTES": f"owner={word['own_resource']}",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.tap.endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{word['gateway_token']}",
            "OTEL_TRACES_EXPORTER": "otlp" if self.traces else "none",
            "OTEL_ACCUBOOKS_STATE_DIR": str(self.state),
            "OTEL_ACCUBOOKS_RULES": str(self.folder / "rules.toml"),
            "OTEL_ACCUBOOKS_MONITORING_TOKEN": word["monitoring_token"],
            "OTEL_ACCUBOOKS_TEST_ERRORS": "true",
            "OTEL_ACCUBOOKS_SECRET": word["users_secret"],
            "OTEL_ACCUBOOKS_REDIS_URL": f"{store}/2",
        }

    def _launched(self, *command: str, up: Callable[[], bool]) -> Server:
        argv = [str(BIN / "opentelemetry-instrument"), str(BIN / command[0]), *command[1:]]
        return Server(
            command[0],
            argv,
            log=self.folder / f"{command[0]}.log",
            env=self.env,
            cwd=self.folder,
            ready=up,
        )

    # What happens ------------------------------------------------------------------------------

    def use(self, rounds: int = 2) -> None:
        """Every place is used, everything fails once, and all of it is sent."""
        for _ in range(rounds):
            self._requests()
        self._ends(lambda: self.store.llen("done") >= 4 * rounds)
        self._monitoring()
        for folder in self.state.iterdir():
            ask_to_send(StateFolder(folder))
        self._ends(lambda: self.prometheus.query('{__name__="http_requests_total"}'))
        self._ends(lambda: self.datadog.value("http_requests_total") > 0)
        self._ends(lambda: self.prometheus.query("own_total"))
        if self.traces:
            self._ends(lambda: any(path.endswith("traces") for path, _ in self.vendor.bodies))

    def _requests(self) -> None:
        word = self.canaries
        headers = {
            "X-User": word["user_id"],
            "X-Secret": word["header"],
            "X-Tier": word["tier"],
            "Authorization": f"Bearer {word['bearer']}",
            "Host": f"{word['host']}.example",
        }
        with httpx.Client(
            base_url=self.url,
            headers=headers,
            cookies={"c": word["cookie"]},
            trust_env=False,
            timeout=30,
        ) as client:
            where = f"/people/{word['path']}?token={word['query']}&email={word['email']}"
            client.get(where)
            client.post(where, data={"form": word["form"]})
            client.post(where, json={"json": word["json"], "tier": word["tier"]})
            for path in ("/fail", "/chained", "/sql-error", "/redis-error", "/jobs"):
                client.get(f"{path}?token={word['query']}")
            with suppress(httpx.RemoteProtocolError):
                client.get("/stream")
            client.get(f"/nowhere/{word['path']}?{word['query']}")
            client.request(word["path"][:20].upper(), f"/people/{word['path']}")
            client.post("/logout")

    def _monitoring(self) -> None:
        shown = {"Authorization": f"Bearer {self.canaries['monitoring_token']}"}
        for endpoint in ENDPOINTS:
            for path in endpoint.paths(DEFAULT_PREFIX):
                for way, headers in (("with", shown), ("without", {})):
                    ask = f"{path}?token={self.canaries['query']}"
                    page = httpx.get(self.url + ask, headers=headers, trust_env=False, timeout=30)
                    told = page.content + str(page.headers).encode()
                    self.pages[f"GET {path} {way} token"] = told
        page = httpx.post(
            f"{self.url}/api/test/trigger-errors",
            json={"count": "x"},
            headers=shown,
            trust_env=False,
        )
        self.pages["POST trigger-errors"] = page.content

    def _ends(self, condition: Callable[[], object], seconds: float = 60) -> None:
        give_up = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < give_up, f"not so after {seconds} s: see {self.folder}"
            time.sleep(0.2)

    # Where to look -----------------------------------------------------------------------------

    def outputs(self) -> dict[str, bytes]:
        """Everything that is told, written or shown, by what it is; not what is sent to the gateway."""
        found = {f"page: {name}": page for name, page in self.pages.items()}
        found["Prometheus"] = self._prometheus_knows()
        found["Datadog"] = self.datadog.whole()
        found["New Relic and OTLP"] = self.vendor.whole()
        found["gateway's log"] = self.gateway.log.read_bytes()
        found["gateway's own metrics"] = httpx.get(
            f"http://127.0.0.1:{self.gateway.ports.metrics}/metrics", trust_env=False
        ).content
        for name in ("gunicorn", "rq", "celery"):
            found[f"{name}'s output of ours"] = _ours((self.folder / f"{name}.log").read_bytes())
        found["application's log"] = self._logged()
        shared = files_of(self.state)
        found |= {f"shared memory: {p.name}": p.read_bytes().rstrip(b"\0") for p in shared}
        queue = files_of(self.folder / "gateway" / "storage")
        found |= {f"gateway's queue: {path.name}": path.read_bytes() for path in queue}
        found["command lines"] = command_lines()
        found["users in Redis"] = self._users_in_redis()
        return found

    def sent(self) -> bytes:
        """What the application sent to the gateway."""
        return self.tap.whole()

    def _prometheus_knows(self) -> bytes:
        asked = ['series?match[]={__name__!=""}', "metadata", "labels", "targets", "status/config"]
        whole = b""
        for path in asked:
            whole += httpx.get(f"{self.prometheus.url}/api/v1/{path}", trust_env=False).content
        return whole

    def _logged(self) -> bytes:
        """What our loggers, and OpenTelemetry's, wrote at DEBUG into the application's log."""
        records = [json.loads(line) for line in (self.folder / "app.log").read_text().splitlines()]
        return "\n".join(text for name, text in records if name.startswith(OURS)).encode()

    def _users_in_redis(self) -> bytes:
        store = redis.Redis(port=self.redis.port, db=2, password=self.canaries["redis_password"])
        return b"".join(key + (store.dump(key) or b"") for key in store.keys("*"))


OURS = ("otel_accubooks", "opentelemetry")


def _ours(log: bytes) -> bytes:
    """The lines of a server's log that are not written by the application or its server."""
    return b"\n".join(line for line in log.splitlines() if any(o.encode() in line for o in OURS))


def files_of(folder: Path) -> list[Path]:
    """All regular files below a folder."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def command_lines() -> bytes:
    """Of all processes on this machine."""
    whole = b""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            whole += path.read_bytes() + b"\n"
        except OSError:
            pass  # it has ended
    return whole


def leaks(canaries: Canaries, outputs: Mapping[str, bytes], *, slipped: bool = True) -> list[str]:
    """Which text is in which output."""
    return [
        f"{place} in {name}"
        for name, output in outputs.items()
        for place in canaries.found_in(output, slipped=slipped)
    ]


def said_by(command: list[str], env: Mapping[str, str], folder: Path) -> bytes:
    """What a command of ours prints, and the files that it writes into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [str(BIN / "otel-accubooks"), *command],
        env={**os.environ, **env},
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr + b"".join(path.read_bytes() for path in files_of(folder))
