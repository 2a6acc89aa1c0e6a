"""Blocks that are files: each is read by what reads such a file in real life."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from otel_accubooks.instrument.rules_check import read_rules
from otel_accubooks.stack.binaries import find_collector
from otel_accubooks.stack.collector import feature_gates
from otel_accubooks.stack.files import GATEWAY
from otel_accubooks.stack.prometheus import adapt
from otel_accubooks.vendors import addresses
from tests.collector.kubernetes_schemas import build, check

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_RULES = {"user", "request", "job", "exception", "log", "lookup"}
_COLLECTOR = {"receivers", "processors", "exporters", "extensions", "connectors", "service"}
_PROMETHEUS = {
    "global",
    "scrape_configs",
    "alerting",
    "rule_files",
    "remote_write",
    "otlp",
    "storage",
}
_ALERTMANAGER = {"route", "receivers", "inhibit_rules", "global"}
# What the files of collector/backends want to be set, so that they can be looked over.
_SETTINGS = {"DD_API_KEY": "0" * 32, "DD_HOSTNAME": "gateway-1", "NEW_RELIC_LICENSE_KEY": "key"}


class UnreadError(AssertionError):
    """Nothing in real life is known to read such a block."""


def toml(path: Path) -> None:
    """A rules file, or an alerting.toml. Raises what their readers raise."""
    told = tomllib.loads(path.read_text("utf-8"))
    if told.keys() <= _RULES:
        read_rules(path)
    elif "email" in told:
        addresses.read(path)
    else:
        raise UnreadError(f"TOML with {', '.join(told)}: neither rules nor addresses")


def yaml_documents(path: Path) -> None:
    """Resources of Kubernetes, or a file of the collector, Prometheus, its rules, Alertmanager or CI."""
    for number, told in enumerate(yaml.safe_load_all(path.read_text("utf-8"))):
        one = path.with_name(f"{number}-{path.name}")
        one.write_text(yaml.safe_dump(told, sort_keys=False))
        _yaml(one, told)


def _yaml(path: Path, told: dict[str, Any]) -> None:
    keys = told.keys()
    if told.get("kind") == "Kustomization":
        _kustomization(path)
    elif "apiVersion" in keys:
        check(told)
    elif "groups" in keys:
        _accepted("promtool", "check", "rules", str(path))
    elif "route" in keys and keys <= _ALERTMANAGER | {"templates", "time_intervals"}:
        _accepted("amtool", "check-config", str(path))
    elif keys <= _COLLECTOR:
        _collector(path)
    elif keys <= _PROMETHEUS:
        config = adapt({"global": {}, **told}, None, otlp=False)
        path.write_text(yaml.safe_dump(config))
        _accepted("promtool", "check", "config", "--syntax-only", str(path))
    else:
        raise UnreadError(f"YAML with {', '.join(keys)}: nobody is known to read it")


def _kustomization(path: Path) -> None:
    """At the top of a copy of the repository, where the page's folder is."""
    target = path.parent / "kustomization.yaml"
    path.rename(target)
    try:
        for manifest in build(target.parent):
            check(manifest)
    finally:
        target.unlink()


def _collector(path: Path) -> None:
    """Together with gateway.yaml, as an option or a backend of one's own."""
    configs = [GATEWAY, path]
    gates = [f"--feature-gates={gate}" for gate in feature_gates(configs)]
    files = [word for config in configs for word in ("--config", str(config))]
    _accepted(str(find_collector()), "validate", *files, *gates, **_SETTINGS)


def _accepted(*argv: str, **env: str) -> None:
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, env={**os.environ, **env}
    )
    assert done.returncode == 0, done.stdout + done.stderr


READERS: dict[str, Callable[[Path], None]] = {"toml": toml, "yaml": yaml_documents}
