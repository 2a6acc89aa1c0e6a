"""Tag configurations: which distributions have percentiles, and by which tags they may be asked."""

from __future__ import annotations

from collections.abc import Iterator

from otel_accubooks.contract.alerts import ALERTS
from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.query import Quantile, Query
from otel_accubooks.vendors.datadog import queries as q
from otel_accubooks.vendors.datadog.payloads import TagConfiguration

# Of every metric, beside its labels.
ALWAYS = (q.SERVICE, q.HOST, q.ENVIRONMENT)


def configurations() -> Iterator[tuple[str, TagConfiguration]]:
    """One for each histogram of which an alert or a panel asks a percentile, by its name."""
    for name in dict.fromkeys(one.of.metric for one in _asked() if isinstance(one, Quantile)):
        yield (
            name,
            {
                "data": {
                    "type": "manage_tags",
                    "id": name,
                    "attributes": {
                        "metric_type": "distribution",
                        "include_percentiles": True,
                        "tags": sorted({*q.metric(name).label_names, *ALWAYS}),
                    },
                }
            },
        )


def _asked() -> Iterator[Query]:
    for alert in ALERTS:
        yield from (condition.query for condition in alert.conditions)
    for dashboard in DASHBOARDS:
        yield from (curve.query for panel in dashboard.panels for curve in panel.curves)
