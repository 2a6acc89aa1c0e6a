"""uWSGI's options, of its command line and of the files that it names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from otel_accubooks.doctor.finding import Finding, Kind
from otel_accubooks.doctor.processes import Running
from otel_accubooks.doctor.scene import Scene

WITHOUT_THREADS = Kind(
    "uwsgi-without-threads", "suspicious",
    "uWSGI runs without threads: databases, caches and queues are never checked, look-ups never made.",
    "enable-threads = true (or threads = 2 and more)",
    "add --enable-threads (in a file: enable-threads = true) to uWSGI, and restart it",
)  # fmt: skip
WITHOUT_SITE = Kind(
    "uwsgi-no-site", "wrong",
    "uWSGI starts Python without site or with another environment: the launcher has no effect.",
    "neither no-site nor ignore-pythonpath",
    "take no-site from uWSGI's options, and restart it",
)  # fmt: skip
ANOTHER_HOME = Kind(
    "uwsgi-home", "wrong",
    "uWSGI uses another Python environment than the launcher's.",
    "home (virtualenv) where opentelemetry-instrument is",
    "call the opentelemetry-instrument of that environment",
)  # fmt: skip
UNREAD = Kind(
    "uwsgi-file-not-read", "note",
    "A file with uWSGI's options could not be read.",
    "a file that the doctor may read",
    "run the doctor as the application's user, on its host",
)  # fmt: skip

_FILES = ("ini", "yaml", "yml", "json", "xml")
_SHORT = {
    "T": "enable-threads",
    "H": "home",
    "y": "yaml",
    "x": "xml",
    "j": "json",
    "p": "processes",
}
_HOMES = ("home", "virtualenv", "venv", "pyhome")
_SWITCHES = (
    "enable-threads", "no-site", "ignore-pythonpath", "master", "lazy-apps", "lazy", "need-app",
    "single-interpreter", "vacuum", "die-on-term", "py-call-osafterfork",
)  # fmt: skip
_TRUE = ("", "true", "1", "yes", "on")
Options = dict[str, str]


def check(scene: Scene) -> Iterator[Finding]:
    """Each uWSGI that runs under the launcher."""
    for application in scene.processes.applications:
        one = application.first
        if one.invocation.server != "uwsgi" or not application.launched:
            continue
        options, unread = options_of(one)
        for path in unread:
            yield UNREAD.found(f"{application}: {path} could not be read", file=path, **one.where())
        if _on(options, "no-site") or _on(options, "ignore-pythonpath"):
            yield WITHOUT_SITE.found(f"{application} has no-site", **one.where())
        threads = options.get("threads", "1")
        many = threads.isdigit() and int(threads) > 1
        if not (_on(options, "enable-threads") or many or unread):
            yield WITHOUT_THREADS.found(f"{application} has no enable-threads", **one.where())
        home = next((options[name] for name in _HOMES if options.get(name)), "")
        launcher = (one.env or {}).get("PYTHONPATH", "")
        if home and str((one.cwd or Path("/")) / home).rstrip("/") + "/" not in launcher:
            yield ANOTHER_HOME.found(
                f"{application} has home {home}, and the launcher is of another environment",
                fix=f"call {home}/bin/opentelemetry-instrument (pip install otel-accubooks there)",
                **one.where(),
            )


def _on(options: Options, name: str) -> bool:
    return name in options and options[name].strip().lower() in _TRUE


def options_of(one: Running) -> tuple[Options, list[str]]:
    """All options by their long names, and the files that could not be read."""
    options: Options = {}
    for name, value in (one.env or {}).items():
        if name.startswith("UWSGI_"):
            options[name.removeprefix("UWSGI_").lower().replace("_", "-")] = value
    for name, value in _of_command(list(one.invocation.arguments)):
        options.setdefault(name.replace("_", "-"), value)
    unread: list[str] = []
    for kind in _FILES:
        if path := options.get(kind):
            path, _, section = path.partition(":")
            try:
                text = one.seen(path).read_text("utf-8", "replace")
            except OSError:
                unread.append(path)
                continue
            for name, value in _in_file(kind, text, section or "uwsgi"):
                options.setdefault(name.strip().replace("_", "-"), value.strip())
    return options, unread


def _of_command(arguments: list[str]) -> Iterator[tuple[str, str]]:
    while arguments:
        word = arguments.pop(0)
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
        elif re.fullmatch(r"-[A-Za-z]", word):
            name, equals, value = _SHORT.get(word[1], word[1]), "", ""
        elif word.rpartition(".")[2] in _FILES:
            yield word.rpartition(".")[2], word
            continue
        else:
            continue
        # Who takes no value is not followed by one.
        if not equals and name not in _SWITCHES and arguments and not arguments[0].startswith("-"):
            value = arguments.pop(0)
        yield name, value


def _in_file(kind: str, text: str, section: str) -> Iterator[tuple[str, str]]:
    if kind == "json":
        try:
            found = json.loads(text).get(section, {})
        except (ValueError, AttributeError):
            return
        for name, value in found.items() if isinstance(found, dict) else ():
            yield str(name), "true" if value is True else str(value)
    elif kind == "xml":
        for name, value in re.findall(r"<([\w-]+)(?:/>|>([^<]*)</)", text):
            yield name, value
    else:
        within = kind != "ini"
        for line in map(str.strip, text.splitlines()):
            if kind == "ini" and line.startswith("["):
                within = line == f"[{section}]"
            found_line = re.match(
                r"-?\s*([\w-]+)\s*(?:[=:]\s*(.*))?$", line.partition("#")[0].strip()
            )
            if within and found_line and not line.startswith(";"):
                yield found_line[1], found_line[2] or ""
