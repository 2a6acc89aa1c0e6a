"""Datadog: tag configurations, the check from outside, monitors and dashboards.

Ours are monitors and checks with the tag managed-by:otel-accubooks, known by their tag monitor:<name>, and
dashboards with that mark in their description. Tag configurations have no mark: they are added to, never
taken away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from otel_accubooks.apply.change import Change, difference
from otel_accubooks.servers.api import Api, ApiError
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.datadog import payloads
from otel_accubooks.vendors.datadog.dashboards import mark
from otel_accubooks.vendors.datadog.messages import MANAGED

_MONITORS, _DASHBOARDS, _TESTS = "/api/v1/monitor", "/api/v1/dashboard", "/api/v1/synthetics/tests"
_PAGE, _SMALL_PAGE = 1000, 100
_NAMED = re.compile(r"\{([^{}]+)\}")
_MARKED = re.compile(rf"^{mark('')}(\w+)$", re.MULTILINE)


def changes(api: Api, to: Addresses) -> Iterator[Change]:
    """What is to be done, in the order in which it can be done. Raises ApiError.

    A composite monitor names others by numbers that are known once those are made: until then
    its difference shows their names.
    """
    try:
        wanted = list(payloads(to))
    except ValueError as error:
        raise ApiError(str(error)) from error
    account = _Account(api)
    for _, name, kind, payload in wanted:
        if kind == "tags":
            yield account.tags(name, payload)
        elif kind == "check":
            yield account.check(name, payload)
        elif kind == "monitor":
            yield account.monitor(name, payload)
        else:
            yield account.dashboard(name, payload)
    yield from account.leftovers()


class _Account:
    """What is ours in the account, and what of it is still wanted."""

    def __init__(self, api: Api) -> None:
        self._api = api
        # Those of checks are Datadog's own, and go with them.
        self._monitors = _by_key(
            one for one in _paged(api, _MONITORS, f"monitor_tags={MANAGED}", "page")
            if one.get("type") != "synthetics alert"
        )  # fmt: skip
        self._checks = _by_key(_tests(api))
        self._dashboards = our_dashboards(api)
        self._wanted: set[tuple[str, str]] = set()
        self._numbers = {
            name: one["id"]
            for (name, kind), one in self._monitors.items()
            if kind == "query alert"
        } | {name: one["monitor_id"] for (name, _), one in self._checks.items()}  # fmt: skip

    def tags(self, name: str, payload: Any) -> Change:
        """Percentiles are switched on, and our tags may be asked by; others' tags stay."""
        path = f"/api/v2/metrics/{name}/tags"
        found = self._api.ask("GET", path, missing=None)
        kind = "tag configuration"
        if found is None:
            return Change(
                "create", kind, name, difference(None, payload),
                lambda: _done(self._api.ask("POST", path, payload)),
            )  # fmt: skip
        attributes = _added_to(found["data"]["attributes"], payload["data"]["attributes"])
        body = {"data": {**payload["data"], "attributes": attributes}}
        return _kept_or_updated(
            kind, name, found, body, lambda: _done(self._api.ask("PATCH", path, body))
        )

    def check(self, name: str, payload: Any) -> Change:
        """A test that asks for an address from outside; with it comes its monitor."""
        path = f"{_TESTS}/api"
        found = self._checks.get(self._want(name, payload["type"]))
        if found is None:

            def create() -> None:
                made = self._api.ask("POST", path, payload)
                self._numbers[name.lower()] = made["monitor_id"]

            return Change("create", "check", name, difference(None, payload), create)
        path = f"{path}/{found['public_id']}"
        return _kept_or_updated(
            "check", name, self._api.ask("GET", path), payload,
            lambda: _done(self._api.ask("PUT", path, payload)),
        )  # fmt: skip

    def monitor(self, name: str, payload: Any) -> Change:
        """A monitor; the numbers in a composite one's query are looked up when it is made."""
        found = self._monitors.get(self._want(name, payload["type"]))

        def body() -> Any:
            made = self._resolved(payload)
            if payload["type"] == "composite" and (missing := _NAMED.findall(made["query"])):
                raise ApiError(f"{name} is made of {', '.join(missing)}, which could not be made")
            return made

        def create() -> None:
            self._numbers[name.lower()] = self._api.ask("POST", _MONITORS, body())["id"]

        if found is None:
            shown = difference(None, self._resolved(payload))
            return Change("create", "monitor", name, shown, create)
        path = f"{_MONITORS}/{found['id']}"
        return _kept_or_updated(
            "monitor", name, found, self._resolved(payload),
            lambda: _done(self._api.ask("PUT", path, body())),
        )  # fmt: skip

    def dashboard(self, name: str, payload: Any) -> Change:
        """A dashboard."""
        self._wanted.add(("dashboard", name))
        identity = self._dashboards.get(name)
        if identity is None:
            return Change(
                "create", "dashboard", name, difference(None, payload),
                lambda: _done(self._api.ask("POST", _DASHBOARDS, payload)),
            )  # fmt: skip
        path = f"{_DASHBOARDS}/{identity}"
        return _kept_or_updated(
            "dashboard", name, self._api.ask("GET", path), payload,
            lambda: _done(self._api.ask("PUT", path, payload)),
        )  # fmt: skip

    def leftovers(self) -> Iterator[Change]:
        """What carries our mark and is wanted no more: first what is made of others."""
        for composite in (True, False):
            for (name, kind), one in self._monitors.items():
                if (name, kind) not in self._wanted and (kind == "composite") is composite:
                    yield self._deletion("monitor", one["name"], f"{_MONITORS}/{one['id']}")
        for key, one in self._checks.items():
            if key not in self._wanted:
                body = {"public_ids": [one["public_id"]]}
                yield self._deletion("check", one["name"], f"{_TESTS}/delete", "POST", body)
        for name, identity in self._dashboards.items():
            if ("dashboard", name) not in self._wanted:
                yield self._deletion("dashboard", name, f"{_DASHBOARDS}/{identity}")

    def _deletion(
        self, kind: str, name: str, path: str, method: str = "DELETE", body: Any = None
    ) -> Change:
        shown = difference({"name": name}, None)
        return Change(
            "delete", kind, name, shown,
            lambda: _done(self._api.ask(method, path, body, missing=None)),
        )  # fmt: skip

    def _want(self, name: str, kind: str) -> tuple[str, str]:
        key = name.lower(), kind
        self._wanted.add(key)
        return key

    def _resolved(self, payload: Any) -> Any:
        """A composite's query with the numbers of the monitors that are there."""
        if payload["type"] != "composite":
            return payload

        def number(found: re.Match[str]) -> str:
            return str(self._numbers.get(found[1].lower(), found[0]))

        return {**payload, "query": _NAMED.sub(number, payload["query"])}


def _by_key(found: Iterator[Any]) -> dict[tuple[str, str], Any]:
    """By the name in the tag, in lower case, and type. A copy that somebody made of one is theirs."""
    ours: dict[tuple[str, str], Any] = {}
    for one in found:
        tags = [tag.lower() for tag in one.get("tags") or ()]
        names = [tag.removeprefix("monitor:") for tag in tags if tag.startswith("monitor:")]
        if MANAGED in tags and names:
            ours.setdefault((names[0], one["type"]), one)
    return ours


def _paged(api: Api, path: str, query: str, number: str) -> Iterator[Any]:
    page = 0
    while True:
        found = api.ask("GET", f"{path}?{query}&{number}={page}&page_size={_PAGE}")
        # The oldest first: a copy is younger than what it was made of.
        yield from sorted(found, key=lambda one: int(one["id"]))
        if len(found) < _PAGE:
            return
        page += 1


def _tests(api: Api) -> Iterator[Any]:
    page = 0
    while True:
        query = f"page_size={_SMALL_PAGE}&page_number={page}"
        found = api.ask("GET", f"{_TESTS}?{query}")["tests"]
        yield from found
        if len(found) < _SMALL_PAGE:
            return
        page += 1


def our_dashboards(api: Api) -> dict[str, str]:
    """Id by name of ours. Raises ApiError."""
    ours: dict[str, str] = {}
    start = 0
    while True:
        found = api.ask("GET", f"{_DASHBOARDS}?count={_SMALL_PAGE}&start={start}")["dashboards"]
        for one in found:
            if marked := _MARKED.search(one.get("description") or ""):
                ours.setdefault(marked[1], one["id"])
        if len(found) < _SMALL_PAGE:
            return ours
        start += _SMALL_PAGE


def _added_to(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes with which both can ask what they want; the type cannot be changed."""
    excluded = bool(theirs.get("exclude_tags_mode"))
    there, needed = set(theirs.get("tags") or ()), set(ours["tags"])
    attributes: dict[str, Any] = {
        "include_percentiles": ours["include_percentiles"],
        "tags": sorted(there - needed if excluded else there | needed),
    }
    return attributes | ({"exclude_tags_mode": True} if excluded else {})


def _kept_or_updated(kind: str, name: str, theirs: Any, ours: Any, update: Any) -> Change:
    before = _seen(theirs, ours)
    if before == ours:
        return Change("keep", kind, name, (), lambda: None)
    return Change("update", kind, name, difference(before, ours), update)


def _seen(theirs: Any, ours: Any) -> Any:
    """Of `theirs` what `ours` speaks of, written as `ours` where it means the same."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return {key: _seen(theirs.get(key), value) for key, value in ours.items()}
    if isinstance(ours, list) and isinstance(theirs, list):
        if all(isinstance(one, str) for one in [*ours, *theirs]):
            return ours if _lower(ours) == _lower(theirs) else theirs
        both = [_seen(their, our) for their, our in zip(theirs, ours, strict=False)]
        return both + theirs[len(ours) :]
    if isinstance(ours, str) and isinstance(theirs, str):
        return ours if "".join(ours.split()) == "".join(theirs.split()) else theirs
    if (theirs is None and ours in (False, [])) or (ours is None and not theirs):
        return ours
    return ours if ours == theirs else theirs


def _lower(tags: list[str]) -> list[str]:
    return sorted(tag.lower() for tag in tags)


def _done(_: Any) -> None:
    """Nothing is made of the answer."""
