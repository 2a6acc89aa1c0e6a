"""A page that is read from its top to its end by somebody who does what it says."""

from __future__ import annotations

import configparser
import functools
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import httpx
import psutil

from otel_accubooks.stack.deployment import EXAMPLE, EXPORTER_SECONDS
from otel_accubooks.stack.files import REPOSITORY
from otel_accubooks.stack.ports import free_port
from tests.apply import datadog_api, grafana_server, newrelic_api
from tests.docs import elsewhere
from tests.docs.console import agrees, typed
from tests.docs.pages import Block
from tests.docs.readers import READERS, UnreadError
from tests.docs.shell import Background, CommandError, Shell, commands
from tests.docs.stand import PORTS, Stand, addresses, environment

# What a reader has: a copy of the repository, an application, and the files that the example has.
COPIED = (
    "collector",
    "deploy",
    "examples",
    "rendered",
    "Makefile",
    "hatch_build.py",
    "pyproject.toml",
    "requirements-dev.txt",
)
APPLICATION = """
from flask import Flask
app = Flask(__name__)
@app.get('/')
def index(): return 'hi'
"""


@dataclass(frozen=True)
class Serving:
    """A command that goes on until it is stopped: it runs beside the rest of its page.

    It has `ports` of its own from then on, told by `env` or by `options` where its page does not name
    them ({8000} is the port in place of 8000), and is ready once it answers HTTP on the first of them, or
    has said `says`.
    """

    pattern: str
    ports: tuple[int, ...] = ()
    says: str = ""
    env: dict[str, str] = field(default_factory=dict)
    options: str = ""


_WEB = (8000,)
_GATEWAY_PORTS = (4318, 4317, 8125, 13133, 8888, 8889)
_UP_PORTS = (8050, 8051, 9090, 9091, 9093, 9095, *_GATEWAY_PORTS)
SERVING = (
    Serving("gunicorn", _WEB, env={"GUNICORN_CMD_ARGS": "--bind 127.0.0.1:{8000}"}),
    Serving("uwsgi", _WEB),
    Serving("waitress-serve", _WEB),
    Serving("flask .*run", _WEB),
    Serving("rq worker", says="Listening on"),
    Serving("celery .*worker", says="[queues]"),
    Serving(
        r"otelcol-\w+ --config",
        _GATEWAY_PORTS,
        env={
            "GATEWAY_OTLP_HTTP_PORT": "{4318}",
            "GATEWAY_OTLP_GRPC_PORT": "{4317}",
            "GATEWAY_STATSD_PORT": "{8125}",
            "GATEWAY_HEALTH": "127.0.0.1:{13133}",
            "GATEWAY_METRICS_PORT": "{8888}",
            "PROMETHEUS_SCRAPE_ENDPOINT": "127.0.0.1:{8889}",
        },
    ),
    Serving("prometheus --config.file", (9090,), options="--web.listen-address=127.0.0.1:{9090}"),
    Serving("otel-accubooks dashboards", (8050,), options="--port {8050}"),
    Serving("otel-accubooks up", _UP_PORTS, env={f"PORT_{n}": f"{{{n}}}" for n in _UP_PORTS}),
)
# What may stand before such a command.
_BEFORE = r"^(?:\w+=\S+ )*(?:opentelemetry-instrument )?"
# They take minutes: each is carried out on the page that is about it, and asked for its options elsewhere
# (by --help). What they find in a deployment that lives for a minute is theirs to say, and proven by tests
# of their own: 1 is as good an end as 0 here. Asked wrongly, they end with 2.
FINDERS = {
    "verify": "docs/verify.md",
    "doctor": "docs/doctor.md",
    "test-alert": "docs/test-alert.md",
    "soak": "docs/soak.md",
}
_FINDER = re.compile(rf"\botel-accubooks ({'|'.join(FINDERS)})\b")
DEFAULTS = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318",
    "PROMETHEUS_URL": "http://localhost:9090",
    "RQ_REDIS_URL": "redis://localhost:6379/0",
}
# What pages write where everybody has something of their own.
KEYS = {
    "DD_API_KEY": datadog_api.KEYS["DD-API-KEY"],
    "DD_APP_KEY": datadog_api.KEYS["DD-APPLICATION-KEY"],
    "NEW_RELIC_API_KEY": newrelic_api.KEY,
    "NEW_RELIC_ACCOUNT_ID": str(newrelic_api.ACCOUNT),
    "GRAFANA_TOKEN": grafana_server.TOKEN,
}
PLACES = {
    "https://grafana.example": "http://localhost:3000",
    "https://<application>": "http://localhost:8000",
    "-h <host>": "-h 127.0.0.1",
    "--queue <queue>": "--queue forecasts",
    "doctor 4711": "doctor $$",
    # Only quicker.
    "--rounds 3": "--rounds 1",
    "--for 24h": "--for 10s",
}
VENDORS: dict[str, Callable[[Stand], str]] = {
    "apply datadog": lambda stand: stand.datadog,
    "apply newrelic": lambda stand: stand.newrelic,
    "apply grafana": lambda stand: stand.grafana,
}
# Not that of the deployment, whose worker would take the page's jobs.
PAGES_REDIS = 9
_KEY = re.compile(rf"(?<![\w=-])({'|'.join(KEYS)})=(?:\"[^\"]*\"|'[^']*'|\S+)")
_SYSTEM_PATH = re.compile(r"(?<![\w./~$}:-])/(?=(?:etc|var|opt|srv)/)")
_REDIS = re.compile(r"(redis://(?:localhost|127\.0\.0\.1|redis):6379)/0\b")
_DATABASE = re.compile(
    r"postgresql://(?:[\w:]+@)?(?:localhost|127\.0\.0\.1|postgres)(?::\d+)?/(\w+)"
)


class Reading:
    """One page; as a context manager it leaves nothing running."""

    def __init__(self, page: str, folder: Path, stand: Stand) -> None:
        self._page, self._folder, self._stand = page, folder, stand
        self._own_ports: dict[int, int] = {}
        self._python: list[str] = []
        self._databases: dict[str, str] = {}

    def __enter__(self) -> Reading:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if "_shell" in self.__dict__:
            self._shell.__exit__(kind, error, trace)
            self._end_exporters()

    def run(self, block: Block) -> None:
        """Does what the block says. Raises AssertionError, with its place, where that goes wrong."""
        if block.language not in EXECUTORS:
            known = ", ".join(EXECUTORS)
            raise AssertionError(f"{block}: {block.language!r}, expected one of {known}")
        try:
            EXECUTORS[block.language](self, block)
        except Exception as error:
            raise AssertionError(f"{block}: {error}") from error

    def typed(self, command: str) -> None:
        """Types one command. Raises CommandError where it fails."""
        self._type(self._here(command))

    def finish(self) -> None:
        """What the page has started runs to its end."""
        if "_shell" in self.__dict__:
            self._shell.check()

    # How each kind of block is carried out.

    def sh(self, block: Block) -> None:
        if block.saved_as:
            self._save(block).chmod(0o755)
        for command in commands(block.text):
            self._carry_out(command)

    def console(self, block: Block) -> None:
        for one in typed(block.text):
            came = self._carry_out(one.command, may_fail=bool(one.shown))
            first = one.command.split()[0]
            stand_in = elsewhere.STAND_INS.get(first)
            if one.shown and (stand_in is None or stand_in.prints):
                shown = tuple(self._here(line) for line in one.shown)
                expected = "\n".join(shown)
                assert agrees(shown, came), f"$ {one.command}\n{came}\n--- expected:\n{expected}"

    def python(self, block: Block) -> None:
        if block.saved_as:
            self._save(block)
            command = f"python -c 'import runpy; runpy.run_path(\"{block.saved_as}\")'"
        else:
            self._python.append(self._here(block.text))
            path = self._folder / f"{len(self._python)}.py"
            path.write_text("\n".join(self._python))
            command = f"python - < {path}"
        self._type(command)

    def data(self, block: Block) -> None:
        path = self._save(block)
        READERS[block.language](path)

    def ini(self, block: Block) -> None:
        path = self._save(block)
        sections = configparser.ConfigParser(strict=False, allow_no_value=True)
        sections.read(path)
        if sections.has_section("uwsgi"):
            self._carry_out(f'opentelemetry-instrument uwsgi -H "{sys.prefix}" --ini {path}')
        elif sections.has_section("Service"):
            self._type(f"systemd-analyze verify {path}")
        else:
            raise UnreadError(f"INI with {sections.sections()}: nobody is known to read it")

    def promql(self, block: Block) -> None:
        self._stand.query(block.text)

    def sql(self, block: Block) -> None:
        self._stand.sql(block.text)

    # What they are made of.

    @functools.cached_property
    def root(self) -> Path:
        """The copy of the repository."""
        root = self._folder / "repository"
        root.mkdir()
        for name in COPIED:
            source = REPOSITORY / name
            ignored = shutil.ignore_patterns("__pycache__", ".*")
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=ignored)
            else:
                shutil.copy(source, root)
        (root / "app.py").write_text(APPLICATION)
        for name in ("alerting.toml", "rules.toml"):
            shutil.copy(EXAMPLE / name, root)
        return root

    @property
    def system(self) -> Path:
        """The folder that is here in place of `/`, for what pages keep in /etc and the like."""
        return self._folder / "system"

    @functools.cached_property
    def _shell(self) -> Shell:
        elsewhere.put_into(self._folder / "bin")
        home = self._folder / "home"
        home.mkdir()
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        env = {
            **environment(self._stand),
            "PATH": f"{self._folder}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "XDG_CACHE_HOME": cache,
            "OTEL_ACCUBOOKS_STATE_DIR": str(self._folder / "state"),
        }
        parent = self.root / Path(self._page).parent
        cwd = parent if self._page.startswith(("collector/", "examples/")) else self.root
        return Shell(self._folder / "shell", cwd, env).__enter__()

    def _carry_out(self, command: str, *, may_fail: bool = False) -> str:
        for serving in SERVING:
            if re.search(_BEFORE + serving.pattern, command):
                self._serve(serving, command)
                return ""
        if "opentelemetry-instrument" in command:
            self._set_defaults()
        return self._type(self._here(command), may_fail=may_fail)

    def _type(self, command: str, *, may_fail: bool = False) -> str:
        if re.search(r"\b(redis-cli|rq|pg_isready)\b", command):
            ports = f"REDIS_PORT={self.port(6379)} PGPORT={self.port(5432)}"
            self._shell.run(f"export {ports} RQ_REDIS_URL={self._here(DEFAULTS['RQ_REDIS_URL'])}")
        finds = _FINDER.search(command)
        if finds and FINDERS[finds[1]] != self._page:
            command = command.replace(finds[0], f"{finds[0]} --help")
        elif finds:
            self._tell_finders()
        status, came = self._shell.run(command)
        found = finds and status == 1 and "Traceback" not in came
        if status and not may_fail and not found:
            raise CommandError(f"exit status {status}: {command}\n{came}")
        return came

    def _tell_finders(self) -> None:
        """They look at the deployment of all pages, unless the page has said otherwise."""
        self._shell.run(self._stand.known_to_finders())
        written = self.root / "alerting.toml"
        if written.read_text("utf-8") == (EXAMPLE / written.name).read_text("utf-8"):
            written.write_text(self._stand.people(), "utf-8")

    def _serve(self, serving: Serving, command: str) -> None:
        for port in serving.ports:
            self._own_ports[port] = free_port()

        def told(text: str) -> str:
            return re.sub(r"\{(\d+)\}", lambda found: str(self._own_ports[int(found[1])]), text)

        for name, value in serving.env.items():
            self._shell.run(f"export {name}='{told(value)}'")
        # Where nothing else is said, they look for these at the addresses that pages name.
        for name, url in DEFAULTS.items():
            self._shell.run(f'export {name}="${{{name}:-{self._here(url)}}}"')
        command, hash_sign, comment = command.rstrip().partition("  #")
        command = f"{self._here(command)} {told(serving.options)}{hash_sign}{comment}"
        name = str(serving.ports[:1]) if serving.ports else serving.pattern
        self._shell.start(name, command, lambda server: self._ready(serving, server))

    def _set_defaults(self) -> None:
        """Where nothing else is said, these are looked for at the addresses that pages name."""
        for name, url in DEFAULTS.items():
            self._shell.run(f'export {name}="${{{name}:-{self._here(url)}}}"')

    def _ready(self, serving: Serving, server: Background) -> bool:
        if not serving.ports:
            return serving.says in server.said
        try:
            # Not a path that a page may count.
            here = f"http://127.0.0.1:{self._own_ports[serving.ports[0]]}"
            httpx.get(f"{here}/is-it-ready", trust_env=False)
        except httpx.TransportError:
            return False
        return True

    def port(self, written: int) -> int | None:
        """The port here of what a page names by that port; None of what nobody here listens on."""
        if written in self._own_ports:
            return self._own_ports[written]
        return PORTS[written](self._stand) if written in PORTS else None

    def _here(self, text: str) -> str:
        """The same text with the addresses, keys, folders and databases that there are here."""
        text = _KEY.sub(lambda found: f"{found[1]}={KEYS[found[1]]}", text)
        for words, here in PLACES.items():
            text = text.replace(words, here)
        for words, address in VENDORS.items():
            if f"otel-accubooks {words}" in text:
                text = text.replace(words, f"{words} --url {address(self._stand)}")
        text = _REDIS.sub(rf"\1/{PAGES_REDIS}", text)
        text = _DATABASE.sub(lambda found: self._database(found[1]), text)
        text = _SYSTEM_PATH.sub(f"{self.system}/", text)
        return addresses(text, self.port)

    def _database(self, name: str) -> str:
        """An empty one for this page."""
        if name not in self._databases:
            own = f"{name}_{free_port()}"
            self._stand.sql(f"CREATE DATABASE {own}")
            dsn = self._stand.deployment.postgres.dsn
            self._databases[name] = f"{dsn.rpartition('/')[0]}/{own}"
        return self._databases[name]

    def _save(self, block: Block) -> Path:
        path = self.root / (block.saved_as or f"block-{block.line}.{block.language}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._here(block.text))
        return path

    def _end_exporters(self) -> None:
        """Waits for those of the page's services, which end after them."""
        mine = [process for process in psutil.process_iter() if self._is_of_page(process)]
        for left in psutil.wait_procs(mine, timeout=EXPORTER_SECONDS)[1]:
            left.kill()

    def _is_of_page(self, process: psutil.Process) -> bool:
        try:
            return any(str(self._folder) in word for word in process.cmdline())
        except psutil.Error:
            return False


EXECUTORS: dict[str, Callable[[Reading, Block], None]] = {
    "sh": Reading.sh,
    "console": Reading.console,
    "python": Reading.python,
    "promql": Reading.promql,
    "sql": Reading.sql,
    "ini": Reading.ini,
    **dict.fromkeys(READERS, Reading.data),
}
