"""What a command line says: which interpreter, with which flags, runs which server or script."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SERVERS = ("gunicorn", "uwsgi", "waitress-serve", "waitress", "flask", "rq", "celery")
# Not run under the launcher by us, but what they serve is an application all the same.
OTHER_SERVERS = ("uvicorn", "hypercorn", "daphne", "mod_wsgi-express")
_SUBCOMMANDS = {"flask": ("run",), "rq": ("worker", "worker-pool"), "celery": ("worker",)}
_TITLES = {"gunicorn:": "gunicorn", "[celeryd": "celery", "celeryd": "celery", "rq:worker": "rq"}
_IMPORTS = re.compile(rb"^\s*(?:from|import)\s+(flask|rq|celery|waitress)\b", re.MULTILINE)
_READ_BYTES = 256 * 1024


@dataclass(frozen=True)
class Invocation:
    """`flags` are Python's own letters (I, E, S, s); `server` is empty where it is none we know."""

    python: str = ""
    flags: frozenset[str] = frozenset()
    program: str = ""  # path of a script, or of the program itself
    module: str = ""
    code: str = ""
    arguments: tuple[str, ...] = ()
    server: str = ""


def parse(argv: Sequence[str]) -> Invocation:
    """What `argv`, as the system has it, starts. Never raises."""
    if not argv:
        return Invocation()
    title = " ".join(argv)
    for begin, server in _TITLES.items():
        if title.startswith(begin):
            return Invocation(program=title, server=server)
    name = os.path.basename(argv[0])
    if not re.fullmatch(r"python[\d.]*t?(\.exe)?|pypy[\d.]*", name):
        return _with_server(Invocation(program=argv[0], arguments=tuple(argv[1:])), name)
    flags, at = _flags(argv)
    # Of -Im the last letter says what follows.
    word = argv[at] if at < len(argv) else ""
    rest = tuple(argv[at + 1 :])
    option = f"-{word[-1]}" if word.startswith("-") and word != "-" else ""
    if at >= len(argv):
        made = Invocation(argv[0], flags)
    elif option == "-c":
        made = Invocation(argv[0], flags, code=rest[0] if rest else "", arguments=rest[1:])
    elif option == "-m":
        name = rest[0] if rest else ""
        made = Invocation(argv[0], flags, module=name, arguments=rest[1:])
    else:
        made = Invocation(argv[0], flags, argv[at], arguments=rest)
    return _with_server(made, os.path.basename(made.program) or made.module.partition(".")[0])


def _flags(argv: Sequence[str]) -> tuple[frozenset[str], int]:
    """Python's own letters, and where what it runs begins: at -c, at -m, or at a script."""
    flags: set[str] = set()
    at = 1
    while at < len(argv) and argv[at].startswith("-") and argv[at] != "-":
        word = argv[at]
        if word[1:2] in ("c", "m"):
            break
        if word in ("-X", "-W", "--check-hash-based-pycs"):
            at += 1
        elif not word.startswith(("--", "-X", "-W")):
            flags |= set(word[1:])
            if flags & set("cm"):  # -Im module, -Ic code
                flags -= {"c", "m"}
                break
        at += 1
    return frozenset(flags), at


def _with_server(made: Invocation, name: str) -> Invocation:
    if name not in (*SERVERS, *OTHER_SERVERS):
        return made
    needed = _SUBCOMMANDS.get(name)
    if needed and not any(word in needed for word in made.arguments):
        return made
    server = "waitress" if name == "waitress-serve" else name
    return Invocation(
        made.python, made.flags, made.program, made.module, made.code, made.arguments, server
    )


def imports_of(made: Invocation, cwd: Path | None) -> str:
    """flask, rq, celery or waitress, where the script that runs imports it; else nothing."""
    names = [made.program] if made.program else []
    if made.module:
        path = made.module.replace(".", "/")
        names = [f"{path}.py", f"{path}/__main__.py"]
    for name in names:
        try:
            with open((cwd or Path("/")) / name, "rb") as file:
                found = _IMPORTS.search(file.read(_READ_BYTES))
        except (OSError, ValueError):
            continue
        if found:
            return found[1].decode()
    return ""


def shown(argv: Sequence[str]) -> str:
    """A command line for people: what may be a secret in it is left out."""
    words, hidden = [], False
    for word in argv:
        if hidden:
            words.append("…")
        else:
            words.append(_without_secret(word))
        hidden = bool(re.search(r"(?i)^--?[\w-]*(token|secret|password|key)$", word))
    text = " ".join(words)
    return text if len(text) <= 160 else f"{text[:159]}…"


def _without_secret(word: str) -> str:
    word = re.sub(r"://[^/@\s]*@", "://…@", word)
    word = re.sub(
        r"(?i)((?:token|secret|password|authorization|key|headers)[^=\s]*=).+", r"\1…", word
    )
    return word if len(word) <= 80 and "\n" not in word else f"{word.splitlines()[0][:60]}…"
