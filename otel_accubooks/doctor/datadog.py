"""Datadog: whether its keys are valid, and whether the marked metric arrives there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from urllib.parse import quote

from otel_accubooks.doctor.arrival import PROBE, PROBE_LOST
from otel_accubooks.doctor.asking import ask
from otel_accubooks.doctor.finding import Finding, Kind
from otel_accubooks.doctor.scene import Scene

KEY = Kind(
    "datadog-key-refused", "wrong",
    "Datadog refuses a key.",
    "a valid DD_API_KEY and DD_APP_KEY of the site DD_SITE",
    "correct the key, or DD_SITE (datadoghq.com, datadoghq.eu, us3., us5., ap1.datadoghq.com)",
)  # fmt: skip
UNREACHABLE = Kind(
    "datadog-unreachable", "wrong",
    "Datadog's API does not answer.",
    "an answer of https://api.<DD_SITE>",
    "see DD_SITE, and whether this host may reach it",
)  # fmt: skip
NOT_ASKED = Kind(
    "datadog-not-asked", "note",
    "Without DD_APP_KEY nobody can ask Datadog what arrived.",
    "DD_APP_KEY beside DD_API_KEY",
    "set DD_APP_KEY, and call the doctor again",
)  # fmt: skip

# New points can be asked for after that time, by experience.
_WAIT_SECONDS = 90.0
_POLL_SECONDS = 5.0


def reach(scene: Scene) -> Iterator[Finding]:
    """Whether the keys in the environment are valid."""
    env = scene.environ
    if not env.get("DD_API_KEY"):
        return
    base = address(scene)
    answer = ask("GET", f"{base}/api/v1/validate", headers=_keys(scene), env=env)
    scene.looked.append(f"Datadog {base} ({answer.status or answer.said})")
    if answer.trouble:
        yield UNREACHABLE.found(f"{base}: {answer.said}", address=base)
    elif answer.status in (401, 403):
        yield KEY.found(f"{base} answers {answer.status} to DD_API_KEY", address=base)
    elif answer.status != 200:
        yield UNREACHABLE.found(f"{base} answers {answer.status}", address=base)
    elif not env.get("DD_APP_KEY"):
        yield NOT_ASKED.found("DD_APP_KEY is not set", address=base)
    else:
        scene.datadog = True


def check(scene: Scene) -> Iterator[Finding]:
    """Waits for the marked metric, unless another backend has it already."""
    if not scene.datadog or not scene.probes or scene.probes <= scene.arrived:
        return
    base, began = address(scene), time.time()
    give_up = time.monotonic() + max(_WAIT_SECONDS, scene.wait_seconds)
    while True:
        query = quote(f"max:{PROBE}{{*}}")
        span = f"from={began - 300:.0f}&to={time.time() + 60:.0f}"
        answer = ask(
            "GET",
            f"{base}/api/v1/query?{span}&query={query}",
            headers=_keys(scene),
            env=scene.environ,
        )
        if answer.status in (401, 403):
            yield KEY.found(f"{base} answers {answer.status} to a query", address=base)
            return
        scene.arrived |= scene.probes & _values(answer.text)
        if scene.probes <= scene.arrived:
            scene.looked.append(f"in Datadog: {PROBE} arrived")
            return
        if time.monotonic() > give_up:
            yield PROBE_LOST.found(
                f"a gateway took {PROBE}, and Datadog at {base} has it not after "
                f"{time.time() - began:.0f} s",
                address=base,
            )
            return
        time.sleep(_POLL_SECONDS)


def address(scene: Scene) -> str:
    """The API's address."""
    site = scene.environ.get("DD_SITE") or "datadoghq.com"
    return (scene.environ.get("DD_URL") or f"https://api.{site}").rstrip("/")


def _keys(scene: Scene) -> dict[str, str]:
    names = {"DD_API_KEY": "DD-API-KEY", "DD_APP_KEY": "DD-APPLICATION-KEY"}
    return {to: scene.environ[name] for name, to in names.items() if scene.environ.get(name)}


def _values(text: str) -> set[int]:
    try:
        series = json.loads(text).get("series") or []
        return {int(value) for row in series for _, value in row["pointlist"] if value is not None}
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()
