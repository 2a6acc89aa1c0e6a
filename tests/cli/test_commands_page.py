"""What commands say of themselves."""

from __future__ import annotations

import inspect

import click
import pytest

from otel_accubooks.cli.commands import commands
from otel_accubooks.cli.commands_page import commands_page

NAMES = (
    *("demo", "up", "render", "apply", "verify", "doctor", "check", "test-alert", "dashboards"),
    "soak",
)


def test_there_are_no_others() -> None:
    """Every command, and nothing that nobody asked for."""
    assert set(commands.commands) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_help_has_examples_and_says_what_each_option_is(name: str) -> None:
    """Each example names the command; no option stands without a word."""
    command = commands.commands[name]
    told = inspect.cleandoc(command.help or "")
    assert "\b\nExamples:\n" in told
    assert told.count(f"otel-accubooks {name}") >= 2
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or getattr(parameter, "help", None), parameter


def test_the_page_has_them_all() -> None:
    """With their options."""
    page = commands_page()
    for name in NAMES:
        assert f"\n## {name}\n" in page
    assert "| `--service` | " in page
    assert "Exit status: 0" in page
