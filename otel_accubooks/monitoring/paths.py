"""Where the monitoring endpoints are."""

from __future__ import annotations

PATHS = frozenset(("/api/monitoring/metrics", "/api/metrics"))
