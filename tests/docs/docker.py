"""Docker without an engine: the files that it would read, and whether what they name is there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
import yaml


@click.group()
def docker() -> None:
    """Those commands that pages use; an unknown one, or an unknown option, is refused."""


@docker.group()
@click.option("-f", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_context
def compose(context: click.Context, file: Path) -> None:
    services = yaml.safe_load(file.read_text())["services"]
    for name, service in services.items():
        assert re.fullmatch(r"[\w./-]+:[\w.-]+", service["image"]), (
            f"{name} has no image of a version"
        )
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (file.parent / source).exists(), f"no {source}"
    context.obj = services


@compose.command()
@click.option("-d", "--detach", is_flag=True)
@click.argument("names", nargs=-1)
@click.pass_obj
def up(services: dict[str, object], detach: bool, names: tuple[str, ...]) -> None:
    assert set(names) <= services.keys(), f"no service {names}"


@docker.command()
@click.option("-f", "--file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-t", "--tag", required=True)
@click.option("--build-arg", "arguments", multiple=True)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def build(file: Path | None, tag: str, arguments: tuple[str, ...], folder: Path) -> None:
    lines = (file or folder / "Dockerfile").read_text().splitlines()
    assert any(line.startswith("FROM ") for line in lines)
    for argument in arguments:
        name = argument.partition("=")[0]
        assert any(line.startswith(f"ARG {name}") for line in lines), f"no argument {name}"
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert any(folder.glob(source)), f"{folder} has no {source}"


if __name__ == "__main__":
    sys.exit(docker())
