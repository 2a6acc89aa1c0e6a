"""A file system of its own that can be filled to the last byte."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SIZES = (1 << 20, 4096, 1)


class SmallDisk:
    """A folder `path` with little room. `fill` leaves none, `free` gives it back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        with self._ballast.open("wb", buffering=0) as file:
            for size in _SIZES:
                try:
                    while file.write(b"x" * size) == size:
                        pass
                except OSError:
                    pass  # no room for as much as that

    def free(self) -> None:
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, kind: str, mebibytes: int = 32) -> Iterator[SmallDisk]:
    """One of `kind` ("ext4", in a file, or "tmpfs") at `folder`. Needs root, who alone may mount."""
    folder.mkdir(parents=True)
    if kind == "ext4":
        image = folder.with_name(f"{folder.name}.img")
        with image.open("wb") as file:
            file.truncate(mebibytes << 20)
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
        mount = ["mount", "-o", "loop", str(image), str(folder)]
    else:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: the last process that has a file there may still be on its way out.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
