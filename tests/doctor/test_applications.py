"""Applications started wrongly, each in its own way, and what the doctor says of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from conftest import eventually

from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from tests.doctor.started import started

TOKEN = "s3cr3t-t0ken-of-nobody"


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
