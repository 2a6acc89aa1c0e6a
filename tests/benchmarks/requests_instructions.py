"""What a request costs in instructions, beside the peers: callgrind's count of each route."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.benchmarks import plots as draw
from tests.benchmarks.callgrind import count
from tests.benchmarks.limits import LIMITS
from tests.benchmarks.servers import servers
from tests.benchmarks.variants import VARIANTS

TITLE = "A request, in instructions"
ROUTES = ("plain", "db", "mix")
FURTHER = (
    *("counted", "insert", "stream", "pipeline", "missing", "psycopg3", "sqlalchemy", "enqueue"),
)
# Stock instrumentors of Flask, psycopg2 and redis are in the peers' environments, so beside ours
# there are those whose wrappers meet the further routes too.
ON_FURTHER = (
    "bare",
    "bare_beside",
    "aggregation",
    "disabled",
    "ours",
    "prometheus_client",
    "otel_metrics",
)


def measure(work: Path) -> dict[str, Any]:
    """Per variant and route: instructions of a request, of all threads of the process."""
    found: dict[str, dict[str, float]] = {}
    with servers(work) as reached:
        for name in VARIANTS:
            routes = (*ROUTES, *FURTHER) if name in ON_FURTHER else ROUTES
            print(f"{name}: {', '.join(routes)}", file=sys.stderr, flush=True)
            counts = count(VARIANTS[name], routes, reached, work / name)
            found[name] = {route: counted.process for route, counted in counts.items()}
    return {"instructions": found}


def report(results: dict[str, Any], plots: Path) -> str:
    """The added instructions of each variant on the three routes, and of some on the further."""
    found: dict[str, dict[str, float]] = results["instructions"]
    draw.added(found, ROUTES, plots / "requests_instructions.svg", "thousand instructions added")
    limits = " | ".join(f"{LIMITS[route] / 1000:.0f} k" for route in ROUTES)
    first = _table(found, ROUTES, [name for name in found if name != "bare"])
    further = _table(
        found, FURTHER, [name for name in ON_FURTHER[1:] if FURTHER[0] in found.get(name, ())]
    )
    return f"""\
Of all threads of the process, beside the bare application on the same route; 100 requests after 100 to
warm up. `plain` answers a little JSON, `db` asks PostgreSQL twice, `mix` asks Redis three times as well.
Everything of ours is on: all instrumentations, a rule that counts requests and one that names the user of
each, exporting over OTLP. Garbage is collected, but of what was made since the warm-up alone.

{first}

Target for ours: at most {limits}.

![Added instructions](performance/requests_instructions.svg)

Further routes: `counted` is what a business rule counts, `insert` commits an INSERT, `stream` answers in
ten pieces, `pipeline` sends three commands to Redis at once, `missing` is a 404, `psycopg3` and
`sqlalchemy` ask once through their pools, `enqueue` gives a job to RQ. Whoever has no hook for something
counts nothing there.

{further}
"""


def _table(found: dict[str, dict[str, float]], routes: tuple[str, ...], names: list[str]) -> str:
    bare = found["bare"]
    heads = [f"`{route}` (bare {bare[route] / 1000:,.0f} k)" for route in routes]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---|' * len(routes)}"]
    for name in sorted(names, key=lambda each: found[each][routes[0]]):
        cells = [
            f"{(found[name][route] - bare[route]) / 1000:+,.1f} k ({found[name][route] / bare[route]:.2f})"
            for route in routes
        ]
        title = VARIANTS[name].title
        lines.append(f"| {f'**{title}**' if name == 'ours' else title} | {' | '.join(cells)} |")
    return "\n".join(lines)
