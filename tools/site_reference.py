"""What the reference of the site adds to the docstrings: examples in both flavours, links, values, constructors.

An extension of griffe, which reads the package for mkdocstrings. The asynchronous classes are documented; the twin of
an example comes from the docstring of the synchronous class, which the generator has made from the same source.

- A name in single backticks becomes a link, if it is a class of the reference or another member of the same class.
- A page of the documentation, ``docs/guides/files.md``, becomes a link.
- A default that is a constant of a module is shown as its value.
- The constructor of an attrs class is shown as it is when the program runs.
- The methods that people use first come first.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import json
import re
import textwrap
from enum import Enum
from functools import cache
from typing import Any

import griffe

from agb.results import narrowed
from agb.results.base import ApiResponse
from tools.guides import DOCS, ENTRY

_EXAMPLE = re.compile(r"^Examples?:\n", re.MULTILINE)
_LEFT_OUT = frozenset({"_sync", "inside", "integrations"})
"""Packages without pages of their own; modules of the last import frameworks that may not be installed."""
_NAME = re.compile(r"(?<![`\[])`([A-Za-z_][\w.]*)`(?!`)")
_PAGE = re.compile(r"``docs/([a-z/-]+)\.md``|(?<![\w/])docs/([a-z/-]+)\.md")
_RAISES = re.compile(r"^( +)((?:\w+\.)*[A-Z]\w+(?:, (?:\w+\.)*[A-Z]\w+)+):", re.MULTILINE)
_AWAITED = re.compile(r"(?<![\w)\]])\(([\w.]+\((?:[^()]|\([^()]*\))*\))\)(?=[.\[])")
_OF_ALL_RESULTS = ("get_request_id", "of", "failed", "raise_for_error")
"""Methods of all results, which are described once, at the top of their page."""
_LONG = 5
"""A class with more methods has a list of them."""
_FIRST = {
    "AsyncAGB": "session create get attach iterate list delete map pool reap stats aclose close get_session",
    "AsyncSession": (
        "code command file context browser computer ref info get_status get_metrics get_labels set_labels get_link "
        "keep_alive delete list_mcp_tools call_mcp_tool"
    ),
    "AsyncFileSystem": (
        "read write list exists info mkdir remove move search glob grep edit upload download upload_dir download_dir "
        "read_batch write_batch read_stream write_stream watch watch_dir"
    ),
    "AsyncContextService": (
        "get create list iterate update delete clear list_files iterate_files read_file write_file upload download"
    ),
    "AsyncBrowser": "page connect start get_endpoint_url",
    "AsyncBrowserAgent": "navigate act observe extract screenshot close",
}
"""Methods that come first in a class, by its name; the others follow as they are in the source."""


def as_program(example: str) -> str:
    """Return the lines of a session of the interpreter as a program, with what is shown as comments."""
    parts = []
    for part in doctest.DocTestParser().parse(textwrap.dedent(example).strip("\n") + "\n"):
        if isinstance(part, doctest.Example):
            source = re.sub(r"  # doctest:.*", "", part.source)
            parts.append(source + "".join(f"# {line}\n" for line in part.want.splitlines()))
    return _AWAITED.sub(r"\1", "".join(parts))  # the twin of (await x()).y is (x()).y


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


@cache
def shown() -> dict[str, str]:
    """Return the full path of each class and function of the reference, by its name and by that of its twin."""
    found = {}
    for page in sorted((DOCS / "reference").glob("*.md")):
        for path in ENTRY.findall(page.read_text("utf-8")):
            name = path.rpartition(".")[2]
            found[name] = path
            found.setdefault(name.removeprefix("Async"), path)
    return found


def entry(path: str, level: int) -> str:
    """Return a line of a page of the reference with the options of mkdocstrings for what it shows.

    Args:
        path: the full path of a class or function.
        level: the level of its heading.
    """
    value = _object(path)
    options: dict[str, object] = {"heading_level": level}
    name = path.rpartition(".")[2]
    if inspect.isclass(value):
        if name.startswith("Async"):  # both names are in the heading and in the table of contents
            options["heading"] = options["toc_label"] = f"{name}, {name.removeprefix('Async')}"
        methods = [one for one in dir(value) if not one.startswith("_") and _is_shown(path, one)]
        options["summary"] = {"functions": len(methods) > _LONG, "attributes": False}
        left_out = ["!^_", "!^__version__$"]
        if issubclass(value, ApiResponse):
            left_out.append(f"!^({'|'.join(_OF_ALL_RESULTS)})$")
        if "_async" in value.__module__ and not re.search(r"^ *Args:$", value.__doc__ or "", re.MULTILINE):
            options["merge_init_into_class"] = False  # the SDK makes its instances
        options["filters"] = left_out
    lines = json.dumps({"options": options})
    pair = [f"{name.removesuffix('Result')}{end}" for end in ("Success", "Failure")]
    anchors = [f"[](){{#{narrowed.__name__}.{one}}}\n" for one in pair if hasattr(narrowed, one)]
    return f"{''.join(anchors)}\n::: {path}\n    {lines}" if anchors else f"::: {path}\n    {lines}"


@cache
def _heirs() -> dict[str, str]:
    """Return the full path of the class of the reference that shows the methods of a class, by the name of that."""
    found = dict(shown())
    for path in shown().values():
        for base in getattr(_object(path), "__mro__", ()):
            if base.__module__.startswith("agb"):
                found.setdefault(base.__name__, path)
    return found


def _object(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def with_links(text: str, owner: str) -> str:
    """Return a docstring in which names in single backticks, and pages of the documentation, are links.

    Args:
        text: the docstring, whose example is left as it is.
        owner: the name of the class that the docstring is of, or of the class whose method it is of.
    """
    home = _heirs().get(owner)

    def name(match: re.Match[str]) -> str:
        first, _, rest = match[1].partition(".")
        if path := shown().get(first):
            return f"[`{match[1]}`][{path}{'.' + rest if rest and _is_shown(path, rest) else ''}]"
        return f"[`{match[1]}`][{home}.{first}]" if home and not rest and _is_shown(home, first) else match[0]

    def page(match: re.Match[str]) -> str:
        found = match[1] or match[2]
        title = (DOCS / f"{found}.md").read_text("utf-8").partition("\n")[0].removeprefix("# ")
        return f"[{title}](../{found}.html)"

    def linked(part: str) -> str:
        part = _RAISES.sub(lambda one: f"{one[1]}{one[2].replace(', ', ' | ')}:", part)
        return _PAGE.sub(page, _NAME.sub(name, part))

    before, example, after = _split(text)
    middle = text[len(before) : len(text) - len(after)]
    return linked(before) + middle + linked(after) if example else linked(text)


def _is_shown(path: str, member: str) -> bool:
    """Return whether a class has a member with a docstring, which has a heading of its own then."""
    one = inspect.getattr_static(_object(path), member, None)
    function = one.fget if isinstance(one, property) else getattr(one, "func", getattr(one, "__func__", one))
    return inspect.isfunction(function) and bool(function.__doc__) and not member.startswith("_")


class Reference(griffe.Extension):
    """Examples in both flavours, links, values of defaults, and the parameters of classes of attrs."""

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **kwargs: Any) -> None:
        """Go through all objects of the package, when it has been read."""
        if pkg.name == "agb":
            self._visit(pkg, pkg)
            for name, first in _FIRST.items():
                _put_first(pkg[shown()[name].removeprefix("agb.")], first.split())

    def _visit(self, owner: griffe.Object, package: griffe.Module) -> None:
        for member in list(owner.members.values()):
            if member.is_alias or _LEFT_OUT & set(member.path.split(".")):
                continue
            if member.docstring is not None:
                text = inspect.cleandoc(member.docstring.value)
                home = member if isinstance(member, griffe.Class) else owner
                member.docstring.value = with_programs(with_links(text, home.name), _twin(member, package))
            if isinstance(member, griffe.Class):
                _add_parameters(member)
                _list_members(member)
            elif isinstance(member, griffe.Function):
                _show_values(member)
            if isinstance(member, (griffe.Module, griffe.Class)):
                self._visit(member, package)


def _put_first(one: griffe.Object | griffe.Alias, names: list[str]) -> None:
    """Put members of a class before the others, in this order.

    Inherited ones become members of the class itself. mkdocstrings sorts by lines, and the members of a class that is
    shown by another path, as ``agb.AsyncAGB``, have none and stay in the order of the dict.
    """
    home = one.final_target if isinstance(one, griffe.Alias) else one
    everything = home.all_members
    ordered = {name: everything[name] for name in names} | home.members | everything
    for number, (name, member) in enumerate(ordered.items(), -len(names)):
        if isinstance(member, griffe.Alias):
            member.alias_lineno = number
        elif name in names:
            member.lineno = number
    home.members.clear()
    home.members.update(ordered)


def _show_values(one: griffe.Function) -> None:
    """Show the value of a default that is a constant of its module."""
    for parameter in one.parameters:
        names = str(parameter.default).split(".")
        if names[-1].isidentifier() and names[-1].isupper():
            value: Any = importlib.import_module(one.module.path)
            for name in names:
                value = getattr(value, name)
            parameter.default = _as_text(value)


def _as_text(value: object) -> str:
    """Return a number as people write it: 600 for 600.0, and MiB as a product."""
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, float):
        return f"{value:g}"
    mebibytes, rest = divmod(value, 1024 * 1024) if isinstance(value, int) else (0, 1)
    return f"{mebibytes} * 1024 * 1024" if mebibytes and not rest else repr(value)


def _list_members(one: griffe.Class) -> None:
    """Name the members of an enumeration that have no docstrings, and so no headings."""
    home: Any = getattr(importlib.import_module(one.module.path), one.name, None)
    if inspect.isclass(home) and issubclass(home, Enum) and one.docstring is not None:
        bare = [name for name in home.__members__ if one.members[name].docstring is None]
        if bare:
            one.docstring.value += "\n\nMembers: " + ", ".join(f"``{name}``" for name in bare) + "."


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
