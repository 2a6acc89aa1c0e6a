"""What is said where something of an extra is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WITHOUT = """
import sys
sys.modules[{module!r}] = None  # as if it were not installed
from otel_accubooks.cli.commands import commands
commands([{command!r}])
"""


@pytest.mark.parametrize(
    ("command", "module", "said"),
    [
        ("demo", "aiosmtpd.controller", "pip install 'otel-accubooks[stack]'"),
        ("dashboards", "dash", "pip install 'otel-accubooks[dashboards]'"),
    ],
)
def test_a_missing_extra_is_named(command: str, module: str, said: str) -> None:
    """With what to type, and no traceback."""
    script = _WITHOUT.format(command=command, module=module)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
