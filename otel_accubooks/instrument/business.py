"""Business events without a change of the application: the rules, applied to what happens in it."""

from __future__ import annotations

import json
import logging
import sys
import weakref
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import product
from logging import getLogger
from pathlib import Path
from typing import Any

from otel_accubooks.instrument import lookups, users
from otel_accubooks.instrument.guard import failed, pass_on
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
MOST_TOLD = 20
BEFORE = "before.session"

# Flask's context of a request; method and URL rule, or _NO_RULE; what the session was asked for when
# the request came.
Begun = tuple[Any, tuple[str, str], "dict[Source, str | None] | None"]

_rules = Rules()
_user: User | None = None
_user_header: str | None = None  # its name in the environ, where a header names the user
_by_request: dict[tuple[str, str], list[RequestRule]] = {}
_asked_before: dict[tuple[str, str], set[Source]] = {}
_NO_RULE = ("", "")
_SESSIONS = ("session", BEFORE)
_counted: dict[int, weakref.ref[BaseException]] = {}


def load_rules(path: Path) -> str | None:
    """Applies the rules in the file `path`; if anything in it is wrong, none, and returns what.

    A line for each fault, of the first few.
    """
    try:
        rules = read_rules(path)
    except RulesError as error:
        found = str(error).splitlines()
        told = [f"no business rule is applied: {line}" for line in found[:MOST_TOLD]]
        if (more := len(found) - MOST_TOLD) > 0:
            told.append(f"no business rule is applied: {path}: {more} more like these")
        return "\n".join(told)
    apply(rules)
    return None


def apply(rules: Rules) -> Patches:
    """Applies `rules` in the place of those before; hands out what it changed in `logging`."""
    global _rules, _user, _user_header
    _rules, _user = rules, rules.user
    _user_header = None
    if _user is not None and _user.id.root == "header":
        _user_header = _in_environ(_user.id.path[0])
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


def request_began() -> Begun | None:
    """To be called in the context of a Flask request, before its view. Never raises.

    What it returns is to be handed over at the end of the request.
    """
    try:
        context = (_flask or _found_flask()).context()
        request = context.request
        rule = request.url_rule
        key = _NO_RULE if rule is None else (request.method, rule.rule)
        if key not in _asked_before:
            return context, key, None
        asked = Request((context, key, None), None)
        return context, key, {source: asked.text_now(source) for source in _asked_before[key]}
    except Exception:
        failed("looking at a request")
        return None


def request_ended(begun: Begun | None, response: Any) -> None:
    """To be called in the context of a Flask request, with its finished answer. Never raises.

    `response` is None where the request ended with an exception.
    """
    if begun is None:
        return
    try:
        context, key, _ = begun
        if key in _by_request:
            _apply_all(_by_request[key], Request(begun, response))
        if _user is None:
            return
        if key == _user.logout:
            _notice_logout(_user, Request(begun, response))
            return
        environ = context.request.environ
        if _user_header is not None:
            who = text_of(environ.get(_user_header))
        else:
            who = _who(_user, begun, response)
        if who is not None:
            users.of_request(who, environ)
    except Exception:
        failed("applying the rules to a request")


def exception_raised(error: BaseException | None) -> None:
    """Counts an exception by its class, once however often it is passed on. Never raises."""
    try:
        if error is None or not _rules.exceptions:
            return
        names = {f"{c.__module__}.{c.__qualname__}" for c in type(error).__mro__}
        found = [rule for rule in _rules.exceptions if rule.name in names]
        if found and _first_sight(error):
            for rule in found:
                tally(rule.count.metric, rule.count.labels)
    except Exception:
        failed("applying the rules to an exception")


def job_ended(job: Any, outcome: str) -> None:
    """Counts the end of an RQ job, success or failure. Never raises."""
    try:
        for rule in _rules.jobs:
            if rule.outcome == outcome and rule.function == job.func_name:
                _count(rule.count, lambda source: _text_of_job(job, source))
    except Exception:
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


def _count(count: Count, text: Callable[[Source], str | None]) -> None:
    tally(
        count.metric,
        tuple(given if isinstance(given, str) else text(given) for given in count.labels),
    )


def _step(value: Any, part: str) -> Any:
    if isinstance(value, (dict, Mapping)):  # asking for the latter is dear
        return value.get(part)
    if isinstance(value, (list, tuple)):
        return value[int(part)]
    return getattr(value, part, None)  # what is not there is usual, and raising is dear


def _walk(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        value = _step(value, part)
    return value


def _text_of_job(job: Any, source: Source) -> str | None:
    # Not return_value(), which may ask Redis.
    name = "_result" if source.root == "result" else source.root
    try:
        return text_of(_walk(getattr(job, name), source.path))
    except Exception:
        pass_on(asked=True)
        return None


class _Flask:
    """What is asked of Flask at each request, found once."""

    def __init__(self) -> None:
        module = sys.modules["flask"]
        variables = module.globals
        # Where there is no such context variable, its proxy is asked, which is slower.
        current = getattr(variables, "_cv_request", None)
        self.context = current.get if current else variables.request_ctx._get_current_object
        self.cookie_session = module.sessions.SecureCookieSession


_flask: _Flask | None = None


def _found_flask() -> _Flask:
    global _flask
    _flask = _Flask()
    return _flask


@lru_cache(maxsize=64)
def _in_environ(header: str) -> str:
    """The name of a header in the environ of PEP 3333."""
    name = header.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"


def _who(user: User, begun: Begun, response: Any) -> str | None:
    """The user, also where the session has no trace of one, at the least cost."""
    if user.id.root == "session" and len(user.id.path) == 1:
        session: Any = getattr(begun[0], "_session", None)
        if _flask is not None and type(session) is _flask.cookie_session:
            who = dict.get(session, user.id.path[0])
            return None if who is None else text_of(who)
    return Request(begun, response).text(user.id)


class Request:
    """What rules may ask of a request, read when it is asked."""

    __slots__ = ("_answer", "_before", "_context", "_response")

    def __init__(self, begun: Begun, response: Any) -> None:
        self._context, _, self._before = begun
        self._response = response
        self._answer: Any = None

    @property
    def environ(self) -> dict[str, Any]:
        """Of WSGI."""
        environ: dict[str, Any] = self._context.request.environ
        return environ

    @property
    def status(self) -> int:
        """Of the answer; that of a request which ended with an exception is 500."""
        return 500 if self._response is None else int(self._response.status_code)

    def text(self, source: Source) -> str | None:
        """What is there as one short text; None where there is none."""
        if source.root == BEFORE:
            return None if self._before is None else self._before.get(source)
        return self.text_now(source)

    def text_now(self, source: Source) -> str | None:
        """As `text`, of a request that may still go on."""
        try:
            in_session = source.root in _SESSIONS
            value = self._in_session(source.path) if in_session else self._value(source)
            return text_of(value)
        except Exception:  # also the application's own, of an attribute that cannot be had
            pass_on(asked=True)
            return None

    def _value(self, source: Source) -> Any:
        if source.root == "header":
            return self._context.request.environ.get(_in_environ(source.path[0]))
        if source.root == "g":
            return _walk(sys.modules["flask"].g._get_current_object(), source.path)
        if self._answer is None:
            self._answer = _json_answer(self._response)
        return _walk(self._answer, source.path)

    def _in_session(self, path: tuple[str, ...]) -> Any:
        # Without leaving a trace: a session that was read adds a header to an answer still to come.
        session = getattr(self._context, "_session", None)
        if session is None:
            session = self._context.session
        accessed = getattr(session, "accessed", None)
        try:
            return _walk(session, path)
        finally:
            if accessed is False:
                session.accessed = False


def _json_answer(response: Any) -> Any:
    """What a JSON answer says; {} where it is none, too long, or not made yet."""
    if not response.is_json or not response.is_sequence or response.direct_passthrough:
        return {}
    if sum(map(len, response.response)) > JSON_BYTES:
        return {}
    return json.loads(b"".join(response.iter_encoded()))


def _apply_all(rules: list[RequestRule], request: Request) -> None:
    code = str(request.status)
    for rule in rules:
        if rule.status in (code, f"{code[0]}xx"):
            _count(rule.count, request.text)


def _notice_logout(user: User, request: Request) -> None:
    who = request.text(user.id)
    if request.status // 100 == 2:
        who = who or request.text(_as_before(user.id))
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
        except Exception:
            failed("applying the rules to a log record")
        return original(self, record)

    return callHandlers


def _count_record(record: Any) -> None:
    for rule in _rules.logs:
        if record.levelno >= rule.level and (
            rule.logger in (record.name, "root") or record.name.startswith(f"{rule.logger}.")
        ):
            tally(rule.count.metric, rule.count.labels)
