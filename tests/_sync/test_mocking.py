# Generated from tests/_async/test_mocking.py by tools/unasync.py. Do not edit.
"""Mocks, tracing and event hooks see every request of the SDK's own client, and no log shows a secret."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import httpx2
import pytest
import respx
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pytest_httpx import HTTPXMock
from respx.mocks import HTTPCoreMocker

from agb import AGB, Config, CreateSessionParams, ErrorKind
from agb.local import LocalServer
from tests.bucket import CONTEXT, SECRET, bucket
from tests.proxies import proxying
from tests.servers import envelope, scripted, value
from tests.websocket_server import Talk, websocket_service

KEY = "ako-secret-key"
API = "https://api.example"
IMAGE = CreateSessionParams(image_id="agb-code-space-1")
LINK = envelope({"url": "http://mocked"})


def client(endpoint: str = API, **options: Any) -> AGB:
    return AGB(KEY, Config(endpoint, 5000), **options)


# --- mocks -------------------------------------------------------------------------------------------------------


def test_respx_in_the_place_of_httpx() -> None:
    with respx.mock(using="httpx") as mock:
        route = mock.get(f"{API}/internet/getLink", params={"sessionId": "s-1"}).respond(json=LINK)
        with client() as agb:
            session = agb.attach("s-1")
            assert session.get_link().data == "http://mocked"
        assert route.call_count == 1
        assert route.calls.last.request.headers["authorization"] == f"Bearer {KEY}"


def test_respx_in_the_place_of_the_pool() -> None:
    """respx's default mocker, told of the pool by the method that it has for this."""
    pool = "agb.ConnectionPool"
    HTTPCoreMocker.add_targets(pool)
    try:
        with respx.mock() as mock:
            route = mock.get(f"{API}/internet/getLink").respond(json=LINK)
            with client() as agb:
                assert agb.attach("s-1").get_link().data == "http://mocked"
            assert route.called
    finally:
        HTTPCoreMocker.remove_targets(pool)


def test_pytest_httpx(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json=LINK, headers={"X-Request-Id": "r-1"})
    httpx_mock.add_exception(httpx.ConnectError("no route"))
    httpx_mock.add_exception(httpx.ConnectError("no route"))
    httpx_mock.add_exception(httpx.ConnectError("no route"))
    with client() as agb:
        assert agb.attach("s-1").get_link().data == "http://mocked"
        info = agb.attach("s-1").info()
    assert info.error is not None
    assert info.error.kind is ErrorKind.UNREACHABLE
    assert [request.url.path for request in httpx_mock.get_requests()][:2] == [
        "/internet/getLink",
        "/mcp/getMcpResource",
    ]


def test_event_hooks_of_a_callers_client(tmp_path: Path) -> None:
    """A hook may read the answer before the SDK does."""
    seen: list[str] = []

    def asked(request: httpx.Request) -> None:
        seen.append(request.url.path)

    def answered(response: httpx.Response) -> None:
        response.read()
        seen.append(response.text)

    with scripted(value({"url": "http://127.0.0.1/link"})) as server:
        hooks: dict[str, Any] = {"request": [asked], "response": [answered]}
        with httpx.Client(event_hooks=hooks) as mine, client(server.endpoint, http_client=mine) as agb:
            assert agb.attach("s-1").get_link().data == "http://127.0.0.1/link"
    assert seen[0] == "/internet/getLink"
    assert "127.0.0.1/link" in seen[1]
    with bucket({"/a.txt": b"content"}) as store:
        mine = httpx.Client(event_hooks=hooks)
        with mine, client(store.server.endpoint, http_client=mine) as agb:
            assert agb.context.download(CONTEXT, "/a.txt", tmp_path / "a.txt").success
    assert (tmp_path / "a.txt").read_bytes() == b"content"


def _store(request: httpx.Request) -> httpx.Response:
    """Answer as the API and the store of a context, which knows one file."""
    if request.url.path.endswith("Url"):
        return httpx.Response(200, json=envelope({"url": "https://store.example/file?signature=1", "expireTime": 60}))
    if request.method == "PUT":
        return httpx.Response(200, headers={"ETag": '"e-1"'})
    assert (request.url.host, request.url.query) == ("store.example", b"signature=1")
    return httpx.Response(200, content=b"content")


@pytest.mark.parametrize("means", ["MockTransport", "respx"])
def test_mocked_transfers(means: str, tmp_path: Path) -> None:
    """The answer of a mock is there before it is asked for, and a mock sees the whole URL."""
    local = tmp_path / "a.txt"
    local.write_bytes(b"content")
    with respx.mock(using="httpx", assert_all_called=False) as mock:
        mock.route().mock(side_effect=_store)
        options: dict[str, Any] = {"transport": httpx.MockTransport(_store)} if means == "MockTransport" else {}
        with client(**options) as agb:
            assert agb.context.upload("c-1", local, "/a.txt").success
            result = agb.context.download("c-1", "/a.txt", tmp_path / "b.txt")
    assert result.success, result.error_message
    assert (tmp_path / "b.txt").read_bytes() == b"content"


def test_opentelemetry() -> None:
    with traced() as spans, scripted(value({"url": "http://127.0.0.1/link"})) as server:
        with client(server.endpoint) as agb:
            assert agb.attach("s-1").get_link().success
    (span,) = spans.get_finished_spans()
    assert span.attributes is not None
    assert "/internet/getLink" in str(span.attributes.get("http.url"))
    assert "traceparent" in server.requests[0].headers


# --- a caller's client applies to live output --------------------------------------------------------------------


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_live_output_by_a_callers_client(library: Any) -> None:
    """The proxy, the hooks and the certificates of a caller's client are those of WebSockets too."""
    paths: list[str] = []

    def asked(request: Any) -> None:
        paths.append(request.url.path)

    def script(talk: Talk) -> None:
        talk.stdout("live\n")
        talk.end()

    with websocket_service(script) as service, proxying("socks5") as proxy:
        mine = library.Client(proxy=proxy.url(), event_hooks={"request": [asked]})
        with mine, client("http://127.0.0.1:9", http_client=mine) as agb:
            session = agb.attach("s-1")
            session.ws_url, session.token = service.url, "tok-1"
            result = session.code.run("x", "python", stream_beta=True)
        assert result.success, result.error_message
        assert result.logs.stdout == ["live\n"]
        assert proxy.asked
    assert paths == [httpx.URL(service.url.replace("ws", "http", 1)).path]


def test_transport_that_hands_over_no_connection() -> None:
    def act(request: httpx.Request) -> httpx.Response:
        return httpx.Response(101, headers={"Upgrade": "websocket"})

    with client("http://127.0.0.1:9", transport=httpx.MockTransport(act)) as agb:
        session = agb.attach("s-1")
        session.ws_url, session.token = "ws://127.0.0.1:9/ws", "tok-1"
        result = session.code.run("x", "python", stream_beta=True)
    assert result.error is not None
    assert result.error.kind is ErrorKind.INVALID_ANSWER
    assert "hands over no connection" in result.error_message


# --- secrets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["own client", "caller's client"])
def test_no_log_shows_a_secret(
    owner: str, runtime: LocalServer, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Every library logs all that it can; API calls, transfers both ways and live output are made."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "up.txt").write_bytes(b"content" * 1000)
    theirs = None if owner == "own client" else httpx.Client()
    with AGB(runtime.api_key, Config(runtime.endpoint, 60_000), http_client=theirs) as agb:
        context = agb.context.create(f"logged-{uuid4().hex}").raise_for_error().context
        assert context is not None
        assert agb.context.upload(context.id, tmp_path / "up.txt", "/a.txt").success
        assert agb.context.download(context.id, "/a.txt", tmp_path / "down.txt").success
        url = agb.context.get_file_download_url(context.id, "/a.txt").raise_for_error().url
        with agb.session(IMAGE) as session:
            result = session.code.run("print(1)", "python", stream_beta=True)
            assert result.success, result.error_message
            token = session.token
        assert agb.context.delete(context).success
    if theirs is not None:
        theirs.close()
    assert (tmp_path / "down.txt").read_bytes() == b"content" * 1000
    messages = [record.getMessage() for record in caplog.records]
    assert any(message.startswith("HTTP Request: PUT ") for message in messages)
    assert any(message.startswith("HTTP Request: GET ") for message in messages)
    # the URL of a transfer is a new one each time; wherever its beginning would be shown, the rest is masked
    folder = httpx.URL(url).raw_path.decode().rpartition("/")[0] + "/"
    for secret in (runtime.api_key, token, folder):
        assert secret.strip("/")
        assert not [message for message in messages if secret in message]
    assert any("/****" in message for message in messages)


def test_no_span_shows_a_signed_url(tmp_path: Path) -> None:
    with traced() as spans, bucket() as store:
        with client(store.server.endpoint) as agb:
            store.files["/a.txt"] = b"content"
            assert agb.context.download(CONTEXT, "/a.txt", tmp_path / "a.txt").success
    shown = [str(dict(span.attributes or {})) for span in spans.get_finished_spans()]
    assert any("/bucket" in text for text in shown)
    assert not [text for text in shown if SECRET in text]


@contextmanager
def traced() -> Iterator[InMemorySpanExporter]:
    """Instrument httpx for the time of a block, as OpenTelemetry's users do."""
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    try:
        yield spans
    finally:
        HTTPXClientInstrumentor().uninstrument()
