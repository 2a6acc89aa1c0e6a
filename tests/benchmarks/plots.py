"""Plots, as SVG: of all benchmarks the file, of what requests cost the bars too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.variants import VARIANTS


@contextmanager
def plot(file: Path, rows: int = 1, size: tuple[float, float] = (8, 4)) -> Iterator[Any]:
    """Axes to draw on, or as many as there are rows; `file` is written at the end."""
    import matplotlib as mpl

    mpl.use("svg")
    # Text stays text, and the same figures give the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks"})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(rows, 1, figsize=size, layout="constrained")
    try:
        yield axes
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="svg", metadata={"Date": None})
    finally:
        pyplot.close(figure)


def added(
    found: Mapping[str, Mapping[str, float]],
    routes: Sequence[str],
    file: Path,
    unit: str,
    *,
    scale: float = 1000,
) -> None:
    """What each variant adds to bare on each route, divided by `scale`, cheapest below."""
    bare = found["bare"]
    names = [name for name in found if not name.startswith(("bare", "again"))]
    names.sort(key=lambda name: found[name][routes[-1]], reverse=True)
    height = 0.8 / len(routes)
    with plot(file, size=(9, 0.42 * len(names) + 1)) as axes:
        for number, route in enumerate(routes):
            values = [max(0.0, found[name][route] - bare[route]) / scale for name in names]
            places = [
                place + (len(routes) / 2 - number - 0.5) * height for place in range(len(names))
            ]
            bars = axes.barh(places, values, height=height, label=route)
            axes.bar_label(bars, fmt="%.0f", padding=2, fontsize=7)
        axes.set_yticks(range(len(names)), [VARIANTS[name].title for name in names], fontsize=8)
        ours = axes.get_yticklabels()[names.index("ours")]
        ours.set_fontweight("bold")
        axes.set_xscale("symlog", linthresh=10)
        axes.margins(x=0.1)
        axes.set_xlabel(unit)
        axes.legend()
