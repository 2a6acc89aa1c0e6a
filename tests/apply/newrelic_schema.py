"""The excerpt of NerdGraph's schema, and what it and the documented limits have against a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphql import build_schema, execute_sync, parse

SCHEMA = build_schema((Path(__file__).parent / "nerdgraph.graphql").read_text("utf-8"))
RAW = {
    "viz.line": "RawLine",
    "viz.stacked-bar": "RawLine",
    "viz.billboard": "RawBillboard",
    "viz.bullet": "RawBullet",
    "viz.pie": "RawPie",
    "viz.table": "RawTable",
    "viz.markdown": "RawMarkdown",
}


def refusals(type_name: str, value: Any) -> list[str]:
    """What the schema has against `value` as an input of this type; nothing, if it may be sent."""
    document = f"query ($value: {type_name}!) {{ __typename }}"
    # Not validated, which would mind that nothing uses the variable.
    done = execute_sync(SCHEMA, parse(document), None, variable_values={"value": value})
    return [error.message for error in done.errors or ()]


def condition_refusals(condition: dict[str, Any], baseline: bool) -> list[str]:
    """Limits of a condition that no schema tells."""
    signal, expiration = condition["signal"], condition["expiration"]
    (term,) = condition["terms"]
    window, slide = signal["aggregationWindow"], signal["slideBy"]
    step, held = slide or window, term["thresholdDuration"]
    lost = expiration["expirationDuration"]
    wrong = {
        "window": not (30 <= window <= 21_600 and window % 15 == 0),
        "slide": slide is not None and not (slide < window and window % slide == 0),
        "hold": not ((120 if baseline else 60) <= held <= 86_400 and held % step == 0),
        "delay": not 0 <= signal["aggregationDelay"] <= 1200,
        "fill": (signal["fillOption"] == "STATIC") != (signal["fillValue"] is not None),
        "lost": lost is not None and not 30 <= lost <= 172_800,
        "lost without a time": lost is None
        and (expiration["openViolationOnExpiration"] or expiration["closeViolationsOnExpiration"]),
        "nested and lost": "FROM (" in condition["nrql"]["query"] and lost is not None,
        "time limit": not 300 <= condition["violationTimeLimitSeconds"] <= 2_592_000,
        "description": len(condition["description"]) > 4000,
        "name": not 1 <= len(condition["name"]) <= 128,
        "deviations": baseline and not 1 <= term["threshold"] <= 1000,
    }
    return [name for name, found in wrong.items() if found]
