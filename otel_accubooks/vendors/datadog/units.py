"""The contract's units as Datadog's."""

from __future__ import annotations

from otel_accubooks.vendors.datadog.widgets import CanonicalUnit, NumberFormat

_KNOWN: dict[str, CanonicalUnit] = {
    "%": {"type": "canonical_unit", "unit_name": "percent"},
    "ms": {"type": "canonical_unit", "unit_name": "millisecond"},
    "s": {"type": "canonical_unit", "unit_name": "second"},
    "By/s": {"type": "canonical_unit", "unit_name": "byte", "per_unit_name": "second"},
}
_LONGEST = 12


def number_format(unit: str) -> NumberFormat | None:
    """How a number of this unit is shown; None where it has none."""
    if unit == "1":
        return None
    if unit in _KNOWN:
        return {"unit": _KNOWN[unit]}
    label = unit.replace("{", "").replace("}", "")
    if len(label) > _LONGEST:
        label = label.partition("/")[0]
    return {"unit": {"type": "custom_unit_label", "label": label[:_LONGEST]}}
