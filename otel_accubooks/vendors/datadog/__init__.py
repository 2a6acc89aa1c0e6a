"""Datadog: the contract's alerts and dashboards as payloads of its API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.datadog import dashboards, monitors, reachable, tags
from otel_accubooks.vendors.datadog.checking import check


def payloads(to: Addresses) -> Iterator[tuple[str, str, str, Any]]:
    """Folder, name, kind (of checking.KINDS) and payload of each object, in the order of making.

    Raises ValueError for one that Datadog would not understand.
    """
    made = [
        *(("tags", name, "tags", one) for name, one in tags.configurations()),
        *(("checks", name, "check", one) for name, one in reachable.checks(to)),
        *(("monitors/parts", name, "monitor", one) for name, one in monitors.parts()),
        *(("monitors", name, "monitor", one) for name, one in monitors.notifying(to)),
        *(("dashboards", name, "dashboard", one) for name, one in dashboards.dashboards()),
    ]
    for folder, name, kind, payload in made:
        check(kind, payload, f"{folder}/{name}")
        yield folder, name, kind, payload


def files(to: Addresses) -> dict[str, str]:
    """Each payload as a file, by its path below the output folder."""
    return {
        f"{folder}/{name}.json": json.dumps(payload, indent=2, ensure_ascii=False) + "\n"
        for folder, name, _, payload in payloads(to)
    }
