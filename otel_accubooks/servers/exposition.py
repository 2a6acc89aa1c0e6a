"""What a server exposes for Prometheus, read from here."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from otel_accubooks.servers.api import DIRECT, ApiError

_SECONDS = 15.0

# Samples by their name.
Exposition = dict[str, list[Sample]]


def exposed(url: str, token: str = "") -> Exposition:
    """The samples at `url`, which is shown `token`. Raises ApiError, which does not show it."""
    headers = {"Accept": "text/plain;version=0.0.4"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        # As Prometheus does when it scrapes, redirects are followed.
        with httpx.Client(timeout=_SECONDS, follow_redirects=True, mounts=DIRECT) as client:
            answer = client.get(url, headers=headers)
        answer.raise_for_status()
        return parse(answer.text)
    except httpx.HTTPStatusError as error:
        raise ApiError(f"GET {url}: {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ApiError(f"GET {url}: {error or type(error).__name__}") from error
    except ValueError as error:
        raise ApiError(f"GET {url}: no exposition for Prometheus: {error}") from error


def parse(text: str) -> Exposition:
    """The samples of an exposition in text format 0.0.4. Raises ValueError."""
    found: Exposition = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def total(exposition: Exposition, name: str, **labels: str) -> float:
    """The values of a name, of the samples with these labels, added up; 0 where there is none."""
    return sum(
        one.value
        for one in exposition.get(name, ())
        if all(one.labels.get(label) == value for label, value in labels.items())
    )
