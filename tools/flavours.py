"""The asynchronous flavour of the examples of the documentation, made from the synchronous one.

A page has each example once, as a synchronous program, so that it reads well as plain Markdown. `asynchronous` returns
the same examples for the asynchronous flavour: the site shows both in tabs, and tests run both.

Where an ``await`` is needed depends on types: ``session.file.list`` is a coroutine function, the methods of its result
are not. So the examples are checked by mypy, which knows the method that each call calls and the class of each value.
Every class ``X`` of the synchronous flavour has a twin: ``AsyncX`` of this package, ``httpx.AsyncClient`` of
``httpx.Client``, and a class of ``playwright.async_api`` of one of ``playwright.sync_api``. A call is awaited where the
method of the twin is a coroutine function; a ``with`` or ``for`` over a value becomes asynchronous where the twin has
``__aenter__`` or ``__aiter__``; a function of the page becomes a coroutine function where something in it is awaited.

A block that opens a client of its own in a ``with`` statement is a complete program. So is its twin: the statement
moves into ``main``, which ``asyncio.run`` calls. All other blocks are parts of one, with ``await`` at the top.
A block behind ``<!-- sync only -->`` has no twin; nor has one that would be the same, nor a block of a page with
``<!-- one flavour -->``: one of a framework that has one flavour itself.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from mypy import build
from mypy.main import process_options
from mypy.modulefinder import BuildSource
from mypy.nodes import CallExpr, Expression
from mypy.types import CallableType, Instance, Overloaded, ProperType, Type, TypeType, get_proper_type

import agb
from tools.guides import BLOCK, ROOT, SYNC_ONLY, WRITTEN, is_marked, module_name, python_of

ONE_FLAVOUR = "<!-- one flavour -->\n"
WIDTH = 80
"""Columns of the examples in the site."""

Place = tuple[int, int, int, int]
"""First line and column, last line and column, as of the nodes of `ast`."""


def asynchronous(pages: Mapping[Path, str]) -> dict[Path, list[str | None]]:
    """Return the twin of each block of each page, None where there is none; ``pages`` are their texts.

    Raises:
        SyntaxError: an example has no twin that this module can make, such as a generator that is passed to ``sum``.
    """
    with_examples = {page: text for page, text in pages.items() if BLOCK.search(text) and ONE_FLAVOUR not in text}
    types = _types_of(with_examples)
    twins = {page: _Page(page, text, types[page]).blocks() for page, text in with_examples.items()}
    shown = iter(formatted([twin for blocks in twins.values() for twin in blocks if twin is not None]))
    found = {page: [twin and next(shown) for twin in blocks] for page, blocks in twins.items()}
    return {page: found.get(page, [None] * len(BLOCK.findall(text))) for page, text in pages.items()}


# --- what mypy knows ---------------------------------------------------------------------------------------------


FIRST_LINE = 50_000
"""The line where the first page begins; no module has so many. See `_types_of`."""
DISTANCE = 2_000
"""Lines by which the pages are apart; no page has so many."""


class _Types:
    """The functions that are called in a module, and the classes of its values, by their full names."""

    def __init__(self) -> None:
        self.calls: dict[Place, str] = {}
        self.classes: dict[Place, str] = {}

    def add(self, place: Place, value: Expression, types: Mapping[Expression, Type]) -> None:
        """Note what is known of an expression."""
        found = get_proper_type(types.get(value))
        if isinstance(found, Instance):
            self.classes[place] = found.type.fullname
        if isinstance(value, CallExpr) and (name := _function_of(get_proper_type(types.get(value.callee)))):
            self.calls[place] = name


def _function_of(called: ProperType | None) -> str | None:
    if isinstance(called, Overloaded):
        called = called.items[0]
    if isinstance(called, TypeType) or not isinstance(called, CallableType):
        return None
    definition = called.definition
    return definition.fullname if definition is not None else None


def _types_of(pages: Mapping[Path, str]) -> dict[Path, _Types]:
    """Check all pages together, and return what is known of each.

    mypy returns the types of all expressions of all modules in one mapping, and an expression does not know its module.
    So the text of each page begins at a line of its own, beyond the lines that other modules have. Other letters than
    those of ASCII, which occur in strings only, are replaced, since mypy's columns behind them are wrong.
    """
    arguments = [f"--config-file={ROOT / 'pyproject.toml'}", "--cache-dir", str(ROOT / ".mypy_cache")]
    _, options = process_options(arguments)  # those of the command `mypy`, whose cache is used, too
    options.export_types = options.preserve_asts = True
    options.mypy_path = [str(ROOT / "src")]
    sources = []
    for number, (page, text) in enumerate(pages.items()):
        source = re.sub(r"[^\x00-\x7f]", "x", python_of(text))
        sources.append(BuildSource(str(page), module_name(page), "\n" * (FIRST_LINE + DISTANCE * number) + source))
    written = [BuildSource(None, name.removesuffix(".py"), text) for name, text in WRITTEN.items()]
    result = build.build([*sources, *written], options)
    if result.errors:
        raise SyntaxError("\n".join(result.errors))
    found = {page: _Types() for page in pages}
    numbered = list(found.values())
    for value in result.types:
        number, line = divmod(value.line - FIRST_LINE, DISTANCE)
        if 0 <= number < len(numbered):
            shift = value.line - line
            place = (line, value.column, (value.end_line or value.line) - shift, value.end_column or value.column)
            numbered[number].add(place, value, result.types)
    return found


# --- twins -------------------------------------------------------------------------------------------------------

_MODULES = {
    "agb._sync.": "agb._async.",
    "httpx.": "httpx.",
    "playwright._impl._sync_base.": "playwright._impl._async_base.",
    "playwright.sync_api.": "playwright.async_api.",
}
_CONTEXTS = frozenset({"agb.local.serve"})
"""Functions that are context managers, whose twins have an "a" before their names."""
_AWAITED = {"AsyncEventInfo": "value"}
"""Properties whose values are awaitable in the asynchronous flavour."""


def _twin_of_class(name: str | None) -> type | None:
    """Return the class of the asynchronous flavour for the full name of one of the synchronous flavour."""
    module, _, own = (name or "").rpartition(".")
    for prefix, other in _MODULES.items():
        if f"{module}.".startswith(prefix):
            home = importlib.import_module((other + f"{module}."[len(prefix) :]).rstrip("."))
            twin = getattr(home, f"Async{own}", None) or (getattr(home, own, None) if other != prefix else None)
            return twin if isinstance(twin, type) else None
    return None


def _twin_of_method(name: str | None) -> tuple[str, bool]:
    """Return the name of the twin's method, and whether it is a coroutine function, for the full name of a method."""
    owner, _, method = (name or "").rpartition(".")
    twin = _twin_of_class(owner)
    if twin is None:
        return method, False
    chosen = method if hasattr(twin, method) else f"a{method}"  # close, aclose
    return chosen, inspect.iscoroutinefunction(inspect.unwrap(getattr(twin, chosen)))


def _is_renamed(name: str) -> bool:
    return f"Async{name}" in agb.__all__


# --- pages -------------------------------------------------------------------------------------------------------


class _Page:
    """The blocks of a page; what is awaited in one depends on the functions that others define."""

    def __init__(self, page: Path, text: str, types: _Types) -> None:
        self._page = page
        self._types = types
        self._module = module_name(page)
        self._blocks = [
            (match[1], text.count("\n", 0, match.start(1)), not is_marked(SYNC_ONLY, text, match.start()))
            for match in BLOCK.finditer(text)
        ]
        self._trees = []
        for source, line, _ in self._blocks:
            self._trees.append(_parsed(source, line))
        self._coroutines: set[str] = set()
        self._find_coroutines()

    def blocks(self) -> list[str | None]:
        """Return the twins of the blocks, in order."""
        twins: list[str | None] = []
        for (source, line, has_twin), tree in zip(self._blocks, self._trees, strict=True):
            edits = _Edits(source, line)
            if has_twin:
                self._edit(tree, edits)
            twins.append(_completed(edits.result(), source) if edits else None)
        return twins

    def _find_coroutines(self) -> None:
        functions = [node for tree in self._trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        before = -1
        while before != len(self._coroutines):  # a function that calls a coroutine function is one
            before = len(self._coroutines)
            self._coroutines |= {function.name for function in functions if self._is_coroutine(function)}

    def _is_coroutine(self, function: ast.FunctionDef) -> bool:
        if any(isinstance(one.annotation, ast.Name) and _is_renamed(one.annotation.id) for one in function.args.args):
            return True
        for node in _own_nodes(function):
            if isinstance(node, ast.Call) and self._awaits(node):
                return True
            if isinstance(node, ast.With) and any(self._enters(item.context_expr) for item in node.items):
                return True
            if isinstance(node, (ast.For, ast.comprehension)) and self._iterates(node.iter):
                return True
        return False

    def _awaits(self, call: ast.Call) -> bool:
        name = self._types.calls.get(_place(call))
        if name is not None and name.rpartition(".")[0] == self._module:
            return name.rpartition(".")[2] in self._coroutines
        return _twin_of_method(name)[1]

    def _enters(self, value: ast.expr) -> bool:
        if isinstance(value, ast.Call) and self._types.calls.get(_place(value)) in _CONTEXTS:
            return True
        return hasattr(_twin_of_class(self._types.classes.get(_place(value))), "__aenter__")

    def _iterates(self, value: ast.expr) -> bool:
        return hasattr(_twin_of_class(self._types.classes.get(_place(value))), "__aiter__")

    # --- edits ---------------------------------------------------------------------------------------------------

    def _edit(self, tree: ast.Module, edits: _Edits) -> None:
        parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        for node in ast.walk(tree):
            match node:
                case ast.ImportFrom():
                    for alias in node.names:
                        if (node.module or "").split(".")[0] == "agb" and _is_renamed(alias.name):
                            edits.insert(_place(alias)[:2], "Async")
                case ast.Name() if _is_renamed(node.id):
                    edits.insert(_place(node)[:2], "Async")
                case ast.FunctionDef() if node.name in self._coroutines:
                    edits.insert(_place(node)[:2], "async ")
                case ast.With():
                    self._edit_with(node, edits)
                case ast.For() if self._iterates(node.iter):
                    edits.insert(_place(node)[:2], "async ")
                case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                    self._edit_comprehension(node, edits)
                case ast.Attribute():
                    self._edit_attribute(node, parents[node], edits)
                case ast.Call():
                    self._edit_call(node, parents, edits)

    def _edit_with(self, node: ast.With, edits: _Edits) -> None:
        entered = {self._enters(item.context_expr) for item in node.items}
        if entered == {True, False}:
            raise self._error(node, "one with statement with blocks of both kinds: write two")
        if entered == {True}:
            edits.insert(_place(node)[:2], "async ")

    def _edit_comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, edits: _Edits
    ) -> None:
        for generator in node.generators:
            if self._iterates(generator.iter):
                if isinstance(node, ast.GeneratorExp):
                    raise self._error(node, "a generator expression over what is asynchronous: write a list")
                edits.insert_before_word("for", _place(generator.target)[:2], "async ")

    def _edit_attribute(self, node: ast.Attribute, parent: ast.AST, edits: _Edits) -> None:
        owner = node.value
        if (isinstance(owner, ast.Name) and owner.id == "agb" and _is_renamed(node.attr)) or (
            isinstance(owner, ast.Name)
            and owner.id == "httpx"
            and hasattr(importlib.import_module("httpx"), f"Async{node.attr}")
        ):
            edits.replace_end(node, node.attr, f"Async{node.attr}")
        twin = _twin_of_class(self._types.classes.get(_place(owner)))
        if twin is not None and _AWAITED.get(twin.__name__) == node.attr:
            edits.wrap(node, "await ", parenthesised=_binds(parent, node))

    def _edit_call(self, node: ast.Call, parents: Mapping[ast.AST, ast.AST], edits: _Edits) -> None:
        name = self._types.calls.get(_place(node))
        if name in _CONTEXTS and isinstance(node.func, ast.Attribute):
            edits.replace_end(node.func, node.func.attr, f"a{node.func.attr}")
            return
        if isinstance(node.func, ast.Name) and node.func.id == "list" and node.args and self._iterates(node.args[0]):
            edits.insert(_place(node)[:2], "[item async for item in ", delete=len("list("))
            edits.insert((_place(node)[2], _place(node)[3] - 1), "]", delete=1)
            return
        if isinstance(node.func, ast.Attribute) and (name or "").endswith(f".{node.func.attr}"):
            chosen = _twin_of_method(name)[0]
            if chosen != node.func.attr:
                edits.replace_end(node.func, node.func.attr, chosen)
        if self._awaits(node) and not _is_in_lambda(node, parents):
            edits.wrap(node, "await ", parenthesised=_binds(parents[node], node))

    def _error(self, node: ast.AST, text: str) -> SyntaxError:
        return SyntaxError(f"{self._page}:{getattr(node, 'lineno', 0)}: {text}")


def _parsed(source: str, first_line: int) -> ast.Module:
    """Return the tree of a block, with lines of its page, and columns in characters, as mypy has them."""
    tree = ast.parse(source)
    lines = [line.encode() for line in source.splitlines()]
    for node in ast.walk(tree):
        if isinstance(node, (ast.expr, ast.stmt, ast.alias)):
            node.col_offset = len(lines[node.lineno - 1][: node.col_offset].decode())
            if node.end_lineno is not None and node.end_col_offset is not None:
                node.end_col_offset = len(lines[node.end_lineno - 1][: node.end_col_offset].decode())
    ast.increment_lineno(tree, first_line)
    return tree


def _place(node: ast.AST) -> Place:
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]


def _own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of functions and lambdas in it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(node))


def _binds(parent: ast.AST, node: ast.AST) -> bool:
    """Return whether an ``await`` of the node needs parentheses."""
    if isinstance(parent, (ast.Attribute, ast.Subscript)):
        return parent.value is node
    return isinstance(parent, ast.Call) and parent.func is node


def _is_in_lambda(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> bool:
    """Return whether the caller of a lambda awaits the value."""
    while node in parents:
        node = parents[node]
        if isinstance(node, ast.Lambda):
            return True
    return False


# --- texts -------------------------------------------------------------------------------------------------------


class _Edits:
    """Insertions into the text of a block that begins at a line of its page."""

    def __init__(self, source: str, first_line: int) -> None:
        self._lines = source.splitlines(keepends=True)
        self._first_line = first_line
        self._edits: list[tuple[int, int, int, int, str]] = []

    def __bool__(self) -> bool:
        return bool(self._edits)

    def insert(self, at: tuple[int, int], text: str, *, delete: int = 0) -> None:
        """Insert a text at a line of the page and a column, in place of so many characters."""
        line, column = at
        self._edits.append((line - 1 - self._first_line, column, len(self._edits), delete, text))

    def insert_before_word(self, word: str, at: tuple[int, int], text: str) -> None:
        """Insert a text before the last occurrence of a word before a place."""
        line, column = at
        before = self._lines[line - 1 - self._first_line][:column]
        found = before.rfind(word)
        if found < 0:
            raise SyntaxError(f"line {line}: {word!r} is not on the line of what follows it")
        self.insert((line, found), text)

    def replace_end(self, node: ast.AST, old: str, new: str) -> None:
        """Replace the last word of a node."""
        _, _, line, column = _place(node)
        self.insert((line, column - len(old)), new, delete=len(old))

    def wrap(self, node: ast.AST, text: str, *, parenthesised: bool) -> None:
        """Insert a text before a node, and parentheses around both."""
        first_line, first_column, last_line, last_column = _place(node)
        self.insert((first_line, first_column), f"({text}" if parenthesised else text)
        if parenthesised:
            self.insert((last_line, last_column), ")")

    def result(self) -> str:
        """Return the text with all insertions; those at one place in the order in which they were made."""
        lines = list(self._lines)
        for row, column, _, delete, text in sorted(self._edits, reverse=True):
            line = lines[row]
            lines[row] = line[:column] + text + line[column + delete :]
        return "".join(lines)


def _completed(twin: str, source: str) -> str:
    """Return the twin of a complete program with a ``main``; other twins as they are."""
    statements = ast.parse(source).body
    opening = [
        number
        for number, statement in enumerate(statements)
        if isinstance(statement, ast.With) and any(_opens_client(item.context_expr) for item in statement.items)
    ]
    if not opening:
        return twin
    first = compile(twin, "<twin>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, True)
    assert isinstance(first, ast.Module)
    start = first.body[opening[0]].lineno - 1
    literal = {
        line
        for node in ast.walk(first)
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and node.end_lineno
        for line in range(node.lineno, node.end_lineno)
    }
    lines = twin.splitlines(keepends=True)
    body = [line if row in literal or not line.strip() else f"    {line}" for row, line in enumerate(lines)][start:]
    docstring = ast.get_docstring(first, clean=False)
    lines.insert(0 if docstring is None else first.body[0].end_lineno or 0, "import asyncio\n")
    head = "".join(lines[: start + 1])
    return f"{head}\n\nasync def main() -> None:\n{''.join(body)}\n\nasyncio.run(main())\n"


def _opens_client(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "AGB"


def formatted(sources: list[str]) -> list[str]:
    """Return blocks as ruff formats them, with their imports in order."""
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name, f"block_{number}.py") for number in range(len(sources))]
        for path, source in zip(paths, sources, strict=True):
            path.write_text(source, "utf-8")
        ruff = [sys.executable, "-m", "ruff"]
        for command in (["check", "--select=I", "--fix-only"], ["format", f"--line-length={WIDTH}"]):
            command = [*ruff, *command, "--isolated", "--no-cache", "--quiet", name]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            if ran.returncode:
                raise SyntaxError(ran.stdout + ran.stderr)
        return [path.read_text("utf-8") for path in paths]
