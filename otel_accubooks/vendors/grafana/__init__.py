"""Grafana from 11 on: the contract's dashboards as JSON, and the files that provision them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from otel_accubooks.contract.dashboards import DASHBOARDS
from otel_accubooks.contract.panel import Dashboard
from otel_accubooks.vendors.addresses import Addresses
from otel_accubooks.vendors.grafana.folders import FOLDERS, uid
from otel_accubooks.vendors.grafana.provisioning import DATA_SOURCE_UID, data_sources, providers

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]


def files(to: Addresses) -> dict[str, str]:
    """Every file by its path: dashboards, and below provisioning/ what makes Grafana load them.

    Raises RuntimeError on Python 3.10, for which grafana-foundation-sdk does not exist.
    """
    made = dashboards(to, DATA_SOURCE_UID)
    texts = {
        f"dashboards/{folder.name}/{board.name}.json": _text(made[uid(board.name)])
        for folder in FOLDERS
        for board in folder.boards
    }
    return {
        "provisioning/datasources/accubooks.yml": _yaml(data_sources()),
        "provisioning/dashboards/accubooks.yml": _yaml(providers()),
        **texts,
    }


def dashboards(to: Addresses, data_source: str) -> dict[str, Json]:
    """Every dashboard as JSON, by its uid.

    A public one asks the data source of the uid `data_source`; in the others people choose.
    """
    if sys.version_info < (3, 11):
        raise RuntimeError(
            "Grafana's dashboards need Python 3.11 or newer: grafana-foundation-sdk has none for 3.10"
        )
    return {uid(board.name): _json(board, to, data_source) for board in DASHBOARDS}


def _json(board: Dashboard, to: Addresses, data_source: str) -> Json:
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    from otel_accubooks.vendors.grafana.dashboard import dashboard

    made: Json = json.loads(json.dumps(dashboard(board, to, data_source), cls=JSONEncoder))
    return made


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2) + "\n"


def _yaml(content: Mapping[str, Any]) -> str:
    import yaml

    text: str = yaml.safe_dump(content, sort_keys=False, width=1000)
    return f"# Written by `otel-accubooks render`.\n{text}"
