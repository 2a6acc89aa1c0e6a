"""Where collector and Prometheus come from, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_accubooks.stack import binaries
from otel_accubooks.stack.binaries import (
    NotFoundError,
    find_collector,
    find_prometheus,
    find_prometheus3,
    missing_components,
    needed_components,
)
from otel_accubooks.stack.gobuild import BuildError
from otel_accubooks.stack.prometheus import takes_otlp
from otel_accubooks.stack.release import ReleaseError


@pytest.fixture(scope="session")
def collector() -> Path:
    return find_collector()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with nothing installed and an empty cache; the folder that is its PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for variable in ("OTELCOL", "PROMETHEUS"):
        monkeypatch.delenv(variable, raising=False)
    return folder


def core_collector(folder: Path) -> Path:
    """A collector without the components of contrib, as far as it tells."""
    path = folder / "otelcol"
    path.write_text("#!/bin/sh\necho 'receivers: [{name: otlp}]'\n")
    path.chmod(0o755)
    return path


def test_every_component_that_is_used_is_asked_for() -> None:
    """What a collector must have is read from the files that it is to run."""
    needed = needed_components()
    assert needed["receivers"] == {"otlp", "statsd"}
    assert {"datadog", "otlp_http", "prometheus", "prometheus_remote_write"} == needed["exporters"]


def test_the_collector_that_is_found_has_everything(collector: Path) -> None:
    """What the cache, a release or the build brings runs every backend file."""
    assert missing_components(collector) == []


def test_the_named_collector_comes_first(
    collector: Path, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTELCOL is taken before anything else."""
    monkeypatch.setenv("OTELCOL", str(collector))
    assert find_collector() == collector


@pytest.mark.parametrize("name", ["otelcol-accubooks", "otelcol-contrib", "otelcol"])
def test_a_collector_on_path_is_taken(collector: Path, bare: Path, name: str) -> None:
    """Whatever it is called by who installed it."""
    (bare / name).symlink_to(collector)
    assert find_collector() == bare / name


def test_a_collector_that_lacks_components_is_passed_over(
    collector: Path, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says what it lacks, and the search goes on."""
    said: list[str] = []
    core = core_collector(bare)
    (bare / "otelcol-contrib").symlink_to(collector)
    monkeypatch.setenv("OTELCOL", str(core))
    assert find_collector(said.append) == bare / "otelcol-contrib"
    assert len(said) == 1
    assert said[0].startswith(f"{core} is passed over: it lacks cumulativetodelta, datadog, ")


def test_what_is_no_collector_is_passed_over(bare: Path) -> None:
    """A program of another kind under that name is said to be none."""
    program = bare / "otelcol"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    assert missing_components(program) == ["an answer to `components`: it is no collector"]


def test_a_named_program_that_is_not_there_is_said(
    collector: Path, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt OTELCOL is not passed over in silence."""
    said: list[str] = []
    (bare / "otelcol").symlink_to(collector)
    monkeypatch.setenv("OTELCOL", "/no/such/otelcol")
    assert find_collector(said.append) == bare / "otelcol"
    assert said == ["OTELCOL=/no/such/otelcol is passed over: there is no such program"]


def test_a_release_is_tried_before_a_build(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each failure is said, and the end says all of them with what to do."""
    said: list[str] = []
    tried: list[str] = []

    def no_release(release: object, target: Path) -> None:
        tried.append("release")
        raise ReleaseError("the release cannot be had")

    def no_build(target: Path, say: object) -> None:
        tried.append("build")
        raise BuildError("no Go: install it")

    monkeypatch.setattr("otel_accubooks.stack.release.Release.download", no_release)
    monkeypatch.setattr(binaries, "build_collector", no_build)
    with pytest.raises(NotFoundError) as caught:
        find_collector(said.append)
    assert tried == ["release", "build"]
    assert str(caught.value).splitlines() == [
        "the collector could not be had:",
        "- the release cannot be had",
        "- no Go: install it",
        "- or set OTELCOL to a collector with these components (contrib 0.155 or newer)",
    ]
    assert said[1:] == ["the release cannot be had: going on", "no Go: install it"]


def test_prometheus_3_takes_otlp_and_prometheus_2_does_not() -> None:
    """The version decides the path, and is found out from the program itself."""
    assert takes_otlp(find_prometheus3())
    assert not takes_otlp(Path("/usr/bin/prometheus"))


def test_an_installed_prometheus_will_do_for_remote_write(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any version is taken where any version will do."""
    monkeypatch.setenv("PROMETHEUS", "/usr/bin/prometheus")
    assert find_prometheus() == Path("/usr/bin/prometheus")


def test_a_named_prometheus_3_comes_first(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PROMETHEUS is taken where it takes OTLP."""
    monkeypatch.undo()
    prometheus = find_prometheus3()
    monkeypatch.setenv("PROMETHEUS", str(prometheus))
    monkeypatch.setenv("XDG_CACHE_HOME", str(bare))
    assert find_prometheus3() == prometheus
