"""Senders that send the gateway anything: bytes that are no OTLP, OTLP that makes no sense, and StatsD."""

from __future__ import annotations

import gzip
import math
import random
import socket
import time
from collections import Counter
from collections.abc import Iterator

import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

PROTOBUF = "application/x-protobuf"
MIB = 2**20
_CUMULATIVE = 2


def _request(service: str = "hostile") -> tuple[ExportMetricsServiceRequest, object]:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="service.name").value.string_value = service
    return request, resource.scope_metrics.add()


def many_series(number: int, labels: int = 1) -> bytes:
    """One request with so many series of one counter, of so many labels each."""
    request, scope = _request()
    data = scope.metrics.add(name="hostile_total").sum  # type: ignore[attr-defined]
    data.aggregation_temporality, data.is_monotonic = _CUMULATIVE, True
    now = time.time_ns()
    for one in range(number):
        point = data.data_points.add(
            as_int=one, start_time_unix_nano=now - 10**9, time_unix_nano=now
        )
        for label in range(labels):
            point.attributes.add(key=f"label_{label}").value.string_value = f"v{one}"
    return request.SerializeToString()


def senseless() -> Iterator[bytes]:
    """Values, times, names and shapes that no instrument makes."""
    now = time.time_ns()
    for value in (math.nan, -math.inf, -5.0, 1e308):
        for start, at in ((now, now - 10**12), (0, 0), (2**64 - 1, 2**64 - 1), (now, now + 10**18)):
            request, scope = _request()
            data = scope.metrics.add(name="odd_total").sum  # type: ignore[attr-defined]
            data.aggregation_temporality, data.is_monotonic = _CUMULATIVE, True
            data.data_points.add(as_double=value, start_time_unix_nano=start, time_unix_nano=at)
            yield request.SerializeToString()
    for name in ("", "\0", "é" * 5000, "a b", "__name__", "{}", "\n"):
        request, scope = _request(name)
        metric = scope.metrics.add(name=name, unit=name, description=name)  # type: ignore[attr-defined]
        point = metric.gauge.data_points.add(as_double=1, time_unix_nano=now)
        point.attributes.add(key=name).value.string_value = name
        yield request.SerializeToString()
    for counts, bounds, count in (([1, 2], [1.0, 2.0, 3.0], 3), ([], [1.0], 5), ([2**63] * 3, [2.0,
            1.0], 1), ([1] * 9, [math.nan] * 8, 9)):  # fmt: skip
        request, scope = _request()
        data = scope.metrics.add(name="odd_ms").histogram  # type: ignore[attr-defined]
        data.aggregation_temporality = _CUMULATIVE
        data.data_points.add(
            bucket_counts=counts,
            explicit_bounds=bounds,
            count=count,
            sum=math.nan,
            time_unix_nano=now,
        )
        yield request.SerializeToString()
    for temporality in (0, 7):
        request, scope = _request()
        data = scope.metrics.add(name="odd_total").sum  # type: ignore[attr-defined]
        data.aggregation_temporality = temporality
        data.data_points.add(as_int=3, time_unix_nano=now)
        yield request.SerializeToString()
    request, scope = _request()
    scope.metrics.add(name="nothing_at_all")  # type: ignore[attr-defined]
    yield request.SerializeToString()


class Attack:
    """What was sent to a gateway, and what it answered, by kind."""

    def __init__(self, otlp: str, grpc: int, statsd: int) -> None:
        self._otlp, self._grpc, self._statsd = otlp, grpc, statsd
        self.sent: Counter[str] = Counter()
        self.answers: dict[str, Counter[str]] = {}

    def post(
        self,
        kind: str,
        body: bytes,
        content_type: str = PROTOBUF,
        encoding: str = "",
        path: str = "metrics",
    ) -> None:
        """Sends one body; whatever comes of it is noted."""
        headers = {"Content-Type": content_type} | (
            {"Content-Encoding": encoding} if encoding else {}
        )
        try:
            answer = httpx.post(
                f"{self._otlp}/v1/{path}",
                content=body,
                headers=headers,
                timeout=30,
                trust_env=False,
            )
            said = str(answer.status_code)
        except httpx.HTTPError as error:
            said = type(error).__name__
        self.sent[kind] += 1
        self.answers.setdefault(kind, Counter())[said] += 1

    def nonsense(self, rng: random.Random, number: int) -> None:
        """Bytes that are no OTLP, and bytes that once were."""
        good = many_series(20, 5)
        for one in range(number):
            self.post("random bytes", rng.randbytes(rng.randrange(1, 3000)))
            spoiled = bytearray(good)
            for _ in range(rng.randrange(1, 9)):
                spoiled[rng.randrange(len(spoiled))] = rng.randrange(256)
            self.post(
                "damaged OTLP",
                bytes(spoiled[: rng.randrange(len(spoiled))] if one % 2 else spoiled),
            )
        for kind in (
            "application/json",
            "text/plain",
            "",
            "application/x-protobuf; charset=x",
            "\\x00" * 3 or "x",
        ):
            self.post("wrong content type", good, kind)
        for encoding in ("gzip", "br", "zstd", "deflate", "gzip, gzip", "x" * 5000):
            self.post("wrong encoding", good, encoding=encoding)
        self.post("JSON", b"[" * 100_000, "application/json")
        self.post("JSON", b'{"resourceMetrics": [{"scopeMetrics": 7}]}', "application/json")

    def bombs(self, number: int, size: int) -> None:
        """Megabytes that become hundreds of them."""
        bomb = gzip.compress(bytes(size), 9)
        for _ in range(number):
            self.post("gzip bomb", bomb, encoding="gzip")
        self.post("gzip bomb", gzip.compress(bomb), encoding="gzip")

    def masses(self, series: int, labels: int) -> None:
        """More series, and more labels, than anybody has."""
        self.post(f"{series:,} series in one request", many_series(series))
        self.post(f"{labels:,} labels on a point", many_series(2, labels))

    def senseless(self) -> None:
        """OTLP that is well-formed, and wrong."""
        for body in senseless():
            self.post("OTLP without sense", body)

    def statsd(self, rng: random.Random, number: int) -> None:
        """Packets that are no StatsD, and names of which there is one each; and gRPC that is none."""
        lines = [b"", b"a", b"a:b|c", b":1|c", b"a:1|", b"a:1e999|c", b"a:nan|g", b"a:-1|c",
                b"\\xff\\xfe:1|c", b"a:1|c|@0",
                 b"a:1|c|@nan", b"a:1|c|#\\xff:\\xfe,,::", b"a:1|ms|T-9", b"a:1|c|T1", b"x" * 60_000,
                 b"a\\x00b:1|c"]  # fmt: skip
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for one in range(number):
                line = lines[one] if one < len(lines) else rng.randbytes(rng.randrange(1, 400))
                sender.sendto(line, ("127.0.0.1", self._statsd))
                sender.sendto(b"n%d.x:1|c|#t:%d" % (one, one), ("127.0.0.1", self._statsd))
                self.sent["StatsD packet"] += 2
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", self._grpc), timeout=10) as connection:
                connection.sendall(
                    b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + rng.randbytes(5000)
                )
            self.sent["broken gRPC"] += 1
