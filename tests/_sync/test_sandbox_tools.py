# Generated from tests/_async/test_sandbox_tools.py by tools/unasync.py. Do not edit.
"""The tools of an agent in a session: what a model reads as their results."""

from __future__ import annotations

import inspect

import pytest

from agb import AGB, AGBError, Config, CreateSessionParams, ErrorKind, SessionError
from agb._ops import tool_texts
from agb._sync.sandbox import Sandbox
from agb._sync.sandbox_tools import SandboxTools
from agb.local import LocalServer

pytestmark = [pytest.mark.one_event_loop]

PARAMS = CreateSessionParams(image_id="agb-code-space-1")


@pytest.mark.one_flavour
def test_results(runtime: LocalServer) -> None:
    with (
        AGB(runtime.api_key, Config(runtime.endpoint, 60_000)) as agb,
        agb.session(PARAMS) as session,
    ):

        def sandbox() -> Sandbox:
            return Sandbox(session, cwd="/tmp")

        tools = SandboxTools(sandbox, text_limit=1000, timeout=60)
        assert tools.write_file("d/a.txt", "één\n" * 400) == "Wrote 2400 bytes to d/a.txt."
        part = tools.read_file("d/a.txt")
        assert part.endswith("\n[the file goes on: read on with offset=1000]")
        assert tools.read_file("d/a.txt", 2399) == "\n"
        assert tools.read_file("d/a.txt", 2400) == "[the file ends before this offset]"
        with pytest.raises(AGBError, match="400"):
            tools.edit_file("d/a.txt", "één", "een")
        assert tools.edit_file("d/a.txt", "één", "een", replace_all=True) == "Replaced 400 occurrences in d/a.txt."
        assert tools.list_files("d") == "a.txt  1600"
        assert tools.find_files("*.rs") == "[no paths]"
        found = tools.search_files("EEN", "d", ignore_case=True)
        assert "/tmp/d/a.txt:1: een\n" in found
        assert "of 400 lines; narrow the search to see the others]" in found
        assert tools.run_command("cat; echo bad >&2; exit 3", stdin="in") == "in\n[stderr]\nbad\n[exit code 3]"
        assert tools.run_command("true", cwd="d") == "[exit code 0]"
        long = tools.run_command("seq 10000")
        assert long.startswith("1\n2\n")
        assert long.endswith("\n9999\n10000")
        assert len(long) < 1200
        assert str(tools.run_code("print('out')\n6 * 7")) == "out\n42"
        with pytest.raises(ValueError, match="port"):
            tools.make_link(-1)


def test_functions_are_described() -> None:
    tools = SandboxTools(None)  # type: ignore[arg-type]
    for function in tools.functions:
        description = inspect.getdoc(function) or ""
        assert all(f"\n    {name}: " in description for name in inspect.signature(function).parameters), function


def test_text_limit() -> None:
    with pytest.raises(ValueError, match="text_limit is a number of characters from 100, not 10"):
        SandboxTools(None, text_limit=10)  # type: ignore[arg-type]


def test_bytes_that_are_no_text() -> None:
    assert tool_texts.of_file("é".encode() + b"x", 0, 1).startswith("\n[the file goes on")
    with pytest.raises(ValueError, match="byte 7 is wrong"):
        tool_texts.of_file(b"ab\xff", 5, 10)


@pytest.mark.parametrize(
    ("error", "is_for_model"),
    [
        (ValueError(), True),
        (RuntimeError(), False),
        (SessionError(kind=ErrorKind.NOT_FOUND), True),
        (SessionError(kind=ErrorKind.NOT_FOUND, code="InvalidMcpSession.NotFound"), False),
        (SessionError(kind=ErrorKind.UNREACHABLE), False),
        (SessionError(of_creation=True), False),
    ],
)
def test_errors_for_a_model(error: Exception, is_for_model: bool) -> None:
    assert tool_texts.is_for_model(error) is is_for_model
