"""The public names of agbcloud-sdk, by introspection: ``python public_names.py names.json`` writes them.

A name counts as public in a module if it does not begin with an underscore and is a class, function or value of the SDK
itself. What a module imports for its own use does not count: the standard library, other packages, the loggers and the
requests of the low-level ``agb.api``. That low-level client is left out.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

LEFT_OUT = ("agb.api", "agb._release", "agb.modules.ws", "agb.modules.browser.eval")
FILE = Path(__file__).parent.parent / "public_names_0_12.json"


def public_names() -> dict[str, dict[str, Any]]:
    """Return for each module its names, each with what a program can see of it."""
    package = importlib.import_module("agb")
    modules = ["agb", *(found.name for found in pkgutil.walk_packages(package.__path__, "agb."))]
    return {
        name: dict(_names(importlib.import_module(name))) for name in sorted(modules) if not name.startswith(LEFT_OUT)
    }


def _names(module: Any) -> list[tuple[str, Any]]:
    return [
        (name, _shape(value, module.__name__))
        for name, value in sorted(vars(module).items())
        if not name.startswith("_") and _is_public(name, value, module.__name__)
    ]


def _is_public(name: str, value: object, module: str) -> bool:
    if inspect.isclass(value) or inspect.isfunction(value):
        home = value.__module__
        is_own_helper = home.startswith(LEFT_OUT) or (home == "agb.logger" != module) or home == "agb.modules.base"
        return home.startswith("agb.") and not is_own_helper
    return name.isupper() and name != "TYPE_CHECKING" and isinstance(value, str | int | list | dict | set | tuple)


def _shape(value: Any, module: str) -> dict[str, Any]:
    if not inspect.isclass(value) and not inspect.isfunction(value):
        return {"value": sorted(value) if isinstance(value, set) else value}
    if value.__module__ != module:
        return {"from": value.__module__}
    if inspect.isfunction(value):
        return _function(value)
    if issubclass(value, enum.Enum):
        return {"members": {name: member.value for name, member in value.__members__.items()}}
    return {
        "parameters": _parameters(value),
        "methods": dict(_methods(value)),
        "properties": _properties(value),
        "attributes": _attributes(value),
    }


def _attributes(cls: type) -> list[str]:
    """Return the attributes of a result; of one that cannot be made without arguments these say what it has."""
    if not cls.__name__.endswith("Result") or any("default" not in one for one in _parameters(cls)):
        return []
    return sorted(vars(cls()))


def _methods(cls: type) -> list[tuple[str, Any]]:
    own = [(name, inspect.getattr_static(cls, name)) for name in dir(cls) if not name.startswith("_")]
    kinds = (staticmethod, classmethod)
    return [
        (name, _function(getattr(cls, name)))
        for name, value in own
        if isinstance(value, kinds) or inspect.isfunction(value)
    ]


def _properties(cls: type) -> list[str]:
    return [name for name in dir(cls) if isinstance(inspect.getattr_static(cls, name), property)]


def _function(function: Any) -> dict[str, Any]:
    return {"parameters": _parameters(function), "is_coroutine": inspect.iscoroutinefunction(function)}


def _parameters(function: Any) -> list[dict[str, Any]]:
    """Return name, kind and, if there is one, the default of each parameter; a default is a constant or its text."""
    found = []
    for parameter in inspect.signature(function).parameters.values():
        entry: dict[str, Any] = {"name": parameter.name, "kind": parameter.kind.name}
        if parameter.default is not parameter.empty:
            default = parameter.default
            is_constant = default is None or isinstance(default, str | int | float)
            entry["default"] = default if is_constant else repr(default)
        found.append(entry)
    return found


def text(names: dict[str, dict[str, Any]]) -> str:
    """Return the names as JSON with a line for each, which a reader can compare."""
    modules = []
    for module, found in names.items():
        lines = [f"  {json.dumps(name)}: {json.dumps(shape)}" for name, shape in found.items()]
        modules.append(f" {json.dumps(module)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(modules) + "\n}\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(public_names()), "utf-8")
