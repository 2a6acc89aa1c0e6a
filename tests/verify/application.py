"""An application that has done everything: each metric of the contract, as text, at its two addresses."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from otel_accubooks.contract.endpoints import HEALTH
from otel_accubooks.contract.metric import Label, Metric
from otel_accubooks.contract.metrics import METRICS
from otel_accubooks.vendors.promql import APPLICATION_JOB

# Of labels that the application bounds.
VALUES = {"status_code": ("200", "500"), "query_type": ("SELECT", "INSERT")}
_MOST_VALUES = 4
HISTORY_SECONDS = 600


class Application:
    """Serves it while it is entered, of a life that began before.

    `without` are the metrics that it has not; its numbers grow with `scale`; `behind` are the seconds
    that its points are late.
    """

    def __init__(
        self, *, without: tuple[str, ...] = (), scale: float = 1.0, behind: float = 0
    ) -> None:
        self._metrics = [metric for metric in METRICS if metric.name not in without]
        self._scale, self._behind = scale, behind
        self._began = time.time() - HISTORY_SECONDS
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def text(self) -> str:
        """What is scraped."""
        late = f" {1000 * (time.time() - self._behind):.0f}" if self._behind else ""
        return "".join(f"{name}{{{','.join(labels)}}} {value:g}{late}\n"
                       for name, labels, value in self._now(time.time()))  # fmt: skip

    def history(self) -> str:
        """What it would have been scraped for up to now, as OpenMetrics."""
        whose = f'job="{APPLICATION_JOB}",instance="{self.address}"'
        end = time.time() - self._behind
        moments = [end - before for before in range(HISTORY_SECONDS - 15, 0, -15)]
        lines = [
            f"{name}{{{','.join([*labels, whose])}}} {value:g} {moment:.3f}\n"
            for moment in moments
            for name, labels, value in self._now(moment)
        ]
        # Those of one series stand together.
        return "".join(sorted(lines, key=lambda line: line.rpartition("}")[0])) + "# EOF\n"

    def _now(self, moment: float) -> Iterator[tuple[str, list[str], float]]:
        for metric in self._metrics:
            yield from _samples(metric, moment - self._began, self._scale)

    def __enter__(self) -> Application:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _samples(metric: Metric, lived: float, scale: float) -> Iterator[tuple[str, list[str], float]]:
    """Name, labels and value of each."""
    for number, values in enumerate(itertools.product(*map(_values, metric.labels)), 1):
        labels = [
            f'{label.name}="{value}"' for label, value in zip(metric.labels, values, strict=True)
        ]
        count = float(int(scale * lived * number) + number)
        if metric.type == "histogram":
            # Half of it in the first bucket.
            for bound in metric.buckets:
                yield f"{metric.name}_bucket", [*labels, f'le="{bound:g}"'], count // 2
            yield f"{metric.name}_bucket", [*labels, 'le="+Inf"'], count
            yield f"{metric.name}_sum", labels, count * metric.buckets[0]
            yield f"{metric.name}_count", labels, count
        elif metric.type == "counter":
            yield metric.name, labels, count
        else:
            known = {"system_uptime_seconds": lived + 1000 * scale, "system_health_status": 1.0}
            yield metric.name, labels, known.get(metric.name, 10 * scale * number)


def _values(label: Label) -> tuple[str, ...]:
    return (label.values or VALUES.get(label.name) or ("main",))[:_MOST_VALUES]


def _handler(application: Application) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/api/monitoring/metrics" or self.path in HEALTH.paths()
            text = application.text().encode() if "metrics" in self.path else b"{}"
            self.send_response(200 if found else 404)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    return Handler
