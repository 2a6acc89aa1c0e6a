"""The commands that renew the collector's lock, without the minutes that they take."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import yaml

from otel_accubooks.stack.gobuild import BUILDER, locked_version


def go(arguments: list[str]) -> None:
    """Installs no other builder than the one of the locked version, and tidies where a module is."""
    if arguments[0] == "install":
        version = locked_version(Path("builder.yaml"), "otlpreceiver")
        assert arguments[1:] == [f"{BUILDER}@v{version}"], arguments
    else:
        assert arguments == ["mod", "tidy", "-e"], arguments
        assert Path("go.mod").is_file()


def builder(arguments: list[str]) -> None:
    """Takes the options that the build itself takes, and makes the folder that the manifest names."""
    assert arguments[0] == "--config"
    assert arguments[2:] == ["--skip-get-modules", "--skip-compilation"], arguments
    manifest = yaml.safe_load(Path(arguments[1]).read_text())
    folder = Path(manifest["dist"]["output_path"])
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy("go.mod", folder)


if __name__ == "__main__":
    {"go": go, "builder": builder}[sys.argv[1]](sys.argv[2:])
