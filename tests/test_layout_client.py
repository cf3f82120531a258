"""The layout of a flavour: which of its packages may import which, also for types, and that private names stay private.

An import under ``TYPE_CHECKING`` counts as well: a package is written for small Protocols of what it needs, not for the
classes of the client that load it. The tables of known exceptions are to be empty; an entry that is not needed any more
fails the test.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from .test_house import PUBLIC_TYPES, Module, inside, refuse, within

FLAVOUR = "agb._async"
"""The synchronous flavour is generated from it, so it imports the same."""
ABOVE = {f"{FLAVOUR}.client", f"{FLAVOUR}.session"}
OTHERS = {f"{FLAVOUR}.{name}" for name in ("api", "batch", "lifecycle", "modules", "storage")} | ABOVE
VALUES = PUBLIC_TYPES | {"agb._version"}

MUST_NOT_IMPORT = {
    "_compat": OTHERS | {f"{FLAVOUR}.net", f"{FLAVOUR}.host", "agb._ops"},
    "net": OTHERS | {f"{FLAVOUR}.host", "agb._ops"},
    "host": OTHERS | {f"{FLAVOUR}.net", "agb._ops", "agb._wire"},
    "api": OTHERS - {f"{FLAVOUR}.api"},
    "modules": ABOVE,
    "storage": ABOVE,
    "lifecycle": ABOVE,
    "batch": ABOVE,
}
"""Package or module -> what it must not import, at run time or for types."""

KNOWN_IMPORTS = {
    ("batch.chunks", "client"),
    ("batch.distributed", "client"),
    ("batch.map", "client"),
    ("batch.map", "session"),
    ("lifecycle.reaper", "client"),
    ("lifecycle.reaper", "session"),
    ("lifecycle.session_pool", "client"),
    ("lifecycle.session_pool", "session"),
    ("storage.contexts", "client"),
    ("storage.extensions", "client"),
}
"""Imports that break the rule above still: the module, and what it imports; both without the flavour."""

KNOWN_PRIVATE_NAMES = {
    ("_compat.loop", "_awaited"),
    ("batch.chunks", "_Options"),
    ("batch.chunks", "_crew"),
    ("batch.chunks", "_delete_by_id"),
    ("batch.chunks", "_left_behind"),
    ("batch.distributed", "_Options"),
    ("batch.distributed", "_Task"),
    ("batch.map", "_params_refused"),
    ("batch.map", "_warn_left_behind"),
    ("lifecycle.reaper", "_hidden_labels"),
    ("lifecycle.session_pool", "_delete_by_id"),
    ("lifecycle.session_pool", "_state"),
    ("session", "_governor"),
}
"""Private names of other modules that are used still: the module, and the name."""


def _short(name: str) -> str:
    return name.removeprefix(f"{FLAVOUR}.")


def test_no_package_imports_one_above_it() -> None:
    found = {
        (_short(module.name), _short(imported.target)): f"{module}:{imported.line}: imports {imported.target}"
        for name, forbidden in MUST_NOT_IMPORT.items()
        for module in inside(f"{FLAVOUR}.{name}")
        for imported in module.imports()
        if within(imported.target, forbidden)
    }
    refuse([text for key, text in found.items() if key not in KNOWN_IMPORTS])
    refuse([f"no exception is needed any more: {key}" for key in sorted(KNOWN_IMPORTS - found.keys())])


@pytest.mark.parametrize("name", ["_compat", "host"])
def test_lowest_packages_import_public_values_and_compat_only(name: str) -> None:
    allowed = VALUES | {f"{FLAVOUR}._compat", f"{FLAVOUR}.{name}"}
    refuse(
        [
            f"{module}:{found.line}: imports {found.target}"
            for module in inside(f"{FLAVOUR}.{name}")
            for found in module.imports()
            if within(found.target, {"agb"}) and not within(found.target, allowed)
        ]
    )


# --- private names --------------------------------------------------------------------------------------------------


def test_private_names_are_used_in_their_module_only() -> None:
    """A name that begins with an underscore belongs to the module that defines it.

    ``self._name`` and ``cls._name`` are always allowed. Any other ``x._name`` is allowed if the same module defines the
    name, so two classes of one module may share it; and for a module outside the package, such as a private function of
    `asyncio`, whose use is explained where it is used.
    """
    found = {
        (_short(module.name), name): f"{module}:{line}: {text}"
        for module in inside(FLAVOUR)
        for name, line, text in _foreign_private_names(module)
    }
    refuse([text for key, text in found.items() if key not in KNOWN_PRIVATE_NAMES])
    refuse([f"no exception is needed any more: {key}" for key in sorted(KNOWN_PRIVATE_NAMES - found.keys())])


def _foreign_private_names(module: Module) -> Iterator[tuple[str, int, str]]:
    own = set(_defined_names(module.tree))
    outside = {alias.asname or alias.name for alias in _imported_modules(module.tree)}
    for node in ast.walk(module.tree):
        match node:
            case ast.Attribute(value=ast.Name("self" | "cls")):
                continue
            case ast.Attribute(value=ast.Name(name)) if name in outside:
                continue
            case ast.Attribute(attr=name) if _is_private(name) and name not in own:
                yield name, node.lineno, ast.unparse(node)
            case ast.ImportFrom(level=level, names=names) if level:
                for alias in names:
                    if _is_private(alias.name) and not alias.name.startswith(("_async", "_sync", "_wire", "_ops")):
                        yield alias.name, node.lineno, ast.unparse(node)


def _imported_modules(tree: ast.Module) -> Iterator[ast.alias]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from node.names


def _defined_names(tree: ast.Module) -> Iterator[str]:
    """The attributes and functions that the classes of a module define."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Attribute(value=ast.Name("self" | "cls"), attr=name, ctx=ast.Store()):
                yield name
            case ast.AnnAssign(target=ast.Name(name)) | ast.Assign(targets=[ast.Name(name)]):
                yield name


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
