"""Business events without a change of the application: the rules, applied to what happens in it."""

from __future__ import annotations

import json
import logging
import sys
import weakref
from collections.abc import Callable, Mapping
from itertools import product
from logging import getLogger
from pathlib import Path
from typing import Any

from otel_accubooks.instrument import lookups, users
from otel_accubooks.instrument.faults import FAULTS
from otel_accubooks.instrument.guard import failed
from otel_accubooks.instrument.patching import Patches
from otel_accubooks.instrument.rules import (
    Count,
    RequestRule,
    Rules,
    RulesError,
    Source,
    User,
)
from otel_accubooks.instrument.rules_check import read_rules
from otel_accubooks.instrument.tally import tally, text_of
from otel_accubooks.recorder.process import recorder

_log = getLogger("otel_accubooks")

JSON_BYTES = 64 * 1024
BEFORE = "before.session"
Before = dict[Source, str | None]

_rules = Rules()
_by_request: dict[tuple[str, str], list[RequestRule]] = {}
_asked_before: dict[tuple[str, str], set[Source]] = {}
_counted: dict[int, weakref.ref[BaseException]] = {}


def load_rules(path: Path) -> None:
    """Applies the rules in the file `path`; if anything in it is wrong, logs what, and none."""
    try:
        rules = read_rules(path)
    except RulesError as error:
        _log.error("otel-accubooks: no business rule is applied: %s", error)
        return
    apply(rules)


def apply(rules: Rules) -> Patches:
    """Applies `rules` in the place of those before; hands out what it changed in `logging`."""
    global _rules
    _rules = rules
    _by_request.clear()
    _asked_before.clear()
    for rule in rules.requests:
        _by_request.setdefault((rule.method, rule.route), []).append(rule)
        for source in rule.count.labels:
            if isinstance(source, Source) and source.root == BEFORE:
                _asked_before.setdefault((rule.method, rule.route), set()).add(source)
    if rules.user is not None and rules.user.logout is not None:
        # By its end the request has usually taken out of the session whose it was.
        _asked_before.setdefault(rules.user.logout, set()).add(_as_before(rules.user.id))
    lookups.watch(rules.lookups)
    patches = Patches()
    if rules.logs:
        patches.wrap(logging.Logger, "callHandlers", _heard)
    recorder.on_open(_announce)
    return patches


def _announce() -> None:
    """Makes the series that are known from the start exist at 0."""
    if _rules.user is not None:
        users.announce()
    for count in _rules.counts():
        family = recorder.counter(count.metric)
        if count.metric.closed:
            family.announce()
            continue
        known = [
            (given,) if isinstance(given, str) else label.values or ()
            for label, given in zip(count.metric.labels, count.labels, strict=True)
        ]
        for values in product(*known):
            family.labels(*values).add(0.0)


def rules_exist() -> bool:
    """True where requests have to be looked at."""
    return bool(_rules.user or _rules.requests or _rules.exceptions)


def request_began() -> Before:
    """To be called in the context of a Flask request, before its view. Never raises.

    What it returns is to be handed over at the end of the request.
    """
    try:
        if _asked_before:
            request = _Request(None, {})
            asked = _asked_before.get(request.key, ()) if request.key is not None else ()
            return {source: _safely(request.value_now, source) for source in asked}
    except FAULTS:
        failed("looking at a request")
    return {}


def request_ended(response: Any, before: Before) -> None:
    """To be called in the context of a Flask request, with its finished answer. Never raises."""
    try:
        _ended(_Request(response, before), response.status_code)
    except FAULTS:
        failed("applying the rules to a request")


def request_failed(before: Before) -> None:
    """To be called in the context of a Flask request that ended with an exception. Never raises."""
    try:
        _ended(_Request(None, before), 500)
    except FAULTS:
        failed("applying the rules to a request")


def exception_raised(error: BaseException | None) -> None:
    """Counts an exception by its class, once however often it is passed on. Never raises."""
    if error is None or not _rules.exceptions:
        return
    try:
        names = {f"{c.__module__}.{c.__qualname__}" for c in type(error).__mro__}
        found = [rule for rule in _rules.exceptions if rule.name in names]
        if found and _first_sight(error):
            for rule in found:
                tally(rule.count.metric, rule.count.labels)
    except FAULTS:
        failed("applying the rules to an exception")


def job_ended(job: Any, outcome: str) -> None:
    """Counts the end of an RQ job, success or failure. Never raises."""
    if not _rules.jobs:
        return
    try:
        for rule in _rules.jobs:
            if rule.outcome == outcome and rule.function == job.func_name:
                _count(rule.count, lambda source: _value_of_job(job, source))
    except FAULTS:
        failed("applying the rules to a job")


def _first_sight(error: BaseException) -> bool:
    key = id(error)
    known = _counted.get(key)
    if known is not None and known() is error:
        return False
    try:
        _counted[key] = weakref.ref(error, lambda _: _counted.pop(key, None))
    except TypeError:  # an exception that Python itself defines
        if "_otel_accubooks_counted" in vars(error):
            return False
        vars(error)["_otel_accubooks_counted"] = True
    return True


def _count(count: Count, value_of: Callable[[Source], Any]) -> None:
    values = tuple(
        given if isinstance(given, str) else _safely(value_of, given) for given in count.labels
    )
    tally(count.metric, values)


def _safely(value_of: Callable[[Source], Any], source: Source) -> str | None:
    try:
        return text_of(value_of(source))
    except FAULTS:
        return None


def _step(value: Any, part: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(part)
    if isinstance(value, (list, tuple)):
        return value[int(part)]
    return getattr(value, part)


def _walk(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        value = _step(value, part)
    return value


def _value_of_job(job: Any, source: Source) -> Any:
    # Not return_value(), which may ask Redis.
    name = "_result" if source.root == "result" else source.root
    return _walk(getattr(job, name), source.path)


class _Request:
    """What rules may ask of the request that ends now, read when it is asked."""

    __slots__ = ("_answer", "_before", "_flask", "_response", "environ", "key")

    def __init__(self, response: Any, before: Before) -> None:
        self._flask = sys.modules["flask"]
        self._response = response
        self._before = before
        self._answer: Any = None
        request = self._flask.request._get_current_object()
        self.environ: dict[str, Any] = request.environ
        # Method and URL rule, or None where nothing matched.
        rule = request.url_rule
        self.key: tuple[str, str] | None = None if rule is None else (request.method, rule.rule)

    def value(self, source: Source) -> Any:
        """Raises where there is none."""
        if source.root == BEFORE:
            return self._before.get(source)
        return self.value_now(source)

    def value_now(self, source: Source) -> Any:
        """As `value`, of a request that may still go on."""
        if source.root in ("session", BEFORE):
            return self._in_session(source.path)
        if source.root == "header":
            return self._flask.request.headers.get(source.path[0])
        if source.root == "g":
            return _walk(self._flask.g._get_current_object(), source.path)
        if self._answer is None:
            self._answer = _json_answer(self._response)
        return _walk(self._answer, source.path)

    def _in_session(self, path: tuple[str, ...]) -> Any:
        # Without leaving a trace: a session that was read adds a header to an answer still to come.
        context = self._flask.globals.request_ctx._get_current_object()
        session = getattr(context, "_session", None)
        if session is None:
            session = context.session
        accessed = getattr(session, "accessed", None)
        try:
            return _walk(session, path)
        finally:
            if accessed is False:
                session.accessed = False


def _json_answer(response: Any) -> Any:
    """What a JSON answer says. Raises where it is none, too long, compressed or not made yet."""
    if not response.is_json or not response.is_sequence or response.direct_passthrough:
        raise ValueError("no JSON answer")
    if sum(map(len, response.response)) > JSON_BYTES:
        raise ValueError("too long")
    return json.loads(b"".join(response.iter_encoded()))


def _ended(request: _Request, status: int) -> None:
    key = request.key
    rules = None if key is None else _by_request.get(key)
    if rules is not None:
        code = str(status)
        for rule in rules:
            if rule.status in (code, f"{code[0]}xx"):
                _count(rule.count, request.value)
    if _rules.user is not None:
        _notice(_rules.user, request, left=key == _rules.user.logout and 200 <= status < 300)


def _notice(user: User, request: _Request, *, left: bool) -> None:
    who = _safely(request.value, user.id)
    if left:
        who = who or _safely(request.value, _as_before(user.id))
        if who is not None:
            users.left(who)
    elif who is not None:
        users.of_request(who, request.environ)


def _as_before(source: Source) -> Source:
    return Source(BEFORE, source.path) if source.root == "session" else source


def _heard(original: Callable[..., Any]) -> Callable[..., Any]:
    def callHandlers(self: Any, record: Any) -> Any:
        try:
            # What this package logs is not the application's, and would come here again.
            if record.name.partition(".")[0] != _log.name:
                _count_record(record)
        except FAULTS:
            failed("applying the rules to a log record")
        return original(self, record)

    return callHandlers


def _count_record(record: Any) -> None:
    for rule in _rules.logs:
        if record.levelno >= rule.level and (
            rule.logger in (record.name, "root") or record.name.startswith(f"{rule.logger}.")
        ):
            tally(rule.count.metric, rule.count.labels)
