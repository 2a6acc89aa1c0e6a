"""The example stands for an application that was written before anybody thought of telemetry."""

import ast
import re
from pathlib import Path

import accubooks
import pytest

ROOT = Path(accubooks.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
FOREIGN = re.compile(r"^(opentelemetry|otel_accubooks|prometheus_client|datadog|newrelic|statsd)\b")
WORDS = re.compile(r"otel|telemetry|metric|prometheus|datadog|new.?relic|instrument", re.IGNORECASE)


def imported(tree: ast.AST) -> set[str]:
    """Every module that the tree imports, in an import statement or by a call with its name."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return names


def test_the_walk_finds_the_application():
    """The checks below look at the real files."""
    assert {"app.py", "forecasts.py", "wsgi.py"} <= {file.name for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_of_telemetry_is_imported(file):
    """No import and no text that could name such a module to import."""
    found = [name for name in imported(ast.parse(file.read_text())) if FOREIGN.match(name)]
    assert found == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_word_of_telemetry_is_written(file):
    """Not in code, not in a comment."""
    assert WORDS.findall(file.read_text()) == []
