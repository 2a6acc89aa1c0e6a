"""Points as Prometheus text (exposition format 0.0.4) and as OpenMetrics (1.0.0)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate, groupby
from operator import attrgetter

from otel_accubooks.contract.metric import Metric
from otel_accubooks.recorder.totals import Point

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version={version}; charset=utf-8"

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_UNITS = {"ms": "ms", "s": "seconds", "By": "bytes", "%": "percent"}


def prometheus_text(points: Iterable[Point]) -> str:
    """The points under their contract names, each metric once with its HELP and TYPE."""
    lines: list[str] = []
    for metric, series in _by_metric(points):
        lines.append(f"# HELP {metric.name} {metric.description}")
        lines.append(f"# TYPE {metric.name} {metric.type}")
        if metric.type == "histogram":
            bounds = [_number(bound) for bound in metric.buckets]
            for point in series:
                lines += _histogram(point, bounds)
        else:
            lines += [f"{metric.name}{_labels(p)} {_number(p.value)}" for p in series]
    return "\n".join(lines) + "\n"


def openmetrics_text(points: Iterable[Point]) -> str:
    """The same as OpenMetrics: families without _total, units, exemplars, and an end."""
    lines: list[str] = []
    for metric, series in _by_metric(points):
        family = metric.name.removesuffix("_total")
        lines.append(f"# TYPE {family} {metric.type}")
        unit = _UNITS.get(metric.unit)
        if unit is not None and family.endswith(f"_{unit}"):
            lines.append(f"# UNIT {family} {unit}")
        lines.append(f"# HELP {family} {metric.description}")
        if metric.type == "histogram":
            bounds = [repr(float(bound)) for bound in metric.buckets]
            for point in series:
                lines += _histogram(point, bounds, exemplars=True)
        else:
            lines += [f"{metric.name}{_labels(p)} {_number(p.value)}" for p in series]
    lines.append("# EOF\n")
    return "\n".join(lines)


def _by_metric(points: Iterable[Point]) -> Iterator[tuple[Metric, list[Point]]]:
    name = attrgetter("metric.name")
    for _, group in groupby(sorted(points, key=name), key=name):
        series = sorted(group, key=attrgetter("labels"))
        yield series[0].metric, series


def _histogram(point: Point, bounds: list[str], *, exemplars: bool = False) -> Iterator[str]:
    name, labels = point.metric.name, _labels(point)
    start = f'{name}_bucket{labels[:-1]},le="' if labels else f'{name}_bucket{{le="'
    counts = [int(count) for count in accumulate(point.counts)]
    lines = [
        f'{start}{bound}"}} {count}' for bound, count in zip([*bounds, "+Inf"], counts, strict=True)
    ]
    if exemplars and point.exemplars:
        lines = [
            line
            if one is None
            else f"{line} # {_span(one.trace_id, one.span_id)} {one.value!r} {one.time:.3f}"
            for line, one in zip(lines, point.exemplars, strict=True)
        ]
    yield from lines
    yield f"{name}_sum{labels} {_number(point.total)}"
    yield f"{name}_count{labels} {counts[-1]}"


def _span(trace_id: str, span_id: str) -> str:
    return f'{{trace_id="{trace_id}",span_id="{span_id}"}}'


def _labels(point: Point) -> str:
    if point.overflow:
        return '{otel_metric_overflow="true"}'
    if not point.labels:
        return ""
    pairs = zip(point.metric.label_names, point.labels, strict=True)
    return "{" + ",".join([f'{name}="{_text(value)}"' for name, value in pairs]) + "}"


def _text(value: str) -> str:
    # Most values have nothing to escape, and translating is dear.
    if value.isalnum() or not ("\\" in value or "\n" in value or '"' in value):
        return value
    return value.translate(_ESCAPES)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
