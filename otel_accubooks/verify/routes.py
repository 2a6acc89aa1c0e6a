"""The configuration that an Alertmanager runs, compared with the one that the contract renders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.alertmanager import configuration
from otel_accubooks.verify.rules import seconds

_FIX = "render alertmanager.yml again (`otel-accubooks render --backend prometheus`) and reload it"
# What Alertmanager shows in place of a secret, and of an address that it takes for one.
HIDDEN = "<secret>"
_TIMES = ("group_wait", "group_interval", "repeat_interval")
# Of a mail; Alertmanager adds those that follow from its other settings.
_HEADERS = "headers"
_NOTHING: tuple[Any, ...] = (None, False, "", [], {})


def differences(running: Mapping[str, Any], to: Addresses) -> Iterator[str]:
    """What is not as rendered, one line each; `running` is what Alertmanager says that it runs."""
    wanted = configuration(to)
    yield from _settings("global", wanted["global"], running.get("global") or {})
    yield from _route("route", wanted["route"], running.get("route") or {})
    yield from _inhibitions(wanted["inhibit_rules"], running.get("inhibit_rules") or [])
    found = {one["name"]: one for one in running.get("receivers") or []}
    for receiver in wanted["receivers"]:
        name = receiver["name"]
        if name not in found:
            yield f"there is no receiver {name}: {_FIX}"
        else:
            yield from _receiver(name, receiver, found[name])
    yield from _unlike(additions(running, to))


def additions(running: Mapping[str, Any], to: Addresses) -> dict[str, Any]:
    """What the settings, and each (receiver, kind), have besides what is rendered: defaults, mostly."""
    wanted = configuration(to)
    found = {one["name"]: one for one in running.get("receivers") or []}
    added: dict[str, Any] = {"global": _added(wanted["global"], running.get("global") or {})}
    for receiver in wanted["receivers"]:
        name = receiver["name"]
        for kind, ours in receiver.items():
            if kind != "name":
                theirs = found.get(name, {}).get(kind) or []
                added[f"{name}, {kind}"] = [
                    _added(*both) for both in zip(ours, theirs, strict=False)
                ]
    return added


def _added(wanted: Any, found: Any) -> Any:
    if not (isinstance(wanted, Mapping) and isinstance(found, Mapping)):
        return {}
    nested = {key: _added(wanted[key], found.get(key)) for key in wanted if key != _HEADERS}
    kept = {key: value for key, value in nested.items() if value}
    return kept | {
        key: PurePosixPath(str(value)).name if key.endswith("_file") else value
        for key, value in found.items()
        if key not in wanted
    }


def _unlike(added: Mapping[str, Any]) -> Iterator[str]:
    """A test alert tries some receivers alone: what the others have besides must be the same."""
    first: dict[str, tuple[str, Any]] = {}
    for where, configs in added.items():
        name, _, kind = where.partition(", ")
        # Webhooks go to several, each in its own way, and each of them is tried.
        for config in configs if kind and kind != "webhook_configs" else ():
            other, same = first.setdefault(kind, (name, config))
            if keys := unequal(same, config):
                yield (
                    f"receiver {name}: its {kind} have other {', '.join(keys)} than those of {other}, "
                    f"which are tried in its place: {_FIX}"
                )


def unequal(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The keys whose values differ."""
    return sorted(key for key in {*one, *other} if one.get(key) != other.get(key))


def _route(where: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """Exactly this, and no more: one route too many swallows what comes after it."""
    for key in sorted({*wanted, *found} - {"routes"}):
        one, other = (_read(key, side.get(key)) for side in (wanted, found))
        if one != other:
            yield f"{where}: {key} is {found.get(key)!r}, expected {wanted.get(key)!r}: {_FIX}"
    ours, theirs = wanted.get("routes") or [], found.get("routes") or []
    if len(ours) != len(theirs):
        yield f"{where} has {len(theirs)} routes, expected {len(ours)}: {_FIX}"
        return
    for one, other in zip(ours, theirs, strict=True):
        yield from _route(f"{where} for {' '.join(one['matchers'])}", one, other)


def _read(key: str, value: Any) -> Any:
    if key in _TIMES and isinstance(value, str):
        return seconds(value)
    if key.endswith("matchers"):
        return sorted(map(str, value or []))
    return None if value in _NOTHING else value


def _inhibitions(wanted: list[dict[str, Any]], found: list[dict[str, Any]]) -> Iterator[str]:
    def read(rule: Mapping[str, Any]) -> list[tuple[str, str]]:
        values = {key: _read(key, value) for key, value in rule.items()}
        if isinstance(values.get("equal"), list):
            values["equal"] = sorted(values["equal"])
        return sorted((key, repr(value)) for key, value in values.items() if value)

    ours, theirs = [read(rule) for rule in wanted], [read(rule) for rule in found]
    for rule, text in zip(wanted, ours, strict=True):
        if text not in theirs:
            yield f"there is no inhibition by {' '.join(rule['source_matchers'])}: {_FIX}"
    for rule, text in zip(found, theirs, strict=True):
        if text not in ours:
            who = " ".join(map(str, rule.get("source_matchers") or rule.values()))
            yield f"an inhibition by {who} silences alerts, and is none of ours: {_FIX}"


def _receiver(name: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    for kind in sorted({*wanted, *found} - {"name"}):
        ours, theirs = wanted.get(kind) or [], found.get(kind) or []
        if len(ours) != len(theirs):
            yield f"receiver {name} has {len(theirs)} {kind}, expected {len(ours)}: {_FIX}"
            continue
        for one, other in zip(ours, theirs, strict=True):
            yield from _settings(f"receiver {name}, {kind}", one, other)


def _settings(where: str, wanted: Any, found: Any) -> Iterator[str]:
    """Everything wanted is there; what is there besides are defaults, which it writes down too."""
    if isinstance(wanted, Mapping):
        for key, value in wanted.items():
            other = found.get(key) if isinstance(found, Mapping) else None
            if key.endswith("_file"):
                # Where secrets lie is the machine's affair; which of them is read is ours.
                named, other = PurePosixPath(value).name, PurePosixPath(str(other)).name
            else:
                named = value
            yield from _settings(f"{where}: {key}", named, other)
    elif isinstance(wanted, list):
        theirs = found if isinstance(found, list) else []
        if len(theirs) != len(wanted):
            yield f"{where} has {len(theirs)} entries, expected {len(wanted)}: {_FIX}"
        for one, other in zip(wanted, theirs, strict=False):
            yield from _settings(where, one, other)
    elif found not in (wanted, HIDDEN):
        yield f"{where} is {_short(found)}, expected {_short(wanted)}: {_FIX}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
