"""The command and its parts."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs `otel-accubooks`. What it needs beyond the plugin is in the extra `cli`."""
    try:
        import click  # noqa: F401
    except ImportError:
        sys.exit("otel-accubooks: click is not installed; pip install 'otel-accubooks[cli]'")
    from otel_accubooks.cli.commands import commands

    commands(prog_name="otel-accubooks")
