"""What is told of the way itself: by the gateway, under the OpenTelemetry Collector's own names, and
by who tries the way with a test alert.

Source: https://opentelemetry.io/docs/collector/internal-telemetry/. Backends may know the counters
with or without `_total`, as the collector's version has it.
"""

from __future__ import annotations

from otel_accubooks.contract.metric import Label, Metric
from otel_accubooks.contract.query import Series, Where

_EXPORTER = (Label("exporter"),)


def _counter(name: str, description: str, label: str) -> Metric:
    return Metric(name, "pipeline", "counter", "{point}", description, (Label(label),))


SEND_FAILED = _counter(
    "otelcol_exporter_send_failed_metric_points", "Points that could not be sent", "exporter"
)
ENQUEUE_FAILED = _counter(
    "otelcol_exporter_enqueue_failed_metric_points", "Points for which a queue had no room",
    "exporter",
)  # fmt: skip
RECEIVER_REFUSED = _counter(
    "otelcol_receiver_refused_metric_points", "Points that were not taken", "receiver"
)
PROCESSOR_REFUSED = _counter(
    "otelcol_processor_refused_metric_points", "Points refused for lack of memory", "processor"
)
LEFT_OUT = _counter(
    "otelcol_processor_filter_datapoints_filtered", "Points of a time that the backend cannot take",
    "filter",
)  # fmt: skip
# Other filters leave out what nobody wants.
OUT_OF_TIME = Series(LEFT_OUT.name, (Where("filter", "filter/time-", prefix=True),))
QUEUE_SIZE = Metric(
    "otelcol_exporter_queue_size", "pipeline", "gauge", "1", "What waits to be sent",
    _EXPORTER, hosts="by host",
)  # fmt: skip
QUEUE_CAPACITY = Metric(
    "otelcol_exporter_queue_capacity", "pipeline", "gauge", "1", "Room of the queue",
    _EXPORTER, hosts="by host",
)  # fmt: skip

# `otel-accubooks test-alert` sends it, and nobody else: each run under a number of its own.
TEST = "test"
TEST_ALERT = Metric(
    "otel_accubooks_test_alert", "pipeline", "gauge", "1", "1 while a test alert is to fire, else 0",
    (Label(TEST),), across="max", hosts="max",
)  # fmt: skip

PIPELINE: dict[str, Metric] = {
    metric.name: metric for metric in list(globals().values()) if isinstance(metric, Metric)
}
