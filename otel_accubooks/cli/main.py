"""The command and its parts."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from otel_accubooks.servers.passwords import without_passwords

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
    except BrokenPipeError:  # nobody reads on, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        sys.exit(f"otel-accubooks: {_unforeseen(error)}")


def _unforeseen(error: Exception) -> str:
    """One line of an error that nobody foresaw: what, and where in our own code it arose."""
    ours = Path(__file__).parents[1]
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if Path(frame.filename).is_relative_to(ours)]
    where = ""
    if inside:
        where = f" ({Path(inside[-1].filename).relative_to(ours.parent)}:{inside[-1].lineno})"
    said = without_passwords(" ".join(f"{type(error).__name__}: {error}".split()))
    return f"ended by {said}{where}; nothing more was done, please report it with this line"
