"""Grafana's provisioning files. Addresses come from the environment in which Grafana runs."""

from __future__ import annotations

from typing import Any

from otel_accubooks.vendors.grafana.folders import FOLDERS
from otel_accubooks.vendors.prometheus_rules import INTERVAL_SECONDS
from otel_accubooks.vendors.promql import duration

DATA_SOURCE_UID = "prometheus"
# Grafana replaces these itself: the server's address, and the folder that has the dashboards.
PROMETHEUS_VARIABLE = "PROMETHEUS_URL"
DASHBOARDS_VARIABLE = "ACCUBOOKS_DASHBOARDS"


def data_sources() -> dict[str, Any]:
    """The Prometheus that is asked."""
    prometheus = {
        "name": "Prometheus",
        "uid": DATA_SOURCE_UID,
        "type": "prometheus",
        "access": "proxy",
        "url": f"${{{PROMETHEUS_VARIABLE}}}",
        "isDefault": True,
        "jsonData": {"httpMethod": "POST", "timeInterval": duration(INTERVAL_SECONDS)},
    }
    return {"apiVersion": 1, "datasources": [prometheus]}


def providers() -> dict[str, Any]:
    """Where dashboards are read from: one provider for each folder."""
    every = [
        {
            "name": folder.uid,
            "type": "file",
            "folder": folder.title,
            "folderUid": folder.uid,
            "allowUiUpdates": False,
            "options": {"path": f"${{{DASHBOARDS_VARIABLE}}}/{folder.name}"},
        }
        for folder in FOLDERS
    ]
    return {"apiVersion": 1, "providers": every}
