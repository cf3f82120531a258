"""Public names of agbcloud-sdk 0.12 outside the browser agent: their import paths and compatible signatures.

The names are in `public_names_0_12.json`, which `interop/public_names.py` has made by introspection.
"""

from __future__ import annotations

import asyncio
import enum
import importlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import pytest

NAMES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("public_names_0_12.json").read_text("utf-8"))
CASES = [(module, name) for module, names in NAMES.items() for name in names]
is_coroutine_function = inspect.iscoroutinefunction if sys.version_info >= (3, 12) else asyncio.iscoroutinefunction
"""Python 3.11 has a marker for functions that return a finished coroutine only in asyncio."""
OPTIONAL_HERE = {
    ("agb.config", "Config", "timeout_ms"),
    ("agb.modules.browser.browser", "Browser", "initialize", "option"),
    ("agb.modules.browser.browser", "Browser", "initialize_async", "option"),
}
"""Parameters that have a default here, and none in 0.12."""


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


def check_signature(where: tuple[str, ...], function: Any, theirs: list[dict[str, Any]]) -> None:
    """Assert that every call which the signature in 0.12 allows is allowed here, and means the same."""
    if all(one["kind"].startswith("VAR_") for one in theirs):
        return  # it says nothing about the arguments
    ours = parameters(function)
    positional = [one["name"] for one in theirs if one["kind"] == "POSITIONAL_OR_KEYWORD"]
    order = [name for name, one in ours.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert order[: len(positional)] == positional
    kinds = {one.kind.name for one in ours.values()}
    for one in theirs:
        if one["kind"].startswith("VAR_"):
            assert one["kind"] in kinds
            continue
        found = ours[one["name"]]
        assert found.kind.name == one["kind"]
        if "default" not in one:
            assert found.default is found.empty or (*where, found.name) in OPTIONAL_HERE
        elif one["default"] == "<factory>":
            assert found.default is not found.empty
        else:
            assert one["default"] in (found.default, repr(found.default))
    more = [one for name, one in ours.items() if name not in {one["name"] for one in theirs}]
    assert all(one.default is not one.empty or one.kind.name.startswith("VAR_") for one in more)


def check_function(where: tuple[str, ...], function: Any, theirs: dict[str, Any]) -> None:
    check_signature(where, function, theirs["parameters"])
    assert is_coroutine_function(function) == theirs["is_coroutine"]


@pytest.mark.parametrize(("module", "name"), CASES, ids=[f"{module}.{name}" for module, name in CASES])
def test_name_is_there_with_a_compatible_signature(module: str, name: str) -> None:
    value = getattr(importlib.import_module(module), name)
    theirs = NAMES[module][name]
    if "value" in theirs:
        assert (sorted(value) if isinstance(value, set | frozenset) else value) == theirs["value"]
    elif "members" in theirs:
        assert issubclass(value, enum.Enum)
        assert {member.name: member.value for member in value} == theirs["members"]
    elif "methods" in theirs:
        check_signature((module, name), value, theirs["parameters"])
        for method, shape in theirs["methods"].items():
            check_function((module, name, method), getattr(value, method), shape)
        for attribute in theirs["properties"]:
            assert hasattr(value, attribute)
        if theirs["attributes"]:
            assert set(theirs["attributes"]) <= vars(value()).keys()
            assert value() == value()
    elif "parameters" in theirs:
        check_function((module, name), value, theirs)


def test_list_is_not_empty() -> None:
    assert len(CASES) > 200
    assert "sync" in NAMES["agb.context_manager"]["ContextManager"]["methods"]
