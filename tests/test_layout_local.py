"""The layout of the local runtime: which of its packages may import which, and where HTTP libraries are used."""

from __future__ import annotations

import sys

import pytest

from .test_layout import PUBLIC_TYPES, Module, inside, modules, ours, refuse, top, within

LOCAL = "agb.local"
VALUES = {f"{LOCAL}.{name}" for name in ("errors", "limits", "page_tokens", "planner", "report", "validation")}
"""Modules without a package: values and checks that every package may import."""
MAY_IMPORT = {
    "inside": set[str](),
    "sandbox": {"inside"},
    "kernels": {"inside", "sandbox"},
    "browser": {"inside", "sandbox"},
    "contexts": {"inside", "sandbox"},
    "desktop": {"inside", "sandbox"},
    "sessions": {"browser", "contexts", "desktop", "inside", "kernels", "sandbox"},
    "api": {"browser", "contexts", "desktop", "kernels", "sessions"},
}
"""Package -> the other packages of the runtime that it may import. Nothing imports upwards, so there is no cycle."""
SERVER = {"server", "command", "options", "child", "__main__"}
"""Modules that serve the runtime; they may import everything, and no package imports them."""
HTTP_SERVER = {"starlette", "uvicorn"}
KERNEL_LIBRARIES = {"IPython", "ipykernel", "jupyter_client", "traitlets", "zmq"}
"""What a Jupyter kernel is made of; the package that runs one inside a session loads it there."""
DESKTOP_LIBRARIES = {"PIL", "Xlib"}
"""What the program of a desktop is made of, loaded inside a session as well."""


def package(name: str) -> str:
    """Return the package of the runtime that a module belongs to, "" for modules without one."""
    first = name.removeprefix(f"{LOCAL}.").partition(".")[0]
    return first if first in MAY_IMPORT else ""


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_package_imports_only_those_below_it(name: str) -> None:
    allowed = {f"{LOCAL}.{other}" for other in MAY_IMPORT[name] | {name}} | VALUES
    findings = [
        f"{module}:{found.line}: {name} imports {found.target}"
        for module in inside(f"{LOCAL}.{name}")
        for found in module.imports()
        if within(found.target, {LOCAL}) and not within(found.target, allowed)
    ]
    refuse(findings)


def test_values_import_no_package() -> None:
    allowed = VALUES | PUBLIC_TYPES | {"agb._wire"}
    findings = [
        f"{module}:{found.line}: imports {found.target}"
        for module in inside(*VALUES)
        for found in module.imports()
        if ours(found.target) and not within(found.target, allowed)
    ]
    refuse(findings)


def test_only_api_and_server_use_the_http_server() -> None:
    findings = [
        f"{module}:{found.line}: imports {found.target}"
        for module in inside(LOCAL)
        for found in module.imports()
        if top(found.target) in HTTP_SERVER and package(module.name) != "api" and module.name != f"{LOCAL}.server"
    ]
    refuse(findings)


def test_programs_inside_import_the_standard_library_and_each_other() -> None:
    """A session sees this directory alone, and the interpreter starts its programs without installed packages."""
    findings = [
        f"{module}:{found.line}: imports {found.target}"
        for module in inside(f"{LOCAL}.inside")
        for found in module.imports()
        if not _runs_inside(module, found.target)
    ]
    refuse(findings)


def _runs_inside(module: Module, target: str) -> bool:
    return (
        top(target) in sys.stdlib_module_names
        or within(target, {f"{LOCAL}.inside"})
        or (within(module.name, {f"{LOCAL}.inside.python_kernel"}) and top(target) in KERNEL_LIBRARIES)
        or (within(module.name, {f"{LOCAL}.inside.desktop_helper"}) and top(target) in DESKTOP_LIBRARIES)
    )


def test_every_module_has_its_place() -> None:
    """In a package with a rule above, among the values, or among what serves the runtime."""
    places = VALUES | {f"{LOCAL}.{name}" for name in (*MAY_IMPORT, *SERVER)}
    findings = [
        f"{module}: no rule says what it may import"
        for module in modules()
        if within(module.name, {LOCAL}) and module.name != LOCAL and not within(module.name, places)
    ]
    refuse(findings)
