"""The gateway's files, checked before it is started: file, line, what was found, what was expected."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from otel_accubooks.stack.collector import arguments
from otel_accubooks.stack.process import StartError

if TYPE_CHECKING:
    import yaml

SECTIONS = ("receivers", "processors", "exporters", "connectors", "extensions", "service")
VALIDATE_SECONDS = 60
# A setting for which there is no default.
_NEEDED = re.compile(r"\$\{env:(\w+)\}")
_WORDS = re.compile(r"""["'`]([^"'`]+)["'`]|([\w./-]+)(?=:)""")
_HIDDEN = r"(?i)key|token|secret|passw|auth|header|cred"
_NOISE = ("decoding failed due to the following error(s):", "failed to get config:")

Keys = tuple[str, ...]


class Place(NamedTuple):
    """A key of a file: its line, and what stands there."""

    file: Path
    line: int
    node: yaml.Node

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def check(
    files: Sequence[Path], environ: Mapping[str, str], *, given: Collection[str] = ()
) -> None:
    """Raises StartError with one line where a file is wrong, or lacks what it needs of `environ`.

    `given` are variables that the caller sets. A file may add to those before it: a list in it that
    replaces one of theirs has to have all that was in that one.
    """
    known: dict[Keys, Place] = {}
    for file in files:
        places = _read(file)
        _check_sections(places)
        _check_lists(places, known)
        known |= places
        _check_environment(file, environ, given)
    _check_pipelines(known)


def validate(binary: Path, files: Sequence[Path], environ: Mapping[str, str]) -> None:
    """Has the Collector itself check the files; raises StartError with its reason in one line."""
    try:
        done = subprocess.run(
            [str(binary), "validate", *arguments(files)],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, **environ},
            timeout=VALIDATE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartError(f"{binary} cannot check the gateway's files: {error}") from error
    if done.returncode:
        raise StartError(_in_one_line(done.stderr, files))


def _read(file: Path) -> dict[Keys, Place]:
    """Every key of a file. Raises StartError where it is no YAML, or has one twice."""
    import yaml

    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise StartError(f"{file}: byte {error.start} is not UTF-8, expected YAML") from error
    except OSError as error:
        raise StartError(f"{file}: cannot be read: {error.strerror}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise StartError(f"{where}: {error.problem}, expected YAML{_tabs(text)}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise StartError(f"{file}: {' '.join(str(error).split())}, expected YAML") from error
    if not isinstance(root, yaml.MappingNode):
        found = "nothing" if root is None else f"a {_kind(root)}"
        raise StartError(f"{file}:1: is {found}, expected {', '.join(SECTIONS)}")
    places: dict[Keys, Place] = {}
    for path, place in _places(file, root, ()):
        if path in places:
            raise StartError(
                f"{place}: {'.'.join(path)} is there already in line {places[path].line}, "
                "expected it once"
            )
        places[path] = place
    return places


def _tabs(text: str) -> str:
    return (
        ", indented with blanks: there is a tab" if re.search(r"^ *\t", text, re.MULTILINE) else ""
    )


def _places(
    file: Path, node: yaml.Node, path: Keys, above: tuple[yaml.Node, ...] = ()
) -> Iterator[tuple[Keys, Place]]:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            place = Place(file, key.start_mark.line + 1, value)
            if value in (*above, node):
                raise StartError(
                    f"{place}: {'.'.join(inner)} is an alias of what it stands in, expected one of "
                    "something else"
                )
            yield inner, place
            yield from _places(file, value, inner, (*above, node))


def _kind(node: yaml.Node) -> str:
    import yaml

    if isinstance(node, yaml.MappingNode):
        return "table"
    return "list" if isinstance(node, yaml.SequenceNode) else "value"


def _check_sections(places: Mapping[Keys, Place]) -> None:
    for path, place in places.items():
        if len(path) == 1 and path[0] not in SECTIONS:
            raise StartError(f"{place}: {path[0]} is no section, expected {', '.join(SECTIONS)}")
        table = len(path) == 1 or (len(path) == 2 and path[0] != "service")
        table = table or (path[:2] == ("service", "pipelines") and len(path) <= 3)
        if table and not _is_table(place.node):
            found = _said(path, place.node)
            raise StartError(f"{place}: {'.'.join(path)} is {found}, expected a table")
        if _is_pipeline_list(path) and _kind(place.node) != "list":
            found = _said(path, place.node)
            raise StartError(f"{place}: {'.'.join(path)} is {found}, expected a list of names")


def _is_table(node: yaml.Node) -> bool:
    return _kind(node) == "table" or node.tag == "tag:yaml.org,2002:null"


def _said(path: Keys, node: yaml.Node) -> str:
    if _kind(node) != "value":
        return f"a {_kind(node)}"
    if any(re.search(_HIDDEN, part) for part in path):
        return "something else (its text is not shown)"
    return repr(str(node.value).rpartition("@")[2][:60])


def _is_pipeline_list(path: Keys) -> bool:
    return path[:2] == ("service", "pipelines") and len(path) == 4


def _names(node: yaml.Node) -> list[str]:
    return [str(one.value) for one in node.value] if _kind(node) == "list" else []


def _check_lists(places: Mapping[Keys, Place], known: Mapping[Keys, Place]) -> None:
    for path, place in places.items():
        before = known.get(path)
        if before is None or _kind(before.node) != "list":
            continue
        if lost := [name for name in _names(before.node) if name not in _names(place.node)]:
            raise StartError(
                f"{place}: {'.'.join(path)} replaces the list in {before} and loses "
                f"{', '.join(lost)}, expected all of it, or a name of its own"
            )


def _check_environment(file: Path, environ: Mapping[str, str], given: Collection[str]) -> None:
    missing: dict[str, int] = {}
    for number, line in enumerate(file.read_text("utf-8").split("\n"), 1):
        if not line.lstrip().startswith("#"):
            for name in _NEEDED.findall(line):
                if name not in given and not environ.get(name):
                    missing.setdefault(name, number)
    if missing:
        told = f"{' and '.join(sorted(missing))} {'is' if len(missing) == 1 else 'are'} not set"
        raise StartError(
            f"{file}:{min(missing.values())}: {told}, expected in the environment: the head of the "
            "file says what it needs"
        )


def _check_pipelines(known: Mapping[Keys, Place]) -> None:
    for path, place in known.items():
        if not _is_pipeline_list(path):
            continue
        sections = {
            "receivers": ("receivers", "connectors"),
            "exporters": ("exporters", "connectors"),
        }
        places = sections.get(path[3], (path[3],))
        for name in _names(place.node):
            if not any((section, name) in known for section in places):
                there = sorted(each[1] for each in known if len(each) == 2 and each[0] in places)
                raise StartError(
                    f"{place}: {'.'.join(path)} names {name!r}, expected one of {', '.join(there)}"
                )


def _in_one_line(words: str, files: Sequence[Path]) -> str:
    """What the Collector says, at the file and line that it speaks of, as far as they can be found."""
    said = words.partition("Error: ")[2] or words
    for noise in _NOISE:
        said = said.replace(noise, " ")
    said = " ".join(said.split())
    named = [first or second for first, second in _WORDS.findall(said)]
    for keys in re.findall(r"has invalid keys: (.+?)(?= '|$)", said):
        named += keys.split(", ")
    best: tuple[int, int] = (0, 0)
    where, found = "", ""
    for file in reversed(files):
        for path, place in _read(file).items():
            score = (sum(part in named for part in path), -len(path))
            if path[-1] in named and score > best:
                best, where = score, f"{place}: "
                found = f"{'.'.join(path)} is {_said(path, place.node)}: "
    names = ", ".join(str(file) for file in files[1:])
    return f"{where or f'{names}: '}{found}{said}, expected what the Collector takes there"
