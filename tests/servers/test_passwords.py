"""Addresses are shown without user and password."""

import pytest

from otel_accubooks.servers.api import ApiError
from otel_accubooks.servers.passwords import without_passwords
from otel_accubooks.trial.hop import Hop


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET http://jane:hunter2@h:9090/a?b=1: refused", "GET http://…@h:9090/a?b=1: refused"),
        ("redis://:hunter2@h/0, postgresql://j:p@ss@h/0", "redis://…@h/0, postgresql://…@h/0"),
        ("https://h/path, mail to a@b.example", "https://h/path, mail to a@b.example"),
        ("nothing of the kind", "nothing of the kind"),
    ],
)
def test_user_and_password_are_taken_out(text: str, shown: str) -> None:
    """Of every address in a text; all else stays."""
    assert without_passwords(text) == shown


def test_errors_and_stations_show_none() -> None:
    """Whoever makes one need not think of it."""
    assert str(ApiError("GET http://a:hunter2@h: no")) == "GET http://…@h: no"
    hop = Hop("Alertmanager http://a:hunter2@h", "missing", "POST http://a:hunter2@h: no")
    assert (hop.name, hop.said) == ("Alertmanager http://…@h", "POST http://…@h: no")
