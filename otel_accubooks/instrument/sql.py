"""What a SQL text does: its verb, out of a bounded set, found without parsing all of it.

The lexical rules are those of PostgreSQL (manual, section 4.1): nested comments, `''` and dollar
quotes, `E''` with backslashes, quoted names.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from otel_accubooks.contract.metrics import SQL_VERBS

OTHER = SQL_VERBS[-1]
SCANNED_CHARACTERS = 16_384

_VERBS = {verb: verb for verb in SQL_VERBS} | {
    "START": "BEGIN",
    "END": "COMMIT",
    "ABORT": "ROLLBACK",
    "ANALYSE": "ANALYZE",
}
_AFTER_CTES = frozenset(("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE"))
_COMPOSING = ("psycopg2.sql", "psycopg.sql")
# Behind these comes a name, which may be spelt like a verb: WITH update AS (...) SELECT ...
_BEFORE_A_NAME = frozenset(
    ("WITH", "RECURSIVE", ",", "SET", "BY", "USING", "CYCLE", "TO", "DEFAULT")
)

_QUOTED = r"(?<=\b[eE])'(?:[^'\\]+|\\.|'')*'?|'[^']*'?|\"[^\"]*\"?"
_DOLLAR = r"\$(?:[^\W\d]\w*)?\$"
_TOKEN = re.compile(
    rf"\s+|--[^\r\n]*|(?P<comment>/\*)|(?P<quoted>{_QUOTED})|(?P<dollar>{_DOLLAR})"
    r"|(?P<word>[^\W\d][\w$]*)|(?P<mark>.)",
    re.DOTALL,
)
_IN_GROUP = re.compile(
    rf"[^'\"$/()\-]+|--[^\r\n]*|(?P<comment>/\*)|{_QUOTED}|(?P<dollar>{_DOLLAR})|(?P<mark>.)",
    re.DOTALL,
)
_FOREIGN = re.compile(r"[\\#]")
_NUMBER = re.compile(r"\d[\w.]*")
_COMMENT_MARK = re.compile(r"/\*|\*/")


def text_of(query: object) -> str:
    """The first SCANNED_CHARACTERS of a query, not rendered: a stand-in for each value and name."""
    if isinstance(query, str):
        return query[:SCANNED_CHARACTERS]
    if isinstance(query, bytes | bytearray):
        return query[:SCANNED_CHARACTERS].decode("latin-1")
    for name in _COMPOSING:
        module = sys.modules.get(name)
        if module is not None and isinstance(query, module.Composable):
            return _composed(query, module)
    return ""


def _composed(query: Any, module: Any) -> str:
    pieces: list[str] = []
    room = SCANNED_CHARACTERS
    waiting = [query]
    while waiting and room > 0:
        part = waiting.pop()
        if isinstance(part, module.Composed):
            waiting.extend(reversed(tuple(part)))
            continue
        piece = _static(part)[:room] if isinstance(part, module.SQL) else '""'
        pieces.append(piece)
        room -= len(piece)
    return "".join(pieces)


def _static(part: Any) -> str:
    # psycopg has no name for it but this; rendering would need a connection.
    return str(part.string if hasattr(part, "string") else part._obj)


def verb(text: str) -> str:
    """The verb of a SQL text, one of SQL_VERBS. Never raises."""
    text = text[:SCANNED_CHARACTERS]
    at = 0
    before = ""  # the last one inside a WITH; empty while the first word is still to come
    while True:
        found, at = _next(text, at)
        if not found:
            return OTHER
        if not before:
            if found == "WITH":
                before = found
            elif found not in ("(", ";"):
                return _VERBS.get(found, OTHER)
        elif found == "(":
            if before == ")":
                before = ""  # WITH ... (the main statement in parentheses)
            else:
                at, before = _end_of_group(text, at), ")"
        elif found in _AFTER_CTES and before not in _BEFORE_A_NAME:
            return found
        else:
            before = found


def without_values(text: str, *, postgresql: bool = True) -> str:
    """The first SCANNED_CHARACTERS of a SQL text, `?` for each literal, without comments. Never raises.

    Elsewhere than in PostgreSQL what stands in `"` is a literal, too, and nothing is shown from a
    backslash or `#` on: whether they quote, or begin a comment, only that database knows.
    """
    text = text[:SCANNED_CHARACTERS]
    literals = "'"
    if not postgresql:
        text, literals = _FOREIGN.split(text)[0], "'\""
    pieces: list[str] = []
    at = 0
    while (found := _TOKEN.match(text, at)) is not None:
        kind, piece, at = found.lastgroup, found.group(), found.end()
        if kind == "comment":
            at = _end_of_comment(text, at)
        elif kind == "dollar":
            at = _end_of_dollar(text, piece, at)
        elif kind == "mark" and (number := _NUMBER.match(text, found.start())) is not None:
            at = number.end()
            kind = "number"
        if kind in ("comment", None):
            piece = " "
        elif kind in ("dollar", "number") or piece[0] in literals:
            piece = "" if pieces[-1:] == ["?"] else "?"  # 'it''s' is one literal
        if piece:
            pieces.append(piece)
    return "".join(pieces).strip()


def _next(text: str, at: int) -> tuple[str, int]:
    """The next word (in capitals), mark, or `"` for anything quoted; empty at the end."""
    while (found := _TOKEN.match(text, at)) is not None:
        kind, at = found.lastgroup, found.end()
        if kind in ("word", "mark"):
            return found.group().upper(), at
        if kind == "quoted":
            return '"', at
        if kind == "dollar":
            return '"', _end_of_dollar(text, found.group(), at)
        if kind == "comment":
            at = _end_of_comment(text, at)
    return "", at


def _end_of_group(text: str, at: int) -> int:
    """Where the parenthesis ends that was opened just before `at`."""
    depth = 1
    while depth and (found := _IN_GROUP.match(text, at)) is not None:
        kind, at = found.lastgroup, found.end()
        if kind == "comment":
            at = _end_of_comment(text, at)
        elif kind == "dollar":
            at = _end_of_dollar(text, found.group(), at)
        elif kind == "mark":
            depth += {"(": 1, ")": -1}.get(found.group(), 0)
    return at


def _end_of_dollar(text: str, tag: str, at: int) -> int:
    end = text.find(tag, at)
    return len(text) if end < 0 else end + len(tag)


def _end_of_comment(text: str, at: int) -> int:
    depth = 1
    for mark in _COMMENT_MARK.finditer(text, at):
        depth += 1 if mark.group() == "/*" else -1
        if not depth:
            return mark.end()
    return len(text)
