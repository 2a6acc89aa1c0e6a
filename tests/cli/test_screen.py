"""What commands show on a terminal, and elsewhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

WORKS = """
from otel_accubooks.cli.screen import bar, screen, spinner
console = screen()
with spinner(console, "looking [1/2]") as say:
    say("there")
with bar(console, "growing", 2) as show:
    show(1, 2, "half")
console.print("[red]done[/] " + "x" * 300)
"""


def shown(**env: str) -> str:
    """What a terminal is sent."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", WORKS], stdout=theirs, env={**os.environ, **env}
    ) as process:
        os.close(theirs)
        told = b""
        try:
            while part := os.read(ours, 4096):
                told += part
        except OSError:  # Linux's word for the end
            pass
        finally:
            os.close(ours)
    assert process.returncode == 0
    return told.decode().replace("\r\n", "\n")


PLAIN = "looking [1/2]\n  there\ngrowing\ndone " + "x" * 300 + "\n"


@pytest.mark.parametrize("env", [{}, {"FORCE_COLOR": "1"}, {"TERM": "xterm"}])
def test_a_pipe_gets_plain_lines(env: dict[str, str]) -> None:
    """Whole ones, whatever is asked for colour."""
    done = subprocess.run(
        [sys.executable, "-c", WORKS],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **env},
    )
    assert done.stdout == PLAIN


def test_nothing_moves_on_a_dumb_terminal() -> None:
    """What is done is said all the same."""
    assert shown(TERM="dumb") == PLAIN


def test_a_terminal_has_colour_unless_it_is_refused() -> None:
    """NO_COLOR leaves what moves."""
    env = {"TERM": "xterm-256color", "NO_COLOR": ""}
    assert "\x1b[31mdone" in shown(**env)
    assert "\x1b[31m" not in shown(**{**env, "NO_COLOR": "1"})
