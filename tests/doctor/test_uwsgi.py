"""uWSGI's options, wherever they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_accubooks.doctor.command_line import parse
from otel_accubooks.doctor.processes import Running
from otel_accubooks.doctor.uwsgi import options_of


def uwsgi(folder: Path, *arguments: str, **env: str) -> Running:
    argv = ("uwsgi", *arguments)
    return Running(1, 0, 0, 0, argv, parse(argv), env, folder, 0.0, ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.ini", "[other]\nno-site = true\n[uwsgi]\n; no\nenable-threads = true\nprocesses = 2\n"),
        ("x.yaml", "uwsgi:\n  enable-threads: true\n  processes: 2\n"),
        ("x.json", '{"uwsgi": {"enable-threads": true, "processes": 2}}'),
        ("x.xml", "<uwsgi><enable-threads>true</enable-threads><processes>2</processes></uwsgi>"),
    ],
)
def test_files(tmp_path: Path, name: str, text: str) -> None:
    """Each kind of file is read, of an ini file the section uwsgi alone."""
    (tmp_path / name).write_text(text)
    options, unread = options_of(uwsgi(tmp_path, "--" + name.rpartition(".")[2], name))
    assert options["enable-threads"] == "true"
    assert options["processes"] == "2"
    assert "no-site" not in options
    assert unread == []


def test_the_command_line_and_the_environment(tmp_path: Path) -> None:
    """Flags without a value do not eat what follows; variables count too; a lost file is named."""
    one = uwsgi(
        tmp_path, "--enable-threads", "app.py", "-H", "/v", "lost.ini", UWSGI_NO_SITE="true"
    )
    options, unread = options_of(one)
    assert options["enable-threads"] == ""
    assert options["home"] == "/v"
    assert options["no-site"] == "true"
    assert unread == ["lost.ini"]
