"""The contract's alerts as monitors.

An alert with several conditions has a monitor for each. Where an alert has a guard, or is muted by others,
the notifying monitor is a composite one of silent parts, which it names in braces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from otel_accubooks.contract import metrics as m
from otel_accubooks.contract.alert import Alert, Condition
from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.query import Always, Growth, Last, Present, Reachable, series_of
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.datadog import messages
from otel_accubooks.vendors.datadog.conditions import Asked, asked, guarded
from otel_accubooks.vendors.datadog.payloads import (
    CompositeMonitor,
    MetricMonitor,
    MetricMonitorOptions,
)
from otel_accubooks.vendors.promql import duration


@dataclass(frozen=True)
class Voice:
    """One condition of an alert, which speaks for itself, and the name of its monitor."""

    alert: Alert
    condition: Condition
    name: str

    @property
    def composite(self) -> bool:
        """True where the monitor that watches is not the one that notifies."""
        return self.alert.guard is not None or bool(muted_by(self.alert))

    @property
    def watch(self) -> str:
        """The name of the monitor that watches."""
        return f"{self.name}.watch" if self.composite else self.name

    @property
    def fires(self) -> str:
        """When it fires, in names of monitors."""
        watch = f"{{{self.watch}}}"
        return watch if self.alert.guard is None else f"{watch} && {{{guard_name(self.alert)}}}"


def voices(alert: Alert) -> list[Voice]:
    """Those of an alert: none where another kind of check sees to it."""
    conditions = [one for condition in alert.conditions for one in _apart(condition)]
    if any(isinstance(condition.query, Reachable) for condition in conditions):
        return []
    if len(conditions) == 1:
        return [Voice(alert, conditions[0], alert.name)]
    return [
        Voice(alert, one, f"{alert.name}.{series_of(one.query)[0].metric}") for one in conditions
    ]


def _apart(condition: Condition) -> list[Condition]:
    """A sum of counts is above 0 where one is; a sum would be unknown where one does not exist."""
    query = condition.query
    if isinstance(query, Growth) and (condition.comparison, condition.threshold) == (">", 0):
        return [
            Condition(Growth((one,), query.window, query.per, query.by), ">", 0) for one in query.of
        ]
    return [condition]


def guard_name(alert: Alert) -> str:
    """The name of the monitor that sees to low traffic."""
    return f"{alert.name}.guard"


def muted_by(alert: Alert) -> list[Alert]:
    """The alerts that keep this one silent."""
    return [other for other in ALERTS if alert.name in other.mutes]


def expression(voice: Voice) -> str:
    """When the composite monitor of `voice` fires, in names of monitors and checks."""
    muting = []
    for other in muted_by(voice.alert):
        firing = [one.fires for one in voices(other)] or [f"{{{other.name}}}"]
        muting += [f"!({one})" if "&&" in one else f"!{one}" for one in firing]
    return " && ".join([voice.fires, *muting])


def notifying(to: Addresses) -> Iterator[tuple[str, MetricMonitor | CompositeMonitor]]:
    """The monitors that notify, by name."""
    for alert in ALERTS:
        for voice in voices(alert):
            yield voice.name, _composite(voice, to) if voice.composite else _plain(voice, to)


def parts() -> Iterator[tuple[str, MetricMonitor]]:
    """The silent monitors that composite ones are made of, by name."""
    for alert in ALERTS:
        for voice in voices(alert):
            if voice.composite:
                question = asked(voice.condition, alert.hold)
                yield voice.watch, _part(voice, voice.watch, "watch", question)
                if alert.guard is not None:
                    name = guard_name(alert)
                    yield name, _part(voice, name, "guard", guarded(alert.guard, question.window))


def tells_of_silence(alert: Alert) -> bool:
    """True where it is told too that no data come: of health, and of the heartbeat."""
    return any(_tells_of_silence(condition) for condition in alert.conditions)


def _tells_of_silence(condition: Condition) -> bool:
    query = condition.query
    return isinstance(query, Always) or (
        isinstance(query, Last) and query.of.metric == m.SYSTEM_HEALTH_STATUS.name
    )


def _plain(voice: Voice, to: Addresses) -> MetricMonitor:
    alert, question = voice.alert, asked(voice.condition, voice.alert.hold)
    options = _options(voice.condition, question)
    options["renotify_interval"] = messages.AGAIN_MINUTES[alert.severity]
    options["renotify_statuses"] = ["alert"]
    if options["on_missing_data"] != "resolve":
        options["renotify_statuses"] = ["no data"] if question.known else ["alert", "no data"]
    return {
        "name": _title(voice),
        "type": "query alert",
        "query": question.query,
        "message": _message(voice, to),
        "tags": messages.tags(alert, f"monitor:{voice.name}"),
        "priority": messages.PRIORITY[alert.severity],
        "options": options,
    }


def _message(voice: Voice, to: Addresses) -> str:
    if isinstance(voice.condition.query, Always):
        return messages.heartbeat(voice.alert, to)
    if isinstance(voice.condition.query, Present):
        return messages.absence(voice.alert, voice.condition, to)
    silence = _tells_of_silence(voice.condition)
    return messages.message(voice.alert, to, value="value", silence=silence)


def _composite(voice: Voice, to: Addresses) -> CompositeMonitor:
    alert, silence = voice.alert, tells_of_silence(voice.alert)
    if isinstance(voice.condition.query, Present):
        raise ValueError(f"{voice.name}: {voice.condition} can be no part of a composite monitor")
    return {
        "name": _title(voice),
        "type": "composite",
        "query": expression(voice),
        "message": messages.message(alert, to, value="a.value", silence=silence),
        "tags": messages.tags(alert, f"monitor:{voice.name}"),
        "priority": messages.PRIORITY[alert.severity],
        "options": {
            "notify_no_data": silence,
            "include_tags": True,
            "notify_audit": False,
            "renotify_interval": messages.AGAIN_MINUTES[alert.severity],
            "renotify_statuses": ["alert", "no data"] if silence else ["alert"],
        },
    }


def _part(voice: Voice, name: str, role: str, question: Asked) -> MetricMonitor:
    alert = voice.alert
    return {
        "name": f"{name}, silent",
        "type": "query alert",
        "query": question.query,
        "message": f"A part of {alert.name}, which notifies.",
        "tags": messages.tags(alert, f"monitor:{name}", f"part:{role}"),
        "priority": None,
        "options": _options(voice.condition, question),
    }


def _options(condition: Condition, question: Asked) -> MetricMonitorOptions:
    silence = bool(question.known) or _tells_of_silence(condition)
    options: MetricMonitorOptions = {
        "thresholds": {"critical": question.threshold},
        "require_full_window": question.held,
        "on_missing_data": "show_and_notify_no_data" if silence else "resolve",
        # By default a new group is left alone for five minutes: its first event would be missed.
        "new_group_delay": 0,
        "evaluation_delay": question.delay,
        "include_tags": True,
        "notify_audit": False,
        "renotify_interval": None,
    }
    if question.known:
        options["group_retention_duration"] = duration(question.known)
    return options


def _title(voice: Voice) -> str:
    return f"{voice.name}: {voice.alert.summary}"
