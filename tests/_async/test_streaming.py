"""Code with live output, against a scripted service on a real socket and against the local runtime."""

from __future__ import annotations

import base64
import hashlib
import logging
from functools import partial
from threading import Event
from typing import Any

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from agb import (
    AsyncAGB,
    AsyncSession,
    CodeEvent,
    Config,
    CreateSessionParams,
    EnhancedCodeExecutionResult,
    Error,
    ErrorKind,
    ExecutionError,
    Finished,
    Result,
    Sent,
    SessionError,
    Stderr,
    Stdout,
)
from agb._async._compat.concurrency import gather
from agb._async.modules.code import AsyncCodeEvents
from agb._async.net import websocket_connection as websocket
from agb.local import LocalServer
from tests.servers import Conversation, answer, cut, scripted, silent
from tests.websocket_server import Script, Talk, WebSocketService, until_cancelled, websocket_service

pytestmark = pytest.mark.anyio

PARAMS = CreateSessionParams(image_id="agb-code-space-1")
LIMIT = 60
"""Seconds to wait for an event that must happen; a test that waits so long has failed."""


def session_of(agb: AsyncAGB, service: WebSocketService | str) -> AsyncSession:
    """Return a session whose WebSocket is the scripted service."""
    session = AsyncSession(agb, "s-1")
    session.ws_url, session.token = service if isinstance(service, str) else service.url, "tok-secret"
    return session


def client(timeout_ms: int = 60_000) -> AsyncAGB:
    return AsyncAGB("ako-key", Config("http://127.0.0.1:9", timeout_ms))


async def run(script: Script, **more: Any) -> EnhancedCodeExecutionResult:
    """Return the result of code on a service with this script."""
    with websocket_service(script) as service:
        async with client() as agb:
            return await session_of(agb, service).code.run("x", "python", stream_beta=True, **more)


async def taken(events: AsyncCodeEvents) -> list[CodeEvent]:
    """Return all further events."""
    got: list[CodeEvent] = []
    async for event in events:
        got += [event]
    return got


# --- events -------------------------------------------------------------------------------------------------------


async def test_run_with_callbacks() -> None:
    def script(talk: Talk) -> None:
        talk.stdout("hello\n")
        talk.event("stderr", chunk="warning\n")
        talk.event("result", result={"isMainResult": True, "mime": {"text/plain": "42", "text/html": "<b>42</b>"}})
        talk.end()

    out: list[str] = []
    err: list[str] = []
    with websocket_service(script) as service:
        async with client() as agb:
            code = session_of(agb, service).code
            result = await code.run("x", "py", 7, True, on_stdout=out.append, on_stderr=err.append)
    assert result.success
    assert (out, err) == (["hello\n"], ["warning\n"])
    assert (result.logs.stdout, result.logs.stderr) == (out, err)
    assert (result.result, result.results[0].html) == ("42", "<b>42</b>")
    assert (result.execution_count, result.execution_time) == (1, 0.5)
    assert service.tokens == ["tok-secret"]
    (sent,) = service.received
    assert sent == {
        "invocationId": result.request_id,
        "source": "SDK",
        "target": "wuying_codespace",
        "data": {"method": "run_code", "mode": "stream", "params": {"language": "python", "timeoutS": 7, "code": "x"}},
    }


async def test_leaving_early_cancels() -> None:
    with websocket_service(until_cancelled) as service:
        async with client() as agb:
            session = session_of(agb, service)
            for _ in range(2):
                async with session.code.stream("x", "python") as events:
                    async for event in events:
                        assert event == Stdout("running\n")
                        break
                result = events.result()
                assert not result.success
                assert result.error_message == "the execution was stopped before its end"
                assert result.logs.stdout == ["running\n"]
            assert service.methods == ["run_code", "cancel", "run_code", "cancel"]
            assert len(service.sockets) == 1


async def test_events() -> None:
    def script(talk: Talk) -> None:
        talk.event("stdout", chunk="a")
        talk.event("stderr", chunk="b")
        talk.event("result", result={"mime": {"text/plain": "1"}})
        talk.event("error", error={"code": "ValueError", "message": "no", "traceback": "Traceback"})
        talk.end(status="failed", executionError="ValueError: no")

    with websocket_service(script) as service:
        async with client() as agb:
            async with session_of(agb, service).code.stream("x", "python") as events:
                got = await taken(events)
                assert await taken(events) == []
            result = events.result()
    error = ExecutionError("ValueError", "no", "Traceback")
    assert [type(event) for event in got] == [Stdout, Stderr, Result, Error, Finished]
    assert got[3] == Error(error)
    assert got[4] == Finished(1, 0.5, False, error)
    assert not result.success
    assert (result.error, result.error_message) == (error, "ValueError: no")
    with pytest.raises(ExecutionError, match="ValueError: no"):
        result.raise_for_error()


async def test_collect_takes_the_rest() -> None:
    def script(talk: Talk) -> None:
        for n in range(1000):
            talk.stdout(f"{n}\n")
        talk.end()

    with websocket_service(script) as service:
        async with client() as agb, session_of(agb, service).code.stream("x", "python") as events:
            async for event in events:
                assert event == Stdout("0\n")
                break
            assert events.result().error_message == "the execution has not ended yet"
            result = await events.collect()
    assert result.success
    assert result.logs.stdout == [f"{n}\n" for n in range(1000)]
    assert service.methods == ["run_code"]


async def test_a_character_cut_in_two_and_a_picture_of_any_size() -> None:
    picture = "A" * 5_000_000

    def script(talk: Talk) -> None:
        for half in ("\\ud83d", "\\ude00"):
            talk.socket.send(
                f'{{"invocationId":"{talk.id}","data":{{"phase":"event","eventType":"stdout","chunk":"{half}"}}}}'
            )
        talk.event("result", result={"mime": {"image/png": picture}})
        talk.socket.send(b'{"requestId":"%s","data":"{' % talk.id.encode() + rb'\"phase\":\"event\"}"}')
        words = (
            f'{{"invocationId":"{talk.id}","data":{{"phase":"event","eventType":"stdout","chunk":"größe"}}}}'.encode()
        )
        middle = words.index("ö".encode()) + 1
        talk.socket.send([words[:middle], words[middle:]])
        talk.end()

    result = await run(script)
    assert result.success
    assert result.logs.stdout == ["😀", "größe"]
    assert result.results[0].png == picture


async def test_async_and_raising_callbacks() -> None:
    class StopError(Exception):
        pass

    calls = []

    async def record(text: str) -> None:
        calls.append(text)
        raise StopError

    with websocket_service(until_cancelled) as service:
        async with client() as agb:
            with pytest.raises(StopError):
                await session_of(agb, service).code.run("x", "python", stream_beta=True, on_stdout=record)
            assert service.methods == ["run_code", "cancel"]
    assert calls == ["running\n"]


async def test_the_target_is_the_server_of_the_tool() -> None:
    from agb import McpTool

    with websocket_service(lambda talk: talk.end()) as service:
        async with client() as agb:
            session = session_of(agb, service)
            session.tool_list = [McpTool(name="run_code", server="other"), McpTool(name="run_code", server="late")]
            assert (await session.code.run("x", "python", stream_beta=True)).success
    assert service.received[0]["target"] == "other"


# --- several streams on one socket --------------------------------------------------------------------------------


async def test_two_streams_interleaved() -> None:
    second_has_started = Event()

    def script(talk: Talk) -> None:
        name = talk.params["code"]
        if name == "second":
            second_has_started.set()
        second_has_started.wait(LIMIT)
        for n in range(200):
            talk.stdout(f"{name} {n}")
        talk.end()

    with websocket_service(script) as service:
        async with client() as agb:
            code = session_of(agb, service).code
            async with code.stream("first", "python") as first, code.stream("second", "python") as second:
                results = [await second.collect(), await first.collect()]
    for name, result in zip(("second", "first"), results, strict=True):
        assert result.logs.stdout == [f"{name} {n}" for n in range(200)]
    assert len(service.sockets) == 1


async def test_many_callers_at_a_time() -> None:
    all_have_started = Event()

    def script(talk: Talk) -> None:
        if len(talk.service.talks) == 20:
            all_have_started.set()
        all_have_started.wait(LIMIT)
        for n in range(50):
            talk.stdout(f"{talk.params['code']} {n}")
        talk.end()

    with websocket_service(script) as service:
        async with client() as agb:
            code = session_of(agb, service).code
            functions = [partial(code.run, str(n), "python", stream_beta=True) for n in range(20)]
            results = await gather(functions)
    for name, result in enumerate(results):
        assert result.success, result.error
        assert result.logs.stdout == [f"{name} {n}" for n in range(50)]
    assert len(service.sockets) == 1


async def test_a_stream_that_is_not_read_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "INBOX_BYTES", 100_000)
    is_flooded = Event()

    def script(talk: Talk) -> None:
        if talk.params["code"] == "idle":
            for _ in range(200):
                talk.stdout("x" * 1000)
            is_flooded.set()
            talk.cancelled.wait(LIMIT)
        else:
            is_flooded.wait(LIMIT)
        talk.end()

    with websocket_service(script) as service:
        async with client() as agb:
            code = session_of(agb, service).code
            async with code.stream("idle", "python") as idle:
                assert (await code.run("busy", "python", stream_beta=True)).success
                result = await idle.collect()
            assert result.error is not None
            assert "arrived that were not read" in result.error_message
            assert 0 < len(result.logs.stdout) <= 100
            assert service.methods == ["run_code", "run_code", "cancel"]


# --- the end, early -----------------------------------------------------------------------------------------------


async def test_the_deadline_stops_the_execution() -> None:
    with websocket_service(until_cancelled) as service:
        async with client() as agb:
            code = session_of(agb, service).code
            async with (
                code.stream("x", "python", timeout=2.0) as collected,
                code.stream("x", "python", timeout=2.0) as iterated,
            ):
                with pytest.raises(ExecutionError, match="no end of the stream within"):
                    await taken(iterated)
                result = await collected.collect()
            assert result.error is not None
            assert (result.error.kind, result.error.sent) == (ErrorKind.TIMED_OUT, Sent.MAYBE)
            assert result.error_message == "no end of the stream within 2 s"
            assert result.logs.stdout == ["running\n"]
            assert sorted(service.methods) == ["cancel", "cancel", "run_code", "run_code"]
            assert len(service.sockets) == 1


async def test_the_limit_of_the_code_is_not_the_deadline() -> None:
    def script(talk: Talk) -> None:
        talk.stdout("so far\n")
        talk.end(status="failed", executionError="Execution timeout after 600 s")

    result = await run(script, timeout_s=600)
    assert result.error is not None
    assert (result.error.kind, result.error.sent) == (ErrorKind.TIMED_OUT, Sent.YES)
    assert result.error_message == "Execution timeout after 600 s"
    assert result.logs.stdout == ["so far\n"]


async def test_a_service_without_cancel_loses_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "CANCEL_SECONDS", 0.1)
    with websocket_service(until_cancelled) as service:
        service.knows_cancel = False
        async with client() as agb:
            code = session_of(agb, service).code
            async with code.stream("other", "python") as other:
                async with code.stream("left", "python"):
                    pass
                assert service.closed.wait(LIMIT)
                result = await other.collect()
                assert "which shared it, was cancelled and did not end" in result.error_message
            service.knows_cancel = True
            async with code.stream("next", "python") as events:
                async for event in events:
                    assert event == Stdout("running\n")
                    break
            assert len(service.sockets) == 2


async def test_closing_the_client_closes_the_socket() -> None:
    with websocket_service(until_cancelled) as service:
        agb = client()
        async with session_of(agb, service).code.stream("x", "python") as events:
            await agb.aclose()
            assert service.closed.wait(LIMIT)
            result = await events.collect()
            assert "closed by this program" in result.error_message
        await agb.aclose()


# --- failures -----------------------------------------------------------------------------------------------------


def close_politely(talk: Talk) -> None:
    talk.stdout("so far\n")
    talk.socket.close(1001, "going away")


def cut_off(talk: Talk) -> None:
    import socket

    talk.stdout("so far\n")
    talk.socket.socket.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("end", [close_politely, cut_off])
async def test_a_socket_that_breaks(end: Script) -> None:
    def script(talk: Talk) -> None:
        end(talk) if len(talk.service.talks) == 1 else talk.end()

    errors: list[Any] = []
    with websocket_service(script) as service:
        async with client() as agb:
            code = session_of(agb, service).code
            result = await code.run("x", "python", stream_beta=True, on_error=errors.append)
            assert result.error is not None
            assert (result.error.kind, result.error.sent) == (ErrorKind.UNREACHABLE, Sent.MAYBE)
            assert result.error.request_id == result.request_id == service.received[0]["invocationId"]
            assert "the service closed the connection" in result.error_message
            assert result.logs.stdout == ["so far\n"]
            assert len(errors) == 1
            assert isinstance(errors[0], SessionError)
            assert (await code.run("x", "python", stream_beta=True)).success
            assert len(service.sockets) == 2


async def test_a_socket_that_was_closed_while_idle() -> None:
    with websocket_service(lambda talk: talk.end()) as service:
        async with client() as agb:
            code = session_of(agb, service).code
            for n in range(3):
                assert (await code.run("x", "python", stream_beta=True)).success
                assert len(service.sockets) == n + 1
                service.closed.clear()
                service.sockets[n].close()
                assert service.closed.wait(LIMIT)


@pytest.mark.parametrize(
    ("frame", "kind", "message"),
    [
        ('{"invocationId":"ID","data":7}', ErrorKind.INVALID_ANSWER, "the data of a frame is not an object"),
        ('{"invocationId":"ID","data":{"x":1}}', ErrorKind.INVALID_ANSWER, "the data of a frame has no phase"),
        ('{"invocationId":"ID","data":{"phase":"start"}}', ErrorKind.INVALID_ANSWER, "unknown phase: 'start'"),
        ('{"invocationId":"ID","data":{"phase":"error","message":"out of order"}}', ErrorKind.REFUSED, "out of order"),
        ('{"invocationId":"ID","data":{"error":"bad request"}}', ErrorKind.REFUSED, "bad request"),
    ],
)
async def test_frames_that_end_a_stream(frame: str, kind: ErrorKind, message: str) -> None:
    def script(talk: Talk) -> None:
        talk.stdout("so far\n")
        talk.socket.send(frame.replace("ID", talk.id))
        if kind is ErrorKind.INVALID_ANSWER:
            talk.cancelled.wait(LIMIT)
            talk.end()

    errors: list[Any] = []
    result = await run(script, on_error=errors.append)
    assert result.error is not None
    assert result.error.kind is kind
    assert message in result.error_message
    assert result.logs.stdout == ["so far\n"]
    assert len(errors) == 1


async def test_frames_of_no_stream_are_ignored() -> None:
    def script(talk: Talk) -> None:
        for frame in ("nonsense", "[]", "{}", b"\xff", '{"invocationId":"other","data":{"phase":"end"}}'):
            talk.socket.send(frame)
        talk.socket.ping()
        talk.stdout("mine")
        talk.end()

    result = await run(script)
    assert result.success
    assert result.logs.stdout == ["mine"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, ErrorKind.BAD_CREDENTIALS),
        (403, ErrorKind.BAD_CREDENTIALS),
        (404, ErrorKind.NOT_FOUND),
        (429, ErrorKind.RATE_LIMITED),
        (200, ErrorKind.INVALID_ANSWER),
        (503, ErrorKind.UNREACHABLE),
    ],
)
async def test_a_refused_handshake(status: int, kind: ErrorKind, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with websocket_service(lambda talk: talk.end()) as service:
        service.refuse = status
        async with client() as agb:
            session = session_of(agb, service)
            result = await session.code.run("x", "python", stream_beta=True)
            with pytest.raises(SessionError) as caught:
                await session.code.stream("x", "python").__aenter__()
    assert result.error is not None
    assert (result.error.kind, caught.value.kind) == (kind, kind)
    assert f"(HTTP {status})" in result.error_message
    shown = repr(result) + str(caught.value) + repr(caught.value)
    assert "tok-secret" not in shown + "".join(r.getMessage() for r in caplog.records if r.name.startswith("agb"))
    assert "in-the-url" not in shown


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (cut(), ErrorKind.INVALID_ANSWER),
        (cut(b"SSH-2.0-OpenSSH_9.6\r\n"), ErrorKind.INVALID_ANSWER),
        (answer(b"<html>"), ErrorKind.INVALID_ANSWER),
        (silent, ErrorKind.TIMED_OUT),
    ],
)
async def test_no_websocket_there(action: Any, kind: ErrorKind) -> None:
    with scripted(action) as server:
        async with client() as agb:
            session = session_of(agb, server.endpoint.replace("http", "ws"))
            limit = 0.3 if action is silent else LIMIT
            result = await session.code.run("x", "python", stream_beta=True, timeout=limit)
    assert result.error is not None
    assert result.error.kind is kind
    assert result.error_message.startswith("Could not open a stream to session s-1: ")


async def test_addresses_that_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client() as agb:
        session = session_of(agb, "ws://127.0.0.1:9/ws?token=secret")
        result = await session.code.run("x", "python", stream_beta=True)
        assert result.error is not None
        assert (result.error.kind, result.error.retryable) == (ErrorKind.UNREACHABLE, True)
        assert "no connection to ws://127.0.0.1:9: " in result.error_message
        for url in ("http://127.0.0.1/?token=secret", "nonsense"):
            session.ws_url = url
            result = await session.code.run("x", "python", stream_beta=True)
            assert result.error_message.endswith(
                "the ws_url that the service returned is not the address of a WebSocket"
            )


@pytest.mark.one_event_loop
async def test_an_attached_session_asks_for_its_address(runtime: LocalServer) -> None:
    async with local_client(runtime) as agb, agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
        attached = agb.attach(session.ref)
        result = await attached.code.run("print('hello')", "python", stream_beta=True)
        assert "".join(result.logs.stdout) == "hello\n"
        assert attached.ws_url
        assert attached.tool_list == []  # and its tools go through the API as before
        gone = agb.attach("s-nowhere")
        refused = await gone.code.run("1", "python", stream_beta=True)
        assert refused.error is not None
        assert refused.error.kind is ErrorKind.NOT_FOUND


async def test_a_session_without_address_or_token() -> None:
    errors: list[Any] = []
    async with client() as agb:
        session = AsyncSession(agb, "s-1")
        result = await session.code.run("x", "python", stream_beta=True, on_error=errors.append)
        assert result.error_message == "Failed to run code: ws_url is not available for this session"
        with pytest.raises(SessionError, match="ws_url is not available for this session"):
            await session.code.stream("x", "python").__aenter__()
        session.ws_url = "ws://127.0.0.1:9"
        result = await session.code.run("x", "python", stream_beta=True)
        assert result.error_message == "Failed to run code: token is not available for WS connection"
    assert errors == []


async def test_wrong_arguments() -> None:
    async with client() as agb:
        code = session_of(agb, "ws://127.0.0.1:9").code
        cobol: Any = "cobol"
        with pytest.raises(ValueError, match="Unsupported language: cobol"):
            code.stream("x", cobol)
        assert "Unsupported" in (await code.run("x", cobol, stream_beta=True)).error_message
        for arguments in ({"timeout_s": 0}, {"timeout": -1}):
            with pytest.raises(ValueError, match="above zero"):
                code.stream("x", "python", **arguments)
        with pytest.raises(TypeError, match="code must be a string"):
            code.stream(7, "python")  # type: ignore[arg-type]
        events = code.stream("x", "python")
        with pytest.raises(RuntimeError, match="when the block is entered"):
            await events.collect()


# --- signs of life ------------------------------------------------------------------------------------------------


def raw_websocket(talk: Conversation, pings: int, answered: bool) -> None:
    """Accept the handshake, read pings, and end the execution after that many; answer the pings, or do not."""
    key = talk.request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    head = f"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    talk.sock.sendall(head.encode())
    protocol = ServerProtocol(state=State.OPEN)
    invocation_id, seen = "", 0
    talk.keep = False
    while data := talk.sock.recv(65536):
        protocol.receive_data(data)
        if answered:
            talk.sock.sendall(b"".join(protocol.data_to_send()))
        for event in protocol.events_received():
            assert isinstance(event, Frame)
            if event.opcode is Opcode.TEXT:
                invocation_id = bytes(event.data).partition(b'"invocationId":"')[2][:32].decode()
            if event.opcode is not Opcode.PING:
                continue
            seen += 1
            if seen < pings:
                continue
            protocol.send_text(f'{{"invocationId":"{invocation_id}","data":{{"phase":"end"}}}}'.encode())
            talk.sock.sendall(b"".join(protocol.data_to_send()))


async def test_a_long_silence_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "QUIET_SECONDS", 1.0)  # enough for an answer of the other thread
    with scripted(partial(raw_websocket, pings=2, answered=True)) as server:
        async with client() as agb:
            session = session_of(agb, server.endpoint.replace("http", "ws"))
            assert (await session.code.run("x", "python", stream_beta=True)).success


async def test_no_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "QUIET_SECONDS", 0.05)
    with scripted(partial(raw_websocket, pings=100, answered=False)) as server:
        async with client() as agb:
            session = session_of(agb, server.endpoint.replace("http", "ws"))
            result = await session.code.run("x", "python", stream_beta=True)
    assert result.error is not None
    assert result.error.kind is ErrorKind.UNREACHABLE
    assert "no sign of life for 0.1 s" in result.error_message


# --- the local runtime --------------------------------------------------------------------------------------------


def local_client(runtime: LocalServer) -> AsyncAGB:
    return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 30_000))


async def test_live_output_of_the_runtime(runtime: LocalServer, python_session: str) -> None:
    out: list[str] = []
    async with local_client(runtime) as agb:
        session = (await agb.get(python_session)).raise_for_error().session
        result = await session.code.run("x = 6; print('größe', flush=True); x * 7", "python", stream_beta=True)
        assert result.success, result.error
        assert (result.result, result.logs.stdout) == ("42", ["größe\n"])
        result = await session.code.run("print(x); 1/0", "python", stream_beta=True, on_stdout=out.append)
        assert not result.success
        assert result.error is not None
        assert result.error.name == "ZeroDivisionError"
        assert "Traceback" in result.error.traceback
        assert "".join(out) == "6\n"


@pytest.mark.one_event_loop
async def test_leaving_early_interrupts_the_runtime(runtime: LocalServer, python_session: str) -> None:
    code = "import time\nx = 5\nprint('running', flush=True)\ntime.sleep(60)\nx = 6"
    async with local_client(runtime) as agb:
        session = (await agb.get(python_session)).raise_for_error().session
        async with session.code.stream(code, "python") as events:
            async for event in events:
                if isinstance(event, Stdout):
                    break
        assert (await session.code.run("x", "python", timeout=LIMIT)).result == "5"


@pytest.mark.one_event_loop
async def test_limits_of_the_runtime(runtime: LocalServer, python_session: str) -> None:
    code = "import time\nprint('running', flush=True)\ntime.sleep(60)"
    async with local_client(runtime) as agb:
        session = (await agb.get(python_session)).raise_for_error().session
        result = await session.code.run(code, "python", 2, stream_beta=True)
        assert result.error is not None
        assert (result.error.kind, result.error.sent) == (ErrorKind.TIMED_OUT, Sent.YES)
        assert result.logs.stdout == ["running\n"]


@pytest.mark.one_event_loop
async def test_deleting_the_session_closes_the_socket(runtime: LocalServer) -> None:
    async with local_client(runtime) as agb:
        session = (await agb.create(PARAMS)).raise_for_error().session
        assert session is not None
        assert (await session.code.run("1", "python", stream_beta=True)).success
        channel = session.get_client().websocket(session.session_id, session.ws_url, session.token)
        assert not channel.is_closed
        assert (await session.delete()).success
        assert channel.is_closed
        result = await session.code.run("1", "python", stream_beta=True)
        assert not result.success
        assert result.error is not None
        assert result.error.kind in (ErrorKind.NOT_FOUND, ErrorKind.BAD_CREDENTIALS)


@pytest.mark.one_event_loop
async def test_a_wrong_token(runtime: LocalServer) -> None:
    async with local_client(runtime) as agb, agb.session(PARAMS) as session:
        session.token = "wrong"
        result = await session.code.run("1", "python", stream_beta=True)
        assert result.error is not None
        assert result.error.kind is ErrorKind.BAD_CREDENTIALS


async def test_streams_of_the_runtime_at_the_same_time(runtime: LocalServer) -> None:
    async with local_client(runtime) as agb, agb.session(PARAMS) as session:
        texts: dict[Any, str] = {"python": "print('python')", "javascript": "console.log('javascript')"}
        functions = [partial(session.code.run, text, name, stream_beta=True) for name, text in texts.items()]
        for name, result in zip(texts, await gather(functions), strict=True):
            assert result.success, result.error
            assert "".join(result.logs.stdout) == f"{name}\n"
