"""The generator: writes the synchronous flavour from the asynchronous one.

    python tools/unasync.py            write src/agb/_sync and tests/_sync
    python tools/unasync.py --check    write nothing; exit 1 if a file is not what would be written

How it works. Each module is parsed by libcst, which keeps every comment and blank line. `_Branches` resolves
``if ASYNC:``, then `_Flavour` takes away what the language has for waiting (``async``, ``await``, ``Awaitable[T]``)
and renames: ``AsyncX`` becomes ``X``, everything else stands in `RULES`. Names are renamed in code and in all
strings; docstrings and comments also lose ``async`` and ``await`` from the code they show. Ruff formats the result.

It stops, naming file and line, at anything asynchronous that is left over, and at a rule that no module needed. There
are no exceptions for single files: what has no synchronous twin is written differently, or stands in `_compat`, of
which each flavour has its own, written by hand.
"""

# libcst finds a visitor's methods by the names of its nodes, and gives each of them both arguments.
# ruff: noqa: N802, ARG002

from __future__ import annotations

import argparse
import difflib
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

REPOSITORY = Path(__file__).resolve().parent.parent

# --- the rules: one line each, and each must be in use --------------------------------------------------------------


@dataclass(frozen=True)
class Rules:
    """What is changed besides ``async``, ``await`` and ``AsyncX``."""

    names: Mapping[str, str]
    """Names, and what they are called in the synchronous flavour."""
    wrappers: Mapping[str, int]
    """Types that only say "wait for it", and which of their arguments is what one gets: ``Awaitable[T]`` is ``T``."""
    marks: frozenset[str]
    """Marks of pytest that say how to run an asynchronous test."""

    def all(self) -> list[str]:
        """Return every rule, by what it looks for."""
        return [*self.names, *self.wrappers, *sorted(self.marks)]


RULES = Rules(
    names={
        "__aenter__": "__enter__",
        "__aexit__": "__exit__",
        "__aiter__": "__iter__",
        "__anext__": "__next__",
        "AbstractAsyncContextManager": "AbstractContextManager",
        "enter_async_context": "enter_context",
        "StopAsyncIteration": "StopIteration",
        "asynccontextmanager": "contextmanager",
        "_async": "_sync",
        "aclose": "close",
        "aiter_bytes": "iter_bytes",
        "aiter_raw": "iter_raw",
        "aread": "read",
        "async_api": "sync_api",
        "async_playwright": "sync_playwright",
        "handle_async_request": "handle_request",
    },
    wrappers={"Awaitable": 0},
    marks=frozenset({"anyio"}),
)

# --- where from, where to -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tree:
    """A directory of modules, and the one its twin is written to; both relative to the repository's root."""

    source: str
    target: str
    by_hand: frozenset[str] = frozenset()
    """Modules and packages that both directories have, neither made from the other."""
    strings_are_prose: bool = False
    """Whether a string is for people to read, so that ``await`` in it is a mistake. In tests it may be a program."""


BY_HAND = frozenset({"_compat", "net/streams.py"})
"""What has no twin that could be generated: a package and a module, written for each flavour with the same names."""
TREES = (
    Tree("src/agb/_async", "src/agb/_sync", by_hand=BY_HAND, strings_are_prose=True),
    Tree("tests/_async", "tests/_sync"),
)


class GeneratorError(Exception):
    """Something keeps the synchronous flavour from being written; the text has a line for each finding."""

    def __init__(self, findings: Iterable[str]) -> None:
        self.findings = list(findings)
        super().__init__("\n".join(self.findings))


# --- names and text -------------------------------------------------------------------------------------------------

_ASYNC_PREFIX = re.compile(r"(?<![^\W_])Async(?=[A-Z])")  # AsyncSession, _AsyncPool; not DeleteAsyncX
_WORD = re.compile(r"\\.|[^\W\d]\w*", re.DOTALL)  # an escape is no part of the word behind it
_ARTICLE = re.compile(r"\b([Aa])n(\s+[`'\"~]*)(?=Async[B-DF-HJ-NP-TV-Z])")  # an AsyncSession -> a Session
_SHOWN_ASYNC = re.compile(r"\basync (?=(?:def|with|for)\b)")
_SHOWN_AWAIT = re.compile(r"\bawait (?=[^\W\d]\w*(?:[(\[]|\.[^\W\d]))")  # not: await it
_SHOWN = re.compile(r"\bawait\b|\basync (?:def|with|for)\b|\basyncio\.run\b")

_NEEDS_RULE = re.compile(
    r"^_*async(?!io)|Async(?=[A-Z])|^pytest_asyncio$"
    r"|^__a(?:enter|exit|iter|next)__$|^a(?:close|iter|next|read|serve)(?:_|$)|^handle_async_request$"
)
_LEFTOVER = re.compile(
    rf"{_NEEDS_RULE.pattern}|^ASYNC$|^(?:Awaitable|Coroutine)$"
    r"|(?:^|_)(?:anyio|asyncio|trio)(?:_|$)|AnyIO|Trio(?=[A-Z])"
)
"""Names that do not belong into the synchronous flavour; those that need a rule have a twin of another name."""


class Names:
    """Renames, in code and in text, and knows which rules were used."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.used: set[str] = set()

    def rename(self, name: str) -> str:
        """Return what ``name`` is called in the synchronous flavour."""
        if name in self.rules.names:
            self.used.add(name)
            return self.rules.names[name]
        return _ASYNC_PREFIX.sub("", name)

    def in_string(self, text: str) -> str:
        """Return ``text`` with its names renamed."""
        return _WORD.sub(lambda match: self.rename(match[0]), text)

    def in_prose(self, text: str) -> str:
        """Return ``text`` with its names renamed, and the code it shows without ``async`` and ``await``."""
        text = _ARTICLE.sub(r"\1\2", text)
        return self.in_string(_SHOWN_AWAIT.sub("", _SHOWN_ASYNC.sub("", text)))

    def unused(self) -> list[str]:
        """Return the rules that no module needed so far."""
        return [name for name in self.rules.all() if name not in self.used]


# --- code -----------------------------------------------------------------------------------------------------------


def _is_for_async(test: cst.BaseExpression) -> bool | None:
    """Return what the test says about the flavour: ``ASYNC`` True, ``not ASYNC`` False, anything else None."""
    match test:
        case cst.Name("ASYNC"):
            return True
        case cst.UnaryOperation(operator=cst.Not(), expression=cst.Name("ASYNC")):
            return False
    return None


class _Branches(cst.CSTTransformer):
    """Replaces ``if ASYNC:`` and ``if not ASYNC:`` by the branch that the synchronous flavour takes."""

    def leave_If(
        self, original_node: cst.If, updated_node: cst.If
    ) -> cst.BaseStatement | cst.FlattenSentinel[cst.BaseStatement] | cst.RemovalSentinel:
        for_async = _is_for_async(updated_node.test)
        if for_async is None:
            return updated_node
        kept = updated_node.orelse if for_async else updated_node
        if kept is None:
            return cst.RemoveFromParent()
        if for_async and isinstance(kept, cst.If):
            return kept.with_changes(leading_lines=updated_node.leading_lines)
        first, *others = _statements(kept.body)
        first = first.with_changes(leading_lines=(*updated_node.leading_lines, *first.leading_lines))
        return cst.FlattenSentinel([first, *others])


_Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement


def _statements(body: cst.BaseSuite) -> list[_Statement]:
    if isinstance(body, cst.SimpleStatementSuite):
        return [cst.SimpleStatementLine(body.body)]
    return [node for node in body.body if isinstance(node, _Statement)]


class _Flavour(cst.CSTTransformer):
    """Takes away what waits, and renames."""

    def __init__(self, names: Names) -> None:
        super().__init__()
        self.names = names
        self.prose: set[cst.CSTNode] = set()

    # what the language has for waiting

    def leave_Asynchronous(  # type: ignore[override]  # libcst can remove it, its annotation forgot to say so
        self, original_node: cst.Asynchronous, updated_node: cst.Asynchronous
    ) -> cst.RemovalSentinel:
        return cst.RemoveFromParent()

    def leave_Await(self, original_node: cst.Await, updated_node: cst.Await) -> cst.BaseExpression:
        value = updated_node.expression
        if not updated_node.lpar or not _needs_parentheses(updated_node):
            return value
        return value.with_changes(lpar=(*updated_node.lpar, *value.lpar), rpar=(*value.rpar, *updated_node.rpar))

    # types

    def leave_Subscript(self, original_node: cst.Subscript, updated_node: cst.Subscript) -> cst.BaseExpression:
        match original_node.value:
            case cst.Name(name) if name in self.names.rules.wrappers:
                self.names.used.add(name)
                inner = updated_node.slice[self.names.rules.wrappers[name]].slice
                return inner.value if isinstance(inner, cst.Index) else updated_node
            case cst.Name("AsyncGenerator") if len(updated_node.slice) == 2:
                returned = cst.SubscriptElement(cst.Index(cst.Name("None")))
                return updated_node.with_changes(slice=(*updated_node.slice, returned))
        return updated_node

    def leave_BinaryOperation(
        self, original_node: cst.BinaryOperation, updated_node: cst.BinaryOperation
    ) -> cst.BaseExpression:
        """``T | Awaitable[T]`` has become ``T | T``."""
        is_union = isinstance(updated_node.operator, cst.BitOr)
        return updated_node.left if is_union and updated_node.left.deep_equals(updated_node.right) else updated_node

    def leave_ImportFrom(
        self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom
    ) -> cst.ImportFrom | cst.RemovalSentinel:
        if isinstance(updated_node.names, cst.ImportStar):
            return updated_node
        kept = [
            alias for alias in updated_node.names if alias.evaluated_name not in {"ASYNC", *self.names.rules.wrappers}
        ]
        if not kept:
            return cst.RemoveFromParent()
        if len(kept) < len(updated_node.names):
            kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        return updated_node.with_changes(names=kept)

    # tests

    def leave_Decorator(
        self, original_node: cst.Decorator, updated_node: cst.Decorator
    ) -> cst.Decorator | cst.RemovalSentinel:
        return cst.RemoveFromParent() if self._is_mark(original_node.decorator) else updated_node

    def leave_Element(
        self, original_node: cst.Element, updated_node: cst.Element
    ) -> cst.BaseElement | cst.RemovalSentinel:
        return cst.RemoveFromParent() if self._is_mark(original_node.value) else updated_node

    def leave_Assign(self, original_node: cst.Assign, updated_node: cst.Assign) -> cst.Assign | cst.RemovalSentinel:
        return cst.RemoveFromParent() if self._is_mark(original_node.value) else updated_node

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.SimpleStatementLine | cst.RemovalSentinel:
        return updated_node if updated_node.body else cst.RemoveFromParent()

    def _is_mark(self, expression: cst.BaseExpression) -> bool:
        match expression.func if isinstance(expression, cst.Call) else expression:
            case cst.Attribute(
                value=cst.Attribute(value=cst.Name("pytest"), attr=cst.Name("mark")), attr=cst.Name(name)
            ) if name in self.names.rules.marks:
                self.names.used.add(name)
                return True
        return False

    # names, in code and in text

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        return updated_node.with_changes(value=self.names.rename(updated_node.value))

    def visit_Expr(self, node: cst.Expr) -> None:
        self.prose.add(node.value)

    def leave_SimpleString(self, original_node: cst.SimpleString, updated_node: cst.SimpleString) -> cst.SimpleString:
        convert = self.names.in_prose if original_node in self.prose else self.names.in_string
        return updated_node.with_changes(
            value=updated_node.prefix + convert(updated_node.value[len(updated_node.prefix) :])
        )

    def leave_FormattedStringText(
        self, original_node: cst.FormattedStringText, updated_node: cst.FormattedStringText
    ) -> cst.FormattedStringText:
        return updated_node.with_changes(value=self.names.in_string(updated_node.value))

    def leave_Comment(self, original_node: cst.Comment, updated_node: cst.Comment) -> cst.Comment:
        return updated_node.with_changes(value=self.names.in_prose(updated_node.value))


def _needs_parentheses(node: cst.Await) -> bool:
    """Whether the parentheses around ``(await x)`` hold a comment, or let ``x`` go on to the next line."""
    module = cst.Module([])
    if any("#" in module.code_for_node(parenthesis) for parenthesis in (*node.lpar, *node.rpar)):
        return True
    try:
        cst.parse_expression(module.code_for_node(node.expression))
    except cst.ParserSyntaxError:
        return True
    return False


# --- leftovers ------------------------------------------------------------------------------------------------------


def _place(visitor: cst.MetadataDependent, node: cst.CSTNode) -> CodeRange:
    place = visitor.get_metadata(PositionProvider, node)
    assert isinstance(place, CodeRange)
    return place


class _Scan(cst.CSTVisitor):
    """Collects the words that do not belong into the synchronous flavour."""

    def __init__(self, tree: Tree, rules: Rules) -> None:
        super().__init__()
        self.tree = tree
        self.names = Names(rules)
        self.prose: set[cst.CSTNode] = set()
        self.words: set[str] = set()

    def visit_Name(self, node: cst.Name) -> None:
        name = self.names.rename(node.value)
        if _LEFTOVER.search(name):
            self._found(node, 0, name)

    def visit_Expr(self, node: cst.Expr) -> None:
        self.prose.add(node.value)

    def visit_SimpleString(self, node: cst.SimpleString) -> None:
        if node in self.prose:
            self._text(node, self.names.in_prose(node.value))
        elif self.tree.strings_are_prose:
            self._text(node, node.value)

    def visit_FormattedStringText(self, node: cst.FormattedStringText) -> None:
        if self.tree.strings_are_prose:
            self._text(node, node.value)

    def _text(self, node: cst.CSTNode, text: str) -> None:
        for number, line in enumerate(text.split("\n")):
            for match in _SHOWN.finditer(line):
                self._found(node, number, match[0])

    def _found(self, node: cst.CSTNode, offset: int, word: str) -> None:
        """Take note of a word that stands ``offset`` lines below the first line of a node."""
        self.words.add(word)


class _ScanWithPlaces(_Scan):
    """Collects pairs of line and word. Positions take most of the time, so this is for a source with findings only."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, tree: Tree, rules: Rules) -> None:
        super().__init__(tree, rules)
        self.findings: list[tuple[int, str]] = []

    def _found(self, node: cst.CSTNode, offset: int, word: str) -> None:
        self.findings.append((_place(self, node).start.line + offset, word))


class _DeadLines(cst.CSTVisitor):
    """Finds the lines of the branches that the synchronous flavour does not take."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.lines: set[int] = set()
        self.elifs: list[int] = []

    def visit_If(self, node: cst.If) -> None:
        for_async = _is_for_async(node.test)
        dead = node.body if for_async else node.orelse
        if for_async is not None and dead is not None:
            place = _place(self, dead)
            self.lines.update(range(place.start.line, place.end.line + 1))
        if isinstance(node.orelse, cst.If) and _is_for_async(node.orelse.test) is not None:
            self.elifs.append(_place(self, node.orelse).start.line)


def _advice(word: str) -> str:
    if _SHOWN.fullmatch(word):
        return "in text: write it neutrally, or keep a program in a module that both flavours share"
    if word == "ASYNC":
        return "it may only be asked by 'if ASYNC:' and 'if not ASYNC:'"
    if word in {"Awaitable", "Coroutine"}:
        return "its arguments are missing, or its rule is"
    return "rename it, or add a rule" if _NEEDS_RULE.search(word) else "take it from _compat, or add a rule"


def leftovers(path: str, source: str, result: str, tree: Tree, rules: Rules = RULES) -> list[str]:
    """Return a line for each name or word of ``result`` that does not belong there, with its place in the source."""
    scan = _Scan(tree, rules)
    cst.parse_module(result).visit(scan)
    words = scan.words
    if not words:
        return []
    module = MetadataWrapper(cst.parse_module(source))
    dead, scanned = _DeadLines(), _ScanWithPlaces(tree, rules)
    module.visit(dead)
    module.visit(scanned)
    places = [(line, word) for line, word in scanned.findings if line not in dead.lines and word in words]
    found = [(f"{path}:{line}", word) for line, word in dict.fromkeys(places)]
    found += [(path, word) for word in sorted(words - {word for _, word in places})]
    return [f"{place}: left over: {word} ({_advice(word)})" for place, word in found]


# --- files ----------------------------------------------------------------------------------------------------------


def convert(source: str, path: str, names: Names) -> str:
    """Return the synchronous flavour of a module, not formatted yet; ``path`` is for its first line and for errors."""
    try:
        module = cst.parse_module(source)
    except cst.ParserSyntaxError as error:
        raise GeneratorError([f"{path}:{error.raw_line}: {error.message}"]) from error
    if "ASYNC" in source:
        dead = _DeadLines()
        MetadataWrapper(module, unsafe_skip_copy=True).visit(dead)
        if dead.elifs:
            findings = (f"{path}:{line}: 'elif ASYNC' is not offered: write if and else" for line in dead.elifs)
            raise GeneratorError(findings)
        module = module.visit(_Branches())
    module = module.visit(_Flavour(names))
    return f"# Generated from {path} by tools/unasync.py. Do not edit.\n{module.code}"


def generate(root: Path = REPOSITORY, trees: Sequence[Tree] = TREES, rules: Rules = RULES) -> dict[str, str]:
    """Return the whole synchronous flavour: the content of each file by its path relative to ``root``.

    Raises:
        GeneratorError: a module cannot be parsed, something asynchronous is left over, or a rule is not in use.
    """
    names = Names(rules)
    findings: list[str] = []
    origins: dict[str, tuple[str, str, Tree]] = {}
    drafts: dict[str, str] = {}
    for tree in trees:
        for name in _modules(root / tree.source, tree.by_hand):
            path, target = f"{tree.source}/{name}", f"{tree.target}/{name}"
            source = (root / path).read_text(encoding="utf-8")
            try:
                drafts[target] = convert(source, path, names)
            except GeneratorError as error:
                findings += error.findings
            else:
                origins[target] = path, source, tree
    results = _tidy(drafts, root)
    for target, (path, source, tree) in origins.items():
        findings += leftovers(path, source, results[target], tree, rules)
    if drafts and not findings:
        findings += [
            f"{Path(__file__).name}: no module needs the rule for {name!r}: remove it" for name in names.unused()
        ]
    if findings:
        raise GeneratorError(findings)
    return results


def _modules(directory: Path, by_hand: Collection[str]) -> list[str]:
    names = (path.relative_to(directory).as_posix() for path in directory.rglob("*.py"))
    return sorted(name for name in names if not any(name == hand or name.startswith(f"{hand}/") for hand in by_hand))


def _tidy(drafts: Mapping[str, str], root: Path) -> dict[str, str]:
    """Format, sort imports, and remove imports that lost their use, by the project's configuration of ruff."""
    if not drafts:
        return {}
    # In a directory of its own, because the configuration may say something about the generated files.
    with tempfile.TemporaryDirectory() as directory:
        for name, text in drafts.items():
            path = Path(directory, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        common = ["--quiet", "--no-cache", f"--config={root / 'pyproject.toml'}", directory]
        for command in (["check", "--fix-only", "--select=I,F401,RUF022,TC005"], ["format"]):
            subprocess.run([sys.executable, "-m", "ruff", *command, *common], cwd=root, check=True)
        return {name: Path(directory, name).read_text(encoding="utf-8") for name in drafts}


def surplus(results: Mapping[str, str], root: Path = REPOSITORY, trees: Sequence[Tree] = TREES) -> list[str]:
    """Return the files in the generated directories that are not among the results: their source is gone."""
    present = (f"{tree.target}/{name}" for tree in trees for name in _modules(root / tree.target, tree.by_hand))
    return [path for path in present if path not in results]


def differences(results: Mapping[str, str], root: Path = REPOSITORY, trees: Sequence[Tree] = TREES) -> list[str]:
    """Return what distinguishes the files from the results: missing, surplus, and different ones with their diff."""
    found = [f"{path}: its source is gone" for path in surplus(results, root, trees)]
    for path, text in results.items():
        file = root / path
        if not file.exists():
            found.append(f"{path}: missing")
        elif (present := file.read_text(encoding="utf-8")) != text:
            lines = present.splitlines(), text.splitlines()
            diff = difflib.unified_diff(*lines, "as it is", "as generated", n=1, lineterm="")
            found.append("\n    ".join([f"{path}: differs", *islice(diff, 20)]))
    return found


def write(results: Mapping[str, str], root: Path = REPOSITORY, trees: Sequence[Tree] = TREES) -> list[str]:
    """Make the files equal to the results, and return the paths of those that were written or removed.

    Raises:
        GeneratorError: a generated directory contains a file that was not generated.
    """
    gone = surplus(results, root, trees)
    foreign = [path for path in gone if not (root / path).read_text(encoding="utf-8").startswith("# Generated from ")]
    if foreign:
        raise GeneratorError(f"{path}:1: not generated, and has no source: move it away" for path in foreign)
    changed = [
        path
        for path, text in results.items()
        if not (root / path).exists() or (root / path).read_text(encoding="utf-8") != text
    ]
    for path in gone:
        (root / path).unlink()
    for path in changed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(results[path], encoding="utf-8", newline="\n")
    return [*gone, *changed]


def main(arguments: Sequence[str] | None = None, root: Path = REPOSITORY, rules: Rules = RULES) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the synchronous flavour from the asynchronous one.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a file is not what would be written"
    )
    check = parser.parse_args(arguments).check
    try:
        results = generate(root, rules=rules)
        found = differences(results, root) if check else write(results, root)
    except GeneratorError as error:
        print(error, file=sys.stderr)
        return 1
    for line in found:
        print(line if check else f"wrote {line}")
    if check and found:
        print("The synchronous flavour is not what its source makes it: run python tools/unasync.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
