"""What sends spans and log records."""

from __future__ import annotations

import pytest

from otel_accubooks.launch.configurator import exporters
from tests.export.test_answer import answers

REDIRECTION = b"HTTP/1.1 302 Found\r\nLocation: https://x.example\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("signal", ["TRACES", "LOGS"])
def test_a_redirection_is_no_acknowledgement(signal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What went nowhere is a failure, which is said."""
    monkeypatch.setenv(f"OTEL_{signal}_EXPORTER", "otlp")
    with answers(REDIRECTION) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        (make,) = exporters(signal)
        assert make().export([]).name == "FAILURE"
