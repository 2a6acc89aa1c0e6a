"""Points as Prometheus text (exposition format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate, groupby

from otel_accubooks.recorder.totals import Point

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def prometheus_text(points: Iterable[Point]) -> str:
    """The points under their contract names, each metric once with its HELP and TYPE."""
    ordered = sorted(points, key=lambda point: (point.metric.name, point.labels))
    lines: list[str] = []
    for name, group in groupby(ordered, key=lambda point: point.metric.name):
        series = list(group)
        metric = series[0].metric
        lines.append(f"# HELP {name} {metric.description}")
        lines.append(f"# TYPE {name} {metric.type}")
        for point in series:
            lines.extend(_samples(point))
    return "\n".join(lines) + "\n"


def _samples(point: Point) -> Iterator[str]:
    name = point.metric.name
    labels = [
        f'{key.replace(".", "_")}="{_text(value)}"' for key, value in point.attributes.items()
    ]
    if point.metric.type != "histogram":
        yield f"{name}{_braces(labels)} {_number(point.value)}"
        return
    bounds = [_number(float(bound)) for bound in point.metric.buckets] + ["+Inf"]
    cumulative = list(accumulate(point.counts))
    for bound, count in zip(bounds, cumulative, strict=True):
        le = f'le="{bound}"'
        yield f"{name}_bucket{_braces([*labels, le])} {_number(count)}"
    yield f"{name}_sum{_braces(labels)} {_number(point.total)}"
    yield f"{name}_count{_braces(labels)} {_number(cumulative[-1])}"


def _text(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value.translate(_ESCAPES)


def _braces(labels: list[str]) -> str:
    return "{" + ",".join(labels) + "}" if labels else ""


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)
