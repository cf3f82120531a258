"""The layout of a flavour: which of its packages may import which, also for types, and that private names stay private.

An import under ``TYPE_CHECKING`` counts as well: a package is written for small Protocols of what it needs, not for the
classes of the client that load it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

import pytest

from .test_layout import PUBLIC_TYPES, Module, inside, refuse, within

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
}
"""Package or module -> what it must not import, at run time or for types.

A batch is made of a client and its sessions, and names their classes in annotations; at run time it imports neither."""


def test_no_package_imports_one_above_it() -> None:
    refuse(
        [
            f"{module}:{imported.line}: imports {imported.target}"
            for name, forbidden in MUST_NOT_IMPORT.items()
            for module in inside(f"{FLAVOUR}.{name}")
            for imported in module.imports()
            if within(imported.target, forbidden)
        ]
    )


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


def test_private_names_are_used_in_their_package_only() -> None:
    """A name that begins with an underscore belongs to the package whose module defines it.

    ``self._name`` and ``cls._name`` are always allowed. Any other ``x._name`` is allowed if a module of the same
    package defines the name; and for a module outside of ours, such as a private function of `asyncio`, whose use is
    explained where it is used.
    """
    refuse(
        [
            f"{module}:{line}: {text}"
            for module in inside(FLAVOUR)
            for line, text in _foreign_private_names(module, _names_of_package(module.package))
        ]
    )


@cache
def _names_of_package(package: str) -> frozenset[str]:
    return frozenset(
        name for module in inside(package) if module.package == package for name in _defined_names(module.tree)
    )


def _foreign_private_names(module: Module, own: frozenset[str]) -> Iterator[tuple[int, str]]:
    outside = {alias.asname or alias.name for alias in _imported_modules(module.tree)}
    for node in ast.walk(module.tree):
        match node:
            case ast.Attribute(value=ast.Name("self" | "cls")):
                continue
            case ast.Attribute(value=ast.Name(name)) if name in outside:
                continue
            case ast.Attribute(attr=name) if _is_private(name) and name not in own:
                yield node.lineno, ast.unparse(node)
            case ast.ImportFrom(level=level, names=names) if level:
                for alias in names:
                    is_package = alias.name in ("_async", "_sync", "_wire", "_ops", "_compat")
                    if _is_private(alias.name) and not is_package and alias.name not in own:
                        yield node.lineno, ast.unparse(node)


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
