"""Points as promtool's unit tests take them, and promtool itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

Points = Iterable[tuple[float, float]]


def promtool(*arguments: str | Path) -> str:
    """What it prints; an AssertionError with that where it is not content."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def input_series(name: str, labels: dict[str, str], points: Points, step: float) -> dict[str, str]:
    """One series of a unit test whose `interval` is `step`; every point is on that grid."""
    inside = ", ".join(f"{label}={json.dumps(value)}" for label, value in labels.items())
    values, place = [], 0
    for time, value in points:
        number = round(time / step)
        assert number * step == time
        assert number >= place
        if number > place:
            values.append(f"_x{number - place}")
        values.append(repr(value))
        place = number + 1
    return {"series": f"{name}{{{inside}}}", "values": " ".join(values)}


def unit_tests(folder: Path, rules: dict[str, Any], tests: list[dict[str, Any]]) -> str:
    """Runs `promtool test rules`, every 15 s as the rules say themselves."""
    (folder / "rules.yml").write_text(yaml.safe_dump(rules, sort_keys=False, width=1000))
    content = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "15s",
        # Else it is another one each time, and an alert reads what was recorded 15 s before.
        "group_eval_order": [group["name"] for group in rules["groups"]],
        "tests": tests,
    }
    (folder / "test.yml").write_text(json.dumps(content))
    return promtool("test", "rules", folder / "test.yml")
