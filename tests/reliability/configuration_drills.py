"""Every kind of wrong configuration, given to the real thing: what it said, and whether it went on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree

from otel_accubooks.stack.files import BACKENDS
from tests.reliability.configuration import Told, application, command, run
from tests.reliability.gateway_files import REFUSED, SEEN
from tests.reliability.page import write
from tests.reliability.wrong import (
    ADDRESSES,
    ADDRESSES_WRONG,
    COMMANDS_WRONG,
    RULES_WRONG,
    SETTINGS_WRONG,
)

SETTINGS_AT_ONCE = 8
# The command, with a folder of backends in which there is one of a person's own.
_WITH_BACKENDS = """
import sys
from pathlib import Path
import otel_accubooks.stack.files as files
files.BACKENDS = Path(sys.argv.pop(1))
from otel_accubooks.cli.main import main
main()
"""


class Seen:
    """One kind of wrong configuration: how many were given, and what was said of each."""

    def __init__(self, kind: str, goes_on: str) -> None:
        self.kind, self.goes_on = kind, goes_on
        self.said: list[tuple[str, str]] = []

    def row(self) -> str:
        """Its row of the table."""
        return f"| {self.kind} | {len(self.said)} | {len(self.said)} | 0 | {self.goes_on} |"

    def lines(self, folder: Path) -> Iterable[str]:
        """What was wrong, and the line that was said, as rows."""
        for wrong, line in self.said:
            shown = line.replace(str(folder), "").replace("|", "\\|")
            yield f"| {wrong.replace('|', chr(92) + '|')} | {shown} |"


def _all(works: Iterable[Callable[[], tuple[str, str]]]) -> list[tuple[str, str]]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda work: work(), works))


def _folder(parent: Path, name: str) -> Path:
    folder = parent / "".join(c if c.isalnum() else "-" for c in name)
    folder.mkdir()
    return folder


def _of_settings(parent: Path) -> Seen:
    def one(several: list[dict[str, str]]) -> list[tuple[str, str]]:
        names = [next(iter(env)) for env in several]
        together = {name: value for env in several for name, value in env.items()}
        told = application(_folder(parent, names[0]), together)
        assert (told.status, told.traceback) == (0, False), told
        said = {name: [line for line in told.lines if f" {name} is " in line] for name in names}
        assert all(len(lines) == 1 for lines in said.values()), said
        assert sorted(told.at_start) == sorted(line for lines in said.values() for line in lines)
        return [(f"`{name}`", said[name][0]) for name in names]

    seen = Seen("settings: ours, and OpenTelemetry's that are read", "runs, with the default")
    # Several in one process, so that one does not hide another.
    groups = [
        SETTINGS_WRONG[i : i + SETTINGS_AT_ONCE]
        for i in range(0, len(SETTINGS_WRONG), SETTINGS_AT_ONCE)
    ]
    with ThreadPoolExecutor(2) as pool:
        seen.said = [each for group in pool.map(one, groups) for each in group]
    return seen


def _of_rules(parent: Path) -> Seen:
    def one(name: str, text: str, said: str) -> Callable[[], tuple[str, str]]:
        def work() -> tuple[str, str]:
            folder = _folder(parent, name)
            rules = folder / "rules.toml"
            rules.write_text(text)
            told = application(folder, {"OTEL_ACCUBOOKS_RULES": str(rules)})
            assert (told.status, told.traceback) == (0, False), told
            found = [line for line in told.at_start if f"{rules}:{said}" in line]
            assert len(found) == 1, told
            assert "pw" not in found[0]
            return name, found[0].replace(str(folder), "")

        return work

    seen = Seen("rules", "runs, with none of the rules")
    seen.said = _all(one(name, *case) for name, case in RULES_WRONG.items())
    return seen


def _of_backends(parent: Path) -> Seen:
    def one(name: str, text: str, line: str, said: str) -> Callable[[], tuple[str, str]]:
        def work() -> tuple[str, str]:
            folder = _folder(parent, name)
            backends = copytree(BACKENDS, folder / "backends")
            (backends / "mine.yaml").write_text(text)
            argv = [sys.executable, "-c", _WITH_BACKENDS, backends, "up", "--backend", "mine"]
            done = run(argv, folder, {"MINE_URL": "http://127.0.0.1:1"})
            told = Told(done.returncode, tuple((done.stdout + done.stderr).splitlines()))
            assert (told.status, told.traceback) == (1, False), told
            assert told.line.startswith(f"Not started. {backends}/mine.yaml:{line}: "), told
            assert said in told.line, told
            return name, told.line.replace(str(folder), "")

        return work

    seen = Seen("a backend of one's own, YAML, by `up`", "nothing is started")
    cases = {**SEEN, **REFUSED}
    # One after the other: they would listen on the same ports.
    seen.said = [one(name, *case)() for name, case in cases.items()]
    return seen


def _of_addresses(parent: Path) -> Seen:
    def one(name: str, text: str, said: str) -> Callable[[], tuple[str, str]]:
        def work() -> tuple[str, str]:
            folder = _folder(parent, name)
            (folder / "alerting.toml").write_text(text)
            told = command(folder, ["test-alert"])
            assert (told.status, told.traceback) == (2, False), told
            assert said in told.line, told
            assert "alerting.toml" in told.line, told
            return name, told.line

        return work

    seen = Seen("alerting.toml", "nothing is asked, sent or written")
    seen.said = _all(one(name, *case) for name, case in ADDRESSES_WRONG.items())
    return seen


def _of_commands(parent: Path) -> Seen:
    def one(words: tuple[str, ...], said: str) -> Callable[[], tuple[str, str]]:
        def work() -> tuple[str, str]:
            folder = _folder(parent, " ".join(words))
            (folder / "alerting.toml").write_text(ADDRESSES)
            told = command(folder, words)
            assert told.status in (1, 2), told
            assert not told.traceback, told
            line = next((line for line in told.lines if said in line), "")
            assert line, told
            return f"`{' '.join(words)}`", line

        return work

    seen = Seen("words of commands", "nothing is done; exit status 2, or 1")
    seen.said = _all(one(words, said) for words, said in COMMANDS_WRONG.items())
    return seen


def test_every_kind_is_refused_in_one_line(tmp_path: Path) -> None:
    """By what, where, what was found and what was expected; and nothing of it is applied."""
    kinds = (_of_settings, _of_rules, _of_backends, _of_addresses, _of_commands)
    all_seen = [kind(_folder(tmp_path, kind.__name__)) for kind in kinds]
    page = [
        "Each was given to the real thing: an application under the launcher that answers a request,",
        "or a command. What is wrong in an application's environment is a line in its log when it",
        "starts, before its first request, from one process of the service; `otel-accubooks check`",
        "says the same before it is deployed.",
        "",
        "| kind | wrong ones | said in one line | tracebacks | and then |",
        "|---|---|---|---|---|",
        *(seen.row() for seen in all_seen),
    ]
    for seen in all_seen:
        page += [
            "",
            f"What was said, {seen.kind}:",
            "",
            "| what was wrong | the line |",
            "|---|---|",
        ]
        page += seen.lines(tmp_path)
    write("Bad configuration", "\n".join(page))
