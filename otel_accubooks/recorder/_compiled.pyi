"""The compiled recorders. They do what the plain ones do, and to a type checker they are these."""

from otel_accubooks.recorder.plain import Counter as Counter
from otel_accubooks.recorder.plain import Gauge as Gauge
from otel_accubooks.recorder.plain import Histogram as Histogram
