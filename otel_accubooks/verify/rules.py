"""The rules as Prometheus evaluates them, compared with those of the contract."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from otel_accubooks.contract.alert import Severity
from otel_accubooks.contract.alerts import BY_NAME as ALERTS
from otel_accubooks.contract.checklist import LookName
from otel_accubooks.contract.metrics import SYSTEM_HEALTH_STATUS
from otel_accubooks.servers.api import Api, ApiError
from otel_accubooks.servers.prometheus import Prometheus
from otel_accubooks.vendors.prometheus_rules import SLOW_INTERVAL_SECONDS, rules
from otel_accubooks.vendors.promql import SERVICE
from otel_accubooks.verify.finding import Finding, until
from otel_accubooks.verify.look import Look
from otel_accubooks.verify.prometheus import unix
from otel_accubooks.verify.source import clock
from otel_accubooks.verify.way import Site

# Of alerting itself are the heartbeat and the test alert.
LOOKS: Mapping[Severity, LookName] = {
    "P0": "alerts P0",
    "P1": "alerts P1",
    "P2": "alerts P2",
    "P3": "alerts P3",
    "test": "alerts none",
    "none": "alerts none",
}
GIVES: tuple[LookName, ...] = (*dict.fromkeys(LOOKS.values()), "recordings")
_PIPELINE = "TelemetryPipelineFailing"
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_FIX = "render the rules again (`otel-accubooks render --backend prometheus`) and reload Prometheus"
# Each group is first evaluated within its interval.
_FIRST_SECONDS = SLOW_INTERVAL_SECONDS + 15


@dataclass(frozen=True)
class Rule:
    """A rule that is evaluated, with the group that it is in."""

    rule: dict[str, Any]
    group: dict[str, Any]

    @property
    def evaluated(self) -> float:
        """When it last was, in Unix seconds; 0 for never."""
        return unix(self.rule["lastEvaluation"])


def look_rules(site: Site) -> Iterator[Look]:
    """One look for the rules of each severity, and one for what is recorded."""
    with closing(Prometheus(site.servers.prometheus)) as client:
        expected = rules(site.to.runbooks)["groups"]
        if not _all_evaluated(client):
            site.say("waiting for the first evaluation")
            until(lambda: _all_evaluated(client), _FIRST_SECONDS)
        found = differences(client, expected)
    for finding in found.values():
        yield finding.look(f"{len(finding.evidence)} rules are as the contract says, and evaluated")


def _all_evaluated(client: Prometheus) -> bool:
    return all(rule.evaluated for rules in _evaluated(client).values() for rule in rules)


def differences(client: Prometheus, expected: list[dict[str, Any]]) -> dict[LookName, Finding]:
    """What is not as `expected`, and what was seen, by the name of the look that it belongs to."""
    known, now = _evaluated(client), clock(client)
    found = {name: Finding(name) for name in GIVES}
    with closing(Api(client.address, {})) as api:
        for group in expected:
            for rule in group["rules"]:
                name = rule.get("alert") or rule["record"]
                finding = found[LOOKS[ALERTS[name].severity] if "alert" in rule else "recordings"]
                faults = list(_faults(rule, group, known.get(name, []), now, api))
                finding.faults += [f"{name}: {fault}" for fault in faults]
                if not faults:
                    finding.evidence.append(_seen(name, known[name][0], now))
    return found


def _evaluated(client: Prometheus) -> dict[str, list[Rule]]:
    found: dict[str, list[Rule]] = defaultdict(list)
    for group in client.rules():
        for rule in group["rules"]:
            found[rule["name"]].append(Rule(rule, group))
    return found


def _seen(name: str, found: Rule, now: float) -> str:
    rule = found.rule
    held = f", for {rule['duration']:g} s" if rule.get("duration") else ""
    state = f", {rule['state']}" if "state" in rule else ""
    return f"{name}: {rule['query']}{held}{state}, evaluated {now - found.evaluated:.0f} s ago"


def _faults(
    wanted: dict[str, Any], group: dict[str, Any], found: list[Rule], now: float, api: Api
) -> Iterator[str]:
    if not found:
        yield f"there is no such rule: {_FIX}"
        return
    if len(found) > 1:
        files = ", ".join(sorted({one.group.get("file", "") for one in found}))
        yield f"there are {len(found)} rules of this name, in {files}: keep the rendered one alone"
    for one in found:
        yield from _rule_faults(wanted, one, api)
        yield from _evaluation_faults(one, seconds(group["interval"]), now)


def _rule_faults(wanted: dict[str, Any], one: Rule, api: Api) -> Iterator[str]:
    rule = one.rule
    kind = "alerting" if "alert" in wanted else "recording"
    if rule["type"] != kind:
        yield f"it is {rule['type']}, expected {kind}: {_FIX}"
        return
    if not _same(rule["query"], wanted["expr"], api):
        yield f"it asks {rule['query']}, expected {wanted['expr']}: {_FIX}"
    if (labels := rule.get("labels") or {}) != wanted.get("labels", {}):
        yield f"labels are {labels}, expected {wanted.get('labels', {})}: {_FIX}"
    if kind == "recording":
        return
    held, hold = float(rule.get("duration") or 0), seconds(wanted.get("for", "0s"))
    if held != hold:
        yield f"it waits {held:g} s, expected {hold:g} s: {_FIX}"
    if rule.get("keepFiringFor"):
        yield f"it goes on for {rule['keepFiringFor']:g} s after its end, expected not: {_FIX}"
    annotations = rule.get("annotations") or {}
    for name, text in wanted["annotations"].items():
        if annotations.get(name) != text:
            yield f"{name} is {annotations.get(name)!r}, expected {text!r}: {_FIX}"


def _evaluation_faults(one: Rule, interval: float, now: float) -> Iterator[str]:
    rule, group = one.rule, one.group
    if rule["health"] != "ok" or rule.get("lastError"):
        said = rule.get("lastError") or "not evaluated yet"
        yield f"its evaluation is {rule['health']} ({said}): see Prometheus's log"
    if float(group["interval"]) != interval:
        yield f"evaluated every {group['interval']:g} s, expected {interval:g} s: {_FIX}"
    if group.get("limit"):
        yield f"its group has a limit of {group['limit']}, expected none: {_FIX}"
    if now - one.evaluated > 3 * interval:
        when = f"{now - one.evaluated:.0f} s ago" if one.evaluated else "never"
        yield f"last evaluated {when}, expected every {interval:g} s: is Prometheus overloaded?"
    if float(group.get("evaluationTime") or 0) > interval:
        yield f"its group takes {group['evaluationTime']:.0f} s of {interval:g}: overloaded"


def _same(found: str, wanted: str, api: Api) -> bool:
    """Whether two expressions are one to Prometheus, which writes them in its own way."""
    if _bare(found) == _bare(wanted):
        return True
    try:
        return bool(_formatted(found, api) == _formatted(wanted, api))
    except ApiError:  # before 2.40
        return False


def _bare(expression: str) -> str:
    """Without white space, but for that in texts."""
    return re.sub(r'("(?:\\.|[^"\\])*")|\s+', lambda match: match[1] or "", expression)


def _formatted(expression: str, api: Api) -> Any:
    asked = urlencode({"query": expression})
    return api.ask("GET", f"/api/v1/format_query?{asked}")["data"]


def seconds(duration: str) -> float:
    """`4w2d` as seconds. Raises ValueError."""
    parts = re.findall(r"(\d+)(ms|[smhdwy])", duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is no duration: expected one such as 30d or 4w2d")
    return float(sum(int(number) * _UNITS[unit] for number, unit in parts))


def look_calm(site: Site) -> Iterator[Look]:
    """Nothing is wrong now. A system that is ill is not let to its users.

    What a P0 alert, or the one on the way of metrics itself, waits for holds already; a P1 alert has
    to fire. What else fires is told.
    """
    finding = Finding("calm")
    with closing(Prometheus(site.servers.prometheus)) as client:
        now = clock(client)
        for alert in client.alerts():
            name = alert["labels"].get("alertname", "")
            known = ALERTS.get(name)
            severity = known.severity if known else alert["labels"].get("severity", "")
            since = now - unix(alert["activeAt"])
            told = f"{severity} {name} is {alert['state']} for {since:.0f} s"
            finding.evidence.append(told)
            firing = alert["state"] == "firing"
            if severity == "P0" or name == _PIPELINE or (severity == "P1" and firing):
                said = alert.get("annotations", {}).get("description", "")
                page = alert.get("annotations", {}).get("runbook_url", "its runbook")
                finding.faults.append(f"{told} ({said}): follow {page}")
        for sample in client.query(f"{SYSTEM_HEALTH_STATUS.name} == 0"):
            finding.faults.append(
                f"{SYSTEM_HEALTH_STATUS.name} of {sample.labels.get(SERVICE, '?')} is 0: a database, "
                "cache or queue does not answer; /api/monitoring/health says which"
            )
    yield finding.look("no P0 or P1 alert fires, and every database, cache and queue answers")
