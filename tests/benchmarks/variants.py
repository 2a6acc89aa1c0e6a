"""Who instruments the application: ours, its peers, and nobody."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.environments import environment
from tests.benchmarks.servers import Servers

MEASURED = Path(__file__).with_name("measured")
# What must not reach a measured process from whoever started us.
_FOREIGN = ("OTEL_", "DD_", "NEW_RELIC_", "PROMETHEUS_", "LOGFIRE_", "SPLUNK_", "BENCH_", "PYTHON")
_LAUNCHER = ("opentelemetry-instrument",)


@dataclass(frozen=True)
class Variant:
    """One row: `environment` has its packages, `launcher` comes before the interpreter.

    `scraped`: it answers a scrape, by which we make sure that it counts what it is measured for.
    """

    title: str
    environment: str
    launcher: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    scraped: bool = False


def _otel(title: str, environment: str = "otel", **variables: str) -> Variant:
    sent = {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "none"}
    return Variant(title, environment, _LAUNCHER, {**sent, **variables})


def _by_hand(title: str, way: str, environment: str = "base") -> Variant:
    return Variant(title, environment, variables={"BENCH_BY_HAND": way})


OURS = Variant(
    "otel-accubooks, everything on",
    "plugin",
    _LAUNCHER,
    {"OTEL_ACCUBOOKS_RULES": str(MEASURED / "rules.toml")},
    scraped=True,
)
DISABLED = Variant(
    "otel-accubooks, OTEL_SDK_DISABLED", "plugin", _LAUNCHER, {"OTEL_SDK_DISABLED": "true"}
)
VARIANTS: Mapping[str, Variant] = {
    "bare": Variant("bare", "base"),
    "again": Variant("bare again: the noise", "base"),
    "bare_beside": Variant("bare, in the environment of ours", "plugin"),
    "aggregation": _by_hand("aggregation by hand, the floor", "aggregation"),
    "disabled": DISABLED,
    "ours": OURS,
    "prometheus_client": _by_hand("prometheus_client by hand", "prometheus_client"),
    "prometheus_flask_exporter": _by_hand(
        "prometheus_flask_exporter (HTTP only)", "prometheus_flask_exporter"
    ),
    "sdk": _by_hand("OpenTelemetry SDK instruments by hand, no spans", "opentelemetry", "otel"),
    "otel_disabled": _otel("opentelemetry-instrument, OTEL_SDK_DISABLED", OTEL_SDK_DISABLED="true"),
    "otel_metrics_unsampled": _otel(
        "opentelemetry-instrument, metrics, sampler off",
        OTEL_TRACES_EXPORTER="none",
        OTEL_TRACES_SAMPLER="always_off",
    ),
    "otel_metrics": _otel("opentelemetry-instrument, metrics", OTEL_TRACES_EXPORTER="none"),
    "otel_traces": _otel("opentelemetry-instrument, traces and metrics"),
    "logfire": _by_hand("logfire", "logfire", "logfire"),
    "splunk": _otel("splunk-opentelemetry", "splunk", OTEL_TRACES_EXPORTER="otlp"),
    "ddtrace": Variant("ddtrace", "dd", ("ddtrace-run",), {"DD_SERVICE": "bench"}),
    "newrelic": Variant(
        "newrelic",
        "nr",
        ("newrelic-admin", "run-program"),
        # It waits until it is registered: it measures nothing before.
        {
            "NEW_RELIC_CONFIG_FILE": str(MEASURED / "newrelic.ini"),
            "NEW_RELIC_STARTUP_TIMEOUT": "60",
        },
    ),
}


def command(
    variant: Variant, servers: Servers, state: Path, *, folder: Path | None = None
) -> tuple[list[str], dict[str, str]]:
    """What starts an interpreter under `variant`, without the program, and its whole environment.

    `state` is for our shared counts; `folder` is the environment to run in, if not a peer's.
    """
    programs = (folder or environment(variant.environment)) / "bin"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
    variables = {
        **kept,
        **servers.variables(),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONHASHSEED": "0",
        "OTEL_SERVICE_NAME": "bench",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": servers.sink,
        "OTEL_ACCUBOOKS_STATE_DIR": str(state),
        "DD_TRACE_AGENT_URL": servers.sink,
        **variant.variables,
    }
    launcher = [str(programs / part) for part in variant.launcher[:1]] + [*variant.launcher[1:]]
    return [*launcher, str(programs / "python")], variables
