"""The pages of the documentation, and what stands in them: code blocks, links, headings."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from otel_accubooks.stack.files import REPOSITORY

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_FILE_NAME = re.compile(r"(?:#|;|//) ([\w./-]+\.\w+)\s*$")
INDENTED = "indented"


@dataclass(frozen=True)
class Block:
    """One code block. `line` is that of its fence; an indented one has the language "indented"."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def saved_as(self) -> str | None:
        """The file that its first line names in a comment, if that says nothing else."""
        named = _FILE_NAME.match(self.text.partition("\n")[0])
        return named[1] if named else None


@dataclass(frozen=True)
class Inline:
    """A piece of code within a sentence, below the heading of that text."""

    page: str
    line: int
    heading: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Every page, by its path in the repository."""
    patterns = ("*.md", "collector/*.md", "examples/*/*.md", "docs/**/*.md")
    found = {path for pattern in patterns for path in REPOSITORY.glob(pattern)}
    return sorted(str(path.relative_to(REPOSITORY)) for path in found)


@functools.cache
def _tokens(page: str) -> tuple[Token, ...]:
    return tuple(_MARKDOWN.parse((REPOSITORY / page).read_text("utf-8")))


def blocks(page: str, text: str | None = None) -> list[Block]:
    """Its code blocks, in their order; those of `text` in place of what the file has."""
    tokens = _tokens(page) if text is None else _MARKDOWN.parse(text)
    return [
        Block(
            page,
            (token.map or [0])[0] + 1,
            token.info.strip() if token.type == "fence" else INDENTED,
            token.content,
        )
        for token in tokens
        if token.type in ("fence", "code_block")
    ]


def inline_code(page: str) -> Iterator[Inline]:
    """Every piece of code within its sentences."""
    heading = ""
    for before, token in zip((None, *_tokens(page)), _tokens(page), strict=False):
        if token.type != "inline":
            continue
        if before is not None and before.type == "heading_open":
            heading = token.content
        for child in token.children or []:
            if child.type == "code_inline":
                yield Inline(page, (token.map or [0])[0] + 1, heading, child.content)


def links(page: str) -> Iterator[str]:
    """Where its links and pictures lead."""
    for token in _tokens(page):
        for child in token.children or []:
            target = child.attrGet("href") or child.attrGet("src")
            if isinstance(target, str):
                yield target


def anchors(page: str) -> set[str]:
    """What a link may name after its `#`: the headings, as GitHub names them."""
    found: set[str] = set()
    for before, token in zip(_tokens(page), _tokens(page)[1:], strict=False):
        if before.type == "heading_open":
            words = "".join(child.content for child in token.children or [])
            name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            again = sum(1 for known in found if re.fullmatch(rf"{re.escape(name)}(-\d+)?", known))
            found.add(f"{name}-{again}" if again else name)
    return found
