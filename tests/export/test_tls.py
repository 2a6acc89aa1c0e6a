"""Senders and TLS: whom they trust, what they say of a wrong certificate, what is taken for sent."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

from otel_accubooks.export.receiver import ReceiverAdapter, watched_session

AUTHORITY, STRANGER = trustme.CA(), trustme.CA()
NOTHING = MetricsData(resource_metrics=[])


class Receiver(BaseHTTPRequestHandler):
    """Lets in who shows the right token."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        right = self.headers.get("Authorization") == "Bearer right"
        self.send_response(200 if right else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def receiver() -> Iterator[str]:
    """The address of one whose certificate is AUTHORITY's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/v1/metrics"
    server.shutdown()
    server.server_close()
    thread.join()


def pem(folder: Path, authority: trustme.CA) -> str:
    path = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def send(
    url: str, trusted: str, token: str = "right"
) -> tuple[MetricExportResult, ReceiverAdapter]:
    session, adapter = watched_session()
    exporter = OTLPMetricExporter(
        url,
        certificate_file=trusted,
        headers={"Authorization": f"Bearer {token}"},
        session=session,
    )
    result = exporter.export(NOTHING)
    exporter.shutdown()
    return result, adapter


def test_the_named_certificate_is_trusted_whatever_others_are_for_other_peers(
    receiver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQUESTS_CA_BUNDLE, which many images set, does not replace OTEL_EXPORTER_OTLP_CERTIFICATE."""
    others = tmp_path / "others"
    others.mkdir()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", pem(others, STRANGER))
    result, adapter = send(receiver, pem(tmp_path, AUTHORITY))
    assert (result, adapter.received) == (MetricExportResult.SUCCESS, True)


def test_a_certificate_of_a_stranger_is_refused_and_nothing_taken_for_sent(
    receiver: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The first warning says what was found, and what to do; the next export begins anew."""
    result, adapter = send(receiver, pem(tmp_path, STRANGER))
    assert (result, adapter.received) == (MetricExportResult.FAILURE, False)
    first = caplog.records[0].getMessage()
    assert first.startswith("its certificate is refused (unable to get local issuer certificate):")
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in first


def test_nothing_is_taken_for_sent_where_the_token_is_wrong(
    receiver: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A receiver that lets nobody in has read nothing."""
    result, adapter = send(receiver, pem(tmp_path, AUTHORITY), token="wrong")
    assert (result, adapter.received) == (MetricExportResult.FAILURE, False)
    assert caplog.records[0].getMessage() == (
        "it answered 401 Unauthorized: set OTEL_EXPORTER_OTLP_HEADERS to what it lets in"
    )
    assert "wrong" not in caplog.text
