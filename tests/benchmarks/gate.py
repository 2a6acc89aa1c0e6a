"""The gate: what a request adds in instructions must not grow by more than a twentieth.

Instructions over the bare application are counted in the environment that this runs in, by
callgrind, of the thread that answers requests. They are stated in `instructions.toml`, for each
minor version of Python and for the compiled recorder and the plain one, in thousandths of the
instructions of a yardstick, a fixed piece of Python that is counted with them: what builds of one
version differ by, they differ by in both.

    python -m tests.benchmarks.gate            what is counted here, and what is stated
    python -m tests.benchmarks.gate --write    states what is counted here
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.callgrind import Count, count
from tests.benchmarks.environments import ROOT
from tests.benchmarks.limits import LIMITS
from tests.benchmarks.servers import Servers, servers
from tests.benchmarks.variants import OURS, VARIANTS, Variant

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STATED = Path(__file__).with_name("instructions.toml")
ROUTES = ("plain", "db", "mix", "counted")
REQUESTS = 100
TOLERANCE = 0.05
# Of each kind, for figures that are stated or compared.
PROCESSES = 6
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
WRITE = "python -m tests.benchmarks.gate --write"

Figures = Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Found:
    """Of one recorder: by route, instructions added to a request, and the same in yardsticks."""

    recorder: str
    added: Figures
    yardsticks: Figures


class Counts:
    """The least of each route's instructions, over processes with different seeds of their hashes.

    Where objects lie in memory differs by the seed and by the folder, and with it what misses
    Python's cache of methods: a tenth of what a request adds, either way. The least is without it.
    """

    def __init__(self) -> None:
        self._least: dict[str, dict[str, float]] = {}
        self._seed = 0

    def more(self, work: Path, processes: int) -> list[Found]:
        """Counts in so many more processes of each kind; what is found by all until now."""
        recorders = ["compiled", "plain"] if _compiled() else ["plain"]
        with servers(work) as reached:
            for seed in range(self._seed, self._seed + processes):
                at = work / str(seed)
                for kind in ("bare", *recorders):
                    variant = VARIANTS["bare"] if kind == "bare" else OURS
                    if kind == "plain":
                        variant = _without_compiled(at)
                    self._take(kind, _count(variant, seed, reached, at / kind))
        self._seed += processes
        return [self._found(recorder) for recorder in recorders]

    def _take(self, kind: str, counts: Mapping[str, Count]) -> None:
        least = self._least.setdefault(kind, {})
        for route, one in counts.items():
            least[route] = min(one.thread, least.get(route, one.thread))

    def _found(self, recorder: str) -> Found:
        bare, ours = self._least["bare"], self._least[recorder]
        added = {route: ours[route] - bare[route] for route in ROUTES}
        scale = 1000 / bare["yardstick"]
        return Found(recorder, added, {key: n * scale for key, n in added.items()})


def _compiled() -> bool:
    """As an application of this environment finds it: not from the folder that we stand in."""
    code = "from otel_accubooks.recorder.series import COMPILED; print(COMPILED)"
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, cwd="/", capture_output=True, text=True, check=True)
    return done.stdout.strip() == "True"


def _count(variant: Variant, seed: int, reached: Servers, work: Path) -> dict[str, Count]:
    here = Path(sys.prefix)
    routes = (*ROUTES, "yardstick")
    seeded = {**variant.variables, "PYTHONHASHSEED": str(seed)}
    variant = dataclasses.replace(variant, variables=seeded)
    return count(variant, routes, reached, work, requests=REQUESTS, steady=True, folder=here)


def _without_compiled(work: Path) -> Variant:
    """Ours with a copy of the package that nobody has compiled anything in."""
    copy = work / "uncompiled"
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "otel_accubooks", copy / "otel_accubooks", ignore=ignored)
    return dataclasses.replace(OURS, variables={**OURS.variables, "PYTHONPATH": str(copy)})


def stated(recorder: str, python: str = PYTHON) -> Figures | None:
    """What `instructions.toml` says, in thousandths of a yardstick; None where it says nothing."""
    figures: dict[str, dict[str, Figures]] = tomllib.loads(STATED.read_text())
    return figures.get(python, {}).get(recorder)


def too_much(found: Found, expected: Figures | None) -> list[str]:
    """A line for each route that costs more than a twentieth above what is expected.

    Where nothing is stated: for each above its limit, which the plain recorder cannot reach.
    """
    if expected is None and found.recorder == "plain":
        return []
    if expected is None:
        return [
            f"/{route} adds {found.added[route]:,.0f} instructions with the {found.recorder} "
            f"recorder, the limit is {limit:,}. Make it cheaper."
            for route, limit in LIMITS.items()
            if found.added[route] > limit
        ]
    return [
        f"/{route} {_compared(found, expected, route)}. Make it cheaper, or, if what it adds is "
        f"worth that, state it: {WRITE}"
        for route in ROUTES
        if found.yardsticks[route] > expected[route] * (1 + TOLERANCE)
    ]


def cheaper(found: Found, expected: Figures | None) -> list[str]:
    """A line for each route that costs less by more than a twentieth: it is to stay so."""
    return [
        f"/{route} {_compared(found, expected, route)}. So that it stays so, state it: {WRITE}"
        for route in ROUTES
        if expected is not None and found.yardsticks[route] < expected[route] * (1 - TOLERANCE)
    ]


def _compared(found: Found, expected: Figures, route: str) -> str:
    change = found.yardsticks[route] / expected[route] - 1
    return (
        f"adds {found.added[route]:,.0f} instructions with the {found.recorder} recorder on "
        f"Python {PYTHON}, {change:+.1%} beside instructions.toml"
    )


def write(found: list[Found]) -> None:
    """States what was found for this version of Python; what is said of others stays."""
    figures = tomllib.loads(STATED.read_text()) if STATED.exists() else {}
    figures[PYTHON] = {**figures.get(PYTHON, {}), **{one.recorder: one.yardsticks for one in found}}
    lines = [
        "# What a request adds over the bare application, by route, in thousandths of a yardstick.",
        f"# Written by {WRITE}",
    ]
    for python in sorted(figures, key=lambda version: tuple(map(int, version.split(".")))):
        for recorder, values in sorted(figures[python].items()):
            lines += ["", f'["{python}".{recorder}]']
            lines += [f"{route} = {values[route]:.1f}" for route in ROUTES]
    STATED.write_text("\n".join(lines) + "\n")


def main(arguments: list[str]) -> int:
    """Prints what is counted and what is stated; 1 if that is too much."""
    with tempfile.TemporaryDirectory(prefix="accubooks-gate-") as work:
        os.chmod(work, 0o755)
        found = Counts().more(Path(work), PROCESSES)
    faults = []
    for one in found:
        expected = stated(one.recorder)
        faults += too_much(one, expected)
        for route in ROUTES:
            before = f"{expected[route]:8.1f}" if expected else "       -"
            figures = f"{one.added[route]:10,.0f} {one.yardsticks[route]:8.1f} {before}"
            print(f"{PYTHON} {one.recorder:10}/{route:8}{figures}")
    if arguments == ["--write"]:
        write(found)
        return 0
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
