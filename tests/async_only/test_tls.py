"""TLS: one connection for many calls, untrusted certificates, forged answers, handshakes that do not end."""

from __future__ import annotations

import gc
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from agb import AGB, AsyncAGB, Config, ErrorKind, OperationResult, Sent, SessionError
from agb._async.net import routes as async_routes
from agb._sync.net import routes as sync_routes
from tests.bucket import CONTEXT, bucket
from tests.servers import Scripted, answer, envelope, scripted, then_close, value

CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""A certificate for localhost that signs itself, and its key; nothing but these tests trusts it."""
URL = value({"url": "http://127.0.0.1/link"})


def trust(monkeypatch: pytest.MonkeyPatch, file: Path | None) -> None:
    """Make new connections trust this certificate alone, or those that they usually trust."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    if file is not None:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    for module in (async_routes, sync_routes):
        module._tls_context.cache_clear()


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    trust(monkeypatch, CERTIFICATE)
    yield
    trust(monkeypatch, None)
    gc.collect()  # so that what was not closed shows in the test that did not close it


@pytest.fixture
def tls() -> ssl.SSLContext:
    """What a server needs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def config(server: Scripted, host: str = "localhost") -> Config:
    return Config(f"https://{host}:{server.port}", 5000)


async def async_links(cfg: Config, count: int, **more: Any) -> list[OperationResult]:
    async with AsyncAGB("ako-key", cfg) as agb:
        return [await agb.attach("s-1").get_link(**more) for _ in range(count)]


def sync_links(cfg: Config, count: int, **more: Any) -> list[OperationResult]:
    with AGB("ako-key", cfg) as agb:
        return [agb.attach("s-1").get_link(**more) for _ in range(count)]


@pytest.mark.anyio
async def test_many_calls_on_one_connection(tls: ssl.SSLContext) -> None:
    with scripted(URL, tls=tls) as server:
        assert all(link.success for link in await async_links(config(server), 1000))
        assert server.connections == 1


def test_many_synchronous_calls_on_one_connection(tls: ssl.SSLContext) -> None:
    with scripted(URL, tls=tls) as server:
        assert all(link.success for link in sync_links(config(server), 1000))
        assert server.connections == 1


# --- certificates ------------------------------------------------------------------------------------------------


def is_refused(error: SessionError, server: Scripted) -> None:
    assert (error.kind, error.sent, error.retryable) == (ErrorKind.UNREACHABLE, Sent.NO, False)
    assert "certificate verify failed" in str(error)
    assert server.requests == []
    assert server.connections == 1  # a retry would fail too


@pytest.mark.anyio
@pytest.mark.parametrize(("host", "file"), [("localhost", None), ("127.0.0.1", CERTIFICATE)], ids=["issuer", "name"])
async def test_untrusted_certificate(
    monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext, host: str, file: Path | None
) -> None:
    trust(monkeypatch, file)
    with scripted(URL, tls=tls) as server:
        with pytest.raises(SessionError) as caught:
            await async_links(config(server, host), 1)
        is_refused(caught.value, server)


@pytest.mark.parametrize(("host", "file"), [("localhost", None), ("127.0.0.1", CERTIFICATE)], ids=["issuer", "name"])
def test_untrusted_certificate_in_a_synchronous_call(
    monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext, host: str, file: Path | None
) -> None:
    trust(monkeypatch, file)
    with scripted(URL, tls=tls) as server:
        with pytest.raises(SessionError) as caught:
            sync_links(config(server, host), 1)
        is_refused(caught.value, server)


# --- forged answers ----------------------------------------------------------------------------------------------

FORGED = b'HTTP/1.1 200 OK\r\nContent-Length: 56\r\n\r\n{"success": true, "data": {"url": "http://forged/url"}}  '


def forge(talk: Any) -> None:
    """Answer, and send an unrequested answer in a record of its own."""
    answer(envelope({"url": "http://real"}))(talk)
    talk.sock.sendall(FORGED)


@pytest.mark.anyio
async def test_record_after_the_answer_is_not_the_next_answer(tls: ssl.SSLContext) -> None:
    for _ in range(5):  # whether both records come in one read is the network's choice
        with scripted(forge, URL, tls=tls) as server:
            links = await async_links(config(server), 2)
        assert [link.data for link in links] == ["http://real", "http://127.0.0.1/link"]


def test_record_after_the_answer_is_not_the_next_synchronous_answer(tls: ssl.SSLContext) -> None:
    for _ in range(5):
        with scripted(forge, URL, tls=tls) as server:
            links = sync_links(config(server), 2)
        assert [link.data for link in links] == ["http://real", "http://127.0.0.1/link"]


# --- handshakes --------------------------------------------------------------------------------------------------


@pytest.fixture
def deaf() -> Iterator[Config]:
    """A server that takes connections and neither reads nor says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Config(f"https://127.0.0.1:{listener.getsockname()[1]}", 5000)


def has_timed_out(error: SessionError, started: float) -> None:
    assert (error.kind, error.sent) == (ErrorKind.TIMED_OUT, Sent.NO)
    assert time.monotonic() - started < 2


@pytest.mark.anyio
async def test_handshake_ends_at_the_deadline(deaf: Config) -> None:
    started = time.monotonic()
    with pytest.raises(SessionError) as caught:
        await async_links(deaf, 1, timeout=0.2)
    has_timed_out(caught.value, started)


def test_synchronous_handshake_ends_at_the_deadline(deaf: Config) -> None:
    started = time.monotonic()
    with pytest.raises(SessionError) as caught:
        sync_links(deaf, 1, timeout=0.2)
    has_timed_out(caught.value, started)


async def cancelled_after(cfg: Config, steps: int) -> None:
    async with AsyncAGB("ako-key", cfg) as agb, anyio.create_task_group() as group:
        group.start_soon(agb.attach("s-1").get_link)
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_cancelled_handshake_leaves_nothing_open(deaf: Config) -> None:
    for steps in range(0, 40, 2):
        await cancelled_after(deaf, steps)


@pytest.mark.anyio
async def test_call_over_tls_cancelled_at_any_step(tls: ssl.SSLContext) -> None:
    with scripted(URL, tls=tls) as server:
        for steps in range(0, 200, 5):
            await cancelled_after(config(server), steps)


# --- transfers ---------------------------------------------------------------------------------------------------

LARGE = bytes(range(256)) * 40_000
"""More than any buffer on the way holds."""


def sync_transfers(cfg: Config, local: Path) -> list[str]:
    with AGB("ako-key", cfg) as agb:
        results = [agb.context.upload(CONTEXT, local, "/tmp/large") for _ in range(3)]
        results += [agb.context.download(CONTEXT, "/tmp/large", local.with_name("back")) for _ in range(2)]
    return [result.error_message for result in results]


async def async_transfers(cfg: Config, local: Path) -> list[str]:
    async with AsyncAGB("ako-key", cfg) as agb:
        results = [await agb.context.upload(CONTEXT, local, "/tmp/large") for _ in range(3)]
        results += [await agb.context.download(CONTEXT, "/tmp/large", local.with_name("back")) for _ in range(2)]
    return [result.error_message for result in results]


@pytest.mark.parametrize("flavour", ["asyncio", "trio", "sync"])
def test_transfers(tls: ssl.SSLContext, tmp_path: Path, flavour: str) -> None:
    """A large file there and back on one connection, and an answer that comes while the file is sent."""
    local = tmp_path / "large"
    local.write_bytes(LARGE)
    with bucket(tls=tls) as store:
        store.early.append(then_close(answer({"code": "EntityTooLarge", "message": "too large"}, 413)))
        config_ = config(store.server)
        if flavour == "sync":
            messages = sync_transfers(config_, local)
        else:
            messages = anyio.run(async_transfers, config_, local, backend=flavour)
        if flavour == "sync" or messages[0]:  # an event loop may lose the answer when the other side closes
            assert "too large" in messages[0]
        assert messages[1:] == ["", "", "", ""]
        assert store.files["/tmp/large"] == LARGE
        assert store.server.connections == 2
    assert (tmp_path / "back").read_bytes() == LARGE
