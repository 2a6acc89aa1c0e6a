"""Points as Prometheus text (exposition format 0.0.4) and as OpenMetrics (1.0.0)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from operator import attrgetter

from otel_accubooks.contract.metric import Metric
from otel_accubooks.recorder.exemplars import Exemplar
from otel_accubooks.recorder.totals import Point

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version={version}; charset=utf-8"

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_UNITS = {"ms": "ms", "s": "seconds", "By": "bytes", "%": "percent"}


# By metric, the labels of its series as they were last written: so long they are the same objects, and
# what belongs to a series that has gone is forgotten with the next page.
_Known = dict[int, tuple[tuple[str, ...], str]]
_written: dict[str, _Known] = {}
_LABELS = "\0"  # where they belong in the lines of a histogram


def prometheus_text(points: Iterable[Point]) -> str:
    """The points under their contract names, each metric once with its HELP and TYPE."""
    lines: list[str] = []
    for metric, series in _by_metric(points):
        lines.append(f"# HELP {metric.name} {metric.description}")
        lines.append(f"# TYPE {metric.name} {metric.type}")
        if metric.type == "histogram":
            lines += _histograms(metric, series, [_number(bound) for bound in metric.buckets])
        else:
            lines += _values(metric, series)
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
            lines += _histograms(metric, series, bounds, exemplars=True)
        else:
            lines += _values(metric, series)
    lines.append("# EOF\n")
    return "\n".join(lines)


def _by_metric(points: Iterable[Point]) -> Iterator[tuple[Metric, list[Point]]]:
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.metric.name, []).append(point)
    for name in sorted(found):
        series = sorted(found[name], key=attrgetter("labels"))
        yield series[0].metric, series


def _values(metric: Metric, series: list[Point]) -> list[str]:
    name = metric.name
    return [
        f"{name}{labels} {_number(point.value)}"
        for labels, point in zip(_labels(metric, series), series, strict=True)
    ]


def _histograms(
    metric: Metric, series: list[Point], bounds: list[str], *, exemplars: bool = False
) -> Iterator[str]:
    name = metric.name
    # All lines of a series at once, and its labels put in afterwards: they stand in each of them.
    buckets = [f'{name}_bucket{{{_LABELS}le="{bound}"}} %d' for bound in [*bounds, "+Inf"]]
    lines = "\n".join(buckets)
    for labels, point in zip(_labels(metric, series), series, strict=True):
        counts = tuple(accumulate(point.counts))
        text = lines % counts
        if exemplars and any(point.exemplars):
            text = "\n".join(map(_with_exemplar, text.split("\n"), point.exemplars))
        inner = f"{labels[1:-1]}," if labels else ""
        yield text.replace(_LABELS, inner)
        yield f"{name}_sum{labels} {_number(point.total)}\n{name}_count{labels} {int(counts[-1])}"


def _with_exemplar(line: str, one: Exemplar | None) -> str:
    if one is None:
        return line
    return f"{line} # {_span(one.trace_id, one.span_id)} {one.value!r} {one.time:.3f}"


def _span(trace_id: str, span_id: str) -> str:
    return f'{{trace_id="{trace_id}",span_id="{span_id}"}}'


def _labels(metric: Metric, series: list[Point]) -> Iterator[str]:
    """The labels of each series, in braces; nothing where there are none."""
    names, before = metric.label_names, _written.get(metric.name, {})
    now: _Known = {}
    for point in series:
        labels = point.labels
        if point.overflow:
            yield '{otel_metric_overflow="true"}'
        elif not labels:
            yield ""
        else:
            # While it is kept here, no other object has its id.
            known = before.get(id(labels)) or (labels, _pairs(names, labels))
            now[id(labels)] = known
            yield known[1]
    _written[metric.name] = now


def _pairs(names: tuple[str, ...], labels: tuple[str, ...]) -> str:
    pairs = zip(names, labels, strict=True)
    return "{" + ",".join([f'{name}="{_text(value)}"' for name, value in pairs]) + "}"


def _text(value: str) -> str:
    # Most values have nothing to escape, and translating is dear.
    if value.isalnum() or not ("\\" in value or "\n" in value or '"' in value):
        return value
    return value.translate(_ESCAPES)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
