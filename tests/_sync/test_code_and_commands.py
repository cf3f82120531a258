# Generated from tests/_async/test_code_and_commands.py by tools/unasync.py. Do not edit.
"""Code and commands on the local runtime, on both routes, and the formats that other services answer in."""

from __future__ import annotations

import json
import pickle
import re
from functools import partial
from typing import Any

import pytest

from agb import AGB, CommandError, Config, CreateSessionParams, ErrorKind, ExecutionError, Session
from agb._sync._compat.concurrency import gather
from agb.local import LocalServer
from tests.servers import Action, scripted, value

pytestmark = [pytest.mark.one_event_loop]

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
LIMIT_MS = 60_000
"""Milliseconds for a command of a test; the default of 1,000 is too short on a loaded machine."""


def client(runtime: LocalServer) -> AGB:
    return AGB(runtime.api_key, Config(runtime.endpoint, 30_000))


def routes(agb: AGB, session: Session) -> list[Session]:
    """Return the session by its link, and by the API."""
    return [session, agb.attach(session.ref)]


# --- commands ----------------------------------------------------------------------------------------------------


def test_command(runtime: LocalServer, python_session: str) -> None:
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        for one in routes(agb, session):
            result = one.command.execute("echo out; echo err >&2", timeout_ms=LIMIT_MS)
            assert (result.success, result.exit_code) == (True, 0)
            assert (result.stdout, result.stderr, result.output) == ("out\n", "err\n", "out\nerr\n")
            assert result.error is None
            assert result.request_id


def test_failing_command(runtime: LocalServer, python_session: str) -> None:
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        for one in routes(agb, session):
            result = one.command.execute("echo so far; ls /nonexistent", timeout_ms=LIMIT_MS)
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
            assert one.command.execute("no-such-command-12345", timeout_ms=LIMIT_MS).exit_code == 127


def test_checked_command(runtime: LocalServer, python_session: str) -> None:
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        for one in routes(agb, session):
            assert one.command.execute("echo fine", check=True, timeout_ms=LIMIT_MS).stdout == "fine\n"
            with pytest.raises(CommandError) as caught:
                one.command.execute("echo out; echo err >&2; kill -9 $$", check=True, timeout_ms=LIMIT_MS)
            error = pickle.loads(pickle.dumps(caught.value))
            assert (error.exit_code, error.stdout, error.stderr) == (137, "out\n", "err\n")
            with pytest.raises(CommandError) as caught:
                one.command.execute("sleep 60", timeout_ms=200, check=True)
            assert caught.value.kind is ErrorKind.TIMED_OUT
            with pytest.raises(CommandError) as caught:
                one.command.execute("true", cwd="/no/such/place", check=True, timeout_ms=LIMIT_MS)
            assert caught.value.exit_code is None


def test_command_that_takes_too_long(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        execute = [one.command.execute for one in routes(agb, session)]
        for result in gather([partial(one, "echo so far; sleep 60", timeout_ms=2000) for one in execute]):
            assert not result.success
            assert "timeout" in (result.error_message + result.stderr).lower()
            assert result.stdout == "so far\n"
            with pytest.raises(CommandError) as caught:
                result.raise_for_error()
            assert (caught.value.kind, caught.value.stdout) == (ErrorKind.TIMED_OUT, "so far\n")


def test_directory_and_environment(runtime: LocalServer, python_session: str) -> None:
    nasty = "a'b\"c; $HOME `id` !@#$%^&*() \\ \n größe"
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        for one in routes(agb, session):
            assert one.command.execute("mkdir -p '/tmp/a b' && touch '/tmp/a b/x'", timeout_ms=LIMIT_MS).success
            assert one.command.execute("pwd; ls", cwd="/tmp/a b", timeout_ms=LIMIT_MS).stdout == "/tmp/a b\nx\n"
            assert one.command.execute('printf %s "$NASTY"', envs={"NASTY": nasty}, timeout_ms=LIMIT_MS).stdout == nasty
            assert one.command.execute("echo $NASTY", timeout_ms=LIMIT_MS).stdout == "\n"
            assert not one.command.execute("pwd", cwd="/no/such/place", timeout_ms=LIMIT_MS).success


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
def test_bad_arguments_of_a_command(arguments: dict[str, Any], error: type[Exception]) -> None:
    session = AGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")
    with pytest.raises(error):
        session.command.execute(**arguments)


# --- code --------------------------------------------------------------------------------------------------------


def test_python_keeps_its_state_on_both_routes(runtime: LocalServer, python_session: str) -> None:
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        by_link, by_api = routes(agb, session)
        first = by_link.code.run("x = 6\nprint('hello')\nx", "python")
        assert first.success, first
        assert (first.result, first.logs.stdout) == ("6", ["hello\n"])
        assert first.results[0].is_main_result
        assert first.execution_time > 0
        second = by_api.code.run("x * 7", "py")
        assert second.result == "42"
        assert (second.execution_count or 0) > (first.execution_count or 0)


def test_python_that_raises(runtime: LocalServer, python_session: str) -> None:
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        result = session.code.run("print('so far')\n1 / 0", "python")
        assert not result.success
        assert isinstance(result.error, ExecutionError)
        assert result.error.name == "ZeroDivisionError"
        assert result.error.value == "division by zero"
        assert "1 / 0" in result.error.traceback
        assert "ZeroDivisionError" in result.error_message
        assert result.logs.stdout == ["so far\n"]
        with pytest.raises(ExecutionError, match="ZeroDivisionError: division by zero"):
            result.raise_for_error()
        assert session.code.run("1 + 1", "python").result == "2"


def test_python_that_takes_too_long_is_interrupted(runtime: LocalServer, python_session: str) -> None:
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        assert session.code.run("kept = 1", "python").success
        result = session.code.run("print('so far', flush=True)\nwhile True: pass", "python", timeout_s=2)
        assert not result.success
        assert "timeout" in result.error_message.lower()
        assert result.error is not None
        assert result.error.kind is ErrorKind.TIMED_OUT
        assert "".join(result.logs.stdout) == "so far\n"
        assert session.code.run("kept", "python").result == "1"


def test_python_that_exits(runtime: LocalServer, python_session: str) -> None:
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        for way, message in (("exit(1)", "SystemExit: 1"), ("sys.exit('fatal')", "SystemExit: fatal"), ("quit()", "")):
            result = session.code.run(f"import sys\nkept = 1\nprint('before')\n{way}\nprint('after')", "python")
            assert (result.success, result.error_message) == (not message, message)
            assert (result.logs.stdout, result.logs.stderr) == (["before\n"], [])
        assert session.code.run("kept", "python").result == "1"


def test_command_with_a_path_and_a_relative_directory(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        assert session.command.execute("mkdir work", timeout_ms=LIMIT_MS).success
        envs = {"PATH": "/no/such/directory"}
        for one in routes(agb, session):
            result = one.command.execute("echo hello; pwd", cwd="work", envs=envs, timeout_ms=LIMIT_MS)
            assert (result.stdout.splitlines()[0], result.exit_code) == ("hello", 0)
            assert result.stdout.endswith("/work\n")
        process = session.command.start("echo hello", envs=envs, cwd="work")
        assert process.wait(timeout=60).stdout == "hello\n"


def test_displays_of_python(runtime: LocalServer, python_session: str) -> None:
    code = (
        "from IPython.display import display, HTML, JSON\ndisplay(HTML('<b>hi</b>'))\ndisplay(JSON({'a': 1}))\n'main'"
    )
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        result = session.code.run(code, "python")
    assert [item.is_main_result for item in result.results] == [False, False, True]
    assert result.results[0].html == "<b>hi</b>"
    assert result.results[1].json == {"a": 1}
    assert result.result == "'main'"


def test_javascript(runtime: LocalServer) -> None:
    if "javascript" not in runtime.report.languages:
        pytest.skip("node is not installed")
    with client(runtime) as agb, agb.session(PARAMS) as session:
        first = session.code.run("const x = 6; console.log('hello'); x", "node")
        assert first.success, first
        assert (first.result, "".join(first.logs.stdout)) == ("6", "hello\n")
        assert session.code.run("x * 7", "javascript").result == "42"
        assert session.code.run("await Promise.resolve(5)", "js").result == "5"
        main = "async function main() { await null; console.log('done'); return 42 }\nmain()"
        awaited = session.code.run(main, "js")
        assert (awaited.result, awaited.logs.stdout) == ("42", ["done\n"])
        failed = session.code.run("null.x", "javascript")
        assert not failed.success
        assert failed.error is not None
        assert failed.error.name == "TypeError"


def test_files_of_one_are_seen_by_the_other(runtime: LocalServer, python_session: str) -> None:
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        assert session.code.run("open('/tmp/from_code.txt', 'w').write('by code')", "python").success
        assert session.command.execute("cat /tmp/from_code.txt", timeout_ms=LIMIT_MS).stdout == "by code"
        assert session.command.execute("echo by shell > relative.txt", timeout_ms=LIMIT_MS).success
        assert session.code.run("open('relative.txt').read()", "python").result == "'by shell\\n'"


@pytest.mark.parametrize("language", ["cobol", "", None])
def test_unsupported_language_is_a_result(language: Any) -> None:
    session = AGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")
    result = session.code.run("1", language)
    assert not result.success
    assert "Unsupported language" in result.error_message
    assert "java, javascript, python, r" in result.error_message


def test_streaming_without_an_address_is_a_failure() -> None:
    session = Session(AGB("k", Config("http://127.0.0.1:9", 1000)), "s-1")
    result = session.code.run("1", "python", stream_beta=True)
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
def test_bad_arguments_of_code(arguments: dict[str, Any], error: type[Exception]) -> None:
    session = AGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")
    with pytest.raises(error):
        session.code.run(**arguments)


@pytest.mark.parametrize(
    ("limit", "shown"),
    [(86_400.5, "86400.5"), (1e300, "1e+300"), (float("nan"), "nan"), (10**400, "10000000000000000000...")],
)
def test_time_limits_have_an_upper_limit(limit: float, shown: str) -> None:
    session = AGB("k", Config("http://127.0.0.1:9", 1000)).attach("s-1")
    text = re.escape(f"timeout_s must be above zero and at most 86400 seconds (a day), not {shown}") + "$"
    with pytest.raises(ValueError, match=text):
        session.code.run("1", "python", timeout_s=limit)
    with pytest.raises(ValueError, match=text):
        session.code.stream("1", "python", timeout_s=limit)
    with pytest.raises(ValueError, match=r"timeout_ms must be .* at most 86400000 milliseconds \(a day\), not 864"):
        session.command.execute("true", timeout_ms=86_400_001)


def test_longest_and_fractional_time_limits_are_taken(runtime: LocalServer, python_session: str) -> None:
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        for one in routes(agb, session):
            assert one.code.run("1", "python", timeout_s=86_400).result == "1"
            assert one.command.execute("true", timeout_ms=86_400_000).success
        stopped = session.code.run("import asyncio; await asyncio.sleep(1000)", "python", timeout_s=0.5)
        assert stopped.error_message == "Execution timeout: the code ran longer than 0.5 s."


def test_empty_code_is_a_failure(runtime: LocalServer, python_session: str) -> None:
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        for one in routes(agb, session):
            result = one.code.run("", "python")
            assert not result.success
            assert result.error_message == "the code is empty: there is nothing to run"
            assert one.code.run("# only a comment", "python").success
        with session.code.stream("", "python") as events:
            assert "the code is empty" in events.collect().error_message


# --- formats of other services -----------------------------------------------------------------------------------


def tool(text: str | None, is_error: bool = False) -> Action:
    """Answer with the text of a tool; None is a reply without any content."""
    content = [] if text is None else [{"type": "text", "text": text}]
    return value({"isError": is_error, "content": content})


def test_longer_limit_than_the_clients_time_out() -> None:
    """The time that the code may take is added to the client's own."""
    seen: list[float] = []
    with scripted(tool('{"result": []}')) as server:
        with AGB("k", Config(server.endpoint, 1000)) as agb:
            call = agb.client.call

            def note(*args: Any, timeout: float, **more: Any) -> Any:
                seen.append(timeout)
                return call(*args, timeout=timeout, **more)

            agb.client.call = note  # type: ignore[method-assign, assignment]
            assert agb.attach("s-1").code.run("1", "python", timeout_s=600).success
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
def test_formats_of_commands(text: str, is_error: bool, expected: tuple[Any, ...]) -> None:
    with scripted(tool(text, is_error)) as server:
        with AGB("k", Config(server.endpoint, 5000)) as agb:
            result = agb.attach("s-1").command.execute("x", timeout_ms=LIMIT_MS)
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
def test_formats_of_code(text: str | None, success: bool, result: str, message: str) -> None:
    with scripted(tool(text)) as server:
        with AGB("k", Config(server.endpoint, 5000)) as agb:
            got = agb.attach("s-1").code.run("x", "python")
    assert (got.success, got.result, got.error_message) == (success, result, message)
    assert (got.error is None) == success


@pytest.mark.parametrize("data", ["text", {"content": "no array"}, [1]])
def test_tool_answers_that_are_not_valid(data: Any) -> None:
    with scripted(value(data)) as server:
        with AGB("k", Config(server.endpoint, 5000)) as agb:
            result = agb.attach("s-1").call_mcp_tool("x", {})
    assert result.error is not None
    assert result.error.kind is ErrorKind.INVALID_ANSWER
