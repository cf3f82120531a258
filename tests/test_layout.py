"""The layout of the package: import rules, what an import loads, and the code conventions that a parser can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"

PUBLIC_TYPES = {
    f"agb.{name}"
    for name in (
        "browser_agent",
        "browser_options",
        "config",
        "context_sync",
        "desktop",
        "events",
        "exceptions",
        "fingerprint",
        "hooks",
        "outcomes",
        "language",
        "limits",
        "owned",
        "refs",
        "results",
        "session_params",
        "stats",
    )
}
COMPATIBILITY = {
    "agb.agb",
    "agb.session",
    "agb.context",
    "agb.context_manager",
    "agb.extension",
    "agb.model",
    "agb.modules",
}
COMMAND_LINE = {"agb.cli", "agb.quickstart"}
TEST_KIT = {"agb.testing"}
"""What tests of other programs use: it starts the local runtime, and has transports of httpx."""
PRINTS = {"agb.local.command", "agb.integrations.jupyter", "agb.integrations.notebook"}
"""A line for the program that started it, the command that installs a kernel, and the output of cells."""
ENTRY = "agb.local.__main__"
"""Where ``python -m agb.local`` begins, which is ``agb serve``."""
FLAVOURS = {"agb._async", "agb._sync"}
HTTP = {"httpx", "httpx2", "httpcore", "httpcore2"}
EVENT_LOOPS = {"anyio", "asyncio", "trio", "sniffio"}
INPUT_OUTPUT = {
    *("asyncio", "concurrent", "http", "io", "mmap", "multiprocessing", "queue", "sched", "select", "selectors"),
    *("shutil", "signal", "socket", "socketserver", "ssl", "subprocess", "tempfile", "threading", "urllib.request"),
}


@dataclass(frozen=True)
class Import:
    """One name that a module imports."""

    target: str
    """The imported module; for ``from a import b`` it is ``a.b`` if that is a module, else ``a``."""
    line: int
    for_types_only: bool
    at_import_time: bool


@dataclass(frozen=True)
class Module:
    """A module of the package, parsed."""

    name: str
    path: Path
    tree: ast.Module

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def package(self) -> str:
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    def imports(self) -> Iterator[Import]:
        yield from self._imports(self.tree.body, for_types_only=False, at_import_time=True)

    def _imports(self, body: list[ast.stmt], *, for_types_only: bool, at_import_time: bool) -> Iterator[Import]:
        for node in body:
            match node:
                case ast.Import() | ast.ImportFrom():
                    for target in self._targets(node):
                        yield Import(target, node.lineno, for_types_only, at_import_time and not for_types_only)
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    yield from self._imports(node.body, for_types_only=for_types_only, at_import_time=False)
                case ast.If() if ast.unparse(node.test).endswith("TYPE_CHECKING"):
                    yield from self._imports(node.body, for_types_only=True, at_import_time=False)
                    yield from self._imports(node.orelse, for_types_only=for_types_only, at_import_time=at_import_time)
                case _:
                    for part in _bodies(node):
                        yield from self._imports(part, for_types_only=for_types_only, at_import_time=at_import_time)

    def _targets(self, node: ast.Import | ast.ImportFrom) -> set[str]:
        if isinstance(node, ast.Import):
            return {alias.name for alias in node.names}
        base = node.module or ""
        if node.level:
            above = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
            base = ".".join([*above, *([node.module] if node.module else [])])
        names = {f"{base}.{alias.name}" for alias in node.names}
        return {name if name in _names() else base for name in names}


def _bodies(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The blocks of statements inside a compound statement."""
    for field in ("body", "orelse", "finalbody"):
        yield getattr(node, field, [])
    for part in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
        yield part.body


@cache
def _names() -> dict[str, Path]:
    """The modules of the package, by their names."""
    paths = sorted((SRC / "agb").rglob("*.py"))
    return {".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


@cache
def modules() -> list[Module]:
    return [
        Module(name, path, ast.parse(path.read_text(encoding="utf-8"), str(path))) for name, path in _names().items()
    ]


def within(name: str, packages: set[str]) -> bool:
    """Whether ``name`` is one of ``packages``, or inside one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def inside(*packages: str) -> list[Module]:
    return [module for module in modules() if within(module.name, set(packages))]


def top(name: str) -> str:
    return name.partition(".")[0]


def ours(name: str) -> bool:
    return within(name, {"agb"})


def refuse(findings: list[str]) -> None:
    assert not findings, "\n" + "\n".join(findings)


# --- import rules ---------------------------------------------------------------------------------------------------


def test_wire_and_ops_do_no_input_or_output() -> None:
    """They import attrs, public types and the parts of the standard library without I/O; `_ops` imports `_wire` too."""
    findings = []
    for module in inside("agb._wire", "agb._ops"):
        below = {"agb._wire"} | ({"agb._ops"} if within(module.name, {"agb._ops"}) else set())
        for found in module.imports():
            allowed = (
                within(found.target, PUBLIC_TYPES | below | {"agb._version"})
                or top(found.target) in {"attr", "attrs"}
                or (top(found.target) in sys.stdlib_module_names and not within(found.target, INPUT_OUTPUT))
            )
            if not allowed:
                findings.append(f"{module}:{found.line}: imports {found.target}")
        findings += [
            f"{module}:{node.lineno}: {ast.unparse(node)}"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute | ast.ImportFrom | ast.Call) and _sleeps_or_opens(node)
        ]
    refuse(findings)


def _sleeps_or_opens(node: ast.Attribute | ast.ImportFrom | ast.Call) -> bool:
    match node:
        case ast.Attribute(value=ast.Name("time"), attr="sleep") | ast.Call(func=ast.Name("open")):
            return True
        case ast.ImportFrom(module="time", names=names):
            return any(alias.name == "sleep" for alias in names)
    return False


def test_public_types_import_each_other_and_leaf_modules_only() -> None:
    """A leaf is a module of `_wire` that imports no other module of this package."""
    leaves = {module.name for module in inside("agb._wire", "agb._version") if not _imports_ours(module)}
    findings = [
        f"{module}:{found.line}: imports {found.target}"
        for module in inside(*PUBLIC_TYPES)
        for found in module.imports()
        if ours(found.target) and not within(found.target, PUBLIC_TYPES | leaves)
    ]
    refuse(findings)


def _imports_ours(module: Module) -> bool:
    return any(ours(found.target) for found in module.imports())


def test_a_flavour_imports_ops_wire_and_public_types_only() -> None:
    findings = [
        f"{module}:{found.line}: imports {found.target}"
        for flavour in sorted(FLAVOURS)
        for module in inside(flavour)
        for found in module.imports()
        if ours(found.target)
        and not within(found.target, PUBLIC_TYPES | {flavour, "agb._ops", "agb._wire", "agb._version"})
    ]
    refuse(findings)


MAY_IMPORT = {
    "_compat": set[str](),
    "net": {"_compat"},
    "host": {"_compat"},
    "api": {"_compat", "net"},
    "pager": {"_compat", "api"},
    "storage": {"_compat", "api", "host", "pager"},
    "block": {"_compat"},
    "modules": {"_compat", "api", "block", "host", "storage"},
    "lifecycle": {"_compat", "api", "block", "host", "pager"},
    "batch": {"_compat", "host", "lifecycle"},
}
"""Package or module of a flavour -> the others that it may import at run time; `client` and `session` import all."""
NO_OPERATIONS = {"_compat", "block", "host", "net"}
"""Those that know no API operation: they import neither `_ops` nor, except `net`, `_wire`."""


@pytest.mark.parametrize("flavour", sorted(FLAVOURS))
@pytest.mark.parametrize("name", MAY_IMPORT)
def test_package_of_a_flavour_imports_only_those_below_it(flavour: str, name: str) -> None:
    allowed = {f"{flavour}.{other}" for other in MAY_IMPORT[name] | {name}} | PUBLIC_TYPES | {"agb._version"}
    if name not in NO_OPERATIONS:
        allowed |= {"agb._ops"}
    if name not in NO_OPERATIONS - {"net"}:
        allowed |= {"agb._wire"}
    findings = [
        f"{module}:{found.line}: {name} imports {found.target}"
        for module in inside(f"{flavour}.{name}")
        for found in module.imports()
        if ours(found.target) and not found.for_types_only and not within(found.target, allowed)
    ]
    refuse(findings)


def test_http_libraries_are_imported_in_net_only() -> None:
    """The rule is for the client, not for the local runtime and the test kit, nor for imports under TYPE_CHECKING."""
    findings = [
        f"{module}:{found.line}: imports {found.target}"
        for module in modules()
        for found in module.imports()
        if top(found.target) in HTTP
        and not found.for_types_only
        and not within(module.name, COMMAND_LINE | TEST_KIT | {"agb.local", "agb.integrations"})
        and not within(module.name, {f"{flavour}.net" for flavour in FLAVOURS})
    ]
    refuse(findings)


def test_event_loop_libraries_are_imported_in_compat_only() -> None:
    findings = [
        f"{module}:{found.line}: imports {found.target}"
        for module in modules()
        for found in module.imports()
        if top(found.target) in EVENT_LOOPS
        and not within(module.name, COMMAND_LINE | {"agb.local", "agb.integrations"})
        and not within(module.name, {"agb._async._compat", "agb._async.net.streams"})
        # asyncio has the marker of coroutine functions, and those of 0.12 run in threads
        and module.name not in {"agb._sync._compat.results", "agb._sync._compat.coroutines"}
    ]
    refuse(findings)


def test_local_runtime_imports_no_client() -> None:
    findings = [
        f"{module}:{found.line}: imports {found.target}"
        for module in inside("agb.local")
        if module.name != ENTRY
        for found in module.imports()
        if ours(found.target) and not within(found.target, PUBLIC_TYPES | {"agb.local", "agb._wire", "agb._version"})
    ]
    refuse(findings)


def test_only_the_command_line_and_the_test_kit_import_the_local_runtime() -> None:
    findings = [
        f"{module}:{found.line}: imports {found.target}"
        for module in modules()
        for found in module.imports()
        if within(found.target, {"agb.local"}) and not within(module.name, COMMAND_LINE | TEST_KIT | {"agb.local"})
    ]
    refuse(findings)


def test_nothing_imports_the_test_kit() -> None:
    findings = [
        f"{module}:{found.line}: imports {found.target}"
        for module in modules()
        for found in module.imports()
        if within(found.target, TEST_KIT) and not within(module.name, TEST_KIT)
    ]
    refuse(findings)


def test_no_two_modules_import_each_other() -> None:
    """Also not by an import inside a function; an import for annotations only does not count."""
    graph = {
        module.name: {found.target for found in module.imports() if not found.for_types_only and ours(found.target)}
        for module in modules()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a cycle of imports: {' -> '.join(error.args[1])}")


def test_compatibility_modules_hold_no_logic() -> None:
    findings = [
        f"{module}:{node.lineno}: a compatibility module holds more than imports: {ast.unparse(node)[:60]}"
        for module in inside(*COMPATIBILITY)
        for node in module.tree.body
        if not _is_import_or_alias(node)
    ]
    refuse(findings)


def _is_import_or_alias(node: ast.stmt) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.Assign(targets=[ast.Name("__all__")]) | ast.Assign(value=ast.Name() | ast.Attribute()):
            return True
    return False


# --- what an import loads -------------------------------------------------------------------------------------------


def test_import_loads_nothing_heavy() -> None:
    program = "import sys; before = set(sys.modules); import agb; print(*sorted(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=SRC)
    heavy = HTTP | EVENT_LOOPS
    heavy |= {"ssl", "socket", "websockets", "starlette", "uvicorn", "jupyter_client", "psutil", "dotenv"}
    assert "agb" in result.stdout.split()
    assert not heavy & set(result.stdout.split())
    assert result.stderr == ""


# --- conventions ----------------------------------------------------------------------------------------------------

SOURCES = [
    path
    for place in ("src", "tests", "tools", "benchmarks", "noxfile.py")
    for path in ([ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("*.py")))
    if not path.is_relative_to(ROOT / "tests" / "_sync")
]
"""All but the generated tests, which keep these conventions if their sources do."""
ALLOWED_SLEEP = "# waits on purpose: "


def test_every_module_starts_with_a_docstring() -> None:
    """It stands on the first line, or on the second after the banner of the generator, and has at least two words."""
    start = re.compile(r'(# Generated from .*\n)?r?"""\S+ \S')
    refuse(
        [
            f"{path.relative_to(ROOT)}:1: it does not start with a docstring whose first line is a summary"
            for path in SOURCES
            if (text := path.read_text(encoding="utf-8")) and not start.match(text)
        ]
    )


CALLED_TO_PRINT = re.compile(r"\b(print|write)\(")
"""Before a file is parsed, which takes longer than the search."""


def test_only_the_command_line_prints() -> None:
    findings = [
        f"{module}:{node.lineno}: {ast.unparse(node)}"
        for module in modules()
        if not within(module.name, COMMAND_LINE | PRINTS)
        if CALLED_TO_PRINT.search(module.path.read_text(encoding="utf-8"))
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"print", "sys.stdout.write", "sys.stderr.write"}
    ]
    refuse(findings)


def test_no_test_sleeps_to_wait_for_an_event() -> None:
    """``sleep(0)`` is allowed, since it only yields; any other needs a comment ``# waits on purpose: <reason>``."""
    findings = []
    for path in (path for path in SOURCES if path.is_relative_to(ROOT / "tests")):
        text = path.read_text(encoding="utf-8")
        if "sleep(" not in text:
            continue
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call) or not _sleeps(node):
                continue
            around = lines[max(node.lineno - 2, 0) : node.end_lineno]
            if not any(ALLOWED_SLEEP in line for line in around):
                findings.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    refuse(findings)


def _sleeps(call: ast.Call) -> bool:
    match call:
        case ast.Call(args=[ast.Constant(value=0)]):
            return False
        case ast.Call(func=ast.Attribute(value=ast.Name("time" | "anyio" | "asyncio" | "trio"), attr="sleep")):
            return True
        case ast.Call(func=ast.Name("sleep")):
            return True
    return False
