"""What command lines say."""

from __future__ import annotations

import pytest

from otel_accubooks.doctor.command_line import parse, shown


@pytest.mark.parametrize(
    ("argv", "server", "flags"),
    [
        (["/v/bin/python", "/v/bin/gunicorn", "app:app"], "gunicorn", ""),
        (["/v/bin/python3.11", "-m", "gunicorn", "app:app"], "gunicorn", ""),
        (["python", "-Im", "waitress", "app:app"], "waitress", "I"),
        (["python3", "-X", "dev", "-W", "error", "-E", "/v/bin/flask", "run"], "flask", "E"),
        (["python", "-IS", "/v/bin/rq", "worker", "q"], "rq", "IS"),
        (["uwsgi", "--ini", "x.ini"], "uwsgi", ""),
        (["/v/bin/python", "/v/bin/celery", "-A", "t", "worker"], "celery", ""),
        (["gunicorn: master [app:app]"], "gunicorn", ""),
        (["/v/bin/python", "/v/bin/waitress-serve", "app:app"], "waitress", ""),
        (["/v/bin/python", "/v/bin/celery", "-A", "t", "beat"], "", ""),
        (["/v/bin/python", "/v/bin/flask", "db", "upgrade"], "", ""),
        (["/v/bin/python", "/v/bin/rq", "info"], "", ""),
        (["python", "-c", "import gunicorn", "gunicorn"], "", ""),
        (["python", "script.py", "-I"], "", ""),
        (["python"], "", ""),
        (["vim", "gunicorn"], "", ""),
        ([], "", ""),
    ],
)
def test_servers_and_flags(argv: list[str], server: str, flags: str) -> None:
    """The server that runs, and Python's own letters in front of it."""
    found = parse(argv)
    assert (found.server, found.flags) == (server, frozenset(flags))


def test_a_command_is_shown_without_its_secrets() -> None:
    """Passwords in addresses and tokens behind their flag are left out; the rest is whole."""
    argv = ["rq", "worker", "--url", "redis://me:hunter2@host:6379", "--token", "t0p", "--key=k3y"]
    text = shown(argv)
    assert text == "rq worker --url redis://…@host:6379 --token … --key=…"
