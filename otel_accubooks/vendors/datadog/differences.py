"""Alert by alert: where Datadog cannot mean quite the same, and what it does instead."""

from __future__ import annotations

from collections.abc import Iterator

from otel_accubooks.contract.alert import Alert
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.pipeline import PIPELINE
from otel_accubooks.contract.query import (
    Always,
    Growth,
    Last,
    Mean,
    Present,
    Quantile,
    Quotient,
    Reachable,
    Share,
    series_of,
)
from otel_accubooks.vendors.datadog import messages, reachable
from otel_accubooks.vendors.datadog import queries as q
from otel_accubooks.vendors.datadog.conditions import Asked, asked
from otel_accubooks.vendors.datadog.monitors import (
    Voice,
    expression,
    muted_by,
    tells_of_silence,
    voices,
)
from otel_accubooks.vendors.promql import duration

_ABOUT = """\
What each alert of the contract becomes in Datadog, and where the two do not mean quite the same.
[datadog.md](datadog.md) gives the reasons. For all of them: Datadog evaluates once a minute, where
Prometheus does so every 15 s, and keeps tags in lower case. Names in braces are silent monitors.
"""


def differences() -> dict[str, str]:
    """What is different, by alert; an empty text where nothing is."""
    return {alert.name: " ".join(dict.fromkeys(_of(alert))) for alert in ALERTS}


def page() -> str:
    """All of it as Markdown."""
    lines = ["# Alerts in Datadog", "", _ABOUT]
    for alert in ALERTS:
        lines += [f"## {alert.name}", ""]
        lines += [f"- {' or '.join(map(str, alert.conditions))}{_held(alert)}"]
        lines += [f"- `{line}`" for line in _asks(alert)]
        lines += [differences()[alert.name] and f"- {differences()[alert.name]}", ""]
    return "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n"


def _held(alert: Alert) -> str:
    return f", for {duration(alert.hold)}" if alert.hold else ""


def _asks(alert: Alert) -> Iterator[str]:
    for voice in voices(alert):
        yield asked(voice.condition, alert.hold).query
        if voice.composite:
            yield expression(voice)


def _of(alert: Alert) -> Iterator[str]:
    if any(isinstance(condition.query, Reachable) for condition in alert.conditions):
        yield (
            f"A Synthetics test asks for the health address every {duration(reachable.EVERY)} from "
            f"{len(reachable.LOCATIONS)} places outside, and fires after {duration(alert.hold)} of failure "
            f"in at least {reachable.AGREEING} of them. It knows one address, not services."
        )
    found = voices(alert)
    for voice in found:
        yield from _of_question(voice, asked(voice.condition, alert.hold))
    if len(found) > 1:
        yield f"{len(found)} monitors, one for each of what is watched; each tells for itself."
    if alert.guard is not None:
        yield "Low traffic is seen to by a second monitor; both together are a composite one."
    if muting := [other.name for other in muted_by(alert)]:
        yield (
            f"Silent while {' or '.join(muting)} fires: the composite monitor then says that it is over."
        )
    if tells_of_silence(alert):
        yield "It is also told when no data come any more."


def _of_question(voice: Voice, question: Asked) -> Iterator[str]:
    query, hold = voice.condition.query, voice.alert.hold
    if isinstance(query, (Growth, Share, Quantile)) and hold:
        yield _no_hold(query, question, hold)
    if isinstance(query, Quantile):
        yield _sketch(query, voice.condition.threshold)
    if isinstance(query, Quotient) and isinstance(query.dividend, Mean):
        yield (
            f"Compared with the same {duration(question.window)} of the day before, not with 24 h, so that "
            "a daily rhythm does not fire it and a slow day before hides it; every point weighs the same, "
            f"however many requests it stands for; {question.threshold:g} % more is "
            f"{voice.condition.threshold:g} times as much; not held for {duration(hold)}; nothing in the "
            "first day."
        )
    if isinstance(query, Present):
        yield (
            "What is there no more is told as missing data, by a monitor that no value fires: "
            f"once a service has sent none for {duration(question.window)}, in which the hold time is "
            "counted. A service that sent nothing since the monitor was made is not missed; one that is "
            f"missed is told of until {duration(query.known)} after its last point, and then dropped "
            "without a word that it is over."
        )
    if isinstance(query, Last) and q.across(query.of) == "sum":
        yield "Added up over hosts between whose points Datadog interpolates."
    if question.delay:
        yield f"Judged {question.delay} s late, since the newest minute is rarely complete."
    if any(series.metric in PIPELINE for series in series_of(query)):
        yield (
            "The gateway's own metrics come where it runs with collector/options/own-metrics.yaml. A "
            "gateway that cannot reach Datadog cannot tell so either: the absence of these metrics does, "
            "and Watchdog's silence."
        )
    if isinstance(query, Always):
        again = messages.AGAIN_MINUTES[voice.alert.severity]
        yield (
            f"It fires while any service sends points, and beats every {again} minutes, the least that "
            "Datadog can; the switch outside has to wait longer than that. Where points stop, Datadog, "
            "which runs elsewhere, tells people itself."
        )


def _no_hold(query: Growth | Share | Quantile, question: Asked, hold: float) -> str:
    if question.window > query.window:
        return (
            f"Judged once over all {duration(hold)}, not again and again over {duration(query.window)}: it "
            "fires whenever the contract would, and also for a short burst that weighs in all of it."
        )
    return (
        f"No hold time: it fires up to {duration(hold)} sooner, also for what lasts shorter than that "
        f"but weighs in the {duration(query.window)} it is judged over."
    )


def _sketch(query: Quantile, threshold: float) -> str:
    bounds = q.metric(query.of.metric).buckets
    if threshold in bounds:
        return (
            f"Interpolated in a sketch. {threshold:g} is the bound of a bucket: on which side of it the "
            "percentile is, both agree to about 1 %; the number told may differ by part of a bucket."
        )
    low = max((bound for bound in bounds if bound < threshold), default=0)
    high = min((bound for bound in bounds if bound > threshold), default=threshold)
    return (
        f"Interpolated in a sketch: between {low:g} and {high:g}, the bounds around {threshold:g}, the two "
        "may differ by part of a bucket."
    )
