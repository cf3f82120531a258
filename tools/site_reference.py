"""What the reference of the site adds to the docstrings: examples in both flavours, and constructors of attrs classes.

An extension of griffe, which reads the package for mkdocstrings. The asynchronous classes are documented; the twin of
an example comes from the docstring of the synchronous class, which the generator has made from the same source.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
import textwrap
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^Examples?:\n", re.MULTILINE)
_LEFT_OUT = frozenset({"_sync", "inside", "integrations"})
"""Packages without pages of their own; modules of the last import frameworks that may not be installed."""


def as_program(example: str) -> str:
    """Return the lines of a session of the interpreter as a program, with what is shown as comments."""
    parts = []
    for part in doctest.DocTestParser().parse(textwrap.dedent(example).strip("\n") + "\n"):
        if isinstance(part, doctest.Example):
            source = re.sub(r"  # doctest:.*", "", part.source)
            parts.append(source + "".join(f"# {line}\n" for line in part.want.splitlines()))
    return "".join(parts)


def with_programs(text: str, twin: str | None) -> str:
    """Return a docstring whose example is a program, in tabs if there is a twin with another one."""
    text = inspect.cleandoc(text)
    before, example, after = _split(text)
    if ">>>" not in example:
        return text
    program = as_program(example)
    second = as_program(_split(inspect.cleandoc(twin))[1]) if twin else program
    if second == program:
        shown = f"```python\n{program}```\n"
    else:
        shown = "\n".join(
            f'=== "{name}"\n\n' + textwrap.indent(f"```python\n{one}```\n", "    ")
            for name, one in (("async", program), ("sync", second))
        )
    return f"{before}**Example**\n\n{shown}\n{after}"


def _split(text: str) -> tuple[str, str, str]:
    """Return a docstring before its section "Example", the lines of that, and what is behind it."""
    found = _EXAMPLE.search(text)
    if found is None:
        return text, "", ""
    rest = text[found.end() :]
    end = re.search(r"^\S", rest, re.MULTILINE)
    middle = end.start() if end else len(rest)
    return text[: found.start()], rest[:middle], rest[middle:]


class Reference(griffe.Extension):
    """Examples in both flavours; and the parameters of classes whose constructors attrs makes."""

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **kwargs: Any) -> None:
        """Go through all objects of the package, when it has been read."""
        if pkg.name == "agb":
            self._visit(pkg, pkg)

    def _visit(self, owner: griffe.Object, package: griffe.Module) -> None:
        for member in list(owner.members.values()):
            if member.is_alias or _LEFT_OUT & set(member.path.split(".")):
                continue
            if member.docstring is not None:
                member.docstring.value = with_programs(member.docstring.value, _twin(member, package))
            if isinstance(member, griffe.Class):
                _add_parameters(member)
            if isinstance(member, (griffe.Module, griffe.Class)):
                self._visit(member, package)


def _twin(member: griffe.Object | griffe.Alias, package: griffe.Module) -> str | None:
    """Return the docstring of the same object in the synchronous flavour."""
    path = member.path.replace("agb._async.", "agb._sync.", 1).removeprefix("agb.").split(".")
    if path[0] != "_sync":
        return None
    found: Any = package
    for name in path:
        members = found.members
        found = members.get(name) or members.get(name.removeprefix("Async")) or members.get(name.removeprefix("a"))
        if found is None or found.is_alias:
            return None
    return found.docstring.value if found.docstring is not None else None


def _add_parameters(one: griffe.Class) -> None:
    """Give a class of attrs the signature that it has when the program runs."""
    if "__init__" in one.members or not any(
        "attrs" in str(decorator.value) or str(decorator.value).split("(")[0] in {"define", "frozen"}
        for decorator in one.decorators
    ):
        return
    home: Any = importlib.import_module(one.module.path)
    signature = inspect.signature(getattr(home, one.name))
    parameters = [griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)]
    kinds: dict[Any, Any] = {
        inspect.Parameter.POSITIONAL_OR_KEYWORD: griffe.ParameterKind.positional_or_keyword,
        inspect.Parameter.KEYWORD_ONLY: griffe.ParameterKind.keyword_only,
    }
    for parameter in signature.parameters.values():
        annotation = parameter.annotation
        default = None
        if parameter.default is not inspect.Parameter.empty:
            simple = isinstance(parameter.default, (str, int, float, bool, tuple, type(None)))
            default = repr(parameter.default) if simple else "..."
        text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
        parameters.append(
            griffe.Parameter(parameter.name, annotation=text, kind=kinds[parameter.kind], default=default)
        )
    function = griffe.Function("__init__", parameters=griffe.Parameters(*parameters))
    one.set_member("__init__", function)
