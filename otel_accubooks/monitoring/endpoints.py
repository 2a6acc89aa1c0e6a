"""What is answered in front of the application, before its own hooks and log-in walls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from otel_accubooks.export.collection import Collection
from otel_accubooks.export.host import Host
from otel_accubooks.monitoring.exposition import CONTENT_TYPE, prometheus_text
from otel_accubooks.recorder.process import recorder
from otel_accubooks.recorder.service import ServiceReader


class Metrics:
    """The metrics of the whole service, whichever of its workers is asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._generation: object = None
        self._collection: Collection | None = None

    def text(self) -> str:
        """Prometheus text. Raises RuntimeError where nothing is recorded in this process."""
        if recorder.folder is None:
            raise RuntimeError("metrics are switched off")
        with self._lock:
            # After a fork, or before the first record, this process's own segment is another one.
            if self._collection is None or self._generation is not recorder.segment:
                self._generation = recorder.segment
                reader = ServiceReader(recorder.folder)
                self._collection = Collection(reader, Host())
            return prometheus_text(self._collection.collect())


metrics = Metrics()


def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answers a GET or HEAD of one of our paths. Such requests are never counted."""
    try:
        body = metrics.text().encode()
        status = "200 OK"
    except Exception as error:
        body = f"otel-accubooks: {error}\n".encode()
        status = "503 Service Unavailable"
    headers = [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
