"""The contract's units (UCUM, as OpenTelemetry writes them) as Grafana's.

https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
"""

from __future__ import annotations

import re

_KNOWN = {
    "1": "short",
    "%": "percent",
    "ms": "ms",
    "s": "s",
    "By": "bytes",
    "By/s": "binBps",
    "{request}/s": "reqps",
}
_COUNTED = re.compile(r"\{(\w+)\}(?:/(\w+))?")
# Counts of something a second or a minute; Grafana knows none of an hour or a day.
_PER = {None: "short", "s": "cps", "min": "cpm", "h": "short", "d": "short"}


def grafana_unit(unit: str) -> str:
    """Grafana's id of a unit; raises ValueError for one that is not mapped."""
    if unit in _KNOWN:
        return _KNOWN[unit]
    counted = _COUNTED.fullmatch(unit)
    if counted is None or counted[2] not in _PER:
        raise ValueError(f"no unit of Grafana's is known for {unit!r}: add it to {__name__}")
    return _PER[counted[2]]


def axis_label(unit: str) -> str:
    """What is counted, where the unit's id does not say it: `{job}/h` is `job/h`."""
    return re.sub(r"[{}]", "", unit) if _COUNTED.fullmatch(unit) else ""
