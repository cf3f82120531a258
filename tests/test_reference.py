"""The reference of the documentation: every public name is in it, and has a docstring."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import agb
from agb import ErrorKind
from tools.guides import DOCS, ENTRY, anchors_of, first_sentence
from tools.messages import messages, text_of

TWINS = re.compile(r"^\| `(\w+)` \| `(\w+)` \|$", re.MULTILINE)
STARTED_WITH = [
    "AsyncAGB",
    "AsyncAGB.create",
    "AsyncAGB.session",
    "AsyncAGB.get",
    "AsyncAGB.attach",
    "AsyncAGB.iterate",
    "AsyncAGB.map",
    "AsyncAGB.pool",
    "AsyncAGB.reap",
    "AsyncSession.set_labels",
    "AsyncSession.get_link",
    "AsyncSession.delete",
    "AsyncCode.run",
    "AsyncCode.stream",
    "AsyncCommand.execute",
    "AsyncCommand.start",
    "AsyncProcess.stream",
    "AsyncProcess.wait",
    "AsyncFileSystem.read",
    "AsyncFileSystem.write",
    "AsyncFileSystem.list",
    "AsyncFileSystem.upload_dir",
    "AsyncFileSystem.download_dir",
    "AsyncFileSystem.watch",
    "AsyncContextService",
    "AsyncBrowser.page",
    "AsyncBrowser.connect",
    "AsyncScreenController.screenshot",
    "AsyncMouseController.click",
    "AsyncKeyboardController.type",
    "SandboxExecutor",
]
"""What people begin with; each has an example."""


def entries() -> dict[str, object]:
    """Return what the reference shows, by the name there."""
    found: dict[str, object] = {}
    for page in sorted((DOCS / "reference").glob("*.md")):
        for path in ENTRY.findall(page.read_text("utf-8")):
            assert path not in found, f"{path} is in the reference twice"
            module, _, name = path.rpartition(".")
            found[path] = getattr(importlib.import_module(module), name)
    return found


def test_every_public_name_is_in_the_reference() -> None:
    shown = {path.removeprefix("agb.") for path in entries()}
    for page in (DOCS / "reference").glob("*.md"):
        for name, twin in TWINS.findall(page.read_text("utf-8")):
            assert name == f"Async{twin}"
            shown.add(twin)
    assert set(agb.__all__) - {"__version__"} <= shown


def public_members(path: str, value: object) -> Iterator[tuple[str, object]]:
    yield path, value
    if inspect.isclass(value):
        for name in dir(value):
            home = next((one for one in value.__mro__ if name in vars(one)), object)
            member = vars(home).get(name)
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if not name.startswith("_") and home.__module__.startswith("agb") and inspect.isfunction(function):
                yield f"{path}.{name}", function


def test_every_public_name_has_a_docstring() -> None:
    bare = [
        name
        for path, value in entries().items()
        for name, member in public_members(path, value)
        if (inspect.isclass(member) or inspect.isfunction(member)) and not inspect.getdoc(member)
    ]
    assert bare == []


def test_what_people_begin_with_has_an_example() -> None:
    known = {
        name.rpartition(".")[2] if inspect.isclass(member) else ".".join(name.split(".")[-2:]): member
        for path, value in entries().items()
        for name, member in public_members(path, value)
    }
    assert [name for name in STARTED_WITH if ">>>" not in (inspect.getdoc(known[name]) or "")] == []


def test_every_kind_of_error_is_in_the_table() -> None:
    table = (DOCS / "reference" / "errors.md").read_text("utf-8")
    assert [kind.name for kind in ErrorKind if f"| `{kind.name}` |" not in table] == []


def test_messages_are_collected_from_the_source() -> None:
    found = {text for texts in messages().values() for text, _ in texts}
    assert len(found) > 300
    assert "a batch is entered once; call map() again for another" in found
    assert "timeout_ms of Config" not in found  # a name, not a message


OF_PYTHON = (
    "certificate verify failed",
    "coroutine ... was never awaited",
    "Can't get attribute ... on <module '__main__'",
)
"""Messages in the page of troubleshooting that are those of Python and of OpenSSL."""


def test_troubleshooting_quotes_messages_of_the_source() -> None:
    """Each heading that quotes a message quotes it as the source has it; ``...`` is what varies."""
    page = (DOCS / "troubleshooting.md").read_text("utf-8")
    quotes = [
        quote for heading in re.findall(r"^### (.*)", page, re.MULTILINE) for quote in re.findall("`(.+?)`", heading)
    ]
    source = "\n".join(
        text_of(node)
        for path in sorted(Path(agb.__file__).parent.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if "_sync" not in path.parts and isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp)
    )
    assert len(quotes) > 50
    assert [
        quote
        for quote in quotes
        if quote not in OF_PYTHON and not re.search(".*".join(map(re.escape, quote.split("..."))), source)
    ] == []


def test_messages_keep_their_spaces_and_have_hints() -> None:
    found = {text for texts in messages().values() for text, _ in texts}
    assert "the API key is from …" in found
    assert any(re.search("[a-z] … [a-z]", text) for text in found)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("# Links\n\nA link is [a URL](x.md) of a\nport. More.\n", "A link is a URL of a port."),
        ("# Empty\n", ""),
    ],
)
def test_the_sentence_of_a_page(text: str, sentence: str) -> None:
    assert first_sentence(text) == sentence


def test_anchors_are_those_of_the_site() -> None:
    assert anchors_of("# A `b`\n\n## What's `c.d` & e?\n\n```sh\n# not one\n```\n## A b\n") == {
        "a-b",
        "whats-cd-e",
        "a-b_1",
    }
