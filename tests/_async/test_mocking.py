"""Mocks, tracing and event hooks see every request of the SDK's own client, and no log shows a secret."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

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

from agb import AsyncAGB, Config, CreateSessionParams, ErrorKind
from agb._async.modules.code import AsyncCode
from agb.local import LocalServer
from tests.bucket import CONTEXT, bucket
from tests.proxies import proxying
from tests.servers import envelope, scripted, value
from tests.websocket_server import websocket_service

pytestmark = pytest.mark.anyio

KEY = "ako-secret-key"
API = "https://api.example"
IMAGE = CreateSessionParams(image_id="agb-code-space-1")
LINK = envelope({"url": "http://mocked"})


def client(endpoint: str = API, **options: Any) -> AsyncAGB:
    return AsyncAGB(KEY, Config(endpoint, 5000), **options)


# --- mocks -------------------------------------------------------------------------------------------------------


async def test_respx_in_the_place_of_httpx() -> None:
    with respx.mock(using="httpx") as mock:
        route = mock.get(f"{API}/internet/getLink", params={"sessionId": "s-1"}).respond(json=LINK)
        mock.post(f"{API}/mcp/setLabel").respond(json=envelope({}))
        async with client() as agb:
            session = agb.attach("s-1")
            assert (await session.get_link()).data == "http://mocked"
            assert (await session.set_labels({"a": "b"})).success
        assert route.call_count == 1
        assert route.calls.last.request.headers["authorization"] == f"Bearer {KEY}"


async def test_respx_in_the_place_of_the_pool() -> None:
    """respx's default mocker, told of the pool by the method that it has for this."""
    pool = "agb.AsyncConnectionPool"
    HTTPCoreMocker.add_targets(pool)
    try:
        with respx.mock() as mock:
            route = mock.get(f"{API}/internet/getLink").respond(json=LINK)
            async with client() as agb:
                assert (await agb.attach("s-1").get_link()).data == "http://mocked"
            assert route.called
    finally:
        HTTPCoreMocker.remove_targets(pool)


async def test_pytest_httpx(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json=LINK, headers={"X-Request-Id": "r-1"})
    httpx_mock.add_exception(httpx.ConnectError("no route"))
    httpx_mock.add_exception(httpx.ConnectError("no route"))
    httpx_mock.add_exception(httpx.ConnectError("no route"))
    async with client() as agb:
        assert (await agb.attach("s-1").get_link()).data == "http://mocked"
        info = await agb.attach("s-1").info()
    assert info.error is not None
    assert info.error.kind is ErrorKind.UNREACHABLE
    assert [request.url.path for request in httpx_mock.get_requests()][:2] == [
        "/internet/getLink",
        "/mcp/getMcpResource",
    ]


async def test_event_hooks_of_a_callers_client() -> None:
    """A hook may read the answer before the SDK does."""
    seen: list[str] = []

    async def asked(request: httpx.Request) -> None:
        seen.append(request.url.path)

    async def answered(response: httpx.Response) -> None:
        await response.aread()
        seen.append(response.text)

    with scripted(value({"url": "http://127.0.0.1/link"})) as server:
        hooks: dict[str, Any] = {"request": [asked], "response": [answered]}
        async with httpx.AsyncClient(event_hooks=hooks) as mine, client(server.endpoint, http_client=mine) as agb:
            assert (await agb.attach("s-1").get_link()).data == "http://127.0.0.1/link"
    assert seen[0] == "/internet/getLink"
    assert "127.0.0.1/link" in seen[1]


async def test_opentelemetry() -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    try:
        with scripted(value({"url": "http://127.0.0.1/link"})) as server:
            async with client(server.endpoint) as agb:
                assert (await agb.attach("s-1").get_link()).success
    finally:
        HTTPXClientInstrumentor().uninstrument()
    (span,) = spans.get_finished_spans()
    assert span.attributes is not None
    assert "/internet/getLink" in str(span.attributes.get("http.url"))
    assert "traceparent" in server.requests[0].headers


# --- a caller's client applies to live output --------------------------------------------------------------------


@pytest.mark.parametrize("library", [httpx, httpx2])
async def test_live_output_by_a_callers_client(library: Any) -> None:
    """The proxy, the hooks and the certificates of a caller's client are those of WebSockets too."""
    paths: list[str] = []

    async def asked(request: Any) -> None:
        paths.append(request.url.path)

    def script(talk: Any) -> None:
        talk.event(eventType="stdout", chunk="live\n")
        talk.end()

    with websocket_service(script) as service, proxying() as proxy:
        mine = library.AsyncClient(proxy=proxy.url(), event_hooks={"request": [asked]})
        async with mine, client("http://127.0.0.1:9", http_client=mine) as agb:
            session = agb.attach("s-1")
            session.ws_url, session.token = service.url, "tok-1"
            result = await AsyncCode(session).run("x", "python", stream_beta=True)
        assert result.success, result.error_message
        assert result.logs.stdout == ["live\n"]
        assert proxy.asked
    assert paths == [httpx.URL(service.url.replace("ws", "http", 1)).path]


async def test_transport_that_hands_over_no_connection() -> None:
    def act(request: httpx.Request) -> httpx.Response:
        return httpx.Response(101, headers={"Upgrade": "websocket"})

    async with client("http://127.0.0.1:9", transport=httpx.MockTransport(act)) as agb:
        session = agb.attach("s-1")
        session.ws_url, session.token = "ws://127.0.0.1:9/ws", "tok-1"
        result = await session.code.run("x", "python", stream_beta=True)
    assert result.error is not None
    assert result.error.kind is ErrorKind.INVALID_ANSWER
    assert "hands over no connection" in result.error_message


# --- secrets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["own client", "caller's client"])
async def test_no_log_shows_a_secret(
    owner: str, runtime: LocalServer, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Everything is logged, by every library; API calls, transfers both ways and live output are made."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "up.txt").write_bytes(b"content" * 1000)
    options: dict[str, Any] = {} if owner == "own client" else {"http_client": httpx.AsyncClient()}
    async with AsyncAGB(runtime.api_key, Config(runtime.endpoint, 60_000), **options) as agb:
        context = (await agb.context.create("logged")).raise_for_error().context
        assert context is not None
        urls = [
            (await agb.context.get_file_upload_url(context.id, "/a.txt")).url,
            (await agb.context.get_file_download_url(context.id, "/a.txt")).url,
        ]
        assert (await agb.context.upload(context.id, tmp_path / "up.txt", "/a.txt")).success
        assert (await agb.context.download(context.id, "/a.txt", tmp_path / "down.txt")).success
        async with agb.session(IMAGE) as session:
            assert (await session.code.run("print(1)", "python", stream_beta=True)).success
            token = session.token
        assert (await agb.context.delete(context)).success
        if options:
            await options["http_client"].aclose()
    messages = [record.getMessage() for record in caplog.records]
    assert any("HTTP Request: " in message for message in messages)
    assert (tmp_path / "down.txt").read_bytes() == b"content" * 1000
    secrets = [
        runtime.api_key,
        token,
        *(str(httpx.URL(url).params.get(name)) for url in urls for name in _signing(url)),
    ]
    assert len(secrets) > 3
    for secret in secrets:
        assert secret
        assert not [message for message in messages if secret in message]
    assert not [message for message in messages if "signature=" in message.lower() and "****" not in message]


def _signing(url: str) -> list[str]:
    """Return the names of the parameters that make a URL a secret."""
    return [name for name in httpx.URL(url).params if "sig" in name.lower()]


async def test_no_span_shows_a_signed_url() -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    try:
        with bucket() as store:
            async with client(store.endpoint) as agb:
                url = await agb.context.get_file_download_url(CONTEXT, "/a.txt")
                assert url.success
                content = await agb.context.download(CONTEXT, "/a.txt", "/dev/null")
    finally:
        HTTPXClientInstrumentor().uninstrument()
    del content
    assert spans.get_finished_spans()
    for span in spans.get_finished_spans():
        assert "?" not in str((span.attributes or {}).get("http.url", "")) or "sign" not in str(span.attributes)
