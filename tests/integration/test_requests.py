"""What is counted of requests, on a real server under the launcher."""

from __future__ import annotations

import socket

import httpx
from conftest import Service


def test_every_request_is_counted_once(service: Service) -> None:
    """N requests over three workers are N in the backend, by method, URL rule and status."""
    with service.gunicorn("-w", "3"):
        for number in range(200):
            service.get(f"/hello/{number}")
        for number in range(50):
            httpx.post(f"{service.url}/hello/{number}")
        for _ in range(7):
            assert service.get("/boom").status_code == 500
        for _ in range(5):
            assert service.get("/teapot").status_code == 418
        for number in range(20):
            assert service.get(f"/no/such/{number}").status_code == 404
    service.ended()
    assert service.requests(method="GET", route="/hello/<name>", status_code="200") == 200
    assert service.requests(method="POST", route="/hello/<name>", status_code="200") == 50
    assert service.requests(route="/boom", status_code="500") == 7
    assert service.requests(route="/teapot", status_code="418") == 5
    assert service.requests(route="unmatched", status_code="404") == 20
    assert service.sink.value("http_request_duration_ms", route="/boom") == 7


def test_unknown_methods_are_one_value(service: Service) -> None:
    """A client that makes up methods makes no series."""
    with service.gunicorn("-w", "1"):
        for method in ("BREW", "WHEN", "PROPFIND"):
            httpx.request(method, f"{service.url}/hello/x")
    service.ended()
    assert service.requests(method="_OTHER") == 3
    methods = {s.attributes["method"] for s in service.sink.series("http_requests_total")}
    assert methods <= {"GET", "_OTHER"}


def test_a_streamed_body_counts_until_its_end(service: Service) -> None:
    """Ten parts of 50 ms are half a second: none of it is in the buckets below 500 ms."""
    with service.gunicorn("-w", "1"):
        assert service.get("/stream/10").text.split() == [str(n) for n in range(10)]
    service.ended()
    (series,) = service.sink.series("http_request_duration_ms", route="/stream/<int:parts>")
    below = [
        c for bound, c in zip(series.bounds, series.bucket_counts, strict=False) if bound < 500
    ]
    assert sum(below) == 0
    assert sum(series.bucket_counts) == 1


def test_a_stream_that_breaks_is_an_error(service: Service) -> None:
    """An exception in the middle of a body counts as 500, although 200 was sent."""
    with service.gunicorn("-w", "1"):
        try:
            service.get("/broken-stream")
        except httpx.HTTPError:
            pass
    service.ended()
    assert service.requests(route="/broken-stream", status_code="500") == 1
    assert service.requests(route="/broken-stream", status_code="200") == 0


def test_a_client_that_leaves_is_counted_once(service: Service) -> None:
    """A closed connection ends the request; it is no error of the application."""
    with service.gunicorn("-w", "1"):
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            client.sendall(b"GET /stream/40 HTTP/1.1\r\nHost: x\r\n\r\n")
            client.recv(10)
        service.get("/hello/after")
    service.ended()
    assert service.requests(route="/stream/<int:parts>") == 1


def test_a_file_is_sent_as_before(service: Service) -> None:
    """A file that the server sends by itself arrives whole, and counts."""
    with service.gunicorn("-w", "1"):
        assert "send_file" in service.get("/file").text
        assert httpx.head(f"{service.url}/file").status_code == 200
    service.ended()
    assert service.requests(route="/file", status_code="200") == 2


def test_the_monitoring_endpoint_is_not_traffic(service: Service) -> None:
    """Whichever worker is scraped tells of all, and the scrape itself is never counted."""
    with service.gunicorn("-w", "3"):
        for number in range(30):
            service.get(f"/hello/{number}")
        for _ in range(10):
            text = service.get("/api/monitoring/metrics").text
            line = 'http_requests_total{method="GET",route="/hello/<name>",status_code="200"} 30'
            assert line in text.splitlines()
    service.ended()
    assert service.requests(route="unmatched") == 0


def test_the_answer_is_the_same_with_and_without_us(service: Service) -> None:
    """Status, headers and body do not change by a byte."""
    paths = ["/hello/x", "/boom", "/teapot", "/nowhere", "/stream/2", "/file"]

    def answers() -> list[tuple[int, bytes, list[tuple[str, str]]]]:
        found = [service.get(path) for path in paths]
        skip = ("date",)
        return [
            (f.status_code, f.content, [h for h in f.headers.items() if h[0] not in skip])
            for f in found
        ]

    with service.server("gunicorn", "-b", "127.0.0.1:{port}", "app:app", launcher=False):
        bare = answers()
    with service.gunicorn():
        assert answers() == bare
