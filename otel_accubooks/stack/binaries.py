"""Where the programs come from that no package of this project brings: collector and Prometheus.

Each is looked for in this order: an environment variable or PATH; the user's cache folder; the
official release for this platform; a build from source. What is passed over is said in one line.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from otel_accubooks.stack.cache import Say, cached_path, install
from otel_accubooks.stack.files import BACKENDS, COLLECTOR, GATEWAY, PROMETHEUS3
from otel_accubooks.stack.gobuild import (
    BuildError,
    build_collector,
    build_prometheus3,
    locked_version,
    prometheus_version,
)
from otel_accubooks.stack.prometheus import takes_otlp
from otel_accubooks.stack.release import ReleaseError, collector_release, prometheus_release

COLLECTOR_LOCK = (COLLECTOR / "builder.yaml", COLLECTOR / "go.mod", COLLECTOR / "go.sum")
PROMETHEUS_LOCK = (PROMETHEUS3 / "go.mod", PROMETHEUS3 / "go.sum")


class NotFoundError(RuntimeError):
    """A program could not be had: the message lists what was tried, and what to do."""


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def find_collector(say: Say = _to_stderr) -> Path:
    """A collector with every component that gateway.yaml and backends/ use.

    Raises NotFoundError. `say` is given progress, line by line.
    """
    for path in _own("OTELCOL", ("otelcol-accubooks", "otelcol-contrib", "otelcol"), say):
        missing = missing_components(path)
        if not missing:
            return path
        say(f"{path} is passed over: it lacks {', '.join(missing)}")
    release = collector_release(locked_version(COLLECTOR / "builder.yaml", "otlpreceiver"))
    return _cached(
        "the collector",
        cached_path("otelcol", COLLECTOR_LOCK),
        (release.download, lambda target: build_collector(target, say)),
        "or set OTELCOL to a collector with these components (contrib 0.155 or newer)",
        say,
    )


def find_prometheus(say: Say = _to_stderr) -> Path:
    """A Prometheus of any version: the one that is installed, or else a Prometheus 3."""
    for path in _own("PROMETHEUS", ("prometheus",), say):
        return path
    return find_prometheus3(say)


def find_prometheus3(say: Say = _to_stderr) -> Path:
    """A Prometheus that takes OTLP, which is 3.0 or newer. Raises NotFoundError."""
    for path in _own("PROMETHEUS", ("prometheus",), say):
        if takes_otlp(path):
            return path
    return _cached(
        "Prometheus 3",
        cached_path("prometheus3", PROMETHEUS_LOCK),
        (
            prometheus_release(prometheus_version()).download,
            lambda target: build_prometheus3(target, say),
        ),
        "or set PROMETHEUS to one; Prometheus 2 (`apt-get install prometheus`) does for "
        "backends/prometheus-remote-write.yaml",
        say,
    )


def find_alertmanager(say: Say = _to_stderr) -> Path:
    """An Alertmanager, which Debian has under a name of its own. Raises NotFoundError."""
    for path in _own("ALERTMANAGER", ("alertmanager", "prometheus-alertmanager"), say):
        return path
    raise NotFoundError(
        "there is no Alertmanager: `apt-get install prometheus-alertmanager`, "
        "or set ALERTMANAGER to one (0.25 or newer)"
    )


def needed_components() -> dict[str, set[str]]:
    """The component types that gateway.yaml and backends/ use, by kind, e.g. {"receivers": ...}."""
    import yaml

    kinds = ("receivers", "processors", "exporters", "connectors", "extensions")
    needed: dict[str, set[str]] = {kind: set() for kind in kinds}
    for path in [GATEWAY, *BACKENDS.glob("*.yaml")]:
        config = yaml.safe_load(path.read_text())
        for kind in kinds:
            needed[kind] |= {name.partition("/")[0] for name in config.get(kind) or {}}
    return needed


def missing_components(binary: Path) -> list[str]:
    """What this collector lacks of the needed components, sorted; or why it cannot be asked."""
    import yaml

    try:
        done = subprocess.run(
            [str(binary), "components"], check=False, capture_output=True, text=True, timeout=30
        )
        has = yaml.safe_load(done.stdout) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, yaml.YAMLError):
        has = None
    if not isinstance(has, dict):
        return ["an answer to `components`: it is no collector"]
    return sorted(
        name
        for kind, names in needed_components().items()
        for name in names - {component["name"] for component in has.get(kind) or []}
    )


def _own(variable: str, names: Sequence[str], say: Say) -> list[Path]:
    """What the user named or installed."""
    named = os.environ.get(variable)
    if named and not shutil.which(named):
        say(f"{variable}={named} is passed over: there is no such program")
    candidates = [shutil.which(name) for name in ([named] if named else []) + list(names)]
    return [Path(path) for path in candidates if path]


def _cached(
    what: str, path: Path, ways: Sequence[Callable[[Path], None]], otherwise: str, say: Say
) -> Path:
    def make(target: Path) -> None:
        problems = []
        for way in ways:
            try:
                way(target)
                return
            except (ReleaseError, BuildError) as error:
                say(f"{error}: going on" if way is not ways[-1] else str(error))
                problems.append(f"- {error}")
        raise NotFoundError("\n".join([f"{what} could not be had:", *problems, f"- {otherwise}"]))

    if not path.exists():
        say(f"Getting {what}, to be kept as {path}")
    return install(path, make, say)
