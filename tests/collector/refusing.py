"""What a gateway that does not start says last."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from otel_accubooks.stack.collector import GatewayPorts, arguments


def refusal(binary: Path, configs: Sequence[Path], env: Mapping[str, str]) -> str:
    """The error with which it ended by itself. Raises TimeoutExpired where it runs."""
    done = subprocess.run(
        [str(binary), *arguments(configs)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **GatewayPorts().environment(), **env},
    )
    assert done.returncode != 0
    return next(line for line in done.stderr.splitlines() if line.startswith("Error:"))
