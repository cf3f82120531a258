"""Code and commands on the local runtime, on both routes, and the formats that other services answer in."""

from __future__ import annotations

import json
import pickle
import re
from functools import partial
from typing import Any

import pytest

from agb import AsyncAGB, AsyncSession, CommandError, Config, CreateSessionParams, ErrorKind, ExecutionError
from agb._async._compat.concurrency import gather
from agb.local import LocalServer
from tests.servers import Action, scripted, value

pytestmark = [pytest.mark.anyio, pytest.mark.one_event_loop]

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
LIMIT_MS = 60_000
"""Milliseconds for a command of a test; the default of 1,000 is too short on a loaded machine."""


def client(runtime: LocalServer) -> AsyncAGB:
    return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000))


def routes(agb: AsyncAGB, session: AsyncSession) -> list[AsyncSession]:
    """Return the session by its link, and by the API."""
    return [session, agb.attach(session.ref)]


# --- commands ----------------------------------------------------------------------------------------------------


async def test_command(runtime: LocalServer, python_session: str) -> None:
    async with client(runtime) as agb:
        session = (await agb.get(python_session)).raise_for_error().session
        for one in routes(agb, session):
            result = await one.command.execute("echo out; echo err >&2", timeout_ms=LIMIT_MS)
            assert (result.success, result.exit_code) == (True, 0)
            assert (result.stdout, result.stderr, result.output) == ("out\n", "err\n", "out\nerr\n")
            assert result.error is None
            assert result.request_id


async def test_failing_command(runtime: LocalServer, python_session: str) -> None:
    async with client(runtime) as agb:
        session = (await agb.get(python_session)).raise_for_error().session
        for one in routes(agb, session):
            result = await one.command.execute("echo so far; ls /nonexistent", timeout_ms=LIMIT_MS)
            assert not result.success
            assert result.exit_code == 2
            assert result.stdout == "so far\n"
            assert "/nonexistent" in result.stderr
            assert "/nonexistent" in result.error_message
            assert result.trace_id
            with pytest.raises(CommandError) as caught:
                result.raise_for_error()
            assert caught.value.exit_code == 2
            assert caught.value.stdout == "so far\n"
            assert (await one.command.execute("no-such-command-12345", timeout_ms=LIMIT_MS)).exit_code == 127


async def test_checked_command(runtime: LocalServer, python_session: str) -> None:
    async with client(runtime) as agb:
        session = (await agb.get(python_session)).raise_for_error().session
        for one in routes(agb, session):
            assert (await one.command.execute("echo fine", check=True, timeout_ms=LIMIT_MS)).stdout == "fine\n"
            with pytest.raises(CommandError) as caught:
                await one.command.execute("echo out; echo err >&2; kill -9 $$", check=True, timeout_ms=LIMIT_MS)
            error = pickle.loads(pickle.dumps(caught.value))
            assert (error.exit_code, error.stdout, error.stderr) == (137, "out\n", "err\n")
            with pytest.raises(CommandError) as caught:
                await one.command.execute("sleep 60", timeout_ms=200, check=True)
            assert caught.value.kind is ErrorKind.TIMED_OUT
            with pytest.raises(CommandError) as caught:
                await one.command.execute("true", cwd="/no/such/place", check=True, timeout_ms=LIMIT_MS)
            assert caught.value.exit_code is None


async def test_command_that_takes_too_long(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        execute = [one.command.execute for one in routes(agb, session)]
        for result in await gather([partial(one, "echo so far; sleep 60", timeout_ms=2000) for one in execute]):
            assert not result.success
            assert "timeout" in (result.error_message + result.stderr).lower()
            assert result.stdout == "so far\n"
            with pytest.raises(CommandError) as caught:
                result.raise_for_error()
            assert (caught.value.kind, caught.value.stdout) == (ErrorKind.TIMED_OUT, "so far\n")


async def test_directory_and_environment(runtime: LocalServer, python_session: str) -> None:
    nasty = "a'b\"c; $HOME `id` !@#$%^&*() \\ \n größe"
    async with client(runtime) as agb:
        session = (await agb.get(python_session)).raise_for_error().session
        for one in routes(agb, session):
            assert (await one.command.execute("mkdir -p '/tmp/a b' && touch '/tmp/a b/x'", timeout_ms=LIMIT_MS)).success
            assert (await one.command.execute("pwd; ls", cwd="/tmp/a b", timeout_ms=LIMIT_MS)).stdout == "/tmp/a b\nx\n"
            assert (
                await one.command.execute('printf %s "$NASTY"', envs={"NASTY": nasty}, timeout_ms=LIMIT_MS)
            ).stdout == nasty
            assert (await one.command.execute("echo $NASTY", timeout_ms=LIMIT_MS)).stdout == "\n"
            assert not (await one.command.execute("pwd", cwd="/no/such/place", timeout_ms=LIMIT_MS)).success


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"command": None}, TypeError),
        ({"command": "true", "timeout_ms": "5"}, TypeError),
        ({"command": "true", "timeout_ms": 0}, ValueError),
        ({"command": "true", "envs": {"A": 1}}, ValueError),
        ({"command": "true", "envs": {1: "a"}}, ValueError),
        ({"command": "true", "envs": ["A"]}, TypeError),
    ],
)
async def test_bad_arguments_of_a_command(arguments: dict[str, Any], error: type[Exception]) -> None:
    session = AsyncAGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")
    with pytest.raises(error):
        await session.command.execute(**arguments)


# --- code --------------------------------------------------------------------------------------------------------


async def test_python_keeps_its_state_on_both_routes(runtime: LocalServer, python_session: str) -> None:
    async with client(runtime) as agb:
        session = (await agb.get(python_session)).raise_for_error().session
        by_link, by_api = routes(agb, session)
        first = await by_link.code.run("x = 6\nprint('hello')\nx", "python")
        assert first.success, first
        assert (first.result, first.logs.stdout) == ("6", ["hello\n"])
        assert first.results[0].is_main_result
        assert first.execution_time > 0
        second = await by_api.code.run("x * 7", "py")
        assert second.result == "42"
        assert (second.execution_count or 0) > (first.execution_count or 0)


async def test_python_that_raises(runtime: LocalServer, python_session: str) -> None:
    async with client(runtime) as agb:
        session = (await agb.get(python_session)).raise_for_error().session
        result = await session.code.run("print('so far')\n1 / 0", "python")
        assert not result.success
        assert isinstance(result.error, ExecutionError)
        assert result.error.name == "ZeroDivisionError"
        assert result.error.value == "division by zero"
        assert "1 / 0" in result.error.traceback
        assert "ZeroDivisionError" in result.error_message
        assert result.logs.stdout == ["so far\n"]
        with pytest.raises(ExecutionError, match="ZeroDivisionError: division by zero"):
            result.raise_for_error()
        assert (await session.code.run("1 + 1", "python")).result == "2"


async def test_python_that_takes_too_long_is_interrupted(runtime: LocalServer, python_session: str) -> None:
    async with client(runtime) as agb:
        session = (await agb.get(python_session)).raise_for_error().session
        assert (await session.code.run("kept = 1", "python")).success
        result = await session.code.run("print('so far', flush=True)\nwhile True: pass", "python", timeout_s=2)
        assert not result.success
        assert "timeout" in result.error_message.lower()
        assert result.error is not None
        assert result.error.kind is ErrorKind.TIMED_OUT
        assert "".join(result.logs.stdout) == "so far\n"
        assert (await session.code.run("kept", "python")).result == "1"


async def test_python_that_exits(runtime: LocalServer, python_session: str) -> None:
    async with client(runtime) as agb:
        session = (await agb.get(python_session)).raise_for_error().session
        for way, message in (("exit(1)", "SystemExit: 1"), ("sys.exit('fatal')", "SystemExit: fatal"), ("quit()", "")):
            result = await session.code.run(f"import sys\nkept = 1\nprint('before')\n{way}\nprint('after')", "python")
            assert (result.success, result.error_message) == (not message, message)
            assert (result.logs.stdout, result.logs.stderr) == (["before\n"], [])
        assert (await session.code.run("kept", "python")).result == "1"


async def test_command_with_a_path_and_a_relative_directory(runtime: LocalServer) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        assert (await session.command.execute("mkdir work", timeout_ms=LIMIT_MS)).success
        envs = {"PATH": "/no/such/directory"}
        for one in routes(agb, session):
            result = await one.command.execute("echo hello; pwd", cwd="work", envs=envs, timeout_ms=LIMIT_MS)
            assert (result.stdout.splitlines()[0], result.exit_code) == ("hello", 0)
            assert result.stdout.endswith("/work\n")
        process = await session.command.start("echo hello", envs=envs, cwd="work")
        assert (await process.wait(timeout=60)).stdout == "hello\n"


async def test_displays_of_python(runtime: LocalServer, python_session: str) -> None:
    code = (
        "from IPython.display import display, HTML, JSON\ndisplay(HTML('<b>hi</b>'))\ndisplay(JSON({'a': 1}))\n'main'"
    )
    async with client(runtime) as agb:
        session = (await agb.get(python_session)).raise_for_error().session
        result = await session.code.run(code, "python")
    assert [item.is_main_result for item in result.results] == [False, False, True]
    assert result.results[0].html == "<b>hi</b>"
    assert result.results[1].json == {"a": 1}
    assert result.result == "'main'"


async def test_javascript(runtime: LocalServer) -> None:
    if "javascript" not in runtime.report.languages:
        pytest.skip("node is not installed")
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        first = await session.code.run("const x = 6; console.log('hello'); x", "node")
        assert first.success, first
        assert (first.result, "".join(first.logs.stdout)) == ("6", "hello\n")
        assert (await session.code.run("x * 7", "javascript")).result == "42"
        assert (await session.code.run("await Promise.resolve(5)", "js")).result == "5"
        main = "async function main() { await null; console.log('done'); return 42 }\nmain()"
        awaited = await session.code.run(main, "js")
        assert (awaited.result, awaited.logs.stdout) == ("42", ["done\n"])
        failed = await session.code.run("null.x", "javascript")
        assert not failed.success
        assert failed.error is not None
        assert failed.error.name == "TypeError"


async def test_files_of_one_are_seen_by_the_other(runtime: LocalServer, python_session: str) -> None:
    async with client(runtime) as agb:
        session = (await agb.get(python_session)).raise_for_error().session
        assert (await session.code.run("open('/tmp/from_code.txt', 'w').write('by code')", "python")).success
        assert (await session.command.execute("cat /tmp/from_code.txt", timeout_ms=LIMIT_MS)).stdout == "by code"
        assert (await session.command.execute("echo by shell > relative.txt", timeout_ms=LIMIT_MS)).success
        assert (await session.code.run("open('relative.txt').read()", "python")).result == "'by shell\\n'"


@pytest.mark.parametrize("language", ["cobol", "", None])
async def test_unsupported_language_is_a_result(language: Any) -> None:
    session = AsyncAGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")
    result = await session.code.run("1", language)
    assert not result.success
    assert "Unsupported language" in result.error_message
    assert "java, javascript, python, r" in result.error_message


async def test_streaming_without_an_address_is_a_failure() -> None:
    session = AsyncSession(AsyncAGB("k", Config("http://127.0.0.1:9", 1000)), "s-1")
    result = await session.code.run("1", "python", stream_beta=True)
    assert not result.success
    assert "ws_url is not available" in result.error_message


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"code": 1, "language": "python"}, TypeError),
        ({"code": "1", "language": "python", "timeout_s": object()}, TypeError),
        ({"code": "1", "language": "python", "timeout_s": 0}, ValueError),
    ],
)
async def test_bad_arguments_of_code(arguments: dict[str, Any], error: type[Exception]) -> None:
    session = AsyncAGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")
    with pytest.raises(error):
        await session.code.run(**arguments)


@pytest.mark.parametrize(
    ("limit", "shown"),
    [(86_400.5, "86400.5"), (1e300, "1e+300"), (float("nan"), "nan"), (10**400, "10000000000000000000...")],
)
async def test_time_limits_have_an_upper_limit(limit: float, shown: str) -> None:
    session = AsyncAGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")
    text = re.escape(f"timeout_s must be above zero and at most 86400 seconds (a day), not {shown}") + "$"
    with pytest.raises(ValueError, match=text):
        await session.code.run("1", "python", timeout_s=limit)
    with pytest.raises(ValueError, match=text):
        session.code.stream("1", "python", timeout_s=limit)
    with pytest.raises(ValueError, match=r"timeout_ms must be .* at most 86400000 milliseconds \(a day\), not 864"):
        await session.command.execute("true", timeout_ms=86_400_001)


async def test_longest_and_fractional_time_limits_are_taken(runtime: LocalServer, python_session: str) -> None:
    async with client(runtime) as agb:
        session = (await agb.get(python_session)).raise_for_error().session
        for one in routes(agb, session):
            assert (await one.code.run("1", "python", timeout_s=86_400)).result == "1"
            assert (await one.command.execute("true", timeout_ms=86_400_000)).success
        stopped = await session.code.run("import asyncio; await asyncio.sleep(1000)", "python", timeout_s=0.5)
        assert stopped.error_message == "Execution timeout: the code ran longer than 0.5 s."


async def test_empty_code_is_a_failure(runtime: LocalServer, python_session: str) -> None:
    async with client(runtime) as agb:
        session = (await agb.get(python_session)).raise_for_error().session
        for one in routes(agb, session):
            result = await one.code.run("", "python")
            assert not result.success
            assert result.error_message == "the code is empty: there is nothing to run"
            assert (await one.code.run("# only a comment", "python")).success
        async with session.code.stream("", "python") as events:
            assert "the code is empty" in (await events.collect()).error_message


# --- formats of other services -----------------------------------------------------------------------------------


def tool(text: str | None, is_error: bool = False) -> Action:
    """Answer with the text of a tool; None is a reply without any content."""
    content = [] if text is None else [{"type": "text", "text": text}]
    return value({"isError": is_error, "content": content})


async def test_longer_limit_than_the_clients_time_out() -> None:
    """The time that the code may take is added to the client's own."""
    seen: list[float] = []
    with scripted(tool('{"result": []}')) as server:
        async with AsyncAGB("k", Config(server.endpoint, 1000)) as agb:
            call = agb.client.call

            async def note(*args: Any, timeout: float, **more: Any) -> Any:
                seen.append(timeout)
                return await call(*args, timeout=timeout, **more)

            agb.client.call = note  # type: ignore[method-assign, assignment]
            assert (await agb.attach("s-1").code.run("1", "python", timeout_s=600)).success
    assert seen == [601]


@pytest.mark.parametrize(
    ("text", "is_error", "expected"),
    [
        ('{"stdout": "a", "stderr": "b", "exit_code": 0}', False, (True, 0, "ab", "")),
        (
            '{"stdout": "a", "stderr": "b", "exit_code": 3, "traceId": "t"}',
            False,
            (False, 3, "ab", "the command ended with exit code 3: b"),
        ),
        (
            '{"stdout": "a", "stderr": "", "errorCode": 13}',
            True,
            (False, 13, "a", "the command ended with exit code 13"),
        ),
        ("plain output", False, (True, None, "plain output", "")),
        ("42", False, (True, None, "42", "")),
        ("it broke", True, (False, None, "", "it broke")),
    ],
)
async def test_formats_of_commands(text: str, is_error: bool, expected: tuple[Any, ...]) -> None:
    with scripted(tool(text, is_error)) as server:
        async with AsyncAGB("k", Config(server.endpoint, 5000)) as agb:
            result = await agb.attach("s-1").command.execute("x", timeout_ms=LIMIT_MS)
    success, exit_code, output, message = expected
    assert (result.success, result.exit_code, result.output) == (success, exit_code, output)
    assert message is None or result.error_message == message
    assert (result.error is None) == success


RICH = {
    "logs": {"stdout": ["o"], "stderr": ["e"]},
    "results": [{"text": "1", "is_main_result": True}],
    "execution_count": 4,
    "error": {"name": "NameError", "value": "x", "traceback": "t"},
}


@pytest.mark.parametrize(
    ("text", "success", "result", "message"),
    [
        ('{"result": [{"text/plain": "84", "isMainResult": true}], "stdout": ["a", null]}', True, "84", ""),
        (json.dumps({"result": [json.dumps({"text": "x"})]}), True, "x", ""),
        (json.dumps({"result": ["just text"]}), True, "just text", ""),
        ('{"result": [], "executionError": "Execution timeout"}', False, "", "Execution timeout"),
        (json.dumps(RICH), False, "1", "x"),
        (json.dumps({"content": [{"text": '{"result": [{"text": "inner"}]}'}]}), True, "inner", ""),
        (json.dumps({"content": [{"text": "legacy"}]}), True, "legacy", ""),
        (json.dumps({"content": []}), False, "", "No content found in response"),
        (json.dumps({"isError": True, "content": [{"text": "bad"}]}), False, "", "Error in response: bad"),
        ("not json", True, "not json", ""),
        (None, False, "", "No data returned"),
    ],
)
async def test_formats_of_code(text: str | None, success: bool, result: str, message: str) -> None:
    with scripted(tool(text)) as server:
        async with AsyncAGB("k", Config(server.endpoint, 5000)) as agb:
            got = await agb.attach("s-1").code.run("x", "python")
    assert (got.success, got.result, got.error_message) == (success, result, message)
    assert (got.error is None) == success


@pytest.mark.parametrize("data", ["text", {"content": "no array"}, [1]])
async def test_tool_answers_that_are_not_valid(data: Any) -> None:
    with scripted(value(data)) as server:
        async with AsyncAGB("k", Config(server.endpoint, 5000)) as agb:
            result = await agb.attach("s-1").call_mcp_tool("x", {})
    assert result.error is not None
    assert result.error.kind is ErrorKind.INVALID_ANSWER
