"""What the README says is done here, word for word."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from otel_accubooks.stack.binaries import find_collector
from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from otel_accubooks.stack.ports import free_port, tcp_open
from otel_accubooks.stack.process import Server
from tests.apply.datadog_api import KEYS, Account, serving

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_your_application_in_five_lines(tmp_path: Path) -> None:
    """The five lines start an application of anybody's, and its requests arrive."""
    (lines,) = [block for block in blocks("sh") if "pip install otel-accubooks" in block]
    (tmp_path / "app.py").write_text(
        "from flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef index(): return 'hi'\n"
    )
    (tmp_path / "rules.toml").write_text("")
    port = free_port()
    with OtlpReceiver() as sink:
        install, *rest = lines.splitlines()
        assert install == "pip install otel-accubooks"
        script = "\n".join(rest).replace("http://localhost:4318", sink.endpoint)
        server = Server(
            "the README's application",
            ["sh", "-c", script.replace("app:app", f"-b 127.0.0.1:{port} app:app")],
            log=tmp_path / "log",
            cwd=tmp_path,
            env={
                **os.environ,
                "PATH": f"{BIN}:{os.environ['PATH']}",
                "OTEL_ACCUBOOKS_STATE_DIR": str(tmp_path / "state"),
            },
            ready=lambda: tcp_open(port),
        )
        with server:
            for _ in range(20):
                assert httpx.get(f"http://127.0.0.1:{port}/").text == "hi"
            sink.wait_for(lambda found: found.value("http_requests_total", route="/") == 20, 40)
        assert {s.resource["service.name"] for s in sink.series()} == {"shop"}


@pytest.mark.parametrize("block", [block for block in blocks("sh") if "otelcol-contrib" in block])
def test_the_gateway_takes_these_files(block: str, tmp_path: Path) -> None:
    """Each command line of the README is accepted by the collector's own validation."""
    exports, _, command = block.partition("otelcol-contrib ")
    exports = re.sub(r"#.*", "", exports).replace("$PWD/.gateway", str(tmp_path))
    env = dict(pair.split("=") for pair in exports.replace("export", "").split())
    argv = [str(find_collector()), "validate", *shlex.split(command.replace("\\\n", " "))]
    done = subprocess.run(
        argv, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_backend_is_listed() -> None:
    """The table names the files that there are."""
    listed = set(re.findall(r"^\| `([\w-]+\.yaml)` \|", README, re.MULTILINE))
    assert listed == {path.name for path in (ROOT / "collector" / "backends").iterdir()}


def test_the_rules_of_the_documentation_are_right(tmp_path: Path) -> None:
    """The rules file that docs/rules.md shows is accepted, and its Python runs."""
    from otel_accubooks.instrument.rules_check import read_rules

    page = (ROOT / "docs" / "rules.md").read_text()
    (example,) = blocks("toml", page)
    path = tmp_path / "rules.toml"
    path.write_text(example)
    assert len(read_rules(path).requests) == 1
    (code,) = blocks("python", page)
    exec(compile(code, "rules.md", "exec"), {})


def test_every_file_that_is_named_is_there() -> None:
    """Paths in the README exist."""
    for path in re.findall(r"`((?:docs|collector|examples)/[\w./-]+)`", README):
        assert (ROOT / path).exists(), path


def test_alerts_and_dashboards_in_three_lines(tmp_path: Path) -> None:
    """Rendered, shown as they would be applied, and looked at; in the folder that has alerting.toml."""
    (lines,) = [block for block in blocks("sh") if "otel-accubooks render" in block]
    shutil.copy(ROOT / "examples" / "accubooks" / "alerting.toml", tmp_path)
    render, apply, dashboards = (shlex.split(line, comments=True) for line in lines.splitlines())
    render[-1] = str(tmp_path / "rendered")
    assert run(render, tmp_path).startswith("2 files written to ")
    account = Account()
    with serving(account) as address:
        keys = {"DD_API_KEY": KEYS["DD-API-KEY"], "DD_APP_KEY": KEYS["DD-APPLICATION-KEY"]}
        assert "nothing was changed: " in run([*apply, "--url", address], tmp_path, **keys)
    assert not account.monitors
    port = free_port()
    argv = [str(BIN / dashboards[0]), *dashboards[1:], "--port", str(port)]
    log = tmp_path / "dashboards.log"
    with Server("dashboards", argv, log=log, cwd=tmp_path, ready=lambda: tcp_open(port)):
        assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200


def run(argv: list[str], folder: Path, **env: str) -> str:
    return subprocess.run(
        [str(BIN / argv[0]), *argv[1:]],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
