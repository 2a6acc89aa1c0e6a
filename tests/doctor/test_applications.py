"""Applications started wrongly, each in its own way, and what the doctor says of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from conftest import BIN, eventually

from otel_accubooks.doctor import launcher, processes
from otel_accubooks.doctor.examination import Report, examine
from otel_accubooks.doctor.scene import Scene
from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.ports import free_port, tcp_open
from otel_accubooks.stack.process import Server

APP = """
from flask import Flask, redirect, session

app = Flask(__name__)
app.secret_key = "x"

@app.post("/login")
def login():
    return redirect("/")

@app.get("/things/<int:thing>")
def thing(thing):
    return "a thing"

@app.get("/many/<name>")
def many(name):
    return name

for number in range(12):
    app.add_url_rule(f"/rule-{number}", f"rule{number}", lambda: "yes")

@app.get("/upgrade")
def upgrade():
    return "upgraded"

def job():
    pass
"""
TOKEN = "s3cr3t-t0ken-of-nobody"


@dataclass
class App:
    """An application that runs, as it was started."""

    folder: Path
    server: Server
    url: str

    def report(self, *, prometheus: str = "", wait: float = 1) -> Report:
        servers = Servers(prometheus=prometheus)
        return examine(servers, {}, pids=[self.server.pid], wait_seconds=wait)

    def ids(self) -> set[str]:
        return {finding.kind.id for finding in self.report().findings}

    def get(self, path: str, times: int = 1) -> None:
        for _ in range(times):
            httpx.get(self.url + path, timeout=30)

    def counts(self) -> bool:
        """True once a process has its segment, and an exporter has sent for it."""
        state = self.folder / "state"
        return any(state.glob("*/segment-*")) and any(state.glob("*/shared"))

    def exporters(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["cmdline"]):
            if any(part.startswith(str(self.folder)) for part in process.info["cmdline"] or ()):
                found.append(process)
        return [one for one in found if "-S" in (one.info["cmdline"] or ())]


@pytest.fixture(scope="module")
def sink() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as made:
        yield made


@contextmanager
def started(
    folder: Path,
    sink: OtlpReceiver | None,
    *command: str,
    env: Mapping[str, str] | None = None,
    launcher: bool = True,
    **files: str,
) -> Iterator[App]:
    """The application, by `command`, in which {port} is its port; `files` are beside it."""
    folder.mkdir(exist_ok=True)
    for name, text in {"app": APP, **files}.items():
        path = folder / (name if "." in name else f"{name}.py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    port = free_port()
    words = command or ("gunicorn", "-b", "127.0.0.1:{port}", "app:app")
    argv = [word.format(port=port, folder=folder) for word in words]
    argv = ["opentelemetry-instrument", *argv] if launcher else argv
    usual = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "OTEL_SERVICE_NAME": "doctored",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint if sink else "http://127.0.0.1:9",
        "OTEL_ACCUBOOKS_STATE_DIR": str(folder / "state"),
    }
    server = Server(
        "the application",
        [str(BIN / argv[0]) if (BIN / argv[0]).exists() else argv[0], *argv[1:]],
        log=folder / "log",
        env={**usual, **{k: v.format(folder=folder) for k, v in (env or {}).items()}},
        cwd=folder,
        ready=lambda: tcp_open(port),
    )
    app = App(folder, server, f"http://127.0.0.1:{port}")
    try:
        with server:
            yield app
            server.kill()
    finally:
        for exporter in app.exporters():
            exporter.kill()


def dist(folder: Path, name: str, version: str, **files: str) -> None:
    """A package as an installer leaves it behind: what it says of itself."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    for file, text in files.items():
        (info / f"{file}.txt").write_text(text)


def test_a_healthy_application_has_nothing_wrong(sink: OtlpReceiver, tmp_path: Path) -> None:
    """Under the launcher, with requests, a name and a gateway that answers: no finding at all."""
    with started(tmp_path / "a", sink) as app:
        app.get("/things/1", 3)
        assert eventually(app.counts)
        report = app.report()
        assert report.findings == ()
        assert any("gunicorn" in line for line in report.looked)


def test_an_application_without_a_request_is_no_fault(sink: OtlpReceiver, tmp_path: Path) -> None:
    """It has counted nothing yet, and its health address shows that it will."""
    with started(tmp_path / "a", sink) as app:
        assert app.ids() == set()


def test_the_launcher_was_forgotten(sink: OtlpReceiver, tmp_path: Path) -> None:
    """The command to use is in the fix."""
    with started(tmp_path / "a", sink, launcher=False) as app:
        first = app.report().findings[0]
        assert first.kind.id == "launcher-not-used"
        assert "opentelemetry-instrument" in first.fix
        assert "gunicorn" in first.fix


@pytest.mark.parametrize("flag", ["-I", "-ES"])
def test_python_ignores_its_environment(sink: OtlpReceiver, tmp_path: Path, flag: str) -> None:
    """With -I, -E or -S the launcher is in the environment, and has no effect."""
    program = (
        f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}; sys.path.insert(0, '.');"
        "from waitress import serve; from app import app; serve(app, port={port})"
    )
    with started(tmp_path / "a", sink, "python", flag, "-c", program) as app:
        assert "python-isolated" in app.ids()


def test_a_second_distro_that_the_launcher_takes(sink: OtlpReceiver, tmp_path: Path) -> None:
    """The one that comes first on the path wins; the doctor says which it is."""
    other = tmp_path / "other"
    dist(
        other,
        "another-distro",
        "1.0",
        entry_points="[opentelemetry_distro]\nanother = another_distro:Another\n",
    )
    (other / "another_distro.py").write_text(
        "from opentelemetry.instrumentation.distro import BaseDistro\n"
        "class Another(BaseDistro):\n    def _configure(self, **kwargs): pass\n"
    )
    with started(tmp_path / "a", sink, env={"PYTHONPATH": str(other)}) as app:
        (found,) = (f for f in app.report().findings if f.kind.id == "second-distro")
        assert "the launcher takes another-distro" in found.found
        assert "pip uninstall another-distro" in found.fix


def test_packages_of_two_releases(sink: OtlpReceiver, tmp_path: Path) -> None:
    """Two releases of OpenTelemetry in one environment, by what their packages say of themselves."""
    other = tmp_path / "other"
    dist(other, "opentelemetry-instrumentation-logging", "0.50b0")
    dist(other, "opentelemetry-sdk", "1.20.0")
    with started(tmp_path / "a", sink, env={"PYTHONPATH": str(other)}) as app:
        report = app.report()
        assert {"version-skew", "installed-twice"} <= {f.kind.id for f in report.findings}
        (skew,) = (f for f in report.findings if f.kind.id == "version-skew")
        assert "opentelemetry-sdk" in skew.found


def test_a_sitecustomize_before_the_launchers(sink: OtlpReceiver, tmp_path: Path) -> None:
    """Python runs one sitecustomize alone: the launcher's must be the first."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("")
    command = f"PYTHONPATH={tmp_path}/own:$PYTHONPATH exec gunicorn -b 127.0.0.1:{{port}} app:app"
    with started(tmp_path / "a", sink, "sh", "-c", command) as app:
        assert "sitecustomize-hidden" in app.ids()


def test_a_sitecustomize_in_the_current_folder(sink: OtlpReceiver, tmp_path: Path) -> None:
    """An empty entry of PYTHONPATH is the folder in which the application was started."""
    command = "PYTHONPATH=:$PYTHONPATH exec python -m gunicorn -b 127.0.0.1:{port} app:app"
    with started(tmp_path / "a", sink, "sh", "-c", command, sitecustomize="") as app:
        assert app.ids() == {"sitecustomize-hidden"}


def test_settings_that_are_wrong(sink: OtlpReceiver, tmp_path: Path) -> None:
    """Each of them is named, by one line, and no secret is among what is said."""
    env = {
        "OTEL_ACCUBOOKS_RULE": "rules.toml",
        "OTEL_SERVICE_NAME": "",
        "OTEL_METRIC_EXPORT_INTERVAL": "fast",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{sink.endpoint}/v1/metrics",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization: Bearer {TOKEN}",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "{folder}/nowhere.pem",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment",
        "OTEL_PYTHON_CONFIGURATOR": "sdk",
    }
    with started(tmp_path / "a", sink, env=env) as app:
        report = app.report()
        assert {
            "unknown-setting",
            "no-service-name",
            "setting-refused",
            "instrumentation-off",
            "endpoint-path",
            "headers-not-read",
            "certificate-file-missing",
            "attributes-not-read",
            "another-distro-chosen",
        } <= {finding.kind.id for finding in report.findings}
        (typo,) = (f for f in report.findings if f.kind.id == "unknown-setting")
        assert "OTEL_ACCUBOOKS_RULES" in typo.fix
        assert TOKEN not in json.dumps(report.in_words())


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("OTEL_SDK_DISABLED", "true", "sdk-disabled"),
        ("OTEL_METRICS_EXPORTER", "none", "metrics-not-sent"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "exporter-not-installed"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317", "port-of-another-protocol"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318", "endpoint-is-no-address"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "setting-refused"),
    ],
)
def test_a_setting_that_sends_nothing(
    sink: OtlpReceiver, tmp_path: Path, name: str, value: str, expected: str
) -> None:
    """One setting each that keeps everything from being sent, or from arriving."""
    with started(tmp_path / "a", sink, env={name: value}) as app:
        assert expected in app.ids()


@pytest.mark.parametrize(
    ("name", "value", "expected", "fix"),
    [
        ("HTTP_PROXY", "http://127.0.0.1:9", "proxy-between", "NO_PROXY"),
        ("OTEL_METRICS_EXPORTER", "oltp", "exporter-not-installed", "to otlp"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "{sink}", "endpoint-path", "add /v1/metrics"),
        ("OTEL_ACCUBOOKS_RULES", "nowhere.toml", "rules-refused", "OTEL_ACCUBOOKS_RULES"),
    ],
)
def test_a_cause_stands_alone(
    sink: OtlpReceiver, tmp_path: Path, name: str, value: str, expected: str, fix: str
) -> None:
    """What follows from a fault is not told beside it, also where the exporter has said so too."""
    env = {name: value.replace("{sink}", sink.endpoint)}
    with started(tmp_path / "a", sink, env=env) as app:
        app.get("/things/1")
        assert eventually(lambda: list((app.folder / "state").glob("*/segment-*")))
        (found,) = app.report().findings
        assert found.kind.id == expected
        assert fix in found.fix


def test_a_folder_that_cannot_be_used(sink: OtlpReceiver, tmp_path: Path) -> None:
    """Others may write into it, so that the recorder refuses it; and the doctor says what to do."""
    state = tmp_path / "open"
    state.mkdir()
    state.chmod(0o777)
    with started(tmp_path / "a", sink, env={"OTEL_ACCUBOOKS_STATE_DIR": str(state)}) as app:
        app.get("/things/1")
        (found,) = (f for f in app.report().findings if f.kind.id == "state-dir-refused")
        assert "chmod go-w" in found.found


def test_nobody_listens_at_the_gateways_address(tmp_path: Path) -> None:
    """The exporter's own words, and the doctor's look, say that nothing answers."""
    with started(tmp_path / "a", None) as app:
        app.get("/things/1")
        assert eventually(lambda: list((tmp_path / "a" / "state").glob("*/status")))
        assert "gateway-unreachable" in app.ids()


def test_a_server_that_is_no_gateway(sink: OtlpReceiver, tmp_path: Path) -> None:
    """A page of the application itself, where metrics are sent by mistake, takes none."""
    with started(tmp_path / "a", sink) as other:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": other.url}
        with started(tmp_path / "b", sink, env=env) as app:
            assert "gateway-wrong-path" in app.ids()


def test_a_gateway_that_refuses_for_now(tmp_path: Path) -> None:
    """Its memory is full, or its backend is away: 503."""
    with OtlpReceiver() as busy, started(tmp_path / "a", busy) as app:
        busy.fail("503")
        assert "gateway-refuses-for-now" in app.ids()


def test_exporter_stopped_or_gone(sink: OtlpReceiver, tmp_path: Path) -> None:
    """One that is stopped is named; so is one that is gone while nobody starts another."""
    with started(tmp_path / "a", sink) as app:
        app.get("/things/1")
        assert eventually(app.counts)
        (exporter,) = app.exporters()
        exporter.send_signal(signal.SIGSTOP)
        assert eventually(lambda: exporter.status() == psutil.STATUS_STOPPED)
        assert "exporter-hangs" in app.ids()
        first = psutil.Process(app.server.pid)
        for process in (first, *first.children(recursive=True)):
            process.send_signal(signal.SIGSTOP)
        exporter.kill()
        assert eventually(lambda: not exporter.is_running())
        assert {"exporter-not-running", "process-stopped"} <= app.ids()


def test_too_many_series(sink: OtlpReceiver, tmp_path: Path) -> None:
    """A metric that has reached its limit is named, with the label to look for."""
    with started(tmp_path / "a", sink, env={"OTEL_ACCUBOOKS_SERIES_LIMIT": "5"}) as app:
        for number in range(12):
            app.get(f"/rule-{number}")
        (found, *_) = (f for f in app.report().findings if f.kind.id == "series-limit")
        assert "more than 5 series" in found.found


RULES = """
[user]
id = "session.user"
tier = "session.tier"

[[request]]
method = "POST"
route = "/login"
status = "2xx"
count = "user_logins_total"

[[request]]
method = "GET"
route = "/things/<thing>"
status = "2xx"
count = "scenarios_created_total"

[[request]]
method = "GET"
route = "/upgrade"
status = "2xx"
count = "forecasts_generated_total"

[[job]]
function = "app.jobb"
outcome = "success"
count = "forecasts_generated_total"
labels = { tier = "kwargs.tier" }

[[exception]]
class = "app.Missing"
count = "calculation_errors_total"
labels = { kind = { value = "ledger" } }

[[lookup]]
gauge = "nps_score"
redis = ["GET", "nps"]
redis_url = "NOWHERE_REDIS"
"""


def test_rules_that_never_match(sink: OtlpReceiver, tmp_path: Path) -> None:
    """Names that are not there, another status, another way to write a route, and an unset tier."""
    env = {"OTEL_ACCUBOOKS_RULES": "rules.toml"}
    with started(tmp_path / "a", sink, env=env, **{"rules.toml": RULES}) as app:
        for _ in range(12):
            httpx.post(f"{app.url}/login")
        app.get("/things/1", 12)
        app.get("/upgrade", 3)
        report = app.report()
        said = [f"{f.kind.id}: {f.found}" for f in report.findings]
        for expected in (
            "rule-names-nothing: the function app.jobb",
            "rule-names-nothing: the class app.Missing",
            "rule-never-matches: POST /login 2xx: all 12 requests were answered with 302",
            "rule-never-matches: GET /things/<thing> 2xx: never seen; the application declares "
            "/things/<int:thing>",
            "lookup-variable-unset: nps_score",
            "tier-unset: forecasts_generated_total of doctored: 3 of 3",
        ):
            assert any(line.startswith(expected) for line in said), (expected, said)


def test_a_rules_file_that_is_wrong_or_younger(sink: OtlpReceiver, tmp_path: Path) -> None:
    """A fault is told with its line; a change after the start needs a restart."""
    env = {"OTEL_ACCUBOOKS_RULES": "rules.toml"}
    with started(tmp_path / "a", sink, env=env, **{"rules.toml": ""}) as app:
        rules = app.folder / "rules.toml"
        later = psutil.Process(app.server.pid).create_time() + 60
        os.utime(rules, (later, later))
        assert "rules-changed" in app.ids()
        rules.write_text("[[request]]\nmethod = 'FETCH'\n")
        (found, *_) = (f for f in app.report().findings if f.kind.id == "rules-refused")
        assert "rules.toml:" in found.found


def test_uwsgi_without_threads(sink: OtlpReceiver, tmp_path: Path) -> None:
    """Its ini file is read: without threads nothing is checked in the background, with them all is."""
    ini = "[uwsgi]\nmaster = true\nmodule = app:app\n"
    command = (
        "uwsgi",
        "--http-socket",
        "127.0.0.1:{port}",
        "--ini",
        "uwsgi.ini",
        "--pythonpath",
        ".",
    )
    with started(tmp_path / "a", sink, *command, **{"uwsgi.ini": ini}) as app:
        assert "uwsgi-without-threads" in app.ids()
    ini += "enable-threads = true\n"
    with started(tmp_path / "b", sink, *command, **{"uwsgi.ini": ini}) as app:
        app.get("/things/1")
        assert eventually(app.counts)
        assert app.ids() == set()


def test_a_plain_script_is_an_application_only_if_it_imports_flask(tmp_path: Path) -> None:
    """Other Python processes of a machine are left alone, and are no fault."""
    web = tmp_path / "web.py"
    web.write_text("import flask, time\nprint('up', flush=True)\ntime.sleep(600)\n")
    other = tmp_path / "other.py"
    other.write_text("import time\nprint('up', flush=True)\ntime.sleep(600)\n")
    running = [
        subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, cwd=tmp_path)
        for path in (web, other)
    ]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
        found = {a.first.pid for a in processes.look().applications}
        assert running[0].pid in found
        assert running[1].pid not in found
    finally:
        for process in running:
            process.kill()
            process.communicate()


def test_a_process_that_is_not_there() -> None:
    """A number that names nothing is told, instead of an empty look that seems healthy."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    report = examine(Servers(prometheus=""), {}, pids=[ended.pid])
    assert "no-such-process" in {finding.kind.id for finding in report.findings}
    assert report.ill


def test_a_wrapper_is_named(tmp_path: Path) -> None:
    """The number of a shell that started the application stands for what is below it."""
    (tmp_path / "web.py").write_text(
        "import flask, time\nprint('up', flush=True)\ntime.sleep(600)\n"
    )
    command = [*("sh", "-c"), f"{sys.executable} web.py; true"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path) as shell:
        try:
            assert shell.stdout is not None
            assert shell.stdout.readline() == b"up\n"
            report = examine(Servers(prometheus=""), {}, pids=[shell.pid])
            assert {finding.kind.id for finding in report.findings} == {"launcher-not-used"}
        finally:
            for child in psutil.Process(shell.pid).children():
                child.kill()


def test_nothing_runs() -> None:
    """Where no application is seen, that is a finding, and says among how many processes."""
    scene = Scene(Servers(prometheus=""), {}, processes=processes.Processes(looked_at=7))
    (found,) = launcher.check(scene)
    assert found.kind.id == "no-application"
    assert "7 processes" in found.found
