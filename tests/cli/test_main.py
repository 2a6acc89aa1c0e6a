"""What nobody foresaw is a line, too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from otel_accubooks.cli import main
from otel_accubooks.cli.commands import commands


def test_an_error_that_nobody_foresaw_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kind, its words, and where in our code: no traceback."""

    def fails(**_: object) -> None:
        from otel_accubooks.soak.duration import parse

        parse(None)  # type: ignore[arg-type]

    monkeypatch.setattr(commands, "main", fails)
    with pytest.raises(SystemExit) as caught:
        main.main()
    said = str(caught.value.code)
    assert said.startswith("otel-accubooks: ended by AttributeError: ")
    assert "(otel_accubooks/soak/duration.py:" in said
    assert "\n" not in said


def test_an_error_that_nobody_foresaw_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says of an address is without it."""

    def fails(**_: object) -> None:
        raise OSError("http://admin:hunter2@grafana: no route")

    monkeypatch.setattr(commands, "main", fails)
    with pytest.raises(SystemExit, match="http://…@grafana: no route"):
        main.main()


def test_who_reads_no_further_sees_no_error() -> None:
    """`otel-accubooks --help | head -1` is silent on standard error."""
    program = Path(sys.executable).parent / "otel-accubooks"
    done = subprocess.run(
        f"{program} render --help | true", shell=True, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
