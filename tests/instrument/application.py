"""Runs a script as a measured application: `application.py SCRIPT FOLDER [MODULE...]`.

The modules are imported before anything is hooked. Into the script's namespace go `said`, a dict for
what it wants to tell, `recorded()`, what was recorded so far, and `poll()`, which asks what is asked
in the background. At the end `said` and what was recorded are printed as JSON.
"""

import json
import sys
import time
from importlib import import_module
from pathlib import Path

import wrapt

from otel_accubooks.contract.metrics import SYSTEM_HEALTH_STATUS
from otel_accubooks.instrument.polling import polls
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.health import targets
from otel_accubooks.recorder.process import recorder
from otel_accubooks.recorder.service import ServiceReader

HOOKS = {
    "psycopg2": "psycopg2",
    "psycopg2.pool": "psycopg2_pool",
    "psycopg": "psycopg",
    "psycopg_pool": "psycopg_pool",
    "sqlalchemy.engine": "sqlalchemy",
    "redis": "redis",
    "kombu.transport.redis": "redis_others",
    "celery.backends.redis": "redis_others",
    "flask_session.redis.redis": "redis_others",
    "flask_caching": "flask_caching",
}


def hook(library: str, ours: str) -> None:
    def imported(module):
        import_module(f"otel_accubooks.instrument.{ours}").instrument(module)

    wrapt.register_post_import_hook(imported, library)


def recorded() -> list:
    """[metric, labels, value] for each series; of a histogram the number of observations."""
    totals = ServiceReader(recorder.folder).read()
    found = [
        [p.metric.name, list(p.labels), sum(p.counts) or p.value] for p in totals.points.values()
    ]
    if asked := targets(totals, time.time()):
        found.append([SYSTEM_HEALTH_STATUS.name, [], float(all(each.healthy for each in asked))])
    return found


def poll() -> None:
    for each in list(polls._polls.values()):
        polls._ask(each)


def main() -> None:
    script, folder, *imported_before = sys.argv[1:]
    for name in imported_before:
        import_module(name)
    recorder.folder = StateFolder(Path(folder))
    recorder.folder.make()
    for library, ours in HOOKS.items():
        hook(library, ours)
    said = {}
    names = {"__name__": "__main__", "said": said, "recorded": recorded, "poll": poll}
    exec(compile(Path(script).read_text(), script, "exec"), names)
    print(json.dumps({"said": said, "recorded": recorded()}))


if __name__ == "__main__":
    main()
