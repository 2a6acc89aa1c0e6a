"""A wrong file beside the gateway's is refused before anything is started, by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_accubooks.stack.files import GATEWAY, backend_file, backend_names
from otel_accubooks.stack.gateway_check import check, validate
from otel_accubooks.stack.process import StartError
from tests.reliability.gateway_files import GOOD, REFUSED, SEEN

ENVIRONMENT = {
    "MINE_URL": "http://127.0.0.1:1",
    "DD_API_KEY": "x",
    "NEW_RELIC_LICENSE_KEY": "x",
    "OTLP_BACKEND_ENDPOINT": "http://127.0.0.1:1",
    "PROMETHEUS_URL": "http://127.0.0.1:1",
    "PROMETHEUS_REMOTE_WRITE_URL": "http://127.0.0.1:1",
    "PROMETHEUS_STANDBY_URL": "http://127.0.0.1:1",
}


def files(folder: Path, text: str) -> list[Path]:
    file = folder / "mine.yaml"
    file.write_text(text)
    return [GATEWAY, file]


def one_line(error: BaseException, file: Path, line: str, said: str) -> None:
    told = str(error)
    assert "\n" not in told
    assert told.startswith(f"{file}:{line}: ")
    assert said in told
    assert "expected" in told


@pytest.mark.parametrize("name", SEEN)
def test_what_is_wrong_is_seen_before_the_collector_is_asked(name: str, tmp_path: Path) -> None:
    """File, line, what was found, what was expected."""
    text, line, said = SEEN[name]
    named = files(tmp_path, text)
    with pytest.raises(StartError) as caught:
        check(named, ENVIRONMENT)
    one_line(caught.value, named[1], line, said)


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_collector_refuses_is_found_in_the_file(
    name: str, tmp_path: Path, collector_binary: Path
) -> None:
    """Its own words take several lines and name no file."""
    text, line, said = REFUSED[name]
    named = files(tmp_path, text)
    check(named, ENVIRONMENT)
    with pytest.raises(StartError) as caught:
        validate(collector_binary, named, ENVIRONMENT | {"GATEWAY_STORAGE": str(tmp_path)})
    one_line(caught.value, named[1], line, said)


def test_what_is_right_is_taken(tmp_path: Path, collector_binary: Path) -> None:
    """A backend of one's own; and each of ours."""
    named = files(tmp_path, GOOD)
    check(named, ENVIRONMENT)
    validate(collector_binary, named, ENVIRONMENT | {"GATEWAY_STORAGE": str(tmp_path)})
    for name in backend_names():
        check([GATEWAY, backend_file(name)], ENVIRONMENT)


def test_what_may_be_secret_is_not_shown(tmp_path: Path) -> None:
    """What is in the wrong place may be right elsewhere."""
    text = "exporters:\n  otlp_http/token: sesame\n"
    named = files(tmp_path, text)
    with pytest.raises(StartError) as caught:
        check(named, ENVIRONMENT)
    one_line(caught.value, named[1], "2", "is something else (its text is not shown)")
    assert "sesame" not in str(caught.value)


def test_what_is_no_text_is_said(tmp_path: Path) -> None:
    """Nor is a file that is not there."""
    file = tmp_path / "mine.yaml"
    with pytest.raises(StartError, match=r"mine\.yaml: cannot be read: No such file"):
        check([file], {})
    file.write_bytes(b"a: \xff")
    with pytest.raises(StartError, match=r"mine\.yaml: byte 3 is not UTF-8, expected YAML"):
        check([file], {})
    file.write_text("a: " + "[" * 5000)
    with pytest.raises(StartError, match=r"mine\.yaml.*expected YAML"):
        check([file], {})


PARTS = st.sampled_from(
    [
        *("exporters:", "service:", "  pipelines:", "    metrics/mine:", "      exporters: [a]"),
        *("  otlp_http/mine:", "    endpoint: ${env:MINE_URL}", "  - a", "\ta: b", "a: &a [*a]"),
        *("a: &a {b: *a}", "exporters: &a {b: {c: *a}}"),
        *(
            "? [a]",
            "{a: b}",
            "<<: *a",
            "--- 1",
            "...",
            "!!python/object:os.system {}",
            "'",
            "[",
            "1:",
        ),
    ]
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.lists(PARTS | st.text(max_size=8), max_size=8).map("\n".join))
def test_no_file_makes_it_fail_otherwise(text: str, tmp_path: Path) -> None:
    """Whatever stands in it: it is taken, or refused in one line that begins with the file."""
    named = files(tmp_path, text)[1:]
    said = ""
    try:
        check(named, ENVIRONMENT)
    except StartError as error:
        said = str(error)
    assert not said or (said.startswith(str(named[0])) and len(said.splitlines()) == 1)
