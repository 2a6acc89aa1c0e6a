"""What comes from the system's packages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from otel_accubooks.stack import prerequisites
from otel_accubooks.stack.binaries import NotFoundError


def test_a_machine_that_has_them_needs_nothing() -> None:
    """On this machine, where the tests run, nothing is missing."""
    assert prerequisites.missing_packages() == []


def test_what_is_missing_is_named_by_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any program on PATH: the packages that bring them. PostgreSQL is found off PATH."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("PROMETHEUS", raising=False)
    assert prerequisites.missing_packages() == [
        "redis-server",
        "prometheus",
        "prometheus-alertmanager",
    ]


def test_without_root_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is tried that cannot work: one line with the command, and exit status 1."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(prerequisites, "missing_packages", lambda: ["redis-server"])
    assert prerequisites.main() == 1
    said = capsys.readouterr().err
    assert "missing on this machine: redis-server" in said
    assert "sudo apt-get install redis-server" in said


def test_what_is_built_is_there_before_the_tests_begin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """None of them waits for minutes; where a program cannot be had, the reason is said at once."""
    asked = []

    def none_to_be_had() -> Path:
        raise NotFoundError("there is no Go: install it")

    monkeypatch.setattr(prerequisites, "find_collector", lambda: asked.append("collector"))
    monkeypatch.setattr(prerequisites, "find_prometheus3", none_to_be_had)
    assert prerequisites.main() == 0
    assert asked == []
    assert prerequisites.main(for_tests=True) == 1
    assert asked == ["collector"]
    assert "otel-accubooks: there is no Go: install it" in capsys.readouterr().err


def test_a_package_that_cannot_be_had_is_named() -> None:
    """The command that failed and its reason; without root, the command to use."""
    problem = prerequisites.install(["no-such-package-of-debian"])
    assert problem is not None
    assert "no-such-package-of-debian" in problem
