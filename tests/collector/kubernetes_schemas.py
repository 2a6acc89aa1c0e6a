"""Kustomize, and the schemas of what it builds: of Kubernetes, and of the operators' resources.

Everything comes from package registries and is kept: kustomize and the Prometheus operator's module by
Go, the types of OpenTelemetry's operator as a crate. A key that a schema does not know is refused.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import kubernetes_validate
import yaml

from otel_accubooks.stack.cache import cached_path, install
from otel_accubooks.stack.files import COLLECTOR
from otel_accubooks.stack.gobuild import get_go

KUSTOMIZE = ("sigs.k8s.io/kustomize/kustomize/v5", "v5.7.1")
PROMETHEUS_OPERATOR = ("github.com/prometheus-operator/prometheus-operator", "v0.88.0")
OPENTELEMETRY_OPERATOR = (
    "kcr_opentelemetry_io",
    "3.20260611.182648",
    "98acd031f46cf7bb2852425b2040ceb0754faecfe36998eb265c5f0710f6a4bb",
)
# The oldest that knows everything that is used, and the newest that there is.
KUBERNETES = ("1.30", "1.37")

Manifest = dict[str, Any]
Schema = dict[str, Any]


def build(folder: Path) -> list[Manifest]:
    """The resources of a folder with a kustomization.yaml."""
    text = _run([str(_kustomize()), "build", str(folder)])
    return [document for document in yaml.safe_load_all(text) if document]


def check(manifest: Manifest) -> None:
    """Raises jsonschema.ValidationError where the manifest does not follow its schema."""
    if "opentelemetry.io" in manifest["apiVersion"]:
        jsonschema.validate(manifest, _opentelemetry_schema(manifest["kind"]))
    elif "monitoring.coreos.com" in manifest["apiVersion"]:
        jsonschema.validate(manifest, _prometheus_schema(manifest["kind"]))
    else:
        for version in KUBERNETES:
            kubernetes_validate.validate(manifest, version, strict=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _run(argv: list[str], **env: str) -> str:
    done = subprocess.run(
        argv, check=False, cwd="/", env={**os.environ, **env}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"`{' '.join(argv)}` failed:\n{done.stderr}"
    return done.stdout


def _go() -> str:
    return get_go(COLLECTOR / "go.mod", _say)


@functools.cache
def _kustomize() -> Path:
    module, version = KUSTOMIZE

    def make(target: Path) -> None:
        folder = target.parent / "bin"
        _run([_go(), "install", f"{module}@{version}"], GOBIN=str(folder), CGO_ENABLED="0")
        shutil.move(folder / "kustomize", target)

    return install(cached_path(f"kustomize-{version}", ()), make, _say)


@functools.cache
def _prometheus_schema(kind: str) -> Schema:
    """Of a resource of the Prometheus operator, from the definitions that its module has."""
    module = "@".join(PROMETHEUS_OPERATOR)
    folder = Path(json.loads(_run([_go(), "mod", "download", "-json", module]))["Dir"])
    plural = kind.lower() + ("es" if kind.endswith("s") else "s")
    name = f"example/prometheus-operator-crd/monitoring.coreos.com_{plural}.yaml"
    definition = yaml.safe_load((folder / name).read_text("utf-8"))
    (version,) = definition["spec"]["versions"]
    return _closed(version["schema"]["openAPIV3Schema"])


def _closed(schema: Any) -> Any:
    """The same, without keys that are not named, and without what JSON Schema does not know."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: _closed(value) for key, value in schema.items()}
    if schema.pop("x-kubernetes-int-or-string", False):
        schema["type"] = ["integer", "string"]
    if "(?i)" in str(schema.get("pattern")):  # Python wants it in front of everything
        schema["pattern"] = "(?i)" + schema["pattern"].replace("(?i)", "")
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        schema["additionalProperties"] = False
    return schema


@functools.cache
def _crate() -> dict[str, str]:
    """Path and text of each file of the crate that has the types of OpenTelemetry's operator."""
    name, version, digest = OPENTELEMETRY_OPERATOR

    def make(target: Path) -> None:
        url = f"https://static.crates.io/crates/{name}/{name}-{version}.crate"
        answer = httpx.get(url, timeout=60).raise_for_status()
        assert hashlib.sha256(answer.content).hexdigest() == digest, f"{url} has changed"
        target.write_bytes(answer.content)

    with tarfile.open(install(cached_path(f"{name}-{version}", ()), make, _say)) as archive:
        files = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        return {path: file.read().decode() for path, file in files.items() if file is not None}


@functools.cache
def _opentelemetry_schema(kind: str) -> Schema:
    """Of a resource of OpenTelemetry's operator, from the types made of its definition."""
    version = {"OpenTelemetryCollector": "v1beta1", "Instrumentation": "v1alpha1"}[kind]
    path = f"src/{version}/{kind.lower()}s.rs"
    (source,) = (text for name, text in _crate().items() if name.endswith(path))
    metadata = {name: {} for name in ("name", "namespace", "labels", "annotations")}
    return {
        **_object({"apiVersion": {}, "kind": {}, "metadata": _object(metadata, [])}, []),
        "$defs": rust_types(source),
        "properties": {
            "apiVersion": {"const": f"opentelemetry.io/{version}"},
            "kind": {"const": kind},
            "metadata": _object(metadata, ["name"]),
            "spec": {"$ref": f"#/$defs/{kind}Spec"},
        },
    }


def _object(properties: Schema, required: list[str]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


_TYPE = re.compile(r"^pub (struct|enum) (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_MEMBER = re.compile(
    r"^ +(?:#\[serde\((.*)\)\]\n +)?(?:pub )?(?:r#)?(\w+)(?:: (.+))?,$", re.MULTILINE
)
_RENAME = re.compile(r'rename = "([^"]+)"')
_SIMPLE: dict[str, Schema] = {
    "String": {"type": "string"},
    "bool": {"type": "boolean"},
    "i32": {"type": "integer"},
    "i64": {"type": "integer"},
    "f64": {"type": "number"},
    "IntOrString": {"type": ["integer", "string"]},
    "serde_json::Value": {},
}


def rust_types(source: str) -> dict[str, Schema]:
    """A schema for each struct and enum of Rust source as kopium writes it, by name."""
    types: dict[str, Schema] = {}
    for what, name, body in _TYPE.findall(re.sub(r"^ *///.*\n", "", source, flags=re.MULTILINE)):
        members = [
            ((_RENAME.search(serde) or ["", field])[1], kind)
            for serde, field, kind in _MEMBER.findall(body)
        ]
        if what == "enum":
            types[name] = {"enum": [field for field, _ in members]}
        else:
            required = [field for field, kind in members if not kind.startswith("Option<")]
            types[name] = _object({field: _member(kind) for field, kind in members}, required)
    return types


def _member(kind: str) -> Schema:
    outer, _, inner = kind.removesuffix(">").partition("<")
    if outer == "Option":
        return _member(inner)
    if outer == "Vec":
        return {"type": "array", "items": _member(inner)}
    if outer == "BTreeMap":
        return {"type": "object", "additionalProperties": _member(inner.removeprefix("String, "))}
    return _SIMPLE.get(kind, {"$ref": f"#/$defs/{kind}"})
