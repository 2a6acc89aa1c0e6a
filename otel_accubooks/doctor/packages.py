"""What is installed beside the applications: OpenTelemetry's packages, distros, other agents."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from otel_accubooks.contract import metrics as m
from otel_accubooks.doctor.finding import Finding, Kind
from otel_accubooks.doctor.interpreter import Interpreter
from otel_accubooks.doctor.processes import Application, Running
from otel_accubooks.doctor.scene import Scene
from otel_accubooks.launch.instrumentors import INSTRUMENTORS
from otel_accubooks.launch.switches import left_out

NOT_INSTALLED = Kind(
    "not-installed", "wrong",
    "The Python of an application that runs under the launcher has no otel-accubooks.",
    "otel-accubooks in the environment of the application",
    "pip install otel-accubooks with the pip of that Python, and restart the application",
)  # fmt: skip
NOT_ASKED = Kind(
    "python-not-asked", "note",
    "The Python of an application could not be asked what is installed.",
    "an interpreter that can be started from here, as the user of the application",
    "run the doctor where the application runs, as its user",
)  # fmt: skip
RESTART = Kind(
    "installed-since-start", "suspicious",
    "Packages of OpenTelemetry were installed after the application was started: it has the old ones.",
    "an application that was started after the last installation",
    "restart the application (gunicorn: all of it, not its workers alone)",
)  # fmt: skip
SECOND_DISTRO = Kind(
    "second-distro", "wrong",
    "A second OpenTelemetry distro is installed: the launcher takes whichever it finds first.",
    "otel-accubooks alone in the group opentelemetry_distro, or OTEL_PYTHON_DISTRO=accubooks",
    "pip uninstall the other, or set OTEL_PYTHON_DISTRO=accubooks, and restart the application",
)  # fmt: skip
ANOTHER_CHOSEN = Kind(
    "another-distro-chosen", "wrong",
    "A variable chooses another distro, configurator or meter provider than otel-accubooks.",
    "the variable not set, or `accubooks`",
    "unset it, and restart the application",
)  # fmt: skip
SKEW = Kind(
    "version-skew", "wrong",
    "OpenTelemetry packages of different releases are installed together.",
    "packages of one release: api, sdk and exporters 1.x with instrumentation 0.yb, y = x + 21",
    "pip install --upgrade otel-accubooks and these packages together, then `pip check`",
)  # fmt: skip
TWICE_INSTALLED = Kind(
    "installed-twice", "wrong",
    "A package is installed in two versions on one path: which one runs depends on the order.",
    "one version of each package",
    "remove one of the two, or its folder from PYTHONPATH, and restart the application",
)  # fmt: skip
TOO_OLD = Kind(
    "library-not-supported", "wrong",
    "A library of the application is older than what can be measured.",
    "the versions of docs/databases.md, docs/cache.md and docs/celery.md",
    "pip install --upgrade it",
)  # fmt: skip
SECOND_AGENT = Kind(
    "second-agent", "suspicious",
    "Another monitoring agent runs in the same process, and wraps the same calls.",
    "one agent in a process",
    "take ddtrace-run or newrelic-admin from the command; docs/ has a page on coming from there",
)  # fmt: skip
TWICE_MEASURED = Kind(
    "measured-twice", "suspicious",
    "Another package measures what is measured here, and is active.",
    "one source for each number",
    "uninstall it, or (of OpenTelemetry) name it in OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
)  # fmt: skip

_CORE = ("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-proto")
_TRAIN = 21  # 1.45 was released with 0.66b
_OURS = "otel-accubooks"
_CHOOSING = (
    ("OTEL_PYTHON_DISTRO", "nothing of otel-accubooks is started"),
    ("OTEL_PYTHON_CONFIGURATOR", "traces and logs are set up by it"),
    ("OTEL_PYTHON_METER_PROVIDER", "meters of the application go its way"),
)
_MEASURING = ("opentelemetry-instrumentation-system-metrics",)
_AGENTS = {"ddtrace": "ddtrace", "newrelic": "New Relic's agent"}


def check(scene: Scene) -> Iterator[Finding]:
    """What is installed where the applications under the launcher run."""
    told: set[tuple[str, str]] = set()
    for application in scene.processes.applications:
        asked = scene.interpreters.get(application.first.pid)
        if asked is None or not application.launched:
            continue
        if asked.problem:
            yield NOT_ASKED.found(f"{application}: {asked.problem}", **application.first.where())
            continue
        scene.looked.append(f"packages of {application}, by {asked.python}")
        for finding in _of(application, asked):
            key = (finding.kind.id, finding.found.partition(": ")[2] + asked.python)
            if key not in told:  # once for all applications with the same Python
                told.add(key)
                yield finding


def _of(application: Application, asked: Interpreter) -> Iterator[Finding]:
    one = next(member for member in application.members if member.launched)
    where = application.first.where()
    if not asked.has(_OURS):
        yield NOT_INSTALLED.found(
            f"{application}: {asked.python} has no otel-accubooks",
            fix=f"{asked.python} -m pip install otel-accubooks, then restart the application",
            **where,
        )
        return
    yield from _fresh(application, asked)
    yield from _distros(application, one, asked)
    yield from _versions(application, asked)
    yield from _libraries(application, asked)
    yield from _others(application, one, asked)


def _fresh(application: Application, asked: Interpreter) -> Iterator[Finding]:
    younger = []
    for dist in asked.distributions:
        if dist.file and dist.name.startswith(("opentelemetry", _OURS)):
            with suppress(OSError):
                if os.stat(dist.file).st_mtime > application.first.started + 1:
                    younger.append(f"{dist.name} {dist.version}")
    if younger:
        yield RESTART.found(
            f"{application} was started before {', '.join(younger[:4])} was installed",
            **application.first.where(),
        )


def _distros(application: Application, one: Running, asked: Interpreter) -> Iterator[Finding]:
    env, where = one.env or {}, application.first.where()
    for name, follows in _CHOOSING:
        value = env.get(name)
        if value not in (None, "accubooks"):
            yield ANOTHER_CHOSEN.found(
                f"{application}: {name}={value}: {follows}",
                fix=f"unset {name} (or set it to accubooks), and restart the application",
                **where,
            )
    distros = asked.entries("opentelemetry_distro")
    others = [(name, package) for name, _, package in distros if name != "accubooks"]
    if others and env.get("OTEL_PYTHON_DISTRO") != "accubooks":
        named = ", ".join(f"{package} ({name})" for name, package in others)
        first = distros[0][2]
        yield SECOND_DISTRO.found(
            f"{application}: beside otel-accubooks there is {named}; the launcher takes {first}",
            fix=f"pip uninstall {' '.join(package for _, package in others)}, or set "
            "OTEL_PYTHON_DISTRO=accubooks, and restart the application",
            **where,
        )


def _versions(application: Application, asked: Interpreter) -> Iterator[Finding]:
    where = application.first.where()
    first: dict[str, str] = {}
    for dist in asked.distributions:
        known = first.setdefault(dist.name, dist.version)
        if known != dist.version and dist.name.startswith(("opentelemetry", _OURS)):
            yield TWICE_INSTALLED.found(
                f"{application}: {dist.name} {known} and {dist.version} ({dist.file})", **where
            )
    wrong = list(_unmet(asked, first)) or list(_trains(first))
    if wrong:
        yield SKEW.found(f"{application}: {'; '.join(wrong[:6])}", **where)


def _unmet(asked: Interpreter, versions: dict[str, str]) -> Iterator[str]:
    """What OpenTelemetry's packages want of each other, and do not have."""
    seen = set()
    for dist in asked.distributions:
        if dist.name in seen:
            continue
        seen.add(dist.name)
        for text in dist.requires:
            try:
                wanted = Requirement(text)
            except InvalidRequirement:
                continue
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
                continue
            name = re.sub(r"[-_.]+", "-", wanted.name).lower()
            if not name.startswith("opentelemetry"):
                continue
            if name not in versions:
                yield f"{dist.name} {dist.version} needs {name}, which is not installed"
            elif not wanted.specifier.contains(versions[name], prereleases=True):
                yield f"{dist.name} {dist.version} needs {name}{wanted.specifier}, found {versions[name]}"


def _trains(versions: dict[str, str]) -> Iterator[str]:
    """Packages of another release than the API."""
    try:
        release = Version(versions.get("opentelemetry-api", "")).minor
    except InvalidVersion:
        return
    for name, text in sorted(versions.items()):
        stable = name in _CORE or name.startswith("opentelemetry-exporter-otlp-proto")
        beta = name.startswith("opentelemetry-instrumentation") or name in (
            "opentelemetry-semantic-conventions",
            "opentelemetry-util-http",
            "opentelemetry-exporter-prometheus",
        )
        try:
            found = Version(text)
        except InvalidVersion:
            continue
        of = found.minor if stable else found.minor - _TRAIN
        if (stable or (beta and found.major == 0)) and of != release:
            yield f"{name} {text} beside opentelemetry-api {versions['opentelemetry-api']}"


def _libraries(application: Application, asked: Interpreter) -> Iterator[Finding]:
    for kind in INSTRUMENTORS.values():
        wanted = Requirement(kind.requires)
        names = [wanted.name, f"{wanted.name}-binary"]
        version = next((v for v in map(asked.has, names) if v), "")
        if version and not wanted.specifier.contains(version, prereleases=True):
            yield TOO_OLD.found(
                f"{application}: {wanted.name} {version}, expected {wanted.specifier}",
                fix=f"{asked.python} -m pip install '{wanted}', then restart the application",
                **application.first.where(),
            )


def _others(application: Application, one: Running, asked: Interpreter) -> Iterator[Finding]:
    env, where = one.env or {}, application.first.where()
    for module, name in _AGENTS.items():
        words = " ".join([*one.argv, env.get("PYTHONPATH", "")])
        runs = re.search(rf"\b{module}(-run|-admin)\b|/{module}/bootstrap", words)
        if runs or any(f"/{module}/" in path for m in application.members for path in m.maps):
            yield SECOND_AGENT.found(f"{application}: {name} runs in it too", **where)
    disabled = left_out(env)
    for name, _, package in asked.entries("opentelemetry_instrumentor"):
        if package in _MEASURING and not disabled & {name, "*"}:
            yield TWICE_MEASURED.found(
                f"{application}: {package} measures the host beside otel-accubooks",
                fix=f"pip uninstall {package}, or OTEL_PYTHON_DISABLED_INSTRUMENTATIONS={name}",
                **where,
            )
    if asked.has("prometheus-flask-exporter"):
        active = env.get("PROMETHEUS_MULTIPROC_DIR") or env.get("prometheus_multiproc_dir")
        if active or _imported(one, b"prometheus_flask_exporter"):
            yield TWICE_MEASURED.found(
                f"{application}: prometheus_flask_exporter measures requests beside otel-accubooks",
                fix=f"take it out of the application; what it measured is {m.HTTP_REQUESTS_TOTAL.name}",
                **where,
            )


def _imported(one: Running, name: bytes) -> bool:
    """True where a Python file in the folder of the application names it."""
    try:
        files = sorted(one.seen(".").glob("*.py"))[:50]
        return any(name in path.read_bytes()[:200_000] for path in files)
    except OSError:
        return False
