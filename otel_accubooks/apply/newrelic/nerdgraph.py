"""NerdGraph, New Relic's GraphQL API: one request, one page after the other, errors in one line.

Source: https://docs.newrelic.com/docs/apis/nerdgraph/get-started/introduction-new-relic-nerdgraph/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from otel_accubooks.servers.api import Api, ApiError

PATH = "/graphql"


class NerdGraph:
    """The API in one account."""

    def __init__(self, api: Api, account: int) -> None:
        self._api = api
        self.account = account

    def ask(self, document: str, **variables: Any) -> Any:
        """The data of the answer. Raises ApiError, also for errors that come with a status of 200."""
        if "$account:" in document:
            variables["account"] = self.account
        body = {"query": document, "variables": variables}
        answer = self._api.ask("POST", PATH, body)
        if not isinstance(answer, dict) or not (answer.get("errors") or answer.get("data")):
            raise ApiError(f"POST {self._api.address}{PATH}: expected data or errors: {answer!r}")
        if answer.get("errors"):
            said = "; ".join(_said(error) for error in answer["errors"])
            raise ApiError(f"New Relic, {_operation(document)}: {said}")
        return answer["data"]

    def change(self, document: str, **variables: Any) -> Any:
        """The answer of the one mutation in `document`, which may hold errors of its own."""
        (answer,) = self.ask(document, **variables).values()
        # Some mutations answer with `errors`, some with `error`, some with either.
        told = [*(answer.get("errors") or ()), *filter(None, [answer.get("error")])]
        if told:
            said = "; ".join(_said(error) for error in told)
            raise ApiError(f"New Relic, {_operation(document)}: {said}")
        return answer

    def every(self, document: str, path: str, rows: str, **variables: Any) -> Iterator[Any]:
        """All rows of a query whose answer is in pages; `path` leads to the page, dotted."""
        cursor: str | None = None
        while True:
            page = self.ask(document, cursor=cursor, **variables)
            for name in path.split("."):
                page = page.get(name)
                if page is None:
                    raise ApiError(
                        f"New Relic, {_operation(document)}: no {name} for account {self.account};"
                        " is its number right, and may the key see it?"
                    )
            yield from page[rows]
            cursor = page.get("nextCursor")
            if not cursor:
                return


def _operation(document: str) -> str:
    return document.split("(", 1)[0].split("{", 1)[0].rsplit(maxsplit=1)[-1]


def _said(error: dict[str, Any]) -> str:
    text = error.get("message") or error.get("description") or error.get("details") or str(error)
    extensions = error.get("extensions") or {}
    reasons = [
        f"{one.get('name')}: {one.get('reason')}"
        for one in extensions.get("validationErrors") or ()
    ]
    kind = error.get("type") or extensions.get("errorClass")
    line = " ".join(filter(None, [text, *reasons, f"({kind})" if kind else ""]))
    return " ".join(line.split())
