"""What one command started is where the others look."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_accubooks.servers.settings import Servers, servers
from otel_accubooks.stack.hand_over import addresses_file, write
from otel_accubooks.vendors.addresses import Addresses, read


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("addresses")


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1)
WORD = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="@<>,#"),
    min_size=1,
)


@given(
    to=st.builds(
        Addresses,
        email=st.lists(WORD.map("{}@books".format), min_size=1).map(tuple),
        escalation_email=st.lists(WORD.map("{}@books".format), min_size=1).map(tuple),
        application=WORD.map("https://books/{}".format),
        runbooks=WORD.map("https://books/{}".format),
        slack_channel=WORD.map("#{}".format),
        phone_service=TEXT,
        smtp_tls=st.booleans(),
        phone=st.sampled_from(["pagerduty", "opsgenie"]),
    )
)
def test_what_is_written_is_read_as_the_same(to: Addresses, folder: Path) -> None:
    """Whatever is in the texts."""
    path = folder / "alerting.toml"
    there = Servers(prometheus="http://a:1", alertmanager=("http://b:1", "http://c:1"))
    path.write_text(addresses_file(to, there), "utf-8")
    assert read(path) == to
    assert servers(path, {}, {}) == there


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    """A shell reads them; nobody else's does."""
    to = Addresses(email=("a@b",), escalation_email=("c@d",), application="http://e")
    command = write(tmp_path, to, Servers(), {"SLACK_TOKEN": "it's $HOME"})
    file = tmp_path / "environment"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    command = f'{command.partition(";")[0]}; printf %s "$SLACK_TOKEN"'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "it's $HOME"
