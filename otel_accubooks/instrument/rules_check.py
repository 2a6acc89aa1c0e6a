"""Reading the rules file: everything in it is checked, and what is wrong is told with its line."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from otel_accubooks.contract.metric import Label
from otel_accubooks.contract.metrics import JOB_STATUSES, METRICS
from otel_accubooks.instrument.rules import (
    BUSINESS_COUNTERS,
    LOOKUP_GAUGES,
    PAIRS,
    REDIS_COMMANDS,
    Count,
    ExceptionRule,
    JobRule,
    LogRule,
    Lookup,
    RequestRule,
    Rules,
    RulesError,
    Source,
    User,
)
from otel_accubooks.instrument.rules_lines import Lines

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LONGEST_SECONDS = 86_400

_STATUS = re.compile(r"[1-5](xx|\d\d)", re.ASCII)
_EVERY = re.compile(r"([1-9]\d{0,5})([smh])", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_SHOWN_CHARACTERS = 60
_OF_USERS = ("session", "g", "header", "json")
_OF_REQUESTS = (*_OF_USERS, "before.session")
_OF_JOBS = ("args", "kwargs", "meta", "result")
_KEYS = {
    "user": ("id", "tier", "logout"),
    "request": ("method", "route", "status", "count", "labels"),
    "job": ("function", "outcome", "count", "labels"),
    "exception": ("class", "count", "labels"),
    "log": ("logger", "level", "count", "labels"),
    "lookup": ("gauge", "sql", "redis", "every", "database", "redis_url"),
}


def read_rules(path: Path) -> Rules:
    """Reads and checks the TOML file at `path`. Raises RulesError, and nothing else."""
    try:
        if not path.is_file() and path.exists():
            raise RulesError(f"{path}: is no file, expected TOML")
        text = path.read_bytes().decode()
    except OSError as error:
        raise RulesError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise RulesError(f"{path}: byte {error.start} is not UTF-8, expected TOML") from None
    return check_rules(str(path), text)


def check_rules(file: str, text: str) -> Rules:
    """The rules in `text`; `file` is its name in messages. Raises RulesError, and nothing else."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RulesError(_syntax_error(file, text, str(error))) from None
    except (ValueError, RecursionError) as error:  # a number of 5000 digits, 1000 brackets
        raise RulesError(f"{file}: cannot be read as TOML: {error}") from None
    checker = _Checker(file, text)
    rules = checker.rules(data)
    if checker.errors:
        raise RulesError("\n".join(message for _, message in sorted(checker.errors)))
    return rules


def _syntax_error(file: str, text: str, message: str) -> str:
    what, _, where = message.rpartition(" (at ")
    at = re.match(r"line (\d+), column (\d+)", where)
    place = f"{at[1]}:{at[2]}" if at else str(text.count("\n") + 1)
    return f"{file}:{place}: {what or message}, expected TOML"


class _Table(NamedTuple):
    """One table of the file: its kind, its number among those of its kind, and what is in it."""

    kind: str
    number: int
    content: dict[str, Any]
    within: str = ""  # the key that it is the value of

    @property
    def title(self) -> str:
        return "[user]" if self.kind == "user" else f"[[{self.kind}]]"


# What stands for a faulty part: the rules that it is in are never handed out.
_NO_SOURCE = Source("", ())
_NO_COUNT = Count(METRICS[0], ())


class _Checker:
    """Checks everything, and collects what is wrong, each with its line."""

    def __init__(self, file: str, text: str) -> None:
        self.errors: list[tuple[int, str]] = []
        self._file = file
        self._lines = Lines(text)
        self._tier: Source | None = None

    def rules(self, data: dict[str, Any]) -> Rules:
        for kind in data.keys() - _KEYS.keys():
            found = f"{_shown(kind)} is no kind of rule"
            self._wrong(self._lines.of(kind, 0), found, _nearest(kind, _KEYS))
        users = [self._user(table) for table in self._tables(data, "user")]
        return Rules(
            users[0] if users else None,
            tuple(self._request(table) for table in self._tables(data, "request")),
            tuple(self._job(table) for table in self._tables(data, "job")),
            tuple(self._exception(table) for table in self._tables(data, "exception")),
            tuple(self._log(table) for table in self._tables(data, "log")),
            self._lookups(self._tables(data, "lookup")),
        )

    def _tables(self, data: dict[str, Any], kind: str) -> list[_Table]:
        given = data.get(kind, [])
        if kind == "user":
            given = [given] if kind in data else []
        elif not isinstance(given, list):
            self._wrong(self._lines.of(kind, 0), f"{kind} is {_shown(given)}", f"[[{kind}]]")
            return []
        tables = [_Table(kind, i, c) for i, c in enumerate(given) if isinstance(c, dict)]
        if len(tables) < len(given):
            self._wrong(self._lines.of(kind, 0), f"{kind} holds no table", f"[{kind}]")
        for table in tables:
            self._known_keys(table, _KEYS[kind])
        return tables

    def _known_keys(self, table: _Table, keys: tuple[str, ...]) -> None:
        for key in table.content.keys() - set(keys):
            found = f"{_shown(key)} is no key of {table.within or table.title}"
            self._at(table, key, found, _nearest(key, keys))

    def _user(self, table: _Table) -> User:
        if "tier" in table.content:
            self._tier = self._source(table, "tier", table.content["tier"], _OF_USERS)
        logout = None
        if "logout" in table.content:
            given = table.content["logout"]
            if isinstance(given, dict):
                inner = _Table("user", table.number, given, "logout")
                self._known_keys(inner, ("method", "route"))
                logout = self._method(inner), self._route(inner)
            else:
                expected = 'a table such as { method = "POST", route = "/logout" }'
                self._at(table, "logout", f"logout is {_shown(given)}", expected)
        return User(self._source(table, "id", table.content.get("id"), _OF_USERS), logout)

    def _request(self, table: _Table) -> RequestRule:
        status = table.content.get("status")
        text = str(status) if type(status) is int and 100 <= status < 600 else status
        if not (isinstance(text, str) and _STATUS.fullmatch(text)):
            self._no(table, "status", status, 'a status such as 201, "2xx" or "403"')
        count = self._count(table, _OF_REQUESTS)
        return RequestRule(self._method(table), self._route(table), str(text), count)

    def _job(self, table: _Table) -> JobRule:
        function = self._dotted(table, "function", "a function such as package.module.name")
        outcome = self._one_of(table, "outcome", JOB_STATUSES)
        return JobRule(function, outcome, self._count(table, _OF_JOBS))

    def _exception(self, table: _Table) -> ExceptionRule:
        name = self._dotted(table, "class", "a class such as package.module.SomeError")
        full_name = name if "." in name else f"builtins.{name}"
        return ExceptionRule(full_name, self._count(table, ()))

    def _log(self, table: _Table) -> LogRule:
        logger = table.content.get("logger")
        if not isinstance(logger, str) or not logger:
            self._no(table, "logger", logger, "the name of a logger such as package.module")
        level = self._one_of(table, "level", LEVELS)
        count = self._count(table, ())
        return LogRule(str(logger), getattr(logging, level, 0), count)

    def _lookups(self, tables: list[_Table]) -> tuple[Lookup, ...]:
        found: dict[str, Lookup] = {}
        for table in tables:
            lookup = self._lookup(table)
            if lookup is not None and lookup.gauge.name in found:
                known = found[lookup.gauge.name].where
                self._at(
                    table, "gauge", f"{lookup.gauge.name} was looked up in {known}", "one look-up"
                )
            elif lookup is not None:
                found[lookup.gauge.name] = lookup
        return tuple(found.values())

    def _lookup(self, table: _Table) -> Lookup | None:
        name = table.content.get("gauge")
        gauge = LOOKUP_GAUGES.get(name) if isinstance(name, str) else None
        every = self._every(table)
        if gauge is None:
            self._no(table, "gauge", name, f"one of {', '.join(LOOKUP_GAUGES)}")
            return None
        sources = [key for key in ("sql", "redis") if key in table.content]
        if len(sources) != 1:
            found = "sql and redis" if sources else "neither sql nor redis"
            self._at(table, "sql", f"{table.title} has {found}", "one of them")
            return None
        sql, redis = "", tuple[str, ...]()
        if sources == ["sql"]:
            sql = self._sql(table)
            target = self._variable(table, "database", "redis_url", needed=False)
        else:
            redis = self._redis(table, bool(gauge[0].labels))
            target = self._variable(table, "redis_url", "database", needed=True)
        where = f"{self._file}:{self._lines.of('lookup', table.number)}"
        return Lookup(gauge[0], sql, redis, target, every, where)

    def _every(self, table: _Table) -> float:
        given = table.content.get("every", "60s")
        found = _EVERY.fullmatch(given) if isinstance(given, str) else None
        seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
        if not 0 < seconds <= LONGEST_SECONDS:
            self._no(table, "every", given, 'a time such as "60s", "5m" or "1h", a day at most')
        return float(seconds)

    def _sql(self, table: _Table) -> str:
        given = table.content["sql"]
        sql = given.strip().rstrip(";") if isinstance(given, str) else ""
        if not sql or ";" in sql or "\0" in sql:
            self._no(table, "sql", given, "one SELECT, without a ; in it")
        return sql

    def _redis(self, table: _Table, labelled: bool) -> tuple[str, ...]:
        given = table.content["redis"]
        words = given if isinstance(given, list) else []
        name = words[0] if words and isinstance(words[0], str) else ""
        if (
            len(words) < 2
            or not all(isinstance(w, str) for w in words)
            or (name not in REDIS_COMMANDS or (name == PAIRS) != labelled)
        ):
            fitting = [each for each in REDIS_COMMANDS if (each == PAIRS) == labelled]
            shown = f" with {_shown(name)}" if name else ""
            self._at(
                table,
                "redis",
                f"redis is {_shown(given)}{shown}",
                f"an array with {' or '.join(fitting)} and its arguments, as texts",
            )
        return tuple(map(str, words))

    def _variable(self, table: _Table, key: str, other: str, *, needed: bool) -> str | None:
        if other in table.content:
            self._at(table, other, f"{other} is given", f"{key} beside this source")
        given = table.content.get(key)
        if isinstance(given, str) and _VARIABLE.fullmatch(given):
            return given
        if given is not None or needed:
            # Without showing it: an address in its place may hold a password.
            found = "missing" if given is None else "something else"
            self._at(table, key, f"{key} is {found}", "the name of an environment variable")
        return None

    def _method(self, table: _Table) -> str:
        return self._one_of(table, "method", METHODS)

    def _route(self, table: _Table) -> str:
        route = table.content.get("route")
        if isinstance(route, str) and route.startswith("/"):
            return route
        return self._no(table, "route", route, 'a URL rule as in app.route, such as "/api/things"')

    def _one_of(self, table: _Table, key: str, values: tuple[str, ...]) -> str:
        value = table.content.get(key)
        if isinstance(value, str) and value in values:
            return value
        return self._no(table, key, value, f"one of {', '.join(values)}")

    def _dotted(self, table: _Table, key: str, expected: str) -> str:
        value = table.content.get(key)
        if isinstance(value, str) and all(part.isidentifier() for part in value.split(".")):
            return value
        return self._no(table, key, value, expected)

    def _count(self, table: _Table, roots: tuple[str, ...]) -> Count:
        name = table.content.get("count")
        metric = BUSINESS_COUNTERS.get(name) if isinstance(name, str) else None
        if metric is None:
            such = _nearest(name, BUSINESS_COUNTERS)
            self._no(table, "count", name, f"a business counter such as {such}")
            return _NO_COUNT
        given = table.content.get("labels", {})
        if not isinstance(given, dict):
            self._no(table, "labels", given, f"a table with {', '.join(metric.label_names)}")
            return _NO_COUNT
        if roots == _OF_REQUESTS and self._tier is not None and "tier" in metric.label_names:
            sources = {"tier": self._tier, **given}
        else:
            sources = given
        if sources.keys() != set(metric.label_names):
            found = f"labels has {', '.join(map(_shown, given)) or 'nothing'}"
            self._at(table, "labels", found, f"{', '.join(metric.label_names)} of {metric.name}")
            return _NO_COUNT
        labels = (self._label(table, label, sources[label.name], roots) for label in metric.labels)
        return Count(metric, tuple(labels))

    def _label(
        self, table: _Table, label: Label, given: object, roots: tuple[str, ...]
    ) -> Source | str:
        if isinstance(given, Source):
            return given
        if not isinstance(given, dict):
            return self._source(table, label.name, given, roots)
        value = given.get("value")
        if not isinstance(value, str) or not value or len(given) > 1:
            expected = '{ value = "…" }'
            self._at(table, "labels", f"{label.name} is {_shown(given)}", expected, label.name)
        elif label.values is not None and value not in label.values:
            found = f"{label.name} is {_shown(value)}"
            self._at(table, "labels", found, f"one of {', '.join(label.values)}", label.name)
        return str(value)

    def _source(self, table: _Table, name: str, given: object, roots: tuple[str, ...]) -> Source:
        if isinstance(given, str):
            root, *path = given.split(".")
            if root == "before":
                root, path = ".".join([root, *path[:1]]), path[1:]
            if root in roots and path and all(path) and (root != "args" or path[0].isdecimal()):
                # A header's name may have dots of its own.
                return Source(root, (".".join(path),) if root == "header" else tuple(path))
        such = ", ".join(f"{root}.{0 if root == 'args' else 'x'}" for root in roots)
        expected = f"a source ({such})" if such else '{ value = "…" }'
        found = "missing" if given is None else _shown(given)
        self._at(table, name, f"{name} is {found}", expected, "labels")
        return _NO_SOURCE

    def _no(self, table: _Table, key: str, value: object, expected: str) -> str:
        found = "missing" if value is None else _shown(value)
        self._at(table, key, f"{key} is {found}", expected)
        return ""

    def _at(self, table: _Table, key: str, found: str, expected: str, *also: str) -> None:
        keys = (table.within,) if table.within else (key, *also)
        self._wrong(self._lines.of(table.kind, table.number, *keys), found, expected)

    def _wrong(self, line: int, found: str, expected: str) -> None:
        self.errors.append((line, f"{self._file}:{line}: {found}, expected {expected}"))


def _shown(value: object) -> str:
    """A value of the file in few characters."""
    if isinstance(value, str):
        cut = value if len(value) <= _SHOWN_CHARACTERS else value[: _SHOWN_CHARACTERS - 1] + "…"
        return json.dumps(cut, ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) < 10**18:
        return str(value)
    names = {dict: "a table", list: "an array", int: "a number", float: "a number"}
    return names.get(type(value), "a date or time")


def _nearest(word: object, known: Iterable[str]) -> str:
    """The one of `known` that is most like `word`, else the first."""
    words = list(known)
    text = word[:_SHOWN_CHARACTERS] if isinstance(word, str) else ""
    from difflib import get_close_matches

    return (get_close_matches(text, words, 1, 0.5) or words)[0]
