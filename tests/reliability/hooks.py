"""The hooks of this package and what in them can fail, found by reading its code.

A hook is a function of ours that a library or the interpreter calls: one that stands in the place of
another (it is defined in a function that is given the `original`), and one that is handed to somebody
who calls it later. A line is bare if nothing on it can fail but what is not ours: it calls the
original, a clock, or a function of ours that catches all of its own faults, and otherwise only passes
values on. Such lines need no guard; every other one has to stand in one.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "otel_accubooks"
HOOKED = (
    "business.py",
    "instrument",
    "launch",
    "recorder",
)  # what runs in the application's process
PARTS = (*HOOKED, "contract", "export", "monitoring")  # and what that calls

# Who takes a function of ours to call it later.
TAKERS = {
    "register",
    "register_at_fork",
    "register_post_import_hook",
    "connect",
    "on_open",
    "on_memory",
    "add_everywhere",
    "start_new_thread",
    "Thread",
    "Finalize",
    "at_end",
    "ref",
}
# They take no memory that the application's next step does not take as well, and call nothing.
_CANNOT_FAIL = {"perf_counter", "monotonic", "id", "type", "bool", "getattr", "len", "partial"}
_ALWAYS_THERE = {"cursor_factory", "modules", "_loader"}  # attributes of C types, and our own
_GUARD = {"failed", "pass_on", "say_failed"}  # they raise what is the application's, and no other
_OF_DICTS = {"get", "pop", "values"}
_ORIGINALS = {
    "create_module",
    "exec_module",
    "__import__",
    "original",
    "tracer",
    "send",
    "measured",
    "iter",
    "anext",
    "next",
    "close",
    "aclose",
}
_GIVEN = {"original", "tracer"}  # what a function is given that makes a hook
_CATCH_ALL = {"Exception", "BaseException"}


def files() -> Iterator[Path]:
    for part in PARTS:
        found = PACKAGE / part
        yield from [found] if found.is_file() else sorted(found.rglob("*.py"))


class Module:
    """One file: its functions by their qualified names, as code objects have them."""

    def __init__(self, path: Path) -> None:
        self.name = str(path.relative_to(PACKAGE))
        self.tree = ast.parse(path.read_text())
        self.functions: dict[str, ast.AST] = {}
        self.names: dict[int, str] = {}  # by first line, as a code object has it
        self.within: dict[
            str, tuple[ast.AST, ...]
        ] = {}  # what a function is defined in, from outside
        self._read(self.tree, "", ())

    def _read(self, node: ast.AST, prefix: str, within: tuple[ast.AST, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                name = prefix + getattr(child, "name", "<lambda>")
                self.functions[name] = child
                first = [each.lineno for each in getattr(child, "decorator_list", [])]
                self.names.setdefault(min([child.lineno, *first]), name)
                self.within[name] = within
                self._read(child, f"{name}.<locals>.", (*within, child))
            elif isinstance(child, ast.ClassDef):
                self._read(child, f"{prefix}{child.name}.", (*within, child))
            else:
                self._read(child, prefix, within)


@cache
def modules() -> dict[str, Module]:
    return {module.name: module for module in map(Module, files())}


def _called(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def _handed_over(call: ast.Call) -> Iterator[str]:
    """Names of the functions that are arguments of a call."""
    for given in [*call.args, *(keyword.value for keyword in call.keywords)]:
        if isinstance(given, ast.Call) and _called(given) == "partial":
            yield from _handed_over(given)
        elif isinstance(given, ast.Call):  # of a function that makes the hook
            yield f"{_called(given)}()"
        elif isinstance(given, (ast.Name, ast.Attribute)):
            yield getattr(given, "attr", getattr(given, "id", ""))


def hooks() -> set[str]:
    """file:qualified name of every hook."""
    found = set()
    for module in modules().values():
        if module.name.partition("/")[0] not in HOOKED:
            continue
        taken = {
            name
            for call in ast.walk(module.tree)
            if isinstance(call, ast.Call) and _called(call) in TAKERS
            for name in _handed_over(call)
        }
        for name, node in module.functions.items():
            given = {name for outer in module.within[name] for name in _parameters(outer)}
            makers = {f"{getattr(each, 'name', '')}()" for each in module.within[name][-1:]}
            if given & _GIVEN or makers & taken or name.rpartition(".")[2] in taken:
                found.add(f"{module.name}:{name}")
            del node
    return found


def _parameters(scope: ast.AST) -> list[str]:
    if not isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return []
    return [each.arg for each in scope.args.args]


def _is_guard(statement: ast.stmt) -> bool:
    """True for a `try` that catches all and whose handlers end it or let the application's pass."""
    return isinstance(statement, ast.Try) and any(
        handler.type is None or getattr(handler.type, "id", "") in _CATCH_ALL
        for handler in statement.handlers
    )


@cache
def closed() -> frozenset[str]:
    """Names of functions (and classes) all of whose faults are caught in them."""
    found: set[str] = {*_GUARD}
    while True:
        before = len(found)
        for module in modules().values():
            for name, node in module.functions.items():
                if isinstance(node, ast.Lambda):
                    continue
                if all(_is_closed(each, module.within[name], found) for each in node.body):
                    parts = name.split(".")
                    found.add(parts[-2] if parts[-1] == "__init__" else parts[-1])
        if len(found) == before:
            return frozenset(found)


def _is_closed(statement: ast.stmt, within: tuple[ast.AST, ...], known: set[str]) -> bool:
    """True for a guard, and for what is bare with all that stands in it."""
    if _is_guard(statement):
        # The handler may do no more than a bare line may.
        rest = [each for handler in statement.handlers for each in handler.body]  # type: ignore[attr-defined]
        rest += [*statement.orelse, *statement.finalbody]  # type: ignore[attr-defined]
        return all(_is_closed(each, within, known) for each in rest)
    inner = [*getattr(statement, "body", []), *getattr(statement, "orelse", [])]
    inner += getattr(statement, "finalbody", [])
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return True
    return _is_bare(statement, within, known) and all(
        _is_closed(each, within, known) for each in inner
    )


_PLAIN = (
    *(
        ast.Name,
        ast.Constant,
        ast.Tuple,
        ast.Starred,
        ast.BoolOp,
        ast.And,
        ast.Or,
        ast.UnaryOp,
        ast.Not,
    ),
    *(ast.IfExp, ast.Is, ast.IsNot, ast.Load, ast.Store, ast.Await, ast.Yield, ast.YieldFrom),
    *(ast.keyword, ast.Lambda, ast.Slice, ast.arguments, ast.arg, ast.withitem, ast.List),
)
_SAME = (ast.Is, ast.IsNot, ast.In, ast.NotIn)
_STATEMENTS = (
    *(
        ast.Return,
        ast.Raise,
        ast.Pass,
        ast.Global,
        ast.Nonlocal,
        ast.Expr,
        ast.Assign,
        ast.AnnAssign,
    ),
    *(ast.Try, ast.If, ast.With, ast.AsyncWith, ast.AsyncFor, ast.For, ast.ExceptHandler),
)


def _head(statement: ast.AST) -> Iterator[ast.AST]:
    """The expressions of a statement itself, without the statements that stand in it."""
    for name, value in ast.iter_fields(statement):
        if name in ("body", "orelse", "finalbody", "handlers") and isinstance(value, list):
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.AST):
                yield each


def _is_bare(
    statement: ast.AST, within: tuple[ast.AST, ...], known: set[str] | frozenset[str]
) -> bool:
    if not isinstance(statement, _STATEMENTS):
        return False
    return all(_is_plain(each, within, known) for each in _head(statement))


def _is_plain(node: ast.AST, within: tuple[ast.AST, ...], known: set[str] | frozenset[str]) -> bool:
    if isinstance(node, ast.Lambda):
        return True
    if isinstance(node, ast.Call):
        return _is_plain_call(node, within, known)
    if getattr(node, "attr", "") in _ALWAYS_THERE:
        return True
    if isinstance(node, ast.Attribute):
        own = bool(within) and isinstance(within[0], ast.ClassDef)
        plain = own and getattr(node.value, "id", "") == "self"
    elif isinstance(node, ast.Subscript):
        plain = getattr(node.value, "id", "") in ("args", "kwargs")
    elif isinstance(node, ast.Compare):
        sizes = isinstance(node.left, ast.Call) and _called(node.left) == "len"
        fixed = getattr(node.comparators[0], "id", "").isupper()  # a text of ours
        plain = sizes or fixed or all(isinstance(each, _SAME) for each in node.ops)
        return plain and all(
            _is_plain(each, within, known) for each in (node.left, *node.comparators)
        )
    else:
        plain = isinstance(node, _PLAIN)
    return plain and all(_is_plain(each, within, known) for each in ast.iter_child_nodes(node))


def _is_plain_call(
    call: ast.Call, within: tuple[ast.AST, ...], known: set[str] | frozenset[str]
) -> bool:
    name = _called(call)
    on_dict = name in _OF_DICTS and isinstance(call.func, ast.Attribute)
    on_dict = on_dict or ast.unparse(call.func) == "_in_pipeline.set"
    fine = name in _CANNOT_FAIL or name in _ORIGINALS or name in known or on_dict
    if isinstance(call.func, ast.IfExp):  # one of two that are both the original
        fine = True
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return fine and all(_is_plain(each, within, known) for each in given)


def name_of(file: str, first_line: int, name: str) -> str:
    """The qualified name of the function that starts at a line; `name` where it is none."""
    found = modules()[file].names.get(first_line, name) if file in modules() else name
    return found if found.rpartition(".")[2] == name else name


def is_bare(file: str, function: str, line: int) -> bool:
    """True for a line of a function on which nothing of ours can fail."""
    node = modules()[file].functions.get(function)
    if isinstance(node, ast.Lambda):
        return _is_plain(node.body, modules()[file].within[function], closed())
    return line in bare_lines(file)


@cache
def bare_lines(file: str) -> frozenset[int]:
    """The lines of a file of this package on which nothing of ours can fail."""
    module = modules()[file]
    heads: dict[int, list[bool]] = {}
    scopes = [((), module.tree), *((module.within[n], f) for n, f in module.functions.items())]
    for within, scope in scopes:
        for statement in _own_statements(scope):
            plain = _is_bare(statement, within, closed())
            if isinstance(statement, ast.Try):
                heads.setdefault(statement.lineno, []).append(True)
                continue
            ends = [each.end_lineno for each in _head(statement) if hasattr(each, "end_lineno")]
            for line in range(statement.lineno, max([statement.lineno, *filter(None, ends)]) + 1):
                heads.setdefault(line, []).append(plain)
    return frozenset(line for line, plain in heads.items() if all(plain))


def _own_statements(scope: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(child, (ast.stmt, ast.ExceptHandler)):
            yield child
        yield from _own_statements(child)
