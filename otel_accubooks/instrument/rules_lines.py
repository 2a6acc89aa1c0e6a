"""In which line of a TOML text a key stands, since its parsers do not tell once it is read."""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]#]+?)\s*\]")
_KEY = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*[.=]""")
_QUOTES = re.compile(r'"""|\'\'\'')


class Lines:
    """The lines of the tables and keys of a text, as far as a reader would find them by eye."""

    def __init__(self, text: str) -> None:
        self._found: dict[tuple[str, int, str], int] = {}
        counts: dict[str, int] = {}
        kind, sub = "", ""
        quoted = False
        # Not splitlines: TOML knows no other line ends than these.
        for number, line in enumerate(text.split("\n"), 1):
            inside = quoted
            quoted ^= len(_QUOTES.findall(line)) % 2 == 1
            if inside:
                continue
            if header := _HEADER.match(line):
                kind, _, sub = (part.strip("\"' ") for part in header[2].partition("."))
                if header[1] == "[[" and not sub:
                    counts[kind] = counts.get(kind, -1) + 1
                self._note(kind, counts.get(kind, 0), sub, number)
            elif key := _KEY.match(line):
                name = next(part for part in key.groups() if part is not None)
                # Within [request.labels], everything is told of the line of the key itself.
                self._note(kind or name, counts.get(kind, 0), name if kind else "", number)

    def _note(self, kind: str, number: int, key: str, line: int) -> None:
        self._found.setdefault((kind, number, key), line)

    def of(self, kind: str, number: int, *keys: str) -> int:
        """The line of the first of `keys` in the table `number` of its kind, else its head."""
        for key in (*keys, ""):
            if line := self._found.get((kind, number, key)):
                return line
        return self._found.get((kind, 0, ""), 1)
