# Generated from tests/_async/test_answers.py by tools/unasync.py. Do not edit.
"""What a service can do to its client by its answers: their size, their text, the secrets that they quote."""

from __future__ import annotations

import base64
import gzip
import html
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from agb import (
    AGB,
    AGBError,
    Config,
    CreateSessionParams,
    ErrorKind,
    Limits,
    McpTool,
    Sent,
    Session,
    SessionError,
)
from tests.proxies import proxying
from tests.servers import CREATE, LIST, Action, Conversation, answer, cut, envelope, refuse, scripted, value
from tests.websocket_server import Talk, websocket_service

pytestmark = [pytest.mark.one_event_loop]

KEY = "ako-very/secret+key"
TOKEN = "tok-of-the-session"
LINK_TOKEN = "0123456789abcdef" * 2
MOST = 256 * 1024
IMAGE = CreateSessionParams(image_id="agb-code-space-1")


def client(endpoint: str, **more: Any) -> AGB:
    agb = AGB(KEY, Config(endpoint, 20_000), **more)
    agb.client._random = lambda: 0.0  # back-off at its shortest
    return agb


def failure_of(endpoint: str, **more: Any) -> AGBError:
    """Return the error of a call, raised or in the result."""
    with client(endpoint, **more) as agb:
        with pytest.raises(SessionError) as caught:
            agb.attach("s-1").get_link().raise_for_error()
    return caught.value


# --- size --------------------------------------------------------------------------------------------------------


def endless(head: bytes, piece: bytes, sent: list[int]) -> Action:
    """Answer without an end; the bytes that were sent are added to a list."""

    def act(talk: Conversation) -> None:
        talk.keep = False
        talk.sock.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        while not talk.over.is_set():
            talk.sock.sendall(piece)  # raises once the client has closed the connection
            sent.append(len(piece))

    return act


ENDLESS = {
    "until it closes": (b"", b" " * 65536),
    "chunked": (b"Transfer-Encoding: chunked\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
    "of a length": (b"Content-Length: 100000000000\r\n", b" " * 65536),
}


@pytest.mark.parametrize("way", ["own", "http_client", "transport"])
@pytest.mark.parametrize(("head", "piece"), list(ENDLESS.values()), ids=list(ENDLESS))
def test_endless_answer(way: str, head: bytes, piece: bytes) -> None:
    sent: list[int] = []
    with scripted(endless(head, piece, sent)) as server:
        with httpx.Client() as mine, httpx.HTTPTransport() as transport:
            options: dict[str, Any] = {"own": {}, "http_client": {"http_client": mine}}.get(
                way, {"transport": transport}
            )
            error = failure_of(server.endpoint, limits=Limits(answer_bytes=MOST), **options)
        assert len(server.requests) == 1  # the next one would be as large
    assert (error.kind, error.sent, error.retryable) == (ErrorKind.TOO_LARGE, Sent.YES, False)
    assert f"more than the {MOST:,} bytes" in str(error)
    assert "Limits.answer_bytes" in str(error)
    assert sum(sent) < MOST + 32 * 1024 * 1024  # what the buffers of the sockets hold


def test_endless_answer_of_a_transport_that_ignores_its_end() -> None:
    def pieces() -> Iterator[bytes]:
        while True:
            yield b" " * 65536

    mock = httpx.MockTransport(lambda request: httpx.Response(200, content=pieces()))
    error = failure_of("http://mock", limits=Limits(answer_bytes=MOST), transport=mock)
    assert error.kind is ErrorKind.TOO_LARGE


def test_answer_that_an_event_hook_has_read() -> None:
    def read(response: httpx.Response) -> None:
        response.read()

    body = envelope({"url": "http://x", "rest": "x" * MOST})
    with scripted(answer(gzip.compress(json.dumps(body).encode()), headers={"Content-Encoding": "gzip"})) as server:
        with httpx.Client(event_hooks={"response": [read]}) as mine:
            error = failure_of(server.endpoint, limits=Limits(answer_bytes=MOST), http_client=mine)
    assert error.kind is ErrorKind.TOO_LARGE


def test_compressed_answer_that_is_larger_than_it_looks() -> None:
    bomb = gzip.compress(json.dumps(envelope({"url": "x" * 20 * MOST})).encode())
    assert len(bomb) < MOST
    with scripted(answer(bomb, headers={"Content-Encoding": "gzip"})) as server:
        error = failure_of(server.endpoint, limits=Limits(answer_bytes=MOST))
    assert (error.kind, error.sent, error.retryable) == (ErrorKind.TOO_LARGE, Sent.YES, False)


def test_answer_of_just_the_size() -> None:
    body = json.dumps(envelope({"url": "http://x"})).encode()
    body += b" " * (MOST - len(body))
    compressed = answer(gzip.compress(body), headers={"Content-Encoding": "gzip"})
    with scripted(answer(body), compressed, answer(body + b" ")) as server:
        with client(server.endpoint, limits=Limits(answer_bytes=MOST)) as agb:
            for _ in range(2):
                assert agb.attach("s-1").get_link().data == "http://x"
            with pytest.raises(SessionError) as caught:
                agb.attach("s-1").get_link()
    assert caught.value.kind is ErrorKind.TOO_LARGE


def test_creation_with_an_endless_answer_is_looked_for() -> None:
    """It may have created a session."""

    def service(talk: Conversation) -> None:
        if talk.request.path == CREATE:
            endless(b"", b" " * 65536, [])(talk)
        elif talk.request.path == LIST:
            value([{"sessionId": "s-1"}])(talk)
        else:
            value({"sessionId": "s-1"})(talk)

    with scripted(service) as server:
        with client(server.endpoint, limits=Limits(answer_bytes=MOST)) as agb:
            result = agb.create(IMAGE)
    assert result.session is not None
    assert result.session.session_id == "s-1"


def test_head_without_an_end() -> None:
    with scripted(endless(b"X-Header: ", b"x" * 65536, [])) as server:
        error = failure_of(server.endpoint)
    assert error.kind is ErrorKind.UNREACHABLE
    assert len(str(error)) < 3000


@pytest.mark.parametrize("fragments", [1, 40])
def test_message_of_a_stream_without_an_end(fragments: int) -> None:
    def script(talk: Talk) -> None:
        text = "x" * (2 * MOST)
        if fragments == 1:
            talk.stdout(text)
        else:
            size = len(text) // fragments
            talk.socket.send(text[at : at + size] for at in range(0, len(text), size))
        talk.end()

    with websocket_service(script) as service:
        with client("http://127.0.0.1:9", limits=Limits(answer_bytes=MOST)) as agb:
            session = Session(agb, "s-1")
            session.ws_url, session.token = service.url, TOKEN
            result = session.code.run("x", "python", stream_beta=True)
    assert result.error is not None
    assert result.error.kind is ErrorKind.TOO_LARGE
    assert "Limits.answer_bytes" in result.error_message


def test_limit_is_checked() -> None:
    with pytest.raises(ValueError, match="answer_bytes"):
        Limits(answer_bytes=0)
    with pytest.raises(TypeError, match="answer_bytes"):
        Limits(answer_bytes="64 MiB")  # type: ignore[arg-type]


# --- text --------------------------------------------------------------------------------------------------------

LONG = "x" * 1_000_000


def texts_of(error: BaseException) -> str:
    """Return all that an error shows: its text, its repr, its traceback with the causes, its pickle."""
    parts = [str(error), repr(error), *traceback.format_exception(error)]
    if isinstance(error, AGBError):
        parts.append(repr(pickle.loads(pickle.dumps(error))))
        parts.append(pickle.dumps(error, 0).decode("latin-1"))
    return "\n".join(parts)


@pytest.mark.parametrize(
    "action",
    [
        refuse("X", LONG, 400),
        refuse(LONG, "no", 400),
        answer(envelope(success=False, requestId=LONG)),
        answer(LONG.encode(), headers={"Content-Type": LONG[:50_000]}),
        answer(b"", 302, {"Location": f"http://x/{LONG[:50_000]}"}),
        cut(b"HTTP/1.1 2x0 " + LONG[:90_000].encode() + b"\r\n\r\n"),
    ],
    ids=["message", "code", "request id", "no json", "redirect", "no http"],
)
def test_text_of_the_service_is_cut(action: Action, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted(action) as server:
        error = failure_of(server.endpoint)
    assert "x" * 2001 not in texts_of(error) + caplog.text
    assert len(repr(error)) < 6000


def test_rest_of_a_long_text_is_counted() -> None:
    with scripted(refuse("X", LONG, 400)) as server:
        with client(server.endpoint) as agb:
            result = agb.attach("s-1").get_link()
    assert f"{'x' * 2000}… and 998,000 more characters [X, request id R-1]" in result.error_message
    assert result.error is not None
    assert result.error_message == str(result.error) == str(pickle.loads(pickle.dumps(result.error)))


def test_text_of_a_tool_is_cut() -> None:
    failed = value({"isError": True, "content": [{"type": "text", "text": LONG}]})
    printed = value({"content": [{"type": "text", "text": json.dumps({"stderr": LONG, "exit_code": 1})}]})
    with scripted(failed, failed, printed) as server:
        with client(server.endpoint) as agb:
            session = agb.attach("s-1")
            read = session.file.read("/tmp/a")
            ran = session.command.execute("true")
            printed_result = session.command.execute("true")
    for result in (read, ran, printed_result):
        assert result.error is not None
        assert "x" * 2001 not in result.error_message + str(result.error) + repr(result.error)
        assert "more characters" in result.error_message
    assert printed_result.stderr == LONG  # the output itself is whole


# --- secrets -----------------------------------------------------------------------------------------------------


def in_base64(secret: str) -> str:
    return base64.b64encode(f"Bearer {secret}".encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "json": lambda secret: json.dumps({"key": secret}).replace("/", "\\/"),
    "json in json": lambda secret: json.dumps(json.dumps(secret)),
    "url": lambda secret: quote(secret, safe=""),
    "url in lower case": lambda secret: quote(secret, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
    "html": html.escape,
    "base64": in_base64,
    "urlsafe base64": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
}


def check_hidden(text: str, secret: str) -> None:
    for form in (*[make(secret) for make in FORMS.values()], secret):
        assert form not in text
    assert secret[4:] not in text  # neither a part of it


@pytest.mark.parametrize(
    "said",
    [
        lambda text: refuse("X", f"The request with {text} was refused.", 400),
        lambda text: refuse(f"Bad-{text}", "no", 400),
        lambda text: answer(f"<pre>{text}</pre>".encode()),
        lambda text: answer(f"you sent {'.' * 60} {text}".encode()),
        lambda text: answer(envelope(success=False, requestId=text)),
        lambda text: cut(f"HTTP/1.1 OK {text}\r\n\r\n".encode()),
        lambda text: answer(b"", 302, {"Location": f"http://x/{text}"}),
        lambda text: answer(b"{}", headers={"X-Request-Id": text}),
    ],
    ids=["message", "code", "html", "cut at 80", "request id", "no http", "redirect", "header"],
)
def test_api_key_that_the_service_quotes(said: Callable[[str], Action], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted(*[said(form(KEY)) for form in FORMS.values()]) as server:
        with client(server.endpoint) as agb:
            for _ in FORMS:
                result = agb.attach("s-1").command.execute("true").error
                assert result is not None
                check_hidden(texts_of(result), KEY)
    check_hidden(caplog.text, KEY)


def test_reason_of_http_that_quotes_the_key_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted(cut(f"HTTP/1.1 200 Hello {KEY}\r\nContent-Length: 2\r\n\r\n{{}}".encode())) as server:
        failure_of(server.endpoint)
    assert "HTTP Request: GET" in caplog.text
    assert KEY not in caplog.text


def test_key_that_the_library_of_the_caller_quotes(caplog: pytest.LogCaptureFixture) -> None:
    """httpx's own errors quote lines of the answer; they are causes of the SDK's."""
    with scripted(cut(f"HTTP/1.1 OK {KEY} {LONG[:5000]}\r\n\r\n".encode())) as server:
        with httpx.Client() as mine:
            error = failure_of(server.endpoint, http_client=mine)
    assert error.__cause__ is not None
    check_hidden(texts_of(error), KEY)
    assert "x" * 2001 not in texts_of(error)


def linked(agb: AGB, address: str) -> Session:
    """Return a session whose tools are called at an address of its own."""
    session = agb.attach("s-1")
    session.link_url, session.token = address, TOKEN
    session.tool_list = [McpTool("shell", server="coding")]
    return session


def test_token_that_the_session_quotes() -> None:
    failed = value({"result": {"isError": True, "content": [{"type": "text", "text": f"bad token {TOKEN}"}]}})
    with scripted(refuse("X", f"bad token {in_base64(TOKEN)}", 400), failed, answer(TOKEN.encode())) as server:
        with client(server.endpoint) as agb:
            for _ in range(3):
                result = linked(agb, server.endpoint).command.execute("true")
                assert result.error is not None
                check_hidden(result.error_message + repr(result) + texts_of(result.error), TOKEN)


def test_secrets_of_an_answer_that_a_later_one_quotes() -> None:
    """Auth codes, tokens and links that the service has returned."""
    desktop = {"authCode": "code-of-the-desktop", "ticket": "ticket-of-the-desktop"}
    info = {"sessionId": "s-1", "resourceUrl": "https://x/?authcode=code-in-the-url", "desktopInfo": desktop}
    link = {"url": "http://127.0.0.1/link/s-1/30100/token-of-the-link/"}
    named = {"url": f"http://30100-s-1-{LINK_TOKEN}.localhost:8080/"}
    secrets = (*desktop.values(), "code-in-the-url", "token-of-the-link", LINK_TOKEN)
    with scripted(value(info), value(link), value(named), refuse("X", " ".join(map(in_base64, secrets)))) as server:
        with client(server.endpoint) as agb:
            session = agb.attach("s-1")
            assert session.info().success
            assert session.get_link().success
            assert session.get_link().success
            result = session.get_link()
    assert result.error is not None
    for secret in secrets:
        check_hidden(result.error_message + texts_of(result.error), secret)


@pytest.mark.parametrize(
    "text",
    [
        "X-Auth-Code: unknown-secret-1",
        "authorization: Bearer unknown-secret-1, and so on",
        "{'X-Access-Token': 'unknown-secret-1'}",
        'data": {"token": "unknown-secret-1", "linkUrl": ""',
        '{\\"authCode\\": \\"unknown-secret-1\\"}',
        "https://store/x?X-Amz-Signature=unknown-secret-1&x=1",
        "http://user:unknown-secret-1@proxy:3128",
        "bytearray(b'Proxy-Authorization: Basic unknown-secret-1=')",
        "api_key=unknown-secret-1",
    ],
)
def test_secrets_that_are_known_by_their_names_only(text: str) -> None:
    with scripted(refuse("X", text, 400), answer(f"({text}".encode())) as server:
        with client(server.endpoint) as agb:
            for _ in range(2):
                result = agb.attach("s-1").info()
                assert result.error is not None
                assert "unknown-secret-1" not in result.error_message + texts_of(result.error)


def test_ordinary_words_stay() -> None:
    text = (
        "Invalid token: the session's token has expired (unauthorized). Ask for a key, password or ticket: exit code=1"
    )
    with scripted(refuse("InvalidToken", text, 400)) as server:
        with client(server.endpoint) as agb:
            result = agb.attach("s-1").get_link()
    assert f"{text} [InvalidToken, " in result.error_message


def test_stream_that_quotes_the_token() -> None:
    with websocket_service(lambda talk: talk.data(error=f"bad {TOKEN} {LONG}")) as service:
        with client("http://127.0.0.1:9") as agb:
            session = Session(agb, "s-1")
            session.ws_url, session.token = service.url, TOKEN
            result = session.code.run("x", "python", stream_beta=True)
    assert result.error is not None
    check_hidden(result.error_message + repr(result.error) + texts_of(result.error), TOKEN)
    assert "x" * 2001 not in result.error_message + repr(result.error)


def test_proxy_that_quotes_its_password() -> None:
    password = "pass-of-the-proxy"
    quoted = base64.b64encode(f"me:{password}".encode()).decode()
    refusal = f"HTTP/1.1 403 {password} {quoted}\r\nContent-Length: 0\r\n\r\n".encode()
    with proxying(instead=refusal) as proxy:
        error = failure_of("https://localhost:9", proxy=proxy.url(f"me:{password}"))
    check_hidden(texts_of(error), password)


# --- kinds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{}"])
@pytest.mark.parametrize(
    ("status", "kind", "is_retried"),
    [
        (200, ErrorKind.INVALID_ANSWER, False),
        (400, ErrorKind.INVALID_ANSWER, False),
        (401, ErrorKind.BAD_CREDENTIALS, False),
        (429, ErrorKind.RATE_LIMITED, True),
        (500, ErrorKind.UNAVAILABLE, True),
        (502, ErrorKind.UNAVAILABLE, True),
        (503, ErrorKind.UNAVAILABLE, True),
        (504, ErrorKind.UNAVAILABLE, True),
    ],
)
def test_answer_that_says_nothing(status: int, kind: ErrorKind, is_retried: bool, body: bytes) -> None:
    with scripted(answer(body, status)) as server:
        error = failure_of(server.endpoint)
        assert len(server.requests) == (3 if is_retried else 1)
    assert (error.kind, error.retryable, error.http_status) == (kind, is_retried, status)
    assert error.kind.is_refusal == (status in (401, 429))


@pytest.mark.parametrize("status", [200, 400, 500, 503])
def test_body_that_is_no_answer_is_no_refusal(status: int) -> None:
    bodies = [b"<html>Welcome</html>", b'{"success": tr', b"[]", b"null", b'"no"', b'{"error": {}}', b"\xff\xfe"]
    with scripted(*[answer(body, status) for body in bodies]) as server:
        with client(server.endpoint) as agb:
            for body in bodies:
                error = agb.attach("s-1").command.execute("true").error
                assert error is not None
                assert (error.kind, error.http_status) == (ErrorKind.INVALID_ANSWER, status), body


def test_command_is_not_repeated_when_the_service_fails() -> None:
    with scripted(answer(b"", 500)) as server:
        with client(server.endpoint) as agb:
            result = agb.attach("s-1").command.execute("rm -r build")
        assert len(server.requests) == 1
    assert result.error is not None
    assert (result.error.kind, result.error.retryable) == (ErrorKind.UNAVAILABLE, False)
