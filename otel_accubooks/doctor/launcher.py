"""Whether the applications that run here run under the launcher."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import psutil

from otel_accubooks.doctor import interpreter
from otel_accubooks.doctor.command_line import OTHER_SERVERS
from otel_accubooks.doctor.finding import Finding, Kind
from otel_accubooks.doctor.processes import LAUNCHER, Application, launcher_entry
from otel_accubooks.doctor.scene import Scene

NO_APPLICATION = Kind(
    "no-application", "suspicious",
    "No application runs on this host, or none can be seen from here.",
    "a web server or worker such as gunicorn, uwsgi, waitress, flask run, rq or celery",
    "start the application, or run the doctor on its host (in its container), "
    "or name its process: otel-accubooks doctor PID",
)  # fmt: skip
NO_SUCH_PROCESS = Kind(
    "no-such-process", "wrong",
    "A process that was named is not there.",
    "the number of a process that runs",
    "name a process that runs: `ps aux` lists them",
)  # fmt: skip
STOPPED = Kind(
    "process-stopped", "wrong",
    "A process of an application is stopped (SIGSTOP, or a debugger).",
    "processes that run",
    "let it go on: kill -CONT <pid>; or restart the application",
)  # fmt: skip
NOT_READABLE = Kind(
    "not-readable", "suspicious",
    "The environment of an application may not be read from here.",
    "the doctor runs as the user of the application, or as root",
    "run the doctor as the application's user, or as root",
)  # fmt: skip
NOT_USED = Kind(
    "launcher-not-used", "wrong",
    "An application was started without the launcher: nothing of it is measured.",
    "opentelemetry-instrument in front of its command",
    "restart it as: opentelemetry-instrument <its command>",
)  # fmt: skip
NOT_WATCHED = Kind(
    "not-watched", "suspicious",
    "An application runs without the launcher, by a Python without otel-accubooks.",
    "otel-accubooks installed, and opentelemetry-instrument in front of its command",
    "pip install otel-accubooks there, and restart it as: opentelemetry-instrument <its command>; "
    "if it is none of yours, name those that are: otel-accubooks doctor PID",
)  # fmt: skip
ISOLATED = Kind(
    "python-isolated", "wrong",
    "Python was told to ignore its environment (-I, -E), or to start without site (-S): the launcher "
    "has no effect.",
    "python without -I, -E and -S, also in the first line of scripts",
    "take these flags from the command, or from the first line of the script, and restart it",
)  # fmt: skip
HIDDEN = Kind(
    "sitecustomize-hidden", "wrong",
    "Another sitecustomize.py comes before the launcher's on PYTHONPATH: Python runs the first alone.",
    "the launcher's folder first on PYTHONPATH",
    "remove that sitecustomize.py, or set PYTHONPATH before opentelemetry-instrument, not after it",
)  # fmt: skip
ANOTHER_PYTHON = Kind(
    "launcher-of-another-python", "wrong",
    "The launcher belongs to another Python environment than the application.",
    "launcher and application in the same environment",
    "call the opentelemetry-instrument that is beside the application's python",
)  # fmt: skip
OTHER_SERVER = Kind(
    "server-not-tested", "suspicious",
    "The application runs on a server that is not among those which are tested.",
    "one of docs/process-models.md: gunicorn, uWSGI, waitress, flask run, RQ, Celery",
    "use one of these (gunicorn's workers: sync, gthread, gevent), or see that its counts arrive",
)  # fmt: skip
SILENT = Kind(
    "nothing-counted", "suspicious",
    "An application runs under the launcher, and has counted nothing.",
    "a segment of each process that did something, in the folder of its service",
    "send it a request (or a job); if this is said again, look for `otel-accubooks` in its log",
)  # fmt: skip

_UNUSUAL_WORKERS = ("uvicorn", "eventlet", "tornado", "meinheld", "gaiohttp")
_STARTING_SECONDS = 10.0


def check(scene: Scene) -> Iterator[Finding]:
    """What can be said of each application without asking it anything."""
    processes = scene.processes
    known = {one.pid for a in processes.applications for one in a.members}
    for pid in scene.pids:
        if pid not in known and not _below(pid) & known:
            yield NO_SUCH_PROCESS.found(
                f"process {pid} is not there, or is no process of Python", pid=pid
            )
    if not processes.applications and not scene.pids:
        named = f" of the service {scene.servers.service!r}" if scene.servers.service else ""
        yield NO_APPLICATION.found(
            f"no application{named} among {processes.looked_at} processes on this host"
        )
    for application in processes.applications:
        one = application.first
        if one.env is None:
            what = "its folder shows that it counts" if application.counts else "no segment is seen"
            yield NOT_READABLE.found(
                f"{application}: its environment belongs to user {one.user}; {what}", **one.where()
            )
        for member in application.members:
            if member.stopped:
                yield STOPPED.found(
                    f"pid {member.pid} of {application} is stopped", **member.where()
                )
        scene.interpreters[one.pid] = interpreter.ask(one)
        yield from _launched(scene, application)


def _below(pid: int) -> set[int]:
    """What a process started, such as a shell or a wrapper that is no Python itself."""
    try:
        return {child.pid for child in psutil.Process(pid).children(recursive=True)}
    except psutil.Error:
        return set()


def _launched(scene: Scene, application: Application) -> Iterator[Finding]:
    one = application.first
    isolated = sorted(
        {flag for m in application.members for flag in m.invocation.flags & set("IES")}
    )
    if isolated and not application.counts:
        flags = " ".join(f"-{flag}" for flag in isolated)
        yield ISOLATED.found(f"{application} was started with python {flags}", **one.where())
    if not application.launched:
        if not application.counts and one.env is not None:
            yield _not_used(scene, application)
        return
    yield from _in_the_way(scene, application)
    words = " ".join(one.argv)
    if one.invocation.server in OTHER_SERVERS or (
        one.invocation.server == "gunicorn" and any(word in words for word in _UNUSUAL_WORKERS)
    ):
        yield OTHER_SERVER.found(f"{application} serves by {one.command}", **one.where())


def _not_used(scene: Scene, application: Application) -> Finding:
    one = application.first
    installed = scene.interpreters[one.pid].has("otel-accubooks")
    told = any(name.startswith("OTEL_") for name in one.env or {})
    fix = f"restart it as: opentelemetry-instrument {one.command}"
    if installed or told:
        return NOT_USED.found(
            f"{application} was started without opentelemetry-instrument", fix=fix, **one.where()
        )
    return NOT_WATCHED.found(
        f"{application} was started without opentelemetry-instrument, and its Python "
        f"({scene.interpreters[one.pid].python or 'unknown'}) has no otel-accubooks",
        **one.where(),
    )


def _in_the_way(scene: Scene, application: Application) -> Iterator[Finding]:
    one = next(member for member in application.members if member.launched)
    env = one.env or {}
    launcher = launcher_entry(env)
    for entry in env.get("PYTHONPATH", "").split(os.pathsep):
        if entry == launcher:
            break
        folder = one.seen(entry or ".")  # an empty entry is the current folder
        if folder.joinpath("sitecustomize.py").is_file():
            yield HIDDEN.found(
                f"{application} has {entry or one.cwd}/sitecustomize.py before the launcher",
                **one.where(),
            )
    asked = scene.interpreters[application.first.pid]
    if asked.problem or not asked.path:
        return
    site = launcher.rstrip("/").removesuffix(LAUNCHER).rstrip("/")
    if os.path.realpath(site) not in {os.path.realpath(path) for path in asked.path}:
        yield ANOTHER_PYTHON.found(
            f"{application} runs {asked.python}, its launcher is of {site}",
            fix=f"call {os.path.dirname(asked.python)}/opentelemetry-instrument "
            "(pip install otel-accubooks there first, if it is not there)",
            **one.where(),
        )


def silent(scene: Scene) -> Iterator[Finding]:
    """Applications that count nothing, where nothing that was found before explains it."""
    for application in scene.processes.applications:
        pids = {one.pid for one in application.members}
        answers = bool(pids & scene.answering)
        if (
            answers
            or application.counts
            or not application.launched
            or scene.explained(application)
        ):
            continue
        if time.time() - application.first.started < _STARTING_SECONDS:
            continue
        if any(one.env is None for one in application.members):
            continue
        yield SILENT.found(
            f"{application} has no segment anywhere, after "
            f"{time.time() - application.first.started:.0f} s",
            **application.first.where(),
        )
