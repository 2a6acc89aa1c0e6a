"""The viewer over HTTP: read only, and everything from this machine."""

from __future__ import annotations

import json
import re
import socket

import pytest
from flask.testing import FlaskClient

from otel_accubooks.contract.dashboards import DASHBOARDS, EXECUTIVE_OVERVIEW, OPERATIONS
from otel_accubooks.stack.ports import free_port
from otel_accubooks.viewer import application, serve


def client(only: str | None = None) -> FlaskClient:
    """A viewer whose Prometheus is down."""
    server = application(f"http://127.0.0.1:{free_port()}", only=only, runbooks="https://r.example")
    return server.test_client()


def ask(viewer: FlaskClient, path: str) -> str:
    """The answer to what a browser asks first at a path: the page without its data."""
    body = {
        "output": "page.children",
        "outputs": {"id": "page", "property": "children"},
        "inputs": [
            {"id": "address", "property": "pathname", "value": path},
            {"id": "address", "property": "search", "value": ""},
        ],
        "changedPropIds": ["address.pathname"],
    }
    answer = viewer.post("/_dash-update-component", json=body)
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)
def test_a_page_has_every_panel_of_its_dashboard(dashboard: object) -> None:
    """Titles, in the contract's order."""
    page = ask(client(), f"/{dashboard.name}")
    found = re.findall(r'"card": ?"([^"]+)"', page)
    assert [json.loads(f'"{title}"') for title in found] == [
        panel.title for panel in dashboard.panels
    ]


def test_scripts_and_styles_are_its_own() -> None:
    """The page names no other host, and each of its files is there."""
    viewer = client()
    page = viewer.get("/").text
    files = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(files) > 5
    for file in files:
        assert file.startswith("/")
        assert viewer.get(file).status_code == 200, file


def test_nothing_but_looking_is_allowed() -> None:
    """Methods other than GET and the one POST of Dash, and paths that are no page, are refused."""
    viewer = client()
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert viewer.open("/operations", method=method).status_code == 405
    assert viewer.put("/_dash-update-component", json={}).status_code == 405
    assert viewer.get("/admin").status_code == 404
    assert (
        viewer.post(
            "/_dash-update-component", data="x" * 100_000, content_type="application/json"
        ).status_code
        == 413
    )


def test_the_content_policy_names_no_other_host() -> None:
    """Every answer has it, and says that nobody may frame the page or guess at types."""
    viewer = client()
    for path in ("/", "/admin", "/assets/viewer.css"):
        headers = viewer.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "http" not in headers["Content-Security-Policy"]
        assert "unsafe-eval" not in headers["Content-Security-Policy"]
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_others_cannot_be_had_where_one_is_shared() -> None:
    """Not as a page, and not from Dash's own address either."""
    viewer = client(EXECUTIVE_OVERVIEW.name)
    assert viewer.get("/").status_code == 200
    assert viewer.get(f"/{OPERATIONS.name}").status_code == 404
    assert "System Status" in ask(viewer, "/")
    hidden = ask(viewer, f"/{OPERATIONS.name}")
    assert "There is no such dashboard." in hidden
    assert "Request Rate" not in hidden


def test_an_unknown_dashboard_is_refused() -> None:
    """What was found, what was expected."""
    with pytest.raises(ValueError, match="no dashboard 'operation': expected one of exec"):
        client("operation")


def test_a_port_that_is_taken_is_said_so() -> None:
    """Where it wanted to listen, why it cannot, what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: .*; choose another"):
            serve("http://127.0.0.1:9", port=port, runbooks="")


def test_a_panel_links_to_the_runbook_of_its_limit() -> None:
    """The limit of one second is HighLatency's."""
    page = json.dumps(json.loads(ask(client(), "/operations")))
    assert "https://r.example/HighLatency.md" in page


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8050", 200),
        ("localhost:8050", 200),
        ("[::1]:8050", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:8050", 403),
        ("localhost@evil.example", 403),
        ("[abc", 403),
        ("", 403),
    ],
)
def test_another_sites_name_does_not_lead_to_this_machine(host: str, status: int) -> None:
    """A browser that was told so would hand what it reads here to that site (DNS rebinding)."""
    server = application(f"http://127.0.0.1:{free_port()}", runbooks="", local=True)
    for path in ("/", "/_dash-layout", "/assets/viewer.css"):
        assert server.test_client().get(path, headers={"Host": host}).status_code == status


def test_who_is_refused_for_a_name_is_told_which_are_taken() -> None:
    """For who put a proxy before it."""
    server = application(f"http://127.0.0.1:{free_port()}", runbooks="", local=True)
    answer = server.test_client().get("/", headers={"Host": "dashboards.example"})
    assert "127.0.0.1, localhost or [::1]" in answer.text
    assert "dashboards.example" not in answer.text


def test_no_question_of_the_browsers_own_is_asked() -> None:
    """What is sent as a query, an address or a service goes nowhere; what is unknown is refused."""
    viewer = client()
    for path in ("/api/v1/query?query=up", "/_dash-x", "/http://127.0.0.1:9090/", "/../etc/passwd"):
        assert viewer.get(path).status_code == 404, path
    body = {
        "output": "secret.children",
        "outputs": {"id": "secret", "property": "children"},
        "inputs": [{"id": "secret", "property": "value", "value": "up"}],
        "changedPropIds": ["secret.value"],
    }
    answer = viewer.post("/_dash-update-component", json=body)
    assert answer.status_code >= 400
    assert "Traceback" not in answer.text


def test_nothing_that_was_shown_is_kept() -> None:
    """Pages and answers are not stored by a browser or a proxy; scripts may be."""
    viewer = client()
    for path in ("/", "/operations", "/_dash-layout", "/admin"):
        assert viewer.get(path).headers["Cache-Control"] == "no-store"
    assert viewer.get("/").headers["Referrer-Policy"] == "no-referrer"
