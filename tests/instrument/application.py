"""Runs a script as a measured application: `application.py SCRIPT FOLDER [MODULE...]`.

The modules are imported before anything is hooked. Into the script's namespace go `said`, a dict for
what it wants to tell, `recorded()`, what was recorded so far, and `poll()`, which asks what is asked
in the background. At the end `said` and what was recorded are printed as JSON.
"""

import json
import sys
from importlib import import_module
from pathlib import Path

import wrapt

from otel_accubooks.instrument.polling import polls
from otel_accubooks.recorder.folder import StateFolder
from otel_accubooks.recorder.process import recorder
from otel_accubooks.recorder.service import ServiceReader

HOOKS = {"psycopg2": "psycopg2", "psycopg2.pool": "psycopg2_pool", "redis": "redis"}


def hook(library: str, ours: str) -> None:
    def imported(module):
        import_module(f"otel_accubooks.instrument.{ours}").instrument(module)

    wrapt.register_post_import_hook(imported, library)


def recorded() -> list:
    """[metric, labels, value] for each series; of a histogram the number of observations."""
    points = ServiceReader(recorder.folder).read().points.values()
    return [[p.metric.name, list(p.labels), sum(p.counts) or p.value] for p in points]


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
