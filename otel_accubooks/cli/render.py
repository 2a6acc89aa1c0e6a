"""`otel-accubooks render`: what a backend is given, as files."""

from __future__ import annotations

from pathlib import Path

from otel_accubooks.vendors.rendering import Files


def write(files: Files, folder: Path) -> list[Path]:
    """Writes `files` below `folder`; returns what else lies there, which is left alone."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    written = {folder / name for name in files}
    return sorted(path for path in folder.rglob("*") if path.is_file() and path not in written)
