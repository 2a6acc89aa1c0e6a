"""The command and its parts."""

from __future__ import annotations

import sys

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it


def main() -> None:
    """Runs `otel-accubooks`. What it needs beyond the plugin is in the extra `cli`."""
    try:
        import click
    except ImportError:
        sys.exit("otel-accubooks: click is not installed; pip install 'otel-accubooks[cli]'")
    from otel_accubooks.cli.commands import commands

    try:
        sys.exit(commands.main(prog_name="otel-accubooks", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
