"""What deploy/kubernetes/ builds, and where in it to find what."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from otel_accubooks.stack.files import REPOSITORY, backend_names
from tests.collector.kubernetes_schemas import Manifest, build

FOLDER = REPOSITORY / "deploy" / "kubernetes"
# What can be applied: not a component, and not what has no backend yet.
APPLICABLE = sorted(
    path.parent.relative_to(FOLDER)
    for path in FOLDER.rglob("kustomization.yaml")
    if yaml.safe_load(path.read_text())["kind"] == "Kustomization" and path.parent.name != "base"
)
WITHOUT_OPERATOR = [Path("application"), *(Path("gateway", name) for name in backend_names())]


@functools.cache
def built(folder: str | Path) -> tuple[Manifest, ...]:
    return tuple(build(FOLDER / folder))


def one(folder: str | Path, kind: str) -> Manifest:
    """The one resource of this kind."""
    (found,) = (manifest for manifest in built(folder) if manifest["kind"] == kind)
    return copy.deepcopy(found)


def container(workload: Manifest) -> dict[str, Any]:
    """The one container of a StatefulSet or Deployment."""
    (only,) = workload["spec"]["template"]["spec"]["containers"]
    return dict(only)


def environment(of: dict[str, Any]) -> dict[str, str]:
    """Those settings whose values are in the manifest."""
    return {setting["name"]: setting["value"] for setting in of["env"] if "value" in setting}


def workloads() -> Iterator[Manifest]:
    for folder in WITHOUT_OPERATOR:
        yield from (m for m in built(folder) if m["kind"] in ("StatefulSet", "Deployment"))


def combined(folder: Path, base: Path, *components: str) -> list[Manifest]:
    """What a kustomization of somebody's own builds, beside this repository."""
    relative = [os.path.relpath(FOLDER / component, folder) for component in components]
    kustomization = {"resources": [os.path.relpath(base, folder)], "components": relative}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return build(folder)
