"""What is answered to the headers that clients really send."""

from __future__ import annotations

import pytest

from otel_accubooks.monitoring.negotiation import openmetrics_version, takes_gzip

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "version"),
    [
        (PROMETHEUS_2, "1.0.0"),
        (PROMETHEUS_3, "1.0.0"),
        ("application/openmetrics-text", "1.0.0"),
        ("Application/OpenMetrics-Text; version=0.0.1", "0.0.1"),
        ("application/openmetrics-text; version=7.0.0", None),
        ("application/openmetrics-text;q=0", None),
        ("application/openmetrics-text;q=0.2, text/plain", None),
        ("application/openmetrics-text;q=nonsense", None),
        ("text/html,application/xhtml+xml,*/*;q=0.8", None),
        ("*/*", None),
        ("", None),
    ],
)
def test_openmetrics_is_for_those_who_like_it_best(accept: str, version: str | None) -> None:
    """Everybody else, browsers and curl too, gets Prometheus text."""
    assert openmetrics_version(accept) == version


@pytest.mark.parametrize(
    ("accept", "takes"),
    [("gzip", True), ("gzip, deflate, br", True), ("GZIP;q=0.5", True), ("*", True),
     ("gzip;q=0", False), ("gzip;q=0, *", False), ("identity", False), ("", False)],
)  # fmt: skip
def test_only_who_takes_gzip_gets_it(accept: str, takes: bool) -> None:
    """A quality of 0 is a no."""
    assert takes_gzip(accept) is takes
