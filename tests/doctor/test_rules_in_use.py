"""Rules of an application that runs, and what the doctor says of them."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import psutil

from otel_accubooks.stack.otlp_receiver import OtlpReceiver
from tests.doctor.started import started

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
