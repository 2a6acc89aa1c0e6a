"""The table of process models in docs/: what the tests of one session proved."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "process-models.md"

COLUMNS = {
    "model": "process model",
    "operations": "what is done",
    "graceful": "stopped gracefully",
    "killed": "SIGKILL at random moments",
    "notes": "notes",
}

HEAD = """\
<!-- Written by the tests: `WRITE_TABLE=1 python -m pytest tests/integration/models`. -->
# Process models

Each row was run on the real server under `opentelemetry-instrument`, and the totals in the backend were
compared with what the application itself wrote down before it began an operation and after it was done.

- *exact*: N operations were done, N are in the backend, none twice.
- *all that was finished*: what a process was in the middle of when it was killed counts once or not at all,
  everything else once. A request is finished once its answer arrived, a count once its call returned.

"""


class Table:
    """The rows that were proved, and whether these are all."""

    def __init__(self, expected: set[str] | None) -> None:
        """`expected` are the ids of the tests that prove something; None if some do not run."""
        self._expected = expected
        self._proved: set[str] = set()
        self._rows: dict[str, dict[str, str]] = {}

    def add(self, test: str, model: str, **cells: str) -> None:
        """Notes that the test with the id `test` proved `cells` (see COLUMNS) of a model."""
        row = self._rows.setdefault(model, {"model": model})
        for column, text in cells.items():
            assert column in COLUMNS, column
            assert row.setdefault(column, text) == text, f"{model}: {column} is {row[column]!r}"
        self._proved.add(test)

    @property
    def whole(self) -> bool:
        """True once every test that proves something has run, and passed."""
        return self._proved == self._expected

    def page(self) -> str:
        """The page, the same for every run."""
        rows = sorted(self._rows.values(), key=lambda row: row["model"].lower())
        lines = [COLUMNS, dict.fromkeys(COLUMNS, "---"), *rows]
        return HEAD + "".join(_line(row) for row in lines)


def _line(row: dict[str, str]) -> str:
    return "| " + " | ".join(row.get(column, "") for column in COLUMNS) + " |\n"
