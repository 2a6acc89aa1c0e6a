"""What a server exposes for Prometheus, read from here."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from otel_accubooks.servers.api import ApiError

_SECONDS = 15.0


@dataclass(frozen=True)
class Exposed:
    """One sample of an exposition."""

    labels: dict[str, str]
    value: float


Exposition = dict[str, list[Exposed]]


def exposed(url: str, token: str = "") -> Exposition:
    """The samples at `url` by their name; `token` is shown to it. Raises ApiError."""
    headers = {"Accept": "text/plain;version=0.0.4"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        answer = httpx.get(url, headers=headers, timeout=_SECONDS)
        answer.raise_for_status()
        found: Exposition = {}
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append(Exposed(sample.labels, sample.value))
    except httpx.HTTPStatusError as error:
        raise ApiError(f"GET {url}: {error.response.status_code}") from error
    except httpx.HTTPError as error:
        raise ApiError(f"GET {url}: {error or type(error).__name__}") from error
    except ValueError as error:
        raise ApiError(f"GET {url}: no exposition for Prometheus: {error}") from error
    return found


def total(exposition: Exposition, name: str, **labels: str) -> float:
    """The values of a name, of the samples with these labels, added up; 0 where there is none."""
    return sum(
        one.value
        for one in exposition.get(name, ())
        if all(one.labels.get(label) == value for label, value in labels.items())
    )
