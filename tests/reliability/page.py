"""docs/reliability.md: every drill writes the section that it is the proof of, and touches no other."""

from __future__ import annotations

import fcntl
import re
from pathlib import Path

from tests.benchmarks.conditions import conditions

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def write(heading: str, text: str, page: Path = PAGE) -> None:
    """Puts Markdown, and the conditions it was seen under, below `## heading`.

    Drills may write at the same time. Raises LookupError if the page has no such heading.
    """
    seen = conditions()
    where = f"Python {seen['python']}, Linux {seen['kernel']}, {seen['processor']}"
    with page.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        whole = file.read()
        begin = re.search(rf"^## {re.escape(heading)}\n", whole, re.MULTILINE)
        if begin is None:
            raise LookupError(f"{page} has no heading: ## {heading}")
        rest = whole[begin.end() :]
        following = re.search(r"^## ", rest, re.MULTILINE)
        after = rest[following.start() :] if following else ""
        section = f"\n{text.strip()}\n\nSeen {seen['date']} at {seen['commit']}: {where}.\n"
        file.seek(0)
        file.truncate()
        file.write(whole[: begin.end()] + section + (f"\n{after}" if after else ""))
