"""Blocks that show a terminal: what is typed, and whether what is shown is what comes."""

from __future__ import annotations

import re
from dataclasses import dataclass

# What is another in each run, and how it is recognised. Every other number has to be as it is shown.
VARYING = {
    "a moment": r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z| UTC|\+00:00)?|\b\d{8}T\d{6}Z\b",
    "a time of day": r"\b\d\d:\d\d:\d\d(?:\.\d+)?\b",
    "a duration": r"\b\d+(?:\.\d+)? ?(?:ms|s|min)\b",
    "an address here": r"(?:localhost|127\.0\.0\.1):\d+",
    "a process": r"\b(?:pid|process) \d+\b",
}


@dataclass(frozen=True)
class Typed:
    """One command, and the lines that are shown below it."""

    command: str
    shown: tuple[str, ...]


def typed(text: str) -> list[Typed]:
    """The commands of a console block. Raises ValueError where it does not begin with one."""
    found: list[tuple[list[str], list[str]]] = []
    goes_on = False
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(([line.removeprefix("$ ")], []))
            goes_on = line.endswith("\\")
        elif not found:
            raise ValueError(f"expected `$ ` and a command, found {line!r}")
        elif goes_on or (line.startswith("> ") and not found[-1][1]):
            found[-1][0].append(line.removeprefix("> "))
            goes_on = line.endswith("\\")
        else:
            found[-1][1].append(line)
    return [Typed("\n".join(command), tuple(shown)) for command, shown in found]


def agrees(shown: tuple[str, ...], came: str) -> bool:
    """Whether `came` is what is shown, where `...` stands for anything, or a line of it for any lines."""
    pattern = ""
    for line in _lines("\n".join(shown)):
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            parts = [re.escape(part).replace(r"\ ", r"\s+") for part in re.split(r" *\.\.\.", line)]
            pattern += ".*".join(parts) + r"\s*?\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _lines(came))) is not None


def _lines(text: str) -> list[str]:
    for name, pattern in VARYING.items():
        text = re.sub(pattern, f"<{name}>", text)
    # How wide a column is depends on what varies, and so does a rule below it.
    lines = [re.sub(r"[-─━=]{4,}", "----", line.rstrip()) for line in text.strip().splitlines()]
    return [re.sub(r"\s+", " ", line) for line in lines if line]
