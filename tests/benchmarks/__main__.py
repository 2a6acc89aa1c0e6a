"""Measures what this costs beside its peers: `python -m tests.benchmarks [names]`, all without names.

Each benchmark is a module of this folder with three names:

- `TITLE`, its heading;
- `measure(work)`, which measures everything that is compared in one call, interleaved, and gives
  what JSON can hold; `work` is an empty folder;
- `report(results, plots)`, which gives Markdown of what `measure` gave, with the plots that it
  saved in the folder `plots` linked as `performance/<file>.svg`.

Results are kept in `docs/performance/results/`, and `docs/performance.md` is written from all that
are there. What runs inside a measured process is in `measured/`, started by path in an environment
of its own (`environments`); everything else imports as `tests.benchmarks.<module>`.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import page
from tests.benchmarks.conditions import conditions


def main(names: list[str]) -> int:
    """Measures the named benchmarks, or all, one after the other; 1 if one of them failed."""
    unknown = sorted(set(names) - set(page.BENCHMARKS))
    if unknown:
        known = ", ".join(page.BENCHMARKS)
        print(f"no benchmark {', '.join(unknown)}: there are {known}", file=sys.stderr)
        return 2
    failed = []
    for name in names or page.BENCHMARKS:
        print(f"== {name}", file=sys.stderr, flush=True)
        try:
            _measure(name)
        except Exception as error:  # the others are worth having all the same
            print(f"{name} failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            failed.append(name)
    page.write()
    return 1 if failed else 0


def _measure(name: str) -> None:
    module = importlib.import_module(f"tests.benchmarks.{name}")
    with tempfile.TemporaryDirectory(prefix=f"accubooks-bench-{name}-") as work:
        measured = {"conditions": conditions(), "results": module.measure(Path(work))}
    page.RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(measured, indent=1, sort_keys=True) + "\n"
    (page.RESULTS / f"{name}.json").write_text(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
