"""`otel-accubooks up` on the ports that the environment says, in place of the usual ones."""

from __future__ import annotations

import os

from otel_accubooks.cli.main import main
from otel_accubooks.stack import dashboards, local
from otel_accubooks.stack.collector import GatewayPorts


def _port(usual: int) -> int:
    return int(os.environ[f"PORT_{usual}"])


local.GATEWAY = GatewayPorts(*map(_port, (4317, 4318, 8125, 13133, 8888, 8889)))
local.PROMETHEIS = {name: _port(usual) for name, usual in local.PROMETHEIS.items()}
local.ALERTMANAGERS = (_port(9093), _port(9095))
dashboards.VIEWER_PORT, dashboards.PUBLIC_PORT = _port(8050), _port(8051)

main()
