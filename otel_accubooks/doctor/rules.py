"""The rules file: whether it is right, whether what it names is there, and whether it ever matches."""

from __future__ import annotations

import builtins
import re
import sys
import time
from collections.abc import Collection, Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.metrics import UNKNOWN
from otel_accubooks.doctor.finding import Finding, Kind
from otel_accubooks.doctor.processes import Application, Running
from otel_accubooks.doctor.scene import Scene
from otel_accubooks.doctor.service import Service
from otel_accubooks.instrument.rules import RequestRule, Rules, RulesError
from otel_accubooks.instrument.rules_check import read_rules

FILE = Kind(
    "rules-refused", "wrong",
    "The rules file is wrong: none of its rules is applied.",
    "a file as docs/rules.md says",
    "correct the line, and restart the application",
)  # fmt: skip
CHANGED = Kind(
    "rules-changed", "suspicious",
    "The rules file was changed after the application was started: the old rules apply.",
    "an application that was started after the last change",
    "restart the application (gunicorn: all of it, not its workers alone)",
)  # fmt: skip
NOT_EVERYWHERE = Kind(
    "rules-not-everywhere", "suspicious",
    "Some processes of a service have rules, and others have none.",
    "the same OTEL_ACCUBOOKS_RULES in web and worker",
    "set OTEL_ACCUBOOKS_RULES in all of them, and restart them",
)  # fmt: skip
NAMES_NOTHING = Kind(
    "rule-names-nothing", "wrong",
    "A rule names a function or a class that is not there: it never matches.",
    "the dotted name under which it is defined",
    "correct the name in the rules file, and restart the application",
)  # fmt: skip
NEVER = Kind(
    "rule-never-matches", "suspicious",
    "A rule has never matched, though what it seems to mean has happened.",
    f"method, URL rule and status as {m.HTTP_REQUESTS_TOTAL.name} has them",
    "correct the rule to what is seen, and restart the application",
)  # fmt: skip
NOT_COUNTED = Kind(
    "rule-counts-nothing", "suspicious",
    "Requests that a rule should count have happened, and its counter is 0.",
    "one count for each",
    "restart the application, and look for `otel-accubooks` in its log",
)  # fmt: skip
VARIABLE = Kind(
    "lookup-variable-unset", "wrong",
    "A look-up names a variable for its address that is not set.",
    "the address of the database or Redis in that variable",
    "set it where the application is started, and restart it",
)  # fmt: skip
NO_VALUE = Kind(
    "lookup-without-value", "suspicious",
    "A look-up has no value: nothing could be read, or nothing is there.",
    "a value within its interval",
    "see the application's log: one line says what its query or its server answered",
)  # fmt: skip
TIER = Kind(
    "tier-unset", "wrong",
    "Nobody's tier is known: everything by tier is counted as `unknown`.",
    f"one of {', '.join(t for t in m.TIERS if t != UNKNOWN)} where the rules look for the tier",
    "correct the source of the tier in the rules file ([user] tier, labels), or what the application "
    "stores there",
)  # fmt: skip
NO_USER = Kind(
    "user-never-seen", "suspicious",
    "The rules say where a user's id is, and no request ever had one.",
    "an id in the session (or where [user] id says)",
    "correct id in [user], and restart the application",
)  # fmt: skip

_LEAST_REQUESTS = 10
_MANY_REQUESTS = 100
_ALIKE = 0.8
_LOOKUP_SECONDS = 30.0
_PLACEHOLDER = re.compile(r"<[^>]*>")
Seen = dict[tuple[str, str, str], float]  # method, route, status: how many


def check(scene: Scene) -> Iterator[Finding]:
    """The files, without anything that was counted."""
    told: set[Path] = set()
    for application in scene.processes.applications:
        one = next((m for m in application.members if m.launched), None)
        path = rules_path(one) if one else None
        if one is None or path is None or path in told:
            continue
        told.add(path)
        where = {**application.first.where(), "file": str(path)}
        try:
            rules = read_rules(path)
        except RulesError as error:
            fix = (
                ""
                if path.is_file()
                else "correct OTEL_ACCUBOOKS_RULES, and restart the application"
            )
            for line in str(error).splitlines()[:5]:
                yield FILE.found(line, fix=fix, **where)
            continue
        if not may_read(path.resolve(), one.user, _groups(one)):
            yield FILE.found(
                f"{path}: user {one.user}, who runs the application, may not read it",
                fix=f"let that user read {path} (and enter its folders), and restart the application",
                **where,
            )
            continue
        if path.stat().st_mtime > one.started + 1:
            yield CHANGED.found(f"{path} is younger than {application}", **where)
        yield from _names(scene, application, rules, where)
        yield from _variables(one, rules, where)
    for service in scene.services:
        yield from _everywhere(service)


def may_read(path: Path, user: int, groups: Collection[int]) -> bool:
    """True where the rights of a file, and of the folders above it, let a user of `groups` read it."""

    def allowed(place: Path, bit: int) -> bool:
        found = place.stat()
        shift = 6 if found.st_uid == user else 3 if found.st_gid in groups else 0
        return bool(found.st_mode & bit << shift)

    return user == 0 or (allowed(path, 4) and all(allowed(above, 1) for above in path.parents))


def _groups(one: Running) -> set[int]:
    """All groups of a process, as far as they may be known."""
    try:
        text = Path(f"/proc/{one.pid}/status").read_text("utf-8", "replace")
    except OSError:
        return {one.group}
    found = re.search(r"^Groups:(.*)$", text, re.MULTILINE)
    return {one.group, *map(int, found[1].split() if found else ())}


def counted(scene: Scene) -> Iterator[Finding]:
    """What was counted, compared with the rules."""
    for service in scene.services:
        if not any(one.folders for one in service.members):
            continue
        yield from _tiers(service)
        paths = {path for one in service.members if (path := rules_path(one)) is not None}
        for path in sorted(paths):
            try:
                rules = read_rules(path)
            except RulesError:
                continue  # told already
            yield from _never(service, rules, path)


def rules_path(one: Running) -> Path | None:
    """The file that the process reads its rules from."""
    text = (one.env or {}).get("OTEL_ACCUBOOKS_RULES", "").strip()
    return one.seen(text) if text else None


def _everywhere(service: Service) -> Iterator[Finding]:
    launched = [one for one in service.members if one.launched]
    having = [one for one in launched if rules_path(one)]
    lacking = [one for one in launched if not rules_path(one)]
    if having and lacking:
        yield NOT_EVERYWHERE.found(
            f"pid {having[0].pid} has OTEL_ACCUBOOKS_RULES, and pid {lacking[0].pid} has not",
            **lacking[0].where(),
        )


def _names(
    scene: Scene, application: Application, rules: Rules, where: dict[str, Any]
) -> Iterator[Finding]:
    asked = scene.interpreters.get(application.first.pid)
    if asked is None or asked.problem:
        return
    one = application.first
    folders = [one.seen("."), *(one.seen(path) for path in asked.path)]
    celery = any(a.server == "celery" for a in scene.processes.applications)
    named = [("class", rule.name) for rule in rules.exceptions]
    named += [("function", rule.function) for rule in rules.jobs if not celery]
    for what, name in named:
        if said := absent(name, folders):
            yield NAMES_NOTHING.found(f"the {what} {name}: {said}", **where)


def absent(name: str, folders: list[Path]) -> str:  # noqa: PLR0911 - one for each reason
    """Why the dotted `name` cannot be there; empty where it is, or where nobody can tell.

    No module is imported: its source is looked at.
    """
    module, _, last = name.rpartition(".")
    if module in ("", "builtins"):
        return "" if hasattr(builtins, last) else "Python has no such name"
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return ""
    parts = module.split(".")
    root = next((f for f in folders if (f / top).is_dir() or any(f.glob(f"{top}.*"))), None)
    if root is None:
        return f"no module {top} is found from where the application runs"
    place = root.joinpath(*parts)
    source = next(
        (p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None
    )
    if source is None:
        built = place.is_dir() or any(place.parent.glob(f"{parts[-1]}.*"))
        parent = place.parent.with_suffix(".py")
        if built or parent.is_file() or not place.parent.is_dir():
            return ""  # built, a namespace, or a class within a class
        return f"there is no module {module}"
    try:
        text = source.read_text("utf-8", "replace")
    except OSError:
        return ""
    if re.search(rf"\b{re.escape(last)}\b", text) or "import *" in text or "__getattr__" in text:
        return ""
    return f"{source} does not name {last}"


def _variables(one: Running, rules: Rules, where: dict[str, Any]) -> Iterator[Finding]:
    for lookup in rules.lookups:
        if lookup.target is not None and not (one.env or {}).get(lookup.target):
            yield VARIABLE.found(
                f"{lookup.gauge.name} is looked up at ${lookup.target}, which is not set", **where
            )


def _tiers(service: Service) -> Iterator[Finding]:
    for metric in m.METRICS:
        for index, label in enumerate(metric.label_names):
            if "tier" not in label or metric.unit == "%":
                continue
            by_tier: dict[str, float] = {}
            for point in service.totals.of(metric):
                if not point.overflow:
                    tier = point.labels[index]
                    by_tier[tier] = by_tier.get(tier, 0.0) + point.value
            known = sum(value for tier, value in by_tier.items() if tier != UNKNOWN)
            unknown = by_tier.get(UNKNOWN, 0.0)
            if unknown > known:
                yield TIER.found(
                    f"{metric.name} of {service.title}: {unknown:g} of {unknown + known:g} have "
                    f"{label}={UNKNOWN}",
                    **service.where(),
                )


def _never(service: Service, rules: Rules, path: Path) -> Iterator[Finding]:
    seen: Seen = {}
    for point in service.totals.of(m.HTTP_REQUESTS_TOTAL):
        if not point.overflow:
            method, route, status = point.labels
            seen[method, route, status] = point.value
    where = {**service.where(), "file": str(path)}
    named = {rule.route for rule in rules.requests}
    told: set[str] = set()
    for rule in rules.requests:
        said = _mismatch(rule, seen, named)
        if said and said not in told:
            told.add(said)
            yield NEVER.found(said, **where)
    yield from _uncounted(service, rules, seen, where)
    yield from _jobs(service, rules, where)
    if rules.user is not None and not service.totals.visits.rows:
        answered = sum(value for (_, _, status), value in seen.items() if status < "400")
        if answered >= _MANY_REQUESTS and not service.totals.visits.counted:
            yield NO_USER.found(
                f"none of {answered:.0f} requests had {rules.user.id.root}."
                f"{'.'.join(rules.user.id.path)}",
                **where,
            )
    yield from _unanswered(service, rules, where)


def _unanswered(service: Service, rules: Rules, where: dict[str, Any]) -> Iterator[Finding]:
    if any(one.invocation.server == "uwsgi" for one in service.members):
        return  # without threads nothing is looked up, which is told of uWSGI
    totals, now = service.totals, time.time()
    answered = any(list(totals.of(lookup.gauge)) for lookup in rules.lookups)
    begun = min((r.root.started for r in service.reader.readers.values()), default=now)
    # The application's own database is known once it was used.
    used = min((point.start for point in totals.of(m.DB_QUERY_DURATION_MS)), default=now)
    for lookup in rules.lookups:
        # An average over nothing has no value; by tier every answer has one.
        if (answered and not lookup.gauge.labels) or list(totals.of(lookup.gauge)):
            continue
        since = used if lookup.sql and lookup.target is None else begun
        if now - since > 2 * lookup.every + _LOOKUP_SECONDS:
            yield NO_VALUE.found(f"{lookup.gauge.name} ({lookup.where}) has no value", **where)


def matches(rule: RequestRule, status: str) -> bool:
    """True where an answer with `status` is meant."""
    return rule.status in (status, f"{status[:1]}xx")


def _mismatch(rule: RequestRule, seen: Seen, named: set[str]) -> str:
    """What happens instead of what the rule names; empty where there is no sign of it."""
    what = f"{rule.method} {rule.route} {rule.status}"
    statuses: dict[str, float] = {}
    for (method, route, status), value in seen.items():
        if (method, route) == (rule.method, rule.route) and value:
            statuses[status] = statuses.get(status, 0.0) + value
    if statuses:
        number = sum(statuses.values())
        if number < _LEAST_REQUESTS or any(matches(rule, status) for status in statuses):
            return ""
        # A limit that nobody has hit is no fault; success that looks otherwise is one.
        good = {status for status in statuses if status[:1] in "23"}
        if rule.status[:1] in "23" and good:
            return f"{what}: all {number:.0f} requests were answered with {', '.join(sorted(statuses))}"
        return ""
    for (method, route, _), value in sorted(seen.items()):
        if not value or route == rule.route:
            continue
        same = _PLACEHOLDER.sub("<>", route) == _PLACEHOLDER.sub("<>", rule.route)
        pattern = "[^/]+".join(map(re.escape, _PLACEHOLDER.split(route)))
        written_out = "<" in route and re.fullmatch(pattern, rule.route) is not None
        slash = route.rstrip("/") == rule.route.rstrip("/")
        if (same or slash) or (written_out and route not in named):
            return f"{what}: never seen; the application declares {route}"
        near = SequenceMatcher(None, route, rule.route).ratio() >= _ALIKE
        if near and method == rule.method and route not in named and value >= _LEAST_REQUESTS:
            return f"{what}: never seen; there is {route}"
    return ""


def _uncounted(
    service: Service, rules: Rules, seen: Seen, where: dict[str, Any]
) -> Iterator[Finding]:
    by_metric: dict[str, float] = {}
    for rule in rules.requests:
        hits = sum(
            value
            for (method, route, status), value in seen.items()
            if (method, route) == (rule.method, rule.route) and matches(rule, status)
        )
        by_metric[rule.count.metric.name] = by_metric.get(rule.count.metric.name, 0.0) + hits
    for name, hits in by_metric.items():
        total = sum(point.value for point in service.totals.of(m.BY_NAME[name]))
        if hits >= 1 and total == 0:
            yield NOT_COUNTED.found(
                f"{name}: {hits:.0f} requests match its rules, 0 counted", **where
            )


def _jobs(service: Service, rules: Rules, where: dict[str, Any]) -> Iterator[Finding]:
    for outcome in m.JOB_STATUSES:
        ended = sum(
            p.value for p in service.totals.of(m.FORECAST_JOBS_PROCESSED_TOTAL)
            if not p.overflow and p.labels[1] == outcome
        )  # fmt: skip
        for rule in rules.jobs:
            total = sum(p.value for p in service.totals.of(rule.count.metric))
            if rule.outcome == outcome and ended >= _LEAST_REQUESTS and total == 0:
                yield NEVER.found(
                    f"job {rule.function} {outcome}: {ended:.0f} jobs ended so, and none counted",
                    **where,
                )
