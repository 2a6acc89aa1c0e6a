"""Every panel shows data: its queries on a Prometheus that the example feeds, and in the viewer."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from conftest import eventually
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from otel_accubooks.contract.dashboards import (
    BUSINESS_METRICS,
    DASHBOARDS,
    EXECUTIVE_OVERVIEW,
    OPERATIONS,
)
from otel_accubooks.contract.metrics import SYSTEM_HEALTH_STATUS
from otel_accubooks.contract.panel import Dashboard
from otel_accubooks.stack.chromium import Chromium
from otel_accubooks.stack.deployment import Deployment
from otel_accubooks.stack.people import people
from otel_accubooks.stack.prometheus import Prometheus as Server
from otel_accubooks.stack.screenshots import FILLED, take
from otel_accubooks.stack.viewer import Viewer
from otel_accubooks.vendors.promql import promql
from otel_accubooks.viewer.page import Contents, Pages
from otel_accubooks.viewer.prometheus import Prometheus

SECONDS = 90
RUNBOOKS = "https://runbooks.example"
EACH = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)


@dataclass
class Site:
    """The example in use, and its Prometheus."""

    deployment: Deployment
    prometheus: Server
    colour_at_first: str

    def now(self, dashboard: Dashboard, query: str = "") -> Contents:
        """What somebody sees who is the first to look."""
        client = Prometheus(self.prometheus.url)
        return Pages(DASHBOARDS, client, RUNBOOKS, public=False).contents(dashboard, query)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Deployment(
        tmp_path_factory.mktemp("panels"), ("prometheus",), scrape_interval="2s"
    ) as deployment:
        deployment.start(print)
        server = deployment.prometheus
        assert server is not None
        site = Site(deployment, server, "")
        eventually(lambda: colour(site) == "green", SECONDS)
        site.colour_at_first = colour(site)
        people().play(deployment.url, rounds=2, seed=7, redis_url=deployment.redis.url)
        # What stays empty is named by the tests.
        eventually(lambda: not any(empty(site, dashboard) for dashboard in DASHBOARDS), SECONDS)
        yield site


def empty(site: Site, dashboard: Dashboard, query: str = "") -> list[str]:
    """The panels of the viewer that show no data."""
    return [title for title, shown in site.now(dashboard, query).panels.items() if shown.empty]


def colour(site: Site) -> str:
    """That of the lamp of the executive dashboard."""
    contents = site.now(EXECUTIVE_OVERVIEW)
    return lamp(contents) if not contents.banner else ""


def lamp(contents: Contents) -> str:
    return str(contents.panels["System Status"].below[0].className.removeprefix("lamp "))


def asked(site: Site) -> float:
    """How often Prometheus was asked for an instant or a range."""
    told = httpx.get(f"{site.prometheus.url}/metrics", trust_env=False).text
    handler = r'prometheus_http_requests_total\{code="\d+",handler="/api/v1/query\w*"\} (\S+)'
    return sum(float(count) for count in re.findall(handler, told))


def send_health(service: str, address: str) -> None:
    """One point of a service of that name, which says that it is well."""
    exporter = OTLPMetricExporter(endpoint=address)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], Resource({"service.name": service}))
    provider.get_meter("test").create_gauge(SYSTEM_HEALTH_STATUS.name).set(1)
    provider.shutdown()


def left(read: Callable[[], list[str]]) -> list[str]:
    """What `read` still names when it names nothing any more, or time is over."""
    eventually(lambda: not read(), SECONDS)
    return read()


@EACH
def test_every_query_has_an_answer(site: Site, dashboard: Dashboard) -> None:
    """At least one number, and none that is not one, for each curve."""

    def silent() -> list[str]:
        return [
            f"{panel.title}: {curve.name}: {promql(curve.query)}"
            for panel in dashboard.panels
            for curve in panel.curves
            if not any(math.isfinite(v) for _, v in site.prometheus.query(promql(curve.query)))
        ]

    assert left(silent) == []


@EACH
def test_every_panel_of_the_viewer_has_data(site: Site, dashboard: Dashboard) -> None:
    """Also status and alerts; in the range of the dashboard and in the others."""
    for query in ("", *(f"?span={span:.0f}" for span in dashboard.spans)):
        assert left(lambda query=query: empty(site, dashboard, query)) == []


def test_ten_who_look_cost_as_much_as_one(site: Site) -> None:
    """Within one refresh nothing is asked of Prometheus again."""
    pages = Pages(DASHBOARDS, Prometheus(site.prometheus.url), RUNBOOKS, public=False)
    first = pages.contents(BUSINESS_METRICS, "")
    assert first.again == BUSINESS_METRICS.refresh
    before = asked(site)
    others = [pages.contents(BUSINESS_METRICS, "") for _ in range(9)]
    assert asked(site) == before
    assert all(other.panels.keys() == first.panels.keys() for other in others)


def test_the_lamp_is_green_until_an_urgent_alert_fires(site: Site) -> None:
    """Healthy before anybody came; yellow once a tenant's data was reached for."""
    assert site.colour_at_first == "green"
    assert eventually(lambda: colour(site) == "yellow", SECONDS)


def test_an_alert_that_fired_is_in_the_table_with_its_runbook(site: Site) -> None:
    """By its name, with severity and what it means."""
    address = f"{RUNBOOKS}/DataIntegrityIssue.md"
    table = lambda: str(site.now(EXECUTIVE_OVERVIEW).panels["Recent Alerts"].below)  # noqa: E731
    assert eventually(lambda: address in table(), SECONDS)
    assert "P0" in table()
    assert "Watchdog" not in table()


def test_another_service_can_be_chosen(site: Site) -> None:
    """Once a second one sends, both are offered; each has its own numbers, and no other's."""
    send_health("shop", f"http://127.0.0.1:{site.deployment.ports.otlp_http}/v1/metrics")
    choices = lambda: str(site.now(EXECUTIVE_OVERVIEW).choices)  # noqa: E731
    assert eventually(lambda: "service=shop" in choices(), SECONDS)
    assert "service=accubooks" in choices()
    shop = site.now(EXECUTIVE_OVERVIEW, "?service=shop").panels
    assert shop["Active Users"].empty
    assert not shop["System Status"].empty
    assert not site.now(EXECUTIVE_OVERVIEW, "?service=accubooks").panels["Active Users"].empty


def test_in_a_browser_every_page_is_drawn_from_this_machine_alone(
    site: Site, tmp_path: Path
) -> None:
    """Chromium draws each panel, asks no other host for anything, and complains of nothing."""
    viewer = Viewer(tmp_path, site.prometheus.url, runbooks=RUNBOOKS)
    with viewer, Chromium(tmp_path / "chromium") as browser:
        files = take(viewer.url, tmp_path / "pictures", browser)
        assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)
        browser.open(f"{viewer.url}/{OPERATIONS.name}")
        browser.wait_for(FILLED)
        browser.wait_for("document.querySelectorAll('.scatterlayer .js-line').length >= 20")
        browser.value("window.first = document.querySelector('.js-plotly-plot'); 0")
        seen = browser.value("document.getElementById('facts').textContent")
        browser.wait_for(f"document.getElementById('facts').textContent != {seen!r}")
        assert browser.value("window.first.isConnected"), "a refresh replaced a graph"
        browser.wait_for("document.querySelectorAll('.nothing').length === 0")
        hosts = {urlsplit(address).netloc for address in browser.requests}
        assert hosts <= {urlsplit(viewer.url).netloc, ""}
        assert browser.complaints == []
    assert viewer.log.read_text() == ""


def test_public_sharing_shows_one_dashboard_alone(site: Site, tmp_path: Path) -> None:
    """The others are not there, and neither is the address of Prometheus."""
    name = EXECUTIVE_OVERVIEW.name
    with Viewer(tmp_path, site.prometheus.url, runbooks=RUNBOOKS, only=name) as viewer:
        with Chromium(tmp_path / "chromium") as browser:
            browser.open(viewer.url)
            browser.wait_for(FILLED)
            assert browser.value("document.querySelector('h1').textContent") == "Executive Overview"
            assert browser.value("document.querySelectorAll('nav a').length") == 0
        assert httpx.get(f"{viewer.url}/{OPERATIONS.name}").status_code == 404


def test_the_lamp_is_red_while_the_service_is_unhealthy(site: Site) -> None:
    """The cache is down: red, whatever alerts fire; it is not once the cache is back."""
    site.deployment.redis.stop()
    assert eventually(lambda: colour(site) == "red", SECONDS)
    site.deployment.redis.start()
    assert eventually(lambda: colour(site) in ("yellow", "green"), SECONDS)


def test_a_prometheus_that_is_killed_is_waited_for(site: Site) -> None:
    """One line says so, with its address; once it is back, so is the data."""
    site.prometheus.kill()
    assert eventually(lambda: site.now(OPERATIONS).banner, SECONDS)
    down = site.now(OPERATIONS)
    assert down.banner.startswith(f"Prometheus at {site.prometheus.url} does not answer")
    assert all(shown.empty for shown in down.panels.values())
    site.prometheus.start()
    assert eventually(lambda: not site.now(OPERATIONS).banner, SECONDS)
