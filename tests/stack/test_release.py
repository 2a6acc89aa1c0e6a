"""Official releases: taken only if they are what was published."""

from __future__ import annotations

import functools
import hashlib
import io
import tarfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from otel_accubooks.stack.ports import free_port
from otel_accubooks.stack.release import (
    Release,
    ReleaseError,
    collector_release,
    prometheus_release,
)

PROGRAM = b"#!/bin/sh\necho a collector\n"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[str]:
    """The address of a server of releases, whose files are in tmp_path / releases."""
    folder = tmp_path / "releases"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def publish(folder: Path, release: Release, member: str | None = None) -> None:
    """Put an archive of a program, with its checksums, where this release is looked for."""
    place = folder / "releases" / release.base.split("/", 3)[3]
    place.mkdir(parents=True)
    with tarfile.open(place / release.archive, "w:gz") as archive:
        info = tarfile.TarInfo(member or release.member)
        info.size = len(PROGRAM)
        archive.addfile(info, io.BytesIO(PROGRAM))
    checksum = hashlib.sha256((place / release.archive).read_bytes()).hexdigest()
    other = f"{'0' * 64}  another_archive.tar.gz"
    (place / release.checksums).write_text(f"{other}\n{checksum}  {release.archive}\n")


def test_a_published_release_is_unpacked(releases: str, tmp_path: Path) -> None:
    """The one program of the archive is what is installed."""
    for release in (collector_release("0.155.0", releases), prometheus_release("3.0.0", releases)):
        publish(tmp_path, release)
        release.download(tmp_path / "program")
        assert (tmp_path / "program").read_bytes() == PROGRAM


def test_an_archive_that_was_changed_is_refused(releases: str, tmp_path: Path) -> None:
    """What does not have the published checksum is never unpacked."""
    release = collector_release("0.155.0", releases)
    publish(tmp_path, release)
    for archive in tmp_path.glob("releases/**/*.tar.gz"):
        archive.write_bytes(archive.read_bytes() + b"more")
    with pytest.raises(ReleaseError, match="it is not used"):
        release.download(tmp_path / "program")
    assert not (tmp_path / "program").exists()


def test_an_archive_without_a_checksum_is_refused(releases: str, tmp_path: Path) -> None:
    """No published checksum, no program."""
    release = collector_release("0.155.0", releases)
    publish(tmp_path, release)
    for checksums in tmp_path.glob("releases/**/*checksums.txt"):
        checksums.write_text("")
    with pytest.raises(ReleaseError, match=r"has no checksum of otelcol-contrib_0\.155\.0"):
        release.download(tmp_path / "program")


def test_an_archive_without_the_program_is_refused(releases: str, tmp_path: Path) -> None:
    """The message says what was looked for."""
    release = collector_release("0.155.0", releases)
    publish(tmp_path, release, member="README.md")
    with pytest.raises(ReleaseError, match="has no program otelcol-contrib"):
        release.download(tmp_path / "program")


def test_a_version_that_is_not_published_is_said(releases: str, tmp_path: Path) -> None:
    """The server's answer is in the message."""
    with pytest.raises(ReleaseError, match=r"v9\.9\.9 cannot be had: .*404"):
        collector_release("9.9.9", releases).download(tmp_path / "program")


def test_a_server_that_cannot_be_reached_is_said(tmp_path: Path) -> None:
    """Where there is no way to the releases, it is one clear line, and another way is taken."""
    host = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ReleaseError, match=f"{host}/.* cannot be had: .*refused"):
        collector_release("0.155.0", host).download(tmp_path / "program")
