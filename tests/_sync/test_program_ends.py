# Generated from tests/_async/test_program_ends.py by tools/unasync.py. Do not edit.
"""How code and commands end: the kind of their error, the limit, the end of their session, and of their caller."""

from __future__ import annotations

import json
import pickle
from functools import partial
from typing import Any

import pytest

from agb import (
    AGB,
    CommandError,
    Config,
    CreateSessionParams,
    EnhancedCodeExecutionResult,
    ErrorKind,
    ExecutionError,
    Session,
    Stdout,
    Truncated,
)
from agb._ops.sessions import release_session_async
from agb._sync._compat.concurrency import gather
from agb.local import LocalServer
from tests.servers import STATUS, Action, Conversation, answer, scripted, value

pytestmark = [pytest.mark.one_event_loop]

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
LIMIT_MS = 60_000


def client(runtime: LocalServer) -> AGB:
    return AGB(runtime.api_key, Config(runtime.endpoint, 30_000))


def by_run_and_stream(session: Session, code: str, **more: Any) -> list[EnhancedCodeExecutionResult]:
    """Return the results of the same code, run and streamed."""
    with session.code.stream(code, "python", **more) as events:
        streamed = events.collect()
    return [session.code.run(code, "python", **more), streamed]


def tool(value_: Any, is_error: bool = False) -> Action:
    """Answer with a tool's text: JSON, or the text itself."""
    text = value_ if isinstance(value_, str) else json.dumps(value_)
    return value({"isError": is_error, "content": [{"type": "text", "text": text}]})


# --- kinds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "name", "value_"),
    [
        ("1 / 0", "ZeroDivisionError", "division by zero"),
        ("raise TimeoutError('Execution timeout: of its own')", "TimeoutError", "Execution timeout: of its own"),
        ("raise type('Execution timeout', (Exception,), {})('x')", "Execution timeout", "x"),
    ],
)
def test_exceptions_of_the_code(runtime: LocalServer, python_session: str, code: str, name: str, value_: str) -> None:
    """Whatever they are called and say, they are the code's own."""
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        for result in by_run_and_stream(session, code):
            assert isinstance(result.error, ExecutionError)
            assert (result.error.kind, result.error.name, result.error.value) == (
                ErrorKind.PROGRAM_FAILED,
                name,
                value_,
            )
            assert "Traceback" in result.error.traceback
            with pytest.raises(ExecutionError) as caught:
                result.raise_for_error()
            assert pickle.loads(pickle.dumps(caught.value)).kind is ErrorKind.PROGRAM_FAILED


@pytest.mark.one_flavour
def test_code_that_ends_its_interpreter(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        result = session.code.run("import os; os._exit(3)", "python")
        assert result.error is not None
        assert (result.error.kind, result.error.name) == (ErrorKind.PROGRAM_FAILED, "KernelDied")


def test_commands_that_write_the_words_of_a_time_out(runtime: LocalServer, python_session: str) -> None:
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        for code in (1, 124):
            command = f"echo 'Command execution timeout' >&2; exit {code}"
            result = session.command.execute(command, LIMIT_MS)
            assert result.error is not None
            assert (result.error.kind, result.exit_code) == (ErrorKind.PROGRAM_FAILED, code)


@pytest.mark.parametrize(
    ("text", "is_error", "kind"),
    [
        ({"stdout": "", "stderr": "Command execution timeout", "exit_code": 1}, True, ErrorKind.PROGRAM_FAILED),
        ({"stdout": "", "stderr": "", "exit_code": 124, "timed_out": True}, True, ErrorKind.TIMED_OUT),
        ("Command execution timeout", True, ErrorKind.TIMED_OUT),
        ("shell: no such directory", True, ErrorKind.REFUSED),
    ],
)
def test_kinds_of_commands_by_their_answer(text: Any, is_error: bool, kind: ErrorKind) -> None:
    with scripted(tool(text, is_error)) as server:
        with AGB("k", Config(server.endpoint, 5000)) as agb:
            result = agb.attach("s-1").command.execute("x", 100)
    assert result.error is not None
    assert result.error.kind is kind


@pytest.mark.parametrize(
    ("answer_", "kind"),
    [
        ({"executionError": "Execution timeout"}, ErrorKind.TIMED_OUT),
        ({"executionError": "TimeoutError: Execution timeout"}, ErrorKind.PROGRAM_FAILED),
        ({"executionError": "TimeoutError"}, ErrorKind.PROGRAM_FAILED),
        (
            {"executionError": "Execution timeout", "error": {"name": "Execution timeout", "reason": "exception"}},
            ErrorKind.PROGRAM_FAILED,
        ),
        ({"error": {"name": "E", "value": "Execution timeout"}}, ErrorKind.PROGRAM_FAILED),
        ({"error": {"name": "E", "value": "x", "reason": "timeout"}}, ErrorKind.TIMED_OUT),
        ({"error": {"name": "E", "value": "x", "reason": "something new"}}, ErrorKind.PROGRAM_FAILED),
    ],
)
def test_kinds_of_code_by_its_answer(answer_: dict[str, Any], kind: ErrorKind) -> None:
    with scripted(tool({"result": [], **answer_})) as server:
        with AGB("k", Config(server.endpoint, 5000)) as agb:
            result = agb.attach("s-1").code.run("x", "python")
    assert result.error is not None
    assert result.error.kind is kind


# --- messages ----------------------------------------------------------------------------------------------------


def test_messages_of_failed_commands(runtime: LocalServer, python_session: str) -> None:
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        silent = session.command.execute("exit 4", LIMIT_MS)
        assert silent.error_message == "the command ended with exit code 4"
        said = session.command.execute("echo why >&2; exit 4", LIMIT_MS)
        assert said.error_message == "the command ended with exit code 4: why"
        with pytest.raises(CommandError, match=r"^the command ended with exit code 4$"):
            session.command.execute("exit 4", LIMIT_MS, check=True)
        slow = session.command.execute("sleep 60", 300)
        assert slow.error_message == (
            "the command was ended by its time limit of 300 ms; the argument timeout_ms sets it, "
            "and it is 1000 unless given"
        )


@pytest.mark.parametrize("command", ["-run", "+run", "--version", "-c"])
def test_command_that_looks_like_an_option(runtime: LocalServer, python_session: str, command: str) -> None:
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        executed = session.command.execute(command, LIMIT_MS)
        with session.command.start(command) as process:
            started = process.wait(60)
    for result in (executed, started):
        assert (result.exit_code, "not found" in result.stderr) == (127, True)


# --- output beyond the limit -------------------------------------------------------------------------------------


@pytest.mark.one_flavour
def test_output_that_is_cut(runtime: LocalServer) -> None:
    """The local runtime keeps 16 MiB of each kind."""
    size = 17 << 20
    kept = 16 << 20
    with client(runtime) as agb, agb.session(PARAMS) as session:
        command = session.command.execute(f"head -c {size} /dev/zero | tr '\\0' x", LIMIT_MS)
        assert (command.success, len(command.stdout), command.truncated) == (True, kept, Truncated(stdout=size - kept))
        run = session.code.run(f"print('x' * {size - 1}); 'y' * {size}", "python")
        assert run.success
        assert (len("".join(run.logs.stdout)), len(run.result)) == (kept, kept)
        assert run.truncated == Truncated(stdout=size - kept, results=size + 2 - kept)
        assert not session.code.run("1", "python").truncated


# --- displays ----------------------------------------------------------------------------------------------------

DISPLAYS = """
from IPython.display import GeoJSON, Image, JSON, display
gif = b'GIF89a\\x01\\x00\\x01\\x00\\x00\\x00\\x00;'
chart = {'data': [{'y': [1, float('nan'), float('inf')]}]}
display({'application/vnd.plotly.v1+json': chart, 'text/plain': 'Figure'}, raw=True)
display(Image(gif, format='gif'))
display(GeoJSON({'type': 'Point', 'coordinates': [1, 2]}))
display({'image/webp': 'UklGRg==', 'application/pdf': 'JVBERg=='}, raw=True)
display({'application/vnd.jupyter.widget-view+json': {'model_id': 'm', 'version_major': 2}}, raw=True)
display({'application/vnd.bokehjs_exec.v0+json': '', 'text/plain': 'bokeh'}, raw=True)
display({'text/html': 5}, raw=True)
"""


def test_every_format_of_a_display_arrives(runtime: LocalServer, python_session: str) -> None:
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        for run in by_run_and_stream(session, DISPLAYS):
            assert run.success, run.error
            assert run.logs.stderr == []
            plotly, gif, point, pictures, widget, bokeh, odd = run.results
            assert plotly.data["application/vnd.plotly.v1+json"] == {"data": [{"y": [1, None, None]}]}
            assert plotly.text == "Figure"
            assert gif.data["image/gif"].startswith("R0lGODlh")
            assert point.data["application/geo+json"] == {"type": "Point", "coordinates": [1, 2]}
            assert pictures.data == {"image/webp": "UklGRg==", "application/pdf": "JVBERg=="}
            assert widget.data["application/vnd.jupyter.widget-view+json"]["model_id"] == "m"
            assert bokeh.data["application/vnd.bokehjs_exec.v0+json"] == ""
            assert odd.html == "5"


# --- the end of the session --------------------------------------------------------------------------------------


def end_when_begun(session: Session) -> None:
    """Release a session in which a program has written a file, without waiting for its end."""
    session.command.execute("until [ -e /tmp/begun ]; do sleep 0.01; done", LIMIT_MS, check=True)
    session.agb.client.call(release_session_async(session.session_id))


@pytest.mark.one_flavour
def test_work_that_is_cut_by_the_end_of_its_session(runtime: LocalServer) -> None:
    def execute(session: Session) -> Any:
        return session.command.execute("touch /tmp/begun; sleep 1000", 10 * LIMIT_MS).error

    def run(session: Session) -> Any:
        code = "import time; open('/tmp/begun', 'w').close(); time.sleep(1000)"
        return session.code.run(code, "python", timeout_s=600).error

    def stream(session: Session) -> Any:
        code = "import time; open('/tmp/begun', 'w').close(); time.sleep(1000)"
        with session.code.stream(code, "python", timeout_s=600) as events:
            return events.collect().error

    with client(runtime) as agb:
        for work in (execute, run, stream):
            with agb.session(PARAMS) as session:
                error, _ = gather([partial(work, session), partial(end_when_begun, session)])
            assert error is not None
            assert error.kind is ErrorKind.NOT_FOUND, work


def test_session_that_has_ended_is_not_found_everywhere(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.session(PARAMS) as session:
        session.delete().raise_for_error()
        for result in (
            session.command.execute("true", LIMIT_MS),
            session.code.run("1", "python"),
            session.code.run("1", "python", stream_beta=True),
            session.get_labels(),
            session.info(),
            session.keep_alive(),
            session.file.read("/tmp/x"),
        ):
            assert result.error is not None
            assert result.error.kind is ErrorKind.NOT_FOUND, result


@pytest.mark.parametrize(("status", "kind"), [("FINISH", ErrorKind.NOT_FOUND), ("RUNNING", ErrorKind.BAD_CREDENTIALS)])
def test_stream_that_is_refused_asks_for_the_state(status: str, kind: ErrorKind) -> None:
    """A service may refuse the token of a session that has ended."""

    def service(talk: Conversation) -> None:
        (value({"status": status}) if talk.request.path == STATUS else answer(status=403))(talk)

    with scripted(service) as server:
        with AGB("k", Config(server.endpoint, 5000)) as agb:
            session = Session(agb, "s-1")
            session.ws_url, session.token = f"ws{server.endpoint.removeprefix('http')}/ws", "token"
            result = session.code.run("1", "python", stream_beta=True)
    assert result.error is not None
    assert result.error.kind is kind


def test_batch_retries_items_that_were_cut_by_the_end_of_their_session(runtime: LocalServer) -> None:
    killed: list[str] = []

    def cut_once(session: Session, number: int) -> int:
        if not killed:
            killed.append(session.session_id)
            work = partial(session.command.execute, "touch /tmp/begun; sleep 1000", 10 * LIMIT_MS, check=False)
            functions: list[Any] = [work, partial(end_when_begun, session)]
            gather(functions)[0].raise_for_error()
        return number

    with client(runtime) as agb, agb.map(cut_once, [5], params=PARAMS, attempts=3) as batch:
        outcome = batch.results()[0]
    assert (outcome.value, outcome.attempts) == (5, 2)


@pytest.mark.one_flavour
def test_batch_does_not_retry_a_program_that_failed(runtime: LocalServer) -> None:
    def fail(session: Session, code: str) -> None:
        session.code.run(code, "python").raise_for_error()
        session.command.execute("exit 3", LIMIT_MS).raise_for_error()

    with client(runtime) as agb, agb.map(fail, ["1 / 0", "1"], params=PARAMS, attempts=3) as batch:
        outcomes = batch.results()
    assert [outcome.attempts for outcome in outcomes] == [1, 1]
    for outcome in outcomes:
        assert isinstance(outcome.error, ExecutionError | CommandError)
        assert outcome.error.kind is ErrorKind.PROGRAM_FAILED


# --- the end of the caller ---------------------------------------------------------------------------------------


def test_deadline_of_the_call_ends_the_work(runtime: LocalServer, python_session: str) -> None:
    """Also work that had hardly begun when the time was over, as on a loaded machine."""
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        for one in (session, agb.attach(session.ref)):
            late = one.code.run("import time\ntime.sleep(1000)", "python", timeout_s=600, timeout=0.5)
            assert late.error is not None
            assert late.error.kind is ErrorKind.TIMED_OUT
            assert session.code.run("'free'", "python", timeout_s=60).result == "'free'"
            late_command = one.command.execute("echo $$ >/tmp/pid; sleep 1000", 10 * LIMIT_MS, timeout=0.5)
            assert late_command.error is not None
            assert late_command.error.kind is ErrorKind.TIMED_OUT
            gone = "read -r pid </tmp/pid; while kill -0 $pid 2>/dev/null; do sleep 0.02; done"
            session.command.execute(gone, LIMIT_MS, check=True)


def test_code_that_waits_for_the_interpreter_is_not_run_for_a_caller_that_has_left(
    runtime: LocalServer, python_session: str
) -> None:
    with client(runtime) as agb:
        session = agb.get(python_session).raise_for_error().session
        with session.code.stream("import time\nprint('begun', flush=True)\ntime.sleep(1000)", "python") as first:
            for event in first:
                if isinstance(event, Stdout):
                    break
            waiting = session.code.run("open('/tmp/ran', 'w').close()", "python", timeout=0.5)
            assert waiting.error is not None
        assert session.code.run("import os; os.path.exists('/tmp/ran')", "python").result == "False"
