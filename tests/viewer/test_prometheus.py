"""Questions to a real Prometheus, and to what is none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.stack.binaries import find_prometheus
from otel_accubooks.stack.ports import LOOPBACK, free_port
from otel_accubooks.stack.prometheus import Prometheus as Server
from otel_accubooks.viewer.page import RETRY_SECONDS, Pages
from otel_accubooks.viewer.prometheus import Prometheus, UnansweredError

NOW = 1_700_000_000.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One without any data."""
    with Server(tmp_path_factory.mktemp("prometheus"), find_prometheus()) as server:
        yield server


def asked(server: Server) -> float:
    """How often it was asked for an instant or a range."""
    said = httpx.get(f"{server.url}/metrics", trust_env=False).text
    path = r'prometheus_http_requests_total\{code="200",handler="/api/v1/query\w*"\} (\S+)'
    return sum(float(count) for count in re.findall(path, said))


def test_numbers_come_with_labels_and_times(server: Server) -> None:
    """An instant has one point, a range one for each step."""
    prometheus = Prometheus(server.url)
    (row,) = prometheus.at('label_replace(vector(2), "pool", "a", "", "")', NOW).result()
    assert (row.labels, row.points) == ({"pool": "a"}, ((NOW, 2.0),))
    (row,) = prometheus.over("vector(3)", NOW - 30, NOW, 15, NOW).result()
    assert row.points == ((NOW - 30, 3.0), (NOW - 15, 3.0), (NOW, 3.0))


def test_who_asks_the_same_shares_one_request(server: Server) -> None:
    """Ten who look within one refresh cost as much as one; the next refresh asks again."""
    prometheus = Prometheus(server.url)
    before = asked(server)
    for _ in range(10):
        assert prometheus.at("vector(1)", NOW).result()
        assert prometheus.over("vector(1)", NOW - 60, NOW, 15, NOW).result()
    assert asked(server) - before == 2
    assert prometheus.at("vector(1)", NOW + 10).result()
    assert asked(server) - before == 3


def test_a_refusal_is_told_in_its_words(server: Server) -> None:
    """A wrong expression: what Prometheus says of it."""
    with pytest.raises(UnansweredError, match=r"refuses: .*parse error"):
        Prometheus(server.url).at("sum(", NOW).result()


def test_one_that_starts_later_is_found(tmp_path: Path) -> None:
    """A failure is not remembered: the same question of the same moment is asked again."""
    late = Server(tmp_path, find_prometheus())
    prometheus = Prometheus(late.url)
    with pytest.raises(UnansweredError, match="does not answer"):
        prometheus.at("vector(1)", NOW).result()
    with late:
        assert prometheus.at("vector(1)", NOW).result()


def test_what_is_not_prometheus_is_said_so(server: Server) -> None:
    """Something else at the address: its status, and what to look at."""
    with pytest.raises(UnansweredError, match="answers 404, not as Prometheus does: is the addr"):
        Prometheus(f"{server.url}/elsewhere").at("vector(1)", NOW).result()


def test_a_password_in_the_address_is_not_shown() -> None:
    """Neither it nor the user."""
    address = f"http://me:secret@{LOOPBACK}:9090/prometheus/"
    assert Prometheus(address).shown == f"http://{LOOPBACK}:9090/prometheus"


def test_a_page_without_any_service_says_so(server: Server) -> None:
    """One line, no data in any panel, and it looks again soon."""
    pages = Pages(DASHBOARDS, Prometheus(server.url), "", public=False)
    now = pages.contents(DASHBOARDS[-1], "")
    assert now.banner.startswith("No service has sent anything")
    assert all(shown.empty for shown in now.panels.values())
    assert now.again == RETRY_SECONDS


def test_strangers_do_not_learn_where_prometheus_is() -> None:
    """A public page says that it does not answer, not its address."""
    port = free_port()
    pages = Pages(DASHBOARDS, Prometheus(f"http://{LOOPBACK}:{port}"), "", public=True)
    banner = pages.contents(DASHBOARDS[0], "").banner
    assert banner.startswith("Prometheus does not answer")
    assert str(port) not in banner
