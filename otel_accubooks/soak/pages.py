"""Pages of metrics, as Prometheus would scrape them."""

from __future__ import annotations

from collections import defaultdict

import httpx
from prometheus_client.parser import text_string_to_metric_families

from otel_accubooks.servers.api import ApiError

# Name and labels of one value.
Series = tuple[str, tuple[tuple[str, str], ...]]
Page = dict[Series, float]


def read(url: str, token: str = "") -> Page:
    """Every value of the page at `url`. Raises ApiError, which does not show the token."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.get(url, headers=headers, timeout=30, follow_redirects=True)
        answer.raise_for_status()
        return {
            (one.name, tuple(sorted(one.labels.items()))): one.value
            for family in text_string_to_metric_families(answer.text)
            for one in family.samples
        }
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise ApiError(f"GET {url}: {status}; expected a page of metrics") from error
    except httpx.HTTPError as error:
        raise ApiError(f"GET {url}: {error or type(error).__name__}") from error
    except ValueError as error:
        raise ApiError(f"GET {url}: no page of metrics: {error}") from error


def totals(page: Page) -> dict[str, float]:
    """The sum over all series of each name."""
    found: dict[str, float] = defaultdict(float)
    for (name, _), value in page.items():
        found[name] += value
    return dict(found)


def grew(before: Page, after: Page, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """By how much each series of a total grew; one that is lower began anew from 0."""
    found = {}
    for (of, labels), value in after.items():
        if of == name:
            earlier = before.get((of, labels), 0.0)
            found[labels] = value - earlier if value >= earlier else value
    return found
