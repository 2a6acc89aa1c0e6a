"""`pip uninstall otel-accubooks`: an environment that had it is as one that never did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import hatchling.build
import pytest

ROOT = Path(__file__).parents[2]
OURS = ("otel_accubooks", "__editable__", "_otel_accubooks")
LAUNCH = "from opentelemetry.instrumentation.auto_instrumentation import run; run()"
APP = """
import json, sys
import flask

app = flask.Flask(__name__)
app.test_client().get("/")
call = flask.Flask.__call__.__code__.co_filename
ours = sorted(name for name in sys.modules if name.startswith("otel_accubooks"))
print(json.dumps({"flask": flask.Flask.__module__, "call": call, "ours": len(ours)}))
"""


class Environment:
    """A Python of its own, with everything that the tests' has but what is ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", with_pip=False)
        self.python = folder / "venv" / "bin" / "python"
        others = folder / "others"
        others.mkdir()
        for installed in Path(sysconfig.get_path("purelib")).iterdir():
            if not installed.name.startswith(OURS):
                (others / installed.name).symlink_to(installed)
        site = next((folder / "venv" / "lib").glob("python*/site-packages"))
        (site / "others.pth").write_text(f"{others}\n")
        (folder / "app.py").write_text(APP)

    def files(self) -> set[str]:
        """Every file and folder of the environment."""
        root = self.folder / "venv"
        return {str(path.relative_to(root)) for path in root.rglob("*")}

    def pip(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "pip", "--python", str(self.python), *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    def run(self, *launcher: str) -> dict[str, object]:
        """What the application says of itself."""
        env = {
            **os.environ,
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
            "OTEL_ACCUBOOKS_STATE_DIR": str(self.folder / "state"),
            "OTEL_METRICS_EXPORTER": "none",
        }
        done = subprocess.run(
            [str(self.python), *launcher, *(["python"] if launcher else []), "app.py"],
            cwd=self.folder,
            env=env,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
        found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return found


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(tmp_path_factory.mktemp("environment"))


def test_nothing_is_left(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed, used and taken away: not a file of it, and the application starts bare."""
    never = environment.files()
    bare = environment.run()
    monkeypatch.chdir(ROOT)
    wheel = hatchling.build.build_wheel(str(environment.folder))
    environment.pip("install", "--no-deps", "--no-index", str(environment.folder / wheel))
    used = environment.run("-c", LAUNCH)
    assert used["ours"]
    assert "otel_accubooks" in str(used["call"])
    assert len(environment.files() - never) > 100
    environment.pip("uninstall", "--yes", "otel-accubooks")
    assert environment.files() == never
    assert environment.run() == bare
    assert bare["ours"] == 0


def test_the_launcher_is_somebody_elses(environment: Environment) -> None:
    """Once ours is away, `opentelemetry-instrument` loads OpenTelemetry's own instrumentation of Flask."""
    found = environment.run("-c", LAUNCH)
    assert (found["ours"], found["flask"]) == (0, "opentelemetry.instrumentation.flask")
