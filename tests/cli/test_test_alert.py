"""What the command says of a test alert, and its exit status."""

from __future__ import annotations

import pytest

from otel_accubooks.cli import test_alert
from otel_accubooks.servers.settings import Servers
from otel_accubooks.stack.ports import free_port
from otel_accubooks.vendors.addresses import Addresses

TO = Addresses(("me@books.example",), ("chief@books.example",), "https://books.example")


def test_where_it_ends_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each hop, the first that is missing once more at the end; status 1."""
    gateway = f"http://127.0.0.1:{free_port()}"
    assert test_alert.run(Servers(service="books", gateway=gateway), TO) == 1
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.split()[:2] == ["missing", "gateway:"]
    assert gateway in first
    assert rest[-1] == "It did not go all the way: see gateway."


def test_a_vendors_key_that_is_not_set_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is fired."""
    monkeypatch.delenv("DD_API_KEY", raising=False)
    assert test_alert.run(Servers(), TO, backend="datadog") == 1
    assert "DD_API_KEY is not set" in capsys.readouterr().out
