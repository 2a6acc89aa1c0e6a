"""What a process imports of us, by what it imports itself: counted in modules, in real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# What finds out whether there is anything to do; root is watched for a change of user.
OFF = {"otel_accubooks", "otel_accubooks.launch"} | {
    f"otel_accubooks.launch.{part}" for part in ("configurator", "distro", "start", "switches")
}
WAITING = OFF | {
    f"otel_accubooks.{part}"
    for part in ("launch.instrumentors", "launch.redis_imports", "recorder", "recorder.unpatched")
}
WAITING |= {"otel_accubooks.launch.user_switch"} if os.geteuid() == 0 else set()
LOOK = """
import json, sys
print(json.dumps(sorted(sys.modules)))
"""


def modules(tmp_path: Path, program: str, **env: str) -> set[str]:
    """The modules that a process of `program`, started by the launcher, has in the end."""
    programs = Path(sys.executable).parent
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    given = {
        "OTEL_SERVICE_NAME": "start",
        "OTEL_ACCUBOOKS_STATE_DIR": str(tmp_path / "state"),
        "OTEL_METRICS_EXPORTER": "none",
        **env,
    }
    done = subprocess.run(
        [programs / "opentelemetry-instrument", sys.executable, "-c", program + LOOK],
        env=kept | given,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return set(json.loads(done.stdout))


def ours(found: set[str]) -> set[str]:
    return {name for name in found if name.partition(".")[0] == "otel_accubooks"}


def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(
        """
        [[log]]
        logger = "app"
        level = "ERROR"
        count = "support_tickets_total"
        labels = { priority = { value = "high" } }
        """
    )
    return path


def test_a_script_that_uses_nothing_imports_nothing(tmp_path: Path) -> None:
    """With everything on, rules too, there is what waits, and no module beyond the launcher's own."""
    env = {"OTEL_ACCUBOOKS_RULES": str(rules(tmp_path)), "OTEL_METRICS_EXPORTER": "otlp"}
    found = modules(tmp_path, "", **env)
    assert ours(found) == WAITING
    without = modules(tmp_path, "", OTEL_SDK_DISABLED="true")
    assert found - without - ours(found) == set()
    assert not {"tomllib", "mmap", "opentelemetry.sdk", "psutil", "requests"} & found
    assert not (tmp_path / "state").exists()


def test_switched_off_it_imports_nothing(tmp_path: Path) -> None:
    """Neither an application nor what it uses brings more of us in than what finds out."""
    program = "import flask, psycopg2, psycopg2.pool, redis, rq"
    assert ours(modules(tmp_path, program, OTEL_SDK_DISABLED="true")) == OFF


@pytest.mark.parametrize("name", ["flask", "psycopg2", "redis", "rq"])
def test_one_that_is_switched_off_is_not_imported(tmp_path: Path, name: str) -> None:
    """An application that uses that library alone is a script that uses nothing."""
    off = f"{name},redis,flask" if name == "rq" else name  # RQ brings Redis
    found = modules(tmp_path, f"import {name}", OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=off)
    assert not {each for each in ours(found) if each.startswith("otel_accubooks.instrument")}
    assert ours(found) <= WAITING


def test_only_what_measures_the_library_is_imported(tmp_path: Path) -> None:
    """A script with psycopg2 brings nothing that is there for Flask, Redis or queues."""
    found = ours(modules(tmp_path, "import psycopg2"))
    assert "otel_accubooks.instrument.psycopg2" in found
    others = ("flask", "redis", "rq", "celery", "sqlalchemy", "business", "rules")
    assert not {each for each in found if each.rpartition(".")[2].split("_")[0] in others} - {
        "otel_accubooks.instrument.redis_place",  # a setting is one
        *WAITING,
    }


def test_redis_does_not_bring_the_sdk(tmp_path: Path) -> None:
    """redis-py would import OpenTelemetry's SDK, since we have it installed, and gets the API."""
    program = """
import redis.observability.providers as providers, opentelemetry.metrics, sys
assert providers.MeterProvider is opentelemetry.metrics.MeterProvider
assert providers.OTEL_AVAILABLE and type(providers.__loader__).__module__ != "otel_accubooks"
"""
    found = modules(tmp_path, program)
    assert "redis.observability.providers" in found
    assert not {name for name in found if name.startswith("opentelemetry.sdk.metrics")}


def test_an_sdk_that_is_there_is_left_to_redis(tmp_path: Path) -> None:
    """An application that uses the SDK has redis-py use it as ever."""
    program = """
import opentelemetry.sdk.metrics as sdk, redis.observability.providers as providers
assert providers.MeterProvider is sdk.MeterProvider
"""
    modules(tmp_path, program)


def test_a_log_record_is_a_reason_to_begin(tmp_path: Path) -> None:
    """Where there are rules, the first record that is logged is counted already."""
    program = """
import logging, sys
logging.getLogger("app").addHandler(logging.NullHandler())
logging.getLogger("app").error("no")
from otel_accubooks.contract.metrics import SUPPORT_TICKETS_TOTAL
from otel_accubooks.recorder.process import recorder
series = recorder.counter(SUPPORT_TICKETS_TOTAL).labels("high")
series.add(2.0)
assert series.kept()[-1] == 3.0
"""
    modules(tmp_path, program, OTEL_ACCUBOOKS_RULES=str(rules(tmp_path)))


def test_collections_go_on(tmp_path: Path) -> None:
    """The garbage collector that is held while we import is as the application left it."""
    modules(tmp_path, "import flask, gc; assert gc.isenabled()")
    modules(tmp_path, "import gc; gc.disable(); import flask; assert not gc.isenabled()")


def test_who_imports_a_library_while_another_thread_begins_waits_for_that(tmp_path: Path) -> None:
    """Else it would be measured before the rules are known."""
    program = """
import threading, time
from otel_accubooks.launch import recording, start
real, done, entered = recording.begin, [], threading.Event()
def slow(*args):
    entered.set()
    time.sleep(0.3)
    real(*args)
    done.append(True)
recording.begin = slow
other = threading.Thread(target=start.begin)
other.start()
entered.wait()
start.begin()
assert done
other.join()
"""
    assert "otel_accubooks.launch.recording" in modules(tmp_path, program)


def test_a_library_that_watches_the_log_too_is_in_nobodys_way(tmp_path: Path) -> None:
    """As agents for errors do: who wraps what we wrapped, and is wrapped by the rules, is asked."""
    program = """
import logging, sys
seen, original = [], logging.Logger.callHandlers
def watched(self, record):
    seen.append(record.getMessage())
    return original(self, record)
logging.Logger.callHandlers = watched
logger = logging.getLogger("app")
logger.addHandler(logging.NullHandler())
logger.propagate = False
for number in range(3):
    logger.error("%s", number)
assert seen[-2:] == ["1", "2"] and len(seen) <= 4, seen
"""
    found = modules(tmp_path, program, OTEL_ACCUBOOKS_RULES=str(rules(tmp_path)))
    assert "otel_accubooks.instrument.business" in found


def test_a_log_that_raises_lets_the_application_import(tmp_path: Path) -> None:
    """A handler of its own may fail; what we have to say of the settings is lost, and nothing else."""
    program = """
import logging
class Broken(logging.Handler):
    def emit(self, record):
        raise ConnectionError("the log server is away")
logging.getLogger().addHandler(Broken())
import flask
"""
    assert "flask" in modules(tmp_path, program, OTEL_ACCUBOOKS_SERIES_LIMITS="1")
