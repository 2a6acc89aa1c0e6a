"""What an answer to an export says of who gave it, and what of a header may be shown."""

from __future__ import annotations

import pytest

from otel_accubooks.doctor.asking import Answer
from otel_accubooks.doctor.destinations import Destination, scraped_port
from otel_accubooks.doctor.gateway import judged
from otel_accubooks.doctor.scene import Scene
from otel_accubooks.servers.settings import Servers

TO = Destination("http://gateway:4318/v1/metrics", "web")


@pytest.mark.parametrize(
    ("text", "content", "expected"),
    [
        ("", "text/html", "not-an-otlp-port"),
        ("<html>welcome</html>", "text/html", "not-an-otlp-port"),
        ("welcome", "", "not-an-otlp-port"),
        ("", "", ""),
        ("", "application/x-protobuf", ""),
    ],
)
def test_a_web_server_that_answers_200_to_everything(
    text: str, content: str, expected: str
) -> None:
    """It is told from a gateway by the type of its answer; an empty one without a type is taken."""
    found = judged(TO, Answer(200, text, headers={"content-type": content} if content else {}))
    assert (found.kind.id if found else "") == expected


@pytest.mark.parametrize(
    ("trouble", "fix"), [("name", "correct the host"), ("timeout", "restart the gateway")]
)
def test_the_fix_of_a_gateway_that_is_not_reached(trouble: str, fix: str) -> None:
    """A name that is not known is not mended by starting the gateway, nor is one that is silent."""
    found = judged(TO, Answer(trouble=trouble, said="it says"))  # type: ignore[arg-type]
    assert found is not None
    assert found.kind.id == "gateway-unreachable"
    assert fix in found.fix


def test_of_a_header_the_token_alone_is_secret() -> None:
    """The words around it are what a fix says, also where a space was not encoded."""
    scene = Scene(Servers(), {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer s3cr3t-t0ken"})
    assert "s3cr3t-t0ken" in scene.secrets()
    assert "authorization=Bearer" not in scene.secrets()


def test_the_page_of_the_prometheus_exporter() -> None:
    """Its port is the one of OpenTelemetry unless a variable says otherwise."""
    env = {"OTEL_METRICS_EXPORTER": "prometheus"}
    assert scraped_port(env) == 9464
    assert scraped_port({**env, "OTEL_EXPORTER_PROMETHEUS_PORT": "9500"}) == 9500
    assert scraped_port({}) is None
