"""What must be seen of a deployment before it is let to its users: the boxes, and what each needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# What is looked at, under the same name whatever the backend.
LookName = Literal[
    "backend",  # it answers, it is what it should be, its clock and its newest data are of now
    "interval",  # points come every 15 s
    "metrics api", "metrics database", "metrics cache", "metrics queue", "metrics business",
    "metrics system",  # each metric of the group: there, fresh, with its labels and buckets
    "dashboard executive_overview", "dashboard operations", "dashboard database_performance",
    "dashboard business_metrics",  # it is there, and every panel is as the contract has it
    "data executive_overview", "data operations", "data database_performance",
    "data business_metrics",  # every panel's query was run, and has data of now
    "refresh",  # every dashboard is drawn anew as often as the contract says
    "access executives", "access operations", "access engineering",
    "access product",  # the team reaches its dashboards, and nobody else's where they are not public
    "alerts P0", "alerts P1", "alerts P2", "alerts P3",
    "alerts none",  # the rules as they are evaluated, and evaluated now; none: the heartbeat
    "recordings",  # what the alerts read
    "calm",  # no P0 or P1 alert fires
    "told",  # alerts reach who tells people, with the contract's routes and receivers
    "test alert",  # it fired, and went through every station but the channels
    "channel phone", "channel email", "channel slack",  # where the test alert arrived
    "retention",
    "pair",  # two tell people of alerts, and agree with each other
    "heartbeat",  # somebody outside notices when alerting dies
    "standby",  # a second backend has the same rules and the same data
]  # fmt: skip


@dataclass(frozen=True)
class Box:
    """One box: what must be so, and which looks must all have passed.

    `elsewhere` is the text for the other backends, where `text` speaks of Prometheus.
    """

    text: str
    needs: tuple[LookName, ...]
    elsewhere: str = ""

    def told(self, backend: str) -> str:
        """The text for this backend."""
        return self.text if backend == "prometheus" else self.elsewhere or self.text


@dataclass(frozen=True)
class Boxes:
    """Boxes under one heading."""

    title: str
    boxes: tuple[Box, ...]


_METRICS: tuple[LookName, ...] = (
    "metrics api", "metrics database", "metrics cache", "metrics queue", "metrics business",
    "metrics system",
)  # fmt: skip
_DASHBOARDS: tuple[LookName, ...] = (
    "dashboard executive_overview", "dashboard operations", "dashboard database_performance",
    "dashboard business_metrics",
)  # fmt: skip
_DATA: tuple[LookName, ...] = (
    "data executive_overview", "data operations", "data database_performance",
    "data business_metrics",
)  # fmt: skip
_CHANNELS: tuple[LookName, ...] = ("channel slack", "channel email", "channel phone")

TWELVE = Boxes(
    "The twelve checks",
    (
        Box(
            "Prometheus scrapes metrics from AccuBooks at a 15 s interval",
            ("backend", "interval"),
            "Metrics from AccuBooks arrive at a 15 s interval",
        ),
        Box("All required metrics are visible in the backend", ("backend", *_METRICS)),
        Box(
            "The dashboards are created and accessible",
            (*_DASHBOARDS, "access executives", "access engineering", "access product"),
        ),
        Box(
            "The executive dashboard shows real-time data",
            ("backend", "dashboard executive_overview", "data executive_overview", "refresh"),
        ),
        Box(
            "The operations dashboard shows detailed metrics",
            ("backend", "dashboard operations", "data operations"),
        ),
        Box("All critical alerts (P0) are configured", ("alerts P0", "recordings", "told")),
        Box("All high-priority alerts (P1) are configured", ("alerts P1", "recordings", "told")),
        Box("A test alert was triggered and delivered", ("told", "test alert", *_CHANNELS)),
        Box("The notification channels work (Slack, email, phone)", ("told", *_CHANNELS)),
        Box(
            "The on-call engineer has dashboard access",
            ("dashboard operations", "access operations"),
        ),
        Box("Metrics retention is at least 30 days", ("retention",)),
        Box(
            "Backup monitoring is configured (redundant alerting)",
            ("pair", "heartbeat", "standby", "alerts none"),
        ),
    ),
)
REPORT = (
    Boxes(
        "Metrics Verification",
        (
            Box("API performance metrics visible", ("backend", "metrics api")),
            Box("Database performance metrics visible", ("backend", "metrics database")),
            Box("Cache performance metrics visible", ("backend", "metrics cache")),
            Box("Queue performance metrics visible", ("backend", "metrics queue")),
            Box("Business metrics visible", ("backend", "metrics business")),
        ),
    ),
    Boxes(
        "Dashboard Verification",
        (
            Box(
                "Executive dashboard accessible",
                ("dashboard executive_overview", "access executives"),
            ),
            Box(
                "Operations dashboard accessible",
                ("dashboard operations", "access operations", "access engineering"),
            ),
            Box(
                "Business metrics dashboard accessible",
                ("dashboard business_metrics", "access product"),
            ),
            Box("All panels showing data", ("backend", *_DATA)),
            Box("Refresh rates working", ("refresh",)),
        ),
    ),
    Boxes(
        "Alert Verification",
        (
            Box("Critical alerts configured (P0)", ("alerts P0", "recordings", "told")),
            Box("High priority alerts configured (P1)", ("alerts P1", "recordings", "told")),
            Box("Warning alerts configured (P2)", ("alerts P2", "recordings", "told")),
            Box("Test alert triggered successfully", ("test alert",)),
            Box("Notifications delivered (Slack, email, phone)", _CHANNELS),
        ),
    ),
    Boxes(
        "State of the System",
        (
            Box("Info alerts (P3) and the heartbeat configured", ("alerts P3", "alerts none")),
            Box("No critical or high-priority alert (P0, P1) fires", ("calm",)),
        ),
    ),
)
ALL: tuple[Boxes, ...] = (TWELVE, *REPORT)
