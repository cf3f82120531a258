"""The tools of an agent in a session: what a model reads as their results."""

from __future__ import annotations

import inspect

import pytest

from agb import AGBError, AsyncAGB, Config, CreateSessionParams, ErrorKind, SessionError
from agb._async.sandbox import AsyncSandbox
from agb._async.sandbox_tools import AsyncSandboxTools
from agb._ops import tool_texts
from agb.local import LocalServer

pytestmark = [pytest.mark.anyio, pytest.mark.one_event_loop]

PARAMS = CreateSessionParams(image_id="agb-code-space-1")


@pytest.mark.one_flavour
async def test_results(runtime: LocalServer) -> None:
    async with (
        AsyncAGB(runtime.api_key, Config(runtime.endpoint, 60_000)) as agb,
        agb.session(PARAMS) as session,
    ):

        async def sandbox() -> AsyncSandbox:
            return AsyncSandbox(session, cwd="/tmp")

        tools = AsyncSandboxTools(sandbox, text_limit=1000, timeout=60)
        assert await tools.write_file("d/a.txt", "één\n" * 400) == "Wrote 2400 bytes to d/a.txt."
        part = await tools.read_file("d/a.txt")
        assert part.endswith("\n[the file goes on: read on with offset=1000]")
        assert (await tools.read_file("d/a.txt", 2399)) == "\n"
        assert await tools.read_file("d/a.txt", 2400) == "[the file ends before this offset]"
        with pytest.raises(AGBError, match="400"):
            await tools.edit_file("d/a.txt", "één", "een")
        assert (
            await tools.edit_file("d/a.txt", "één", "een", replace_all=True) == "Replaced 400 occurrences in d/a.txt."
        )
        assert await tools.list_files("d") == "a.txt  1600"
        assert await tools.find_files("*.rs") == "[no paths]"
        found = await tools.search_files("EEN", "d", ignore_case=True)
        assert "/tmp/d/a.txt:1: een\n" in found
        assert "of 400 lines; narrow the search to see the others]" in found
        assert await tools.run_command("cat; echo bad >&2; exit 3", stdin="in") == "in\n[stderr]\nbad\n[exit code 3]"
        assert await tools.run_command("true", cwd="d") == "[exit code 0]"
        long = await tools.run_command("seq 10000")
        assert long.startswith("1\n2\n")
        assert long.endswith("\n9999\n10000")
        assert len(long) < 1200
        assert str(await tools.run_code("print('out')\n6 * 7")) == "out\n42"
        with pytest.raises(ValueError, match="port"):
            await tools.make_link(-1)


def test_functions_are_described() -> None:
    tools = AsyncSandboxTools(None)  # type: ignore[arg-type]
    for function in tools.functions:
        description = inspect.getdoc(function) or ""
        assert all(f"\n    {name}: " in description for name in inspect.signature(function).parameters), function


def test_text_limit() -> None:
    with pytest.raises(ValueError, match="text_limit is a number of characters from 100, not 10"):
        AsyncSandboxTools(None, text_limit=10)  # type: ignore[arg-type]


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
