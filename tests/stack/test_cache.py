"""The cache of programs: right file, made once, whole or not at all."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from otel_accubooks.stack.cache import cache_folder, cached_path, install


def writes(text: str) -> Callable[[Path], None]:
    return lambda target: target.write_text(text) and None


def quiet(line: str) -> None:
    pass


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "otel-accubooks"


def test_the_folder_is_the_users_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CACHE_HOME where it is set, and else ~/.cache."""
    assert cache_folder() == cache
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/jane")
    assert cache_folder() == Path("/home/jane/.cache/otel-accubooks")


def test_another_lock_is_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program is found again only for the same files and the same platform."""
    lock = tmp_path / "go.mod"
    lock.write_text("one")
    first = cached_path("otelcol", [lock])
    assert cached_path("otelcol", [lock]) == first
    monkeypatch.setattr(sys, "platform", "another")
    assert cached_path("otelcol", [lock]) != first
    monkeypatch.undo()
    lock.write_text("two")
    assert cached_path("otelcol", [lock]) != first


def test_what_is_made_can_be_run(cache: Path) -> None:
    """A program is installed with the permission to run it."""
    path = install(cache / "program", writes("#!/bin/sh"), quiet)
    assert os.access(path, os.X_OK)


def test_what_is_there_is_not_made_again(cache: Path) -> None:
    """The second time costs nothing."""
    install(cache / "program", writes("first"), quiet)
    assert install(cache / "program", writes("second"), quiet).read_text() == "first"


def test_a_failure_leaves_nothing_behind(cache: Path) -> None:
    """Half a program is no program, and the next try starts anew."""

    def breaks(target: Path) -> None:
        target.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        install(cache / "program", breaks, quiet)
    assert [path.name for path in cache.iterdir()] == ["program.lock"]
    assert install(cache / "program", writes("whole"), quiet).read_text() == "whole"


def test_two_at_once_make_it_once(cache: Path) -> None:
    """The second waits, says so, and takes what the first has made."""
    made: list[str] = []
    said: list[str] = []

    def slow(target: Path) -> None:
        made.append("made")
        time.sleep(0.5)
        target.write_text("program")

    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(install, cache / "program", slow, said.append) for _ in range(4)]
    assert {job.result().read_text() for job in jobs} == {"program"}
    assert made == ["made"]
    assert said == ["Another process is making program: waiting for it"] * 3
