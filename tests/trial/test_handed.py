"""What Alertmanager counts of its notifications is read as it says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from otel_accubooks.servers.api import ApiError
from otel_accubooks.stack.http_body import Limits
from otel_accubooks.stack.ports import free_port
from otel_accubooks.stack.sink import Reply, Request, Sink
from otel_accubooks.trial.handed import Handed

PAGE = """\
# TYPE alertmanager_notifications_total counter
alertmanager_notifications_total{{integration="slack"}} {tried}
alertmanager_notifications_total{{integration="email"}} 7
# Later versions tell reasons, and receivers where they are asked to.
alertmanager_notifications_failed_total{{integration="slack",reason="clientError"}} {failed}
alertmanager_notifications_failed_total{{integration="slack",reason="other"}} 1
alertmanager_notification_requests_failed_total{{integration="slack",receiver_name="P0"}} 2
"""


class Alertmanager(Sink):
    limits = Limits(1024, 1024)
    tried, failed = 5, 1

    def answer(self, request: Request) -> Reply:
        page = PAGE.format(tried=self.tried, failed=self.failed)
        return Reply(200, page.encode(), "text/plain")

    def refusal(self, status: int, reason: str, headers: Mapping[str, str]) -> Reply:
        return Reply(status, reason.encode())

    def snapshot(self, name: str | None = None) -> list[dict[str, Any]]:
        return []


@pytest.fixture
def alertmanager() -> Iterator[Alertmanager]:
    with Alertmanager() as started:
        yield started


def test_what_came_since_counts(alertmanager: Alertmanager) -> None:
    """Of each integration for itself; of a pair the one that lives is enough."""
    handed = Handed([alertmanager.url, f"http://127.0.0.1:{free_port()}"])
    assert (handed.tried("slack"), handed.failed("slack")) == (0, 0)
    alertmanager.tried, alertmanager.failed = 8, 3
    assert (handed.tried("slack"), handed.failed("slack")) == (3, 2)
    assert handed.tried("email") == 0


def test_one_that_was_started_anew_counts_from_zero(alertmanager: Alertmanager) -> None:
    """What it had counted before is not taken from it."""
    handed = Handed([alertmanager.url])
    alertmanager.tried = 2
    assert handed.tried("slack") == 0


def test_nobody_who_answers_is_said() -> None:
    """Nothing is then known of what was handed over."""
    handed = Handed([f"http://127.0.0.1:{free_port()}"])
    with pytest.raises(ApiError, match="no Alertmanager says whom it told"):
        handed.tried("slack")
