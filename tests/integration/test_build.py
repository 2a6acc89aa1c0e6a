"""The wheel: compiled where that can be, pure where it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]


def build(folder: Path, source: Path = ROOT, **env: str) -> tuple[Path, list[str]]:
    """The wheel, built of `source` into `folder`, and what the build said of ours."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=source,
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


def copy(checkout: Path, folder: Path, mtime: int) -> Path:
    """What the wheel is made of, as if it had been checked out into `folder` at that time."""
    built = shutil.ignore_patterns("*.so", "__pycache__")
    for name in ("otel_accubooks", "collector"):
        shutil.copytree(checkout / name, folder / name, ignore=built)
    for name in ("pyproject.toml", "hatch_build.py", "LICENSE", ".gitignore"):
        shutil.copy(checkout / name, folder)
    for path in folder.rglob("*"):
        os.utime(path, (mtime, mtime))
    return folder


@pytest.mark.parametrize("pure", [False, True])
def test_the_same_source_makes_the_same_bytes(tmp_path: Path, pure: bool) -> None:
    """Two checkouts in different folders, of different times and users, are one wheel, and name neither."""
    compiler = {"CC": str(tmp_path / "no-compiler")} if pure else {}
    wheels, checkout = [], copy(ROOT, tmp_path / "checkout", 0)
    for name, mtime, mask in (("one", 1_600_000_000, 0o022), ("the/other", 1_700_000_001, 0o077)):
        before = os.umask(mask)
        try:
            source = copy(checkout, tmp_path / name, mtime)
            home = {"HOME": str(source), "TZ": f"UTC{mask % 12}"}
            wheels.append(build(tmp_path / f"{name} built", source, **compiler, **home)[0])
        finally:
            os.umask(before)
    one, other = wheels
    assert one.name == other.name
    assert one.read_bytes() == other.read_bytes()
    with ZipFile(one) as archive:
        read = {name: archive.read(name) for name in archive.namelist()}
    paths = (str(tmp_path).encode(), sys.base_prefix.encode() + b"/")
    assert not [name for name, held in read.items() if any(path in held for path in paths)]
