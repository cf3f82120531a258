# Generated from tests/_async/test_transport.py by tools/unasync.py. Do not edit.
"""The transport against servers that misbehave: retries, deadlines, connections, errors."""

from __future__ import annotations

import copy
import gzip
import json
import logging
import pickle
import ssl
import time
from typing import Any

import httpx
import httpx2
import pytest
import respx

from agb import AGB, AGBError, Config, CreateSessionParams, ErrorKind, OperationResult, Sent, SessionError
from agb._sync.net import routes
from tests.servers import (
    Action,
    answer,
    cut,
    envelope,
    refuse,
    scripted,
    silent,
    then_close,
    trickle,
    value,
)

KEY = "ako-very-secret"
LINK = value({"url": "http://127.0.0.1/link"})
CREATED = value({"sessionId": "s-1", "success": True})
IMAGE = CreateSessionParams(image_id="agb-code-space-1")


def client(endpoint: str, timeout_ms: int = 5000, **more: Any) -> AGB:
    agb = AGB(KEY, Config(endpoint, timeout_ms), **more)
    agb.client._random = lambda: 0.0  # back-off at its shortest
    return agb


def link_of(endpoint: str, **more: Any) -> OperationResult:
    with client(endpoint, **more) as agb:
        return agb.attach("s-1").get_link(port=30100)


def failure_of(endpoint: str, **more: Any) -> SessionError:
    """Return the error that get_link, which is documented to raise failures, raises."""
    with pytest.raises(SessionError) as caught:
        link_of(endpoint, **more)
    return caught.value


# --- what is sent ------------------------------------------------------------------------------------------------


def test_request_as_documented() -> None:
    with scripted(LINK) as server:
        result = link_of(server.endpoint)
    assert result.success
    assert result.data == "http://127.0.0.1/link"
    assert result.request_id == "R-1"
    (request,) = server.requests
    assert (request.method, request.target) == ("GET", "/internet/getLink?sessionId=s-1&port=30100")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("suffix", ["/", "/base", "/base/"])
def test_endpoint_with_slash_or_path(suffix: str) -> None:
    with scripted(LINK) as server:
        assert link_of(server.endpoint + suffix).success
    assert server.requests[0].path == suffix.rstrip("/") + "/internet/getLink"


def test_compressed_answer() -> None:
    body = gzip.compress(json.dumps(envelope({"url": "http://x"})).encode())
    with scripted(answer(body, headers={"Content-Encoding": "gzip"})) as server:
        assert link_of(server.endpoint).data == "http://x"


def test_request_id_from_header() -> None:
    body = {"success": False, "message": "no", "code": "X"}
    with scripted(answer(body, headers={"x-request-id": "H-1"})) as server:
        result = link_of(server.endpoint)
    assert result.request_id == "H-1"
    assert "H-1" in result.error_message


# --- connections -------------------------------------------------------------------------------------------------


def test_thousand_calls_over_ten_sessions_use_one_connection() -> None:
    with scripted(LINK) as server:
        with client(server.endpoint) as agb:
            sessions = [agb.attach(f"s-{n}") for n in range(10)]
            for n in range(1000):
                sessions[n % 10].get_link()
        assert len(server.requests) == 1000
        assert server.connections == 1


def test_connection_closed_by_server_between_calls() -> None:
    with scripted(then_close(LINK), LINK) as server:
        with client(server.endpoint) as agb:
            session = agb.attach("s-1")
            assert session.get_link().success
            assert session.get_link().success
    assert server.connections == 2


def test_connection_with_surplus_bytes_is_not_kept() -> None:
    """Bytes after an answer would be read as the next answer, perhaps another session's."""
    forged = b'HTTP/1.1 200 OK\r\nContent-Length: 56\r\n\r\n{"success": true, "data": {"url": "http://forged/url"}}  '
    link = answer(envelope({"url": "http://real"}), after=forged)
    with scripted(link, LINK) as server:
        with client(server.endpoint) as agb:
            session = agb.attach("s-1")
            assert session.get_link().data == "http://real"
            assert session.get_link().data == "http://127.0.0.1/link"
    assert server.connections == 2


def test_one_tls_context_per_process() -> None:
    context = routes.tls_context()
    assert isinstance(context, ssl.SSLContext)
    assert routes.tls_context() is context


# --- a caller's own client ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_own_http_client(library: Any) -> None:
    with scripted(LINK, refuse("InvalidMcpSession.NotFound", "gone", 400)) as server:
        with library.Client() as mine:
            with client(server.endpoint, http_client=mine) as agb:
                session = agb.attach("s-1")
                assert session.get_link().data == "http://127.0.0.1/link"
                refused = session.get_link()
            assert not mine.is_closed
    assert refused.error is not None
    assert refused.error.kind is ErrorKind.NOT_FOUND
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize(("action", "kind"), [(silent, ErrorKind.TIMED_OUT), (trickle, ErrorKind.TIMED_OUT)])
def test_own_http_client_keeps_the_deadline(library: Any, action: Action, kind: ErrorKind) -> None:
    with scripted(action) as server:
        with library.Client() as mine:
            error = failure_of(server.endpoint, timeout_ms=1000, http_client=mine)
    assert error.kind is kind


@respx.mock
def test_own_http_client_can_be_mocked() -> None:
    route = respx.get("https://mocked.example/internet/getLink").respond(json=envelope({"url": "http://mocked"}))
    with httpx.Client() as mine:
        assert link_of("mocked.example", http_client=mine).data == "http://mocked"
    assert route.called


@respx.mock
@pytest.mark.parametrize(
    ("raised", "kind", "sent"),
    [
        (httpx.ConnectError, ErrorKind.UNREACHABLE, Sent.NO),
        (httpx.ProxyError, ErrorKind.UNREACHABLE, Sent.NO),
        (httpx.PoolTimeout, ErrorKind.TIMED_OUT, Sent.NO),
        (httpx.WriteError, ErrorKind.UNREACHABLE, Sent.MAYBE),
        (httpx.WriteTimeout, ErrorKind.TIMED_OUT, Sent.MAYBE),
        (httpx.RemoteProtocolError, ErrorKind.UNREACHABLE, Sent.MAYBE),
        (httpx.DecodingError, ErrorKind.INVALID_ANSWER, Sent.YES),
    ],
)
def test_errors_of_the_http_library(raised: type[Exception], kind: ErrorKind, sent: Sent) -> None:
    respx.post("https://mocked.example/mcp/createSession").mock(side_effect=raised)
    respx.get("https://mocked.example/sdk/ListSession").respond(401, json={})  # and so nobody looks for it for long
    with httpx.Client() as mine, client("mocked.example", http_client=mine) as agb:
        result = agb.create(IMAGE)
    assert result.error is not None
    assert (result.error.kind, result.error.sent) == (kind, sent)
    assert result.error.__cause__ is not None


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_create_that_was_not_sent_is_not_looked_for(library: Any) -> None:
    """What a caller's client reports (the extension trace) and raises tells whether sending had begun."""
    with scripted(LINK) as gone:
        pass
    with library.Client() as mine, client(gone.endpoint, http_client=mine) as agb:
        result = agb.create(IMAGE, timeout=5)
    assert result.error is not None
    assert (result.error.kind, result.error.sent) == (ErrorKind.UNREACHABLE, Sent.NO)
    assert "agb gc" not in result.error_message


@pytest.mark.usefixtures("short_looks")
@pytest.mark.parametrize("library", [httpx, httpx2])
def test_create_that_was_sent_is_looked_for(library: Any) -> None:
    with scripted(cut(), refuse()) as server:
        with library.Client() as mine, client(server.endpoint, http_client=mine) as agb:
            result = agb.create(IMAGE)
    assert server.requests[0].path == "/mcp/createSession"
    assert {request.path for request in server.requests[1:]} == {"/sdk/ListSession"}
    assert len(server.requests) <= 12
    assert result.error is not None
    assert result.error.sent is Sent.MAYBE


def test_deletion_whose_end_is_not_confirmed_in_time() -> None:
    """Also when the last request of the status had only the rest of the time, and its answer did not arrive."""
    with scripted(value({}), silent) as server, scripted(value({}), value({"status": "DELETING"})) as other:
        for endpoint in (server.endpoint, other.endpoint):
            with client(endpoint) as agb:
                result = agb.attach("s-1").delete(timeout=1)
            assert result.error is not None
            assert result.error.kind is ErrorKind.TIMED_OUT
            assert "Timeout waiting for session deletion" in result.error_message


# --- retries -----------------------------------------------------------------------------------------------------

HTML = answer(b"<html>Bad Gateway</html>", 502, {"Content-Type": "text/html"})


@pytest.mark.parametrize(
    "passing",
    [cut(), cut(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), refuse(status=503), refuse(status=429), HTML],
    ids=["cut", "cut in the middle", "503", "429", "502"],
)
def test_read_is_tried_again(passing: Action) -> None:
    with scripted(passing, passing, LINK) as server:
        assert link_of(server.endpoint).success
    assert len(server.requests) == 3


def test_tries_have_an_end() -> None:
    with scripted(cut()) as server:
        error = failure_of(server.endpoint)
    assert len(server.requests) == 3
    assert error.kind is ErrorKind.UNREACHABLE
    assert error.sent is Sent.MAYBE
    assert error.retryable


@pytest.mark.usefixtures("short_looks")
def test_create_is_not_tried_again_once_it_may_have_been_done() -> None:
    with scripted(cut(), refuse()) as server:
        with client(server.endpoint) as agb:
            result = agb.create(IMAGE)
    assert not result.success
    assert server.requests[0].path == "/mcp/createSession"
    assert {request.path for request in server.requests[1:]} == {"/sdk/ListSession"}
    assert len(server.requests) <= 12
    assert result.error is not None
    assert result.error.sent is Sent.MAYBE
    assert not result.error.retryable
    assert f"agb gc --create {result.error.extra['create']}" in str(result.error)


def test_create_is_tried_again_when_told_to_slow_down() -> None:
    with scripted(refuse("Throttled", "slow down", 429), CREATED) as server:
        with client(server.endpoint) as agb:
            assert agb.create(IMAGE).success
    assert len(server.requests) == 2


def test_command_is_not_tried_again() -> None:
    with scripted(cut()) as server:
        with client(server.endpoint) as agb:
            result = agb.attach("s-1").command.execute("rm -r build")
    assert not result.success
    assert result.exit_code is None
    assert len(server.requests) == 1


def test_delete_whose_answer_was_lost_is_a_success() -> None:
    gone = refuse("InvalidMcpSession.NotFound", "not found", 400)
    with scripted(cut(), gone, gone) as server:
        with client(server.endpoint) as agb:
            assert agb.attach("s-1").delete().success
    assert [request.path for request in server.requests[:2]] == ["/mcp/releaseSessionAsync"] * 2


def test_delete_of_an_unknown_session_is_not() -> None:
    with scripted(refuse("InvalidMcpSession.NotFound", "not found", 400)) as server:
        with client(server.endpoint) as agb:
            result = agb.attach("s-1").delete()
    assert result.error is not None
    assert result.error.kind is ErrorKind.NOT_FOUND


def test_retry_after_is_obeyed() -> None:
    waits: list[float] = []

    def note(seconds: float) -> None:
        waits.append(seconds)

    with scripted(refuse(status=429, headers={"Retry-After": "2"}), LINK) as server:
        with client(server.endpoint) as agb:
            agb.client._sleep = note
            assert agb.attach("s-1").get_link().success
    assert waits == [2.0]


def test_retry_after_beyond_the_deadline_ends_it_at_once() -> None:
    with scripted(refuse("Throttled", "slow down", 429, {"Retry-After": "60"})) as server:
        started = time.monotonic()
        result = link_of(server.endpoint)
    assert time.monotonic() - started < 4
    assert len(server.requests) == 1
    assert result.error is not None
    assert result.error.kind is ErrorKind.RATE_LIMITED
    assert result.error.retry_after == 60
    assert result.error.retryable


# --- bad answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (answer(b"<html>Welcome</html>", headers={"Content-Type": "text/html"}), ["text/html", "Welcome"]),
        (answer(b'{"success": tr'), ["not the JSON object"]),
        (answer(b"[1, 2]"), ["not the JSON object"]),
        (answer(b""), ["0 bytes"]),
        (answer(b"\xff\xfe\x00"), ["not the JSON object"]),
        (answer(b'{"a":' * 100_000), ["not the JSON object"]),
        (answer(b"junk", headers={"Content-Encoding": "gzip"}), ["not the JSON object"]),
        (answer(b"", 301, {"Location": "https://elsewhere.example/x?key=1"}), ["redirect", "elsewhere.example/x)"]),
        (value(None), ["it has no data"]),
        (value("text"), ["a string"]),
        (value({}), ["it has no data.url"]),
    ],
    ids=["html", "half a json", "array", "empty", "binary", "deep", "bad gzip", "redirect", "null", "string", "no url"],
)
def test_invalid_answer_is_a_failure(action: Action, words: list[str]) -> None:
    with scripted(action) as server:
        error = failure_of(server.endpoint)
    assert error.kind is ErrorKind.INVALID_ANSWER
    assert error.sent is Sent.YES
    assert "get a link to port 30100 of session s-1" in str(error)
    for word in words:
        assert word in str(error)
    assert "key=1" not in str(error)


@pytest.mark.usefixtures("short_looks")
def test_half_an_answer_with_a_token_is_not_quoted() -> None:
    with scripted(answer(b'{"data": {"token": "link-token", "sessionId": "s-')) as server:
        with client(server.endpoint) as agb:
            result = agb.create(IMAGE)
    assert "not the JSON object" in result.error_message
    assert "link-token" not in result.error_message + repr(result.error)


def test_redirect_is_not_followed() -> None:
    with scripted(LINK) as elsewhere, scripted(answer(b"", 307, {"Location": elsewhere.endpoint})) as server:
        failure_of(server.endpoint)
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (refuse("X", "no", 200), ErrorKind.REFUSED),
        (refuse("AccessDenied", "access denied", 403), ErrorKind.BAD_CREDENTIALS),
        (refuse("Unauthorized", "who are you", 401), ErrorKind.BAD_CREDENTIALS),
        (answer(b"<html>who are you</html>", 401), ErrorKind.BAD_CREDENTIALS),
        (refuse("InvalidMcpSession.NotFound", "session gone", 200), ErrorKind.NOT_FOUND),
        (refuse("", "Resource [Session] is not found", 200), ErrorKind.NOT_FOUND),
        (refuse("NotFound", "nothing here", 404), ErrorKind.NOT_FOUND),
    ],
)
def test_refusal_is_a_result(action: Action, kind: ErrorKind) -> None:
    with scripted(action) as server:
        result = link_of(server.endpoint)
    assert not result.success
    assert result.error is not None
    assert result.error.kind is kind
    assert result.error.sent is Sent.YES
    assert result.error.session_id == "s-1"
    with pytest.raises(SessionError) as caught:
        result.raise_for_error()
    assert caught.value is result.error


# --- time --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [silent, trickle], ids=["silent", "trickle"])
def test_slow_answer_ends_at_the_deadline(action: Action) -> None:
    with scripted(action) as server:
        started = time.monotonic()
        error = failure_of(server.endpoint, timeout_ms=1000)
        took = time.monotonic() - started
    assert error.kind is ErrorKind.TIMED_OUT
    assert error.sent is Sent.MAYBE
    assert "within 1 s" in str(error)
    assert 0.9 < took < 10


def test_time_out_of_one_call() -> None:
    with scripted(silent) as server:
        with client(server.endpoint) as agb:
            with pytest.raises(SessionError, match=r"within 1 s"):
                agb.attach("s-1").get_labels(timeout=1)
            with pytest.raises(ValueError, match="above zero"):
                agb.attach("s-1").get_labels(timeout=0)
            with pytest.raises(TypeError, match="number of seconds"):
                agb.attach("s-1").get_labels(timeout="5")  # type: ignore[arg-type]
    assert len(server.requests) == 1


def test_methods_documented_not_to_raise_return_the_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agb._ops.ownership.LOOK_LIMIT", 0.1)
    with scripted(silent) as server:
        with client(server.endpoint, timeout_ms=200) as agb:
            session = agb.attach("s-1")
            results: list[Any] = [
                session.info(),
                session.get_status(),
                session.keep_alive(),
                session.delete(),
                session.get_metrics(read_timeout=100),
                session.call_mcp_tool("shell", {}, read_timeout=100, connect_timeout=50),
                session.list_mcp_tools("image"),
                session.command.execute("true", timeout=0.1),
                session.code.run("1", "python", timeout=0.1),
                agb.create(IMAGE),
                agb.get("s-1"),
                agb.get_session("s-1"),
                agb.list(),
            ]
    for result in results:
        assert not result.success
        assert result.error is not None
        assert result.error.kind is ErrorKind.TIMED_OUT
        assert result.error_message


def test_raising_methods_raise_the_same_error() -> None:
    with scripted(cut()) as server:
        with client(server.endpoint) as agb:
            session = agb.attach("s-1")
            calls: list[Any] = [lambda: session.set_labels({"a": "b"}), session.get_labels, session.get_link]
            for call in calls:
                with pytest.raises(SessionError) as caught:
                    call()
                assert caught.value.kind is ErrorKind.UNREACHABLE


# --- unreachable -------------------------------------------------------------------------------------------------


def test_unreachable_host() -> None:
    with scripted(LINK) as server:
        endpoint = server.endpoint
    error = failure_of(endpoint)
    assert error.kind is ErrorKind.UNREACHABLE
    assert error.sent is Sent.NO
    assert error.retryable
    assert endpoint in str(error)


def test_unknown_host() -> None:
    error = failure_of("http://no-such-host.invalid")
    assert error.kind is ErrorKind.UNREACHABLE
    assert "no-such-host.invalid" in str(error)


def test_not_tls() -> None:
    with scripted(LINK) as server:
        error = failure_of(f"https://127.0.0.1:{server.port}", timeout_ms=2000)
    assert error.kind in (ErrorKind.UNREACHABLE, ErrorKind.TIMED_OUT)
    assert error.sent is Sent.NO


# --- errors as values --------------------------------------------------------------------------------------------


def test_error_is_picklable_and_shows_no_secret() -> None:
    with scripted(refuse("X", "no", 403)) as server:
        error = link_of(server.endpoint).error
    assert isinstance(error, AGBError)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is type(error)
        assert vars(twin) == vars(error)
        assert str(twin) == str(error)
    for text in (str(error), repr(error)):
        assert KEY not in text
    assert "http_status=403" in repr(error)


def test_log_is_silent_but_at_debug_and_shows_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    tool = value({"content": [{"type": "text", "text": "secret output"}]})
    created = value(
        {
            "sessionId": "s-1",
            "linkUrl": "http://link.invalid",
            "token": "link-token",
            "resourceUrl": "http://x/?authcode=resource-code",
        }
    )
    with scripted(created, tool, refuse(status=503), value({"url": "http://x/link/s-1/30100/url-token/"})) as server:
        with client(server.endpoint) as agb:
            with caplog.at_level(logging.INFO, "agb"):
                session = agb.create(IMAGE).session
                assert not caplog.records
            assert session is not None
            with caplog.at_level(logging.DEBUG, "agb"):
                session.tool_list = []
                session.call_mcp_tool("shell", {"command": "secret argument"})
                session.get_link()
    text = caplog.text
    assert "POST /mcp -> 200" in text
    assert "try 1 failed" in text
    shown = text + repr(agb) + repr(session) + repr(agb.settings) + repr(agb.client)
    for secret in (KEY, "link-token", "resource-code", "url-token", "secret output", "secret argument"):
        assert secret not in shown
