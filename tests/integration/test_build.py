"""The wheel: compiled where that can be, pure where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]


def build(folder: Path, **env: str) -> tuple[Path, list[str]]:
    """The wheel, built into `folder`, and what the build said of ours."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        env={**os.environ, **env},
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel, [line for line in done.stdout.splitlines() if "otel-accubooks:" in line]


def compiled(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return {Path(name).name.partition(".")[0] for name in archive.namelist() if ".so" in name}


def test_a_compiler_makes_a_wheel_for_this_python(tmp_path: Path) -> None:
    """Every C file of the package is in the wheel, compiled, and the wheel's name says for what."""
    wheel, said = build(tmp_path)
    assert said == []
    assert compiled(wheel) == {path.stem for path in (ROOT / "otel_accubooks").rglob("_*.c")}
    assert f"-cp3{sys.version_info.minor}-" in wheel.name


def test_without_a_compiler_the_wheel_is_pure(tmp_path: Path) -> None:
    """One line says why, and the wheel is for every Python."""
    wheel, said = build(tmp_path, CC=str(tmp_path / "no-compiler"))
    assert wheel.name.endswith("-py3-none-any.whl")
    assert compiled(wheel) == set()
    assert len(said) == 1
    assert "what is compiled stays in Python" in said[0]
