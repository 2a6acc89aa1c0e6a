"""A page that does not do what it says is found out, whatever is wrong in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.console import agrees, typed
from tests.docs.pages import blocks
from tests.docs.reading import Reading
from tests.docs.stand import Stand

PAGE = "docs/made-up.md"
WRONG = {
    "a command that fails": ("```sh\ntrue\nfalse\n```\n", "exit status 1: false"),
    "a command that is not there": ("```sh\notel-acubooks demo\n```\n", "not found"),
    "half a command": ("```sh\nfor a in 1 2; do\n```\n", "not a complete command"),
    "another output": ("```console\n$ echo 51 of 51\n50 of 51\n```\n", "--- expected:\n50 of 51"),
    "no command in a terminal": ("```console\n50 of 50\n```\n", "expected `$ ` and a command"),
    "Python that raises": ("```python\nimport otel_acubooks\n```\n", "ModuleNotFoundError"),
    "a rule of no kind": ("```toml\n[[request]]\nmetod = 'GET'\n```\n", "metod"),
    "TOML of nobody": ("```toml\nname = 'x'\n```\n", "neither rules nor addresses"),
    "YAML of nobody": ("```yaml\nname: x\n```\n", "nobody is known to read it"),
    "a resource with a wrong key": (
        "```yaml\napiVersion: v1\nkind: Namespace\nmetadata: {nam: x}\n```\n", "nam"
    ),
    "another language": ("```bash\ntrue\n```\n", "'bash', expected one of sh"),
    "no language": ("```\ntrue\n```\n", "'', expected one of sh"),
    "an indented block": ("text\n\n    true\n", "'indented', expected one of sh"),
    "an indented block in a list": ("- text\n\n      true\n", "'indented', expected one of sh"),
}  # fmt: skip


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Of which nothing is started but what a page's shell wants to be there."""
    with Stand(tmp_path_factory.mktemp("stand")) as stand:
        yield stand


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_fails_with_its_place(what: str, tmp_path: Path, stand: Stand) -> None:
    """Page and line, and what was wrong there."""
    text, said = WRONG[what]
    (block,) = blocks(PAGE, text)
    with Reading(PAGE, tmp_path, stand) as reading, pytest.raises(AssertionError) as failed:
        reading.run(block)
    assert str(failed.value).startswith(f"{PAGE}:{block.line}: ")
    assert said in str(failed.value)


def test_a_page_is_one_terminal(tmp_path: Path, stand: Stand) -> None:
    """What one block exports, and where it goes, holds for the next; a file may be named at its top."""
    text = """
```python
# made/greeting.py
print("read")
```

```sh
export WHOM=reader
cd made
```

```console
$ echo "hello $WHOM"; python greeting.py
hello reader
...
```
"""
    with Reading(PAGE, tmp_path, stand) as reading:
        for block in blocks(PAGE, text):
            reading.run(block)
        reading.finish()


def test_every_block_is_found() -> None:
    """Also those in lists and quotes, with longer or other fences, and with none at all."""
    text = "- a\n\n  ~~~sh\n  1\n  ~~~\n\n> ````yaml\n> 2\n> ````\n\n    3\n\n<!-- ```sh\n``` -->\n"
    found = [(block.language, block.text.strip()) for block in blocks(PAGE, text)]
    assert found == [("sh", "1"), ("yaml", "2"), ("indented", "3")]


@pytest.mark.parametrize(
    ("shown", "came", "same"),
    [
        (("50 of 50",), "50 of 50\n", True),
        (("50 of 50",), "49 of 50\n", False),
        (("50 of 50",), "50 of 50\nand a word more\n", False),
        (("first", "...", "last"), "first\na\nb\nlast\n", True),
        (("first", "...", "last"), "first\nlast\n", True),
        (("first", "..."), "second\n", False),
        (("built in ... seconds",), "built in a few seconds\n", True),
        (("passed in 735.49s, at 20261122T171500Z",), "passed in 1 s, at 20270101T000000Z\n", True),
        (("Grafana on 127.0.0.1:3000",), "Grafana on 127.0.0.1:41231\n", True),
        (("a   b",), "a b\n", True),
    ],
)
def test_what_a_terminal_shows_is_compared(shown: tuple[str, ...], came: str, same: bool) -> None:
    """Times and addresses are another each time; everything else is as it is shown."""
    assert agrees(shown, came) is same


def test_a_terminal_shows_commands_and_what_they_say() -> None:
    """A command may go on over several lines."""
    (first, second) = typed("$ one \\\n    --more\nsays\n$ two\n")
    assert (first.command, first.shown) == ("one \\\n    --more", ("says",))
    assert (second.command, second.shown) == ("two", ())
