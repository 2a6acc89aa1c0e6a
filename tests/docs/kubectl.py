"""kubectl without a cluster: what would be sent to one is built and held against its schema."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import click
import yaml

from tests.collector.kubernetes_schemas import Manifest, build, check


@click.group()
@click.option("-n", "--namespace")
def kubectl(namespace: str | None) -> None:
    """Those commands that pages use; an unknown one, or an unknown option, is refused."""


@kubectl.command()
@click.option("-k", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-f", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def apply(folder: Path | None, file: Path | None) -> None:
    if folder is not None:
        told = build(folder.absolute())
    else:
        assert file is not None
        told = list(yaml.safe_load_all(file.read_text()))
    for manifest in told:
        _send(manifest)


@kubectl.group()
def create() -> None:
    pass


@create.command()
@click.argument("name")
def namespace(name: str) -> None:
    _send({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


@create.group()
def secret() -> None:
    pass


@secret.command()
@click.argument("name")
@click.option("--from-file", "files", multiple=True)
@click.option("--from-literal", "literals", multiple=True)
def generic(name: str, files: tuple[str, ...], literals: tuple[str, ...]) -> None:
    told = {key: Path(path).read_bytes() for key, _, path in (one.partition("=") for one in files)}
    told |= {key: text.encode() for key, _, text in (one.partition("=") for one in literals)}
    _send(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "data": {key: base64.b64encode(value).decode() for key, value in told.items()},
        }
    )


def _send(manifest: Manifest) -> None:
    check(manifest)
    print(f"{manifest['kind'].lower()}/{manifest['metadata']['name']} checked")


if __name__ == "__main__":
    sys.exit(kubectl())
