"""The variables with which the applications were started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from urllib.parse import urlsplit

from opentelemetry.sdk import environment_variables as of_sdk

from otel_accubooks.doctor.destinations import protocol
from otel_accubooks.doctor.finding import Finding, Kind
from otel_accubooks.doctor.processes import Running
from otel_accubooks.doctor.scene import Scene
from otel_accubooks.export.exporters import ExporterError, exporter_names, missing
from otel_accubooks.export.settings import interval_seconds
from otel_accubooks.launch import environment_variables
from otel_accubooks.launch.instrumentors import INSTRUMENTORS
from otel_accubooks.launch.settings import read_settings
from otel_accubooks.launch.switches import left_out
from otel_accubooks.recorder.identity import service_identity

DISABLED = Kind(
    "sdk-disabled", "wrong",
    "OTEL_SDK_DISABLED=true switches everything off.",
    "OTEL_SDK_DISABLED not set, or false",
    "unset OTEL_SDK_DISABLED, and restart the application",
)  # fmt: skip
NOT_SENT = Kind(
    "metrics-not-sent", "wrong",
    "OTEL_METRICS_EXPORTER sends nothing to a backend, and no Prometheus scrapes the application.",
    "OTEL_METRICS_EXPORTER not set, or otlp; or `none` with a Prometheus that scrapes it",
    "unset OTEL_METRICS_EXPORTER, and restart the application",
)  # fmt: skip
INSTRUMENTATION_OFF = Kind(
    "instrumentation-off", "suspicious",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS switches off what measures a library.",
    "none of our instrumentations named there",
    "take the name out of OTEL_PYTHON_DISABLED_INSTRUMENTATIONS, and restart the application",
)  # fmt: skip
UNKNOWN = Kind(
    "unknown-setting", "wrong",
    "A variable is set that nobody reads, with a name close to one that is read.",
    "a name from docs/settings.md, or of OpenTelemetry",
    "correct the name, and restart the application",
)  # fmt: skip
REFUSED = Kind(
    "setting-refused", "wrong",
    "A setting has a value that is not understood.",
    "a value as docs/settings.md says",
    "correct the value, and restart the application",
)  # fmt: skip
EXPORTER_MISSING = Kind(
    "exporter-not-installed", "wrong",
    "An exporter or a protocol is asked for whose package is not installed.",
    "its package in the environment of the application",
    "pip install it, or unset OTEL_EXPORTER_OTLP_PROTOCOL and OTEL_METRICS_EXPORTER",
)  # fmt: skip
NO_ADDRESS = Kind(
    "endpoint-is-no-address", "wrong",
    "OTEL_EXPORTER_OTLP_ENDPOINT is no address.",
    "http://host:4318 or https://host",
    "correct OTEL_EXPORTER_OTLP_ENDPOINT, for example http://localhost:4318, and restart",
)  # fmt: skip
PATH = Kind(
    "endpoint-path", "wrong",
    "The endpoint has a path that does not belong there, or lacks the one it needs.",
    "OTEL_EXPORTER_OTLP_ENDPOINT without /v1/metrics, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT with it",
    "take /v1/metrics from OTEL_EXPORTER_OTLP_ENDPOINT: it is added to it",
)  # fmt: skip
PORT = Kind(
    "port-of-another-protocol", "wrong",
    "The port belongs to the other protocol: 4317 is gRPC, 4318 is HTTP.",
    "4318 with http/protobuf, 4317 with grpc",
    "use port 4318 in OTEL_EXPORTER_OTLP_ENDPOINT (or 4317 with OTEL_EXPORTER_OTLP_PROTOCOL=grpc)",
)  # fmt: skip
HEADERS = Kind(
    "headers-not-read", "wrong",
    "OTEL_EXPORTER_OTLP_HEADERS is not name=value, so that a token in it is never shown.",
    'authorization=Bearer%20<token>, several with commas',
    "write it as name=value, with = instead of a colon, and restart the application",
)  # fmt: skip
CERTIFICATE = Kind(
    "certificate-file-missing", "wrong",
    "A file with a certificate or key that the environment names is not there.",
    "a file that the application's user may read",
    "correct the path, and restart the application",
)  # fmt: skip
ATTRIBUTES = Kind(
    "attributes-not-read", "suspicious",
    "A part of OTEL_RESOURCE_ATTRIBUTES is not name=value, and is left out.",
    "name=value, several with commas",
    "correct OTEL_RESOURCE_ATTRIBUTES, and restart the application",
)  # fmt: skip
NO_NAME = Kind(
    "no-service-name", "suspicious",
    "OTEL_SERVICE_NAME is not set: all applications without a name on a host are added together.",
    "OTEL_SERVICE_NAME, the same in web and worker",
    "set OTEL_SERVICE_NAME to a name of this application, and restart it",
)  # fmt: skip
INTERVAL = Kind(
    "interval-too-long", "suspicious",
    "Metrics are sent so rarely that alerts over 5 minutes have too few values.",
    "OTEL_METRIC_EXPORT_INTERVAL of 60000 ms at most; 15000 is the default",
    "unset OTEL_METRIC_EXPORT_INTERVAL, and restart the application",
)  # fmt: skip
NO_ENDPOINTS = Kind(
    "endpoints-off", "note",
    "OTEL_ACCUBOOKS_MONITORING_PREFIX=none switches the monitoring endpoints off.",
    "endpoints that Prometheus and the Synthetics checks can ask",
    "unset OTEL_ACCUBOOKS_MONITORING_PREFIX, unless you meant it",
)  # fmt: skip

_OURS = "OTEL_ACCUBOOKS_"
_BASE, _METRICS = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
_LONGEST_SECONDS = 60.0
_FILES = tuple(
    f"OTEL_EXPORTER_OTLP_{signal}{kind}"
    for signal in ("", "METRICS_")
    for kind in ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")
)
# Refused settings for which there is a finding of its own, which knows more.
_TOLD_BELOW = ("HEADERS", "CERTIFICATE", "CLIENT_KEY", "OTEL_RESOURCE_ATTRIBUTES")
_LIKE = 0.9


def check(scene: Scene) -> Iterator[Finding]:
    """The environment of each application under the launcher."""
    told: set[tuple[str, str]] = set()
    for one in scene.launched():
        for finding in _of(scene, one):
            key = (finding.kind.id, finding.found)
            if key not in told:
                told.add(key)
                yield finding
    for application in scene.processes.applications:
        # Names that are wrong in all of it are the reason why what they ask for is not there.
        one = application.first
        if not application.launched and one.env:
            yield from _names(one, one.env)


def _of(scene: Scene, one: Running) -> Iterator[Finding]:
    env = one.env or {}
    where = one.where()
    settings = read_settings(env)
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        yield DISABLED.found("OTEL_SDK_DISABLED=true", **where)
        return
    yield from _names(one, env)
    told_below = {fault.said for fault in settings.faults if fault.name.endswith(_TOLD_BELOW)}
    for problem in settings.problems:
        if problem not in told_below:
            yield REFUSED.found(problem, **where)
    yield from _switched_off(scene, one, env)
    yield from _endpoint(one, env)
    yield from _headers(one, env)
    if "service.name" not in service_identity(env):
        yield NO_NAME.found("OTEL_SERVICE_NAME is not set", **where)
    parts = env.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")
    if bad := [part.strip() for part in parts if part.strip() and "=" not in part]:
        yield ATTRIBUTES.found(f"OTEL_RESOURCE_ATTRIBUTES has {bad[0]!r}", **where)
    try:
        if (seconds := interval_seconds(env)) > _LONGEST_SECONDS:
            yield INTERVAL.found(f"OTEL_METRIC_EXPORT_INTERVAL is {seconds:g} s", **where)
    except ValueError:
        pass  # told as one that is refused
    if settings.monitoring_prefix is None:
        yield NO_ENDPOINTS.found("OTEL_ACCUBOOKS_MONITORING_PREFIX=none", **where)


@cache
def known_names() -> frozenset[str]:
    """The variables that OpenTelemetry's packages and we read, as far as they say so."""
    found = set(dir(environment_variables))
    for point in entry_points(group="opentelemetry_environment_variables"):
        with suppress(Exception):  # a package that is half there
            found |= set(dir(point.load()))
    found |= set(dir(of_sdk))
    return frozenset(name for name in found if name.startswith("OTEL_"))


def _names(one: Running, env: Mapping[str, str]) -> Iterator[Finding]:
    known = known_names()
    for name in sorted(env):
        if name in known or "OTEL" not in name.upper():
            continue
        close = get_close_matches(name.upper(), known, 1, _LIKE)
        ours = name.upper().startswith(_OURS)
        if ours and not close:
            close = get_close_matches(name, known, 1, 0.6)
        # Names of one length more or less; others are somebody else's variable.
        near = bool(close) and (ours or abs(len(close[0]) - len(name)) <= 2)
        if near or ours:
            meant = f"; {close[0]} is meant, probably" if close else ""
            fix = f"rename it to {close[0]}, and restart the application" if close else ""
            yield UNKNOWN.found(f"{name} is set, which nobody reads{meant}", fix=fix, **one.where())


def _switched_off(scene: Scene, one: Running, env: Mapping[str, str]) -> Iterator[Finding]:
    if off := sorted(left_out(env) & {*INSTRUMENTORS, "accubooks", "*"}):
        yield INSTRUMENTATION_OFF.found(
            f"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names {', '.join(off)}", **one.where()
        )
    try:
        asked = exporter_names(env)
    except ExporterError as error:
        yield REFUSED.found(str(error), **one.where())
        return
    sends = [name for name in asked if name not in ("console", "prometheus")]
    if not sends:
        scene.unsent.append(one)  # judged where a Prometheus was asked whether it scrapes
    for name in sends:
        interpreter = scene.interpreters.get(one.pid)
        groups = interpreter.entries("opentelemetry_metrics_exporter") if interpreter else []
        installed = {entry for entry, _, _ in groups}
        if installed and name not in installed:
            like = get_close_matches(name.lower(), ("otlp", "none", "console", "prometheus"), 1)
            meant = f"; {like[0]} is meant, probably" if like else ""
            yield EXPORTER_MISSING.found(
                f"the metrics exporter {name!r} is asked for, and not installed{meant}",
                fix=f"set OTEL_METRICS_EXPORTER to {like[0]}, and restart the application"
                if like
                else f"{missing(name, installed)}; or unset OTEL_EXPORTER_OTLP_PROTOCOL and "
                "OTEL_METRICS_EXPORTER",
                **one.where(),
            )


def _endpoint(one: Running, env: Mapping[str, str]) -> Iterator[Finding]:
    grpc = protocol(env) == "grpc"
    for name in (_BASE, _METRICS):
        text = env.get(name, "").strip()
        if not text:
            continue
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or parts.scheme not in ("http", "https"):
            yield NO_ADDRESS.found(f"{name} is {text.rpartition('@')[2]!r}", **one.where())
            continue
        path = parts.path.rstrip("/")
        if name == _BASE and not grpc and path.endswith(("/v1/metrics", "/v1/traces", "/v1/logs")):
            yield PATH.found(
                f"{name} ends with {path}: metrics are sent to {path}/v1/metrics", **one.where()
            )
        if name == _METRICS and not grpc and not path:
            yield PATH.found(
                f"{name} has no path: metrics are sent to / there",
                fix=f"add /v1/metrics to it, or use {_BASE}",
                **one.where(),
            )
        if (port == 4317 and not grpc) or (port == 4318 and grpc):
            yield PORT.found(
                f"{name} has port {port}, and the protocol is {protocol(env)}", **one.where()
            )


def _headers(one: Running, env: Mapping[str, str]) -> Iterator[Finding]:
    for name in ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS"):
        parts = [part.strip() for part in env.get(name, "").split(",") if part.strip()]
        for part in parts:
            key, equals, value = part.partition("=")
            if equals and value.strip() and not set(key.strip()) & set(" :\"'"):
                continue
            how = "has a part without a value" if equals and not value.strip() else (
                "has a colon where = is expected" if ":" in key else "has a part that is not name=value"
            )  # fmt: skip
            yield HEADERS.found(f"{name} {how} (its text is not shown)", **one.where())
            break
    for name in _FILES:
        path = env.get(name, "").strip()
        if path and not one.seen(path).is_file():
            yield CERTIFICATE.found(f"{name} names {path}, which is not there", **one.where())
