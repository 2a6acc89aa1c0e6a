"""`otel-accubooks demo`: everything is started, used, and compared."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from otel_accubooks.cli.screen import bar, screen
from otel_accubooks.cli.stopping import Stopped, stoppable
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.stack.binaries import NotFoundError
from otel_accubooks.stack.comparison import Read, Row, compare, in_datadog, in_prometheus
from otel_accubooks.stack.dashboards import as_servers
from otel_accubooks.stack.dashboards import start as start_dashboards
from otel_accubooks.stack.deployment import EXAMPLE, Deployment
from otel_accubooks.stack.hand_over import write
from otel_accubooks.stack.people import people
from otel_accubooks.stack.ports import free_port
from otel_accubooks.stack.process import StartError
from otel_accubooks.stack.receivers import Receivers

SEED = 7
# Without threads a worker serves one at a time, and its pool of connections would never fill.
THREADS = 8

console = screen()


def run(backends: tuple[str, ...], *, keep: bool, rounds: int, wait: float) -> int:
    """Runs the demo; 0 only if every expected metric arrived in each of `backends`.

    After the traffic, `wait` seconds are given for that.
    """
    if not EXAMPLE.is_dir():
        console.print(f"The demo needs a checkout of the repository: there is no {EXAMPLE}.")
        return 2
    folder = Path(".demo") / datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir(parents=True)
    console.print(f"Everything of this run, its logs too, is in [bold]{folder}[/]")
    try:
        with stoppable(), ExitStack() as running:
            demo = _start(running, folder.resolve(), backends)
            return _run(demo, keep=keep, rounds=rounds, wait=wait)
    except (StartError, NotFoundError) as error:
        console.print(f"[red]Not started.[/] {escape(str(error))}")
        return 1
    except Stopped as stopped:
        console.print("Stopped; nothing is left running.")
        return stopped.exit_status


@dataclass(frozen=True)
class _Demo:
    """What was started; `shown` are addresses of what people look at, by name.

    `hand_over` writes what the other commands need, and says how they are called.
    """

    deployment: Deployment
    shown: dict[str, str]
    hand_over: Callable[[], str] | None = None


def _start(running: ExitStack, folder: Path, backends: tuple[str, ...]) -> _Demo:
    receivers, port = None, free_port()
    if "prometheus" in backends:
        pair = "prometheus-standby" in backends
        who = "A pair of Alertmanagers" if pair else "Alertmanager"
        _say(f"{who}, and a mailbox, a Slack and a pager of its own")
        url = f"http://127.0.0.1:{port}"
        receivers = Receivers(folder / "alertmanager", application=url, pair=pair)
        running.enter_context(receivers)
    told = [one.address for one in receivers.alertmanagers] if receivers else []
    deployment = Deployment(folder, backends, port=port, threads=THREADS, alertmanager=told)
    running.enter_context(deployment).start(_say)
    gateway = f"http://127.0.0.1:{deployment.ports.otlp_http}"
    shown = {"AccuBooks": deployment.url, "OTLP": gateway}
    hand_over = None
    if deployment.prometheus is not None and receivers is not None:
        prometheus = deployment.prometheus.url
        dashboards = start_dashboards(running, folder, prometheus, receivers.to, _say)
        shown |= {"Prometheus": prometheus, **dashboards, **receivers.shown}
        shown["Alertmanager"] = ", ".join(one.url for one in receivers.alertmanagers)
        servers = replace(
            receivers.servers,
            prometheus=prometheus,
            standby=deployment.standby.url if deployment.standby else "",
            gateway=gateway,
            **as_servers(dashboards),
        )
        hand_over = partial(write, folder, receivers.to, servers, receivers.environment)
    if deployment.datadog is not None:
        shown["Datadog"] = f"{deployment.datadog.url}/_accubooks/metrics"
    return _Demo(deployment, shown, hand_over)


def _say(step: str) -> None:
    console.print(f"[dim]starting[/] {step}")


def _run(demo: _Demo, *, keep: bool, rounds: int, wait: float) -> int:
    deployment = demo.deployment
    if deployment.prometheus is not None:
        path = "OTLP" if deployment.prometheus.takes_otlp else "remote write"
        console.print(f"This Prometheus is fed by [bold]{path}[/].")
    done = _traffic(deployment, rounds)
    readers: dict[str, Read] = {}
    if deployment.prometheus is not None:
        readers["Prometheus"] = in_prometheus(deployment.prometheus)
    if deployment.datadog is not None:
        readers["Datadog"] = in_datadog(deployment.datadog)
    with bar(console, "metrics arriving", len(METRICS)) as show:
        rows = compare(readers, _known(done), wait, on_progress=show)
    console.print(_table(rows, list(readers)))
    arrived = sum(row.ok for row in rows)
    console.print(f"{arrived} of {len(rows)} metrics arrived in {' and in '.join(readers)}.")
    if keep:
        _wait(demo)
    return 0 if arrived == len(rows) else 1


def _traffic(deployment: Deployment, rounds: int) -> Any:
    with bar(console, "people use AccuBooks") as show:
        redis_url = deployment.redis.url
        return people().play(
            deployment.url, rounds=rounds, seed=SEED, redis_url=redis_url, on_step=show
        )


def _known(done: Any) -> dict[str, float]:
    """What the metrics have to say of the traffic, by the counts of those who made it."""
    finished, failed = done.forecasts_finished.total(), done.forecasts_failed.total()
    requests = done.requests.total()
    scores = [score for score, _ in done.opinions.values()]
    promoters, detractors = sum(s >= 9 for s in scores), sum(s <= 6 for s in scores)
    return {
        "http_requests_total": requests,
        "http_request_duration_ms": requests,
        "cache_hits_total": done.cache["hit"],
        "cache_misses_total": done.cache["miss"],
        "forecast_jobs_processed_total": finished + failed,
        "forecast_job_duration_seconds": finished + failed,
        "forecasts_generated_total": finished,
        "tier_limit_hits_total": done.limit_hits.total(),
        "trust_layer_usage_total": done.trust.total(),
        "scenarios_created_total": done.scenarios.total(),
        "active_users_concurrent": len(done.users),
        "user_sessions_active": len(done.signed_in),
        "user_session_duration_seconds": done.logouts,
        "user_logins_total": done.logins.total(),
        "upgrade_conversions_total": done.upgrades.total(),
        "calculation_errors_total": done.calculation_errors,
        "tenant_isolation_violations_total": done.violations,
        "support_tickets_total": done.tickets.total(),
        "trust_layer_usage_percent": 100 * len(done.trusting) / len(done.users),
        "users_by_tier": done.people,
        "nps_score": 100 * (promoters - detractors) / len(scores),
        "beta_trust_rate_percent": 100 * sum(t for _, t in done.opinions.values()) / len(scores),
    }


def _table(rows: list[Row], backends: list[str]) -> Table:
    table = Table(title="What arrived", title_justify="left")
    table.add_column("metric", no_wrap=True)
    for name in ("done", *backends, "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        name = row.metric.name + (" (count)" if row.metric.type == "histogram" else "")
        cells = [row.done, *(row.values.get(backend) for backend in backends), row.difference]
        table.add_row(name, *map(_number, cells), _verdict(row))
    return table


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if math.isnan(value):
        return "overwritten"
    return f"{value:,.0f}" if value == round(value) else f"{value:,.3f}"


def _verdict(row: Row) -> str:
    if row.ok:
        return "[green]OK[/]"
    if row.missing:
        return f"[red]missing in {', '.join(row.missing)}[/]"
    return "[red]differs[/]"


def _wait(demo: _Demo) -> None:
    width = max(map(len, demo.shown)) + 1
    for name, address in demo.shown.items():
        console.print(f"{name:{width}} {address}")
    if demo.hand_over is not None:
        console.print("To check it, as one would a deployment of one's own:")
        console.print(f"  {demo.hand_over()}")
    console.print("Ctrl-C ends it all.")
    signal.pause()
