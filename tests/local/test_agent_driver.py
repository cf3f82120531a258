"""How the runtime connects to a browser for its agent: without Playwright, and the relay between the two."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
from typing import Any, cast

import pytest

from agb.local.browser.agent.driver import Driver, NoDriver
from agb.local.browser.agent.pages import Pages
from agb.local.browser.agent.relay import Relay
from agb.local.browser.process import Browser


class Echo:
    """A browser as the relay needs it: it answers the head of a request, and then all that is sent."""

    port = 9222
    path = "/devtools/browser/1"

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._tasks.append(asyncio.create_task(self._serve(theirs)))
        ours.setblocking(False)
        return ours

    async def _serve(self, connected: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connected)
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 101 Switching\r\n\r\n")
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    async def ended(self) -> None:
        await asyncio.gather(*self._tasks)


async def ask(address: str, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = address.removeprefix("ws://").partition("/")[0].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: elsewhere\r\nUpgrade: websocket\r\nOrigin: http://x\r\n\r\n".encode())
    return reader, writer


async def is_refused(address: str, path: str) -> bool:
    """Return whether a request is ended without a word."""
    reader, writer = await ask(address, path)
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True
    finally:
        writer.transport.abort()


@pytest.mark.asyncio
async def test_relay_forwards_one_connection_that_knows_the_secret() -> None:
    browser = Echo()
    relay = Relay(cast("Browser", browser))
    async with relay.open() as address:
        secret = "/" + address.rpartition("/")[2]
        for wrong in ("/", "/json/version", f"{secret}x", secret.swapcase()):
            assert await is_refused(address, wrong)
        reader, writer = await ask(address, secret)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 101 Switching\r\n\r\n"
        assert await is_refused(address, secret)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    assert browser.heads == [b"GET /devtools/browser/1 HTTP/1.1\r\nHost: 127.0.0.1:9222\r\nUpgrade: websocket\r\n\r\n"]
    assert relay.is_connected
    await relay.close()
    assert not relay.is_connected
    writer.transport.abort()
    await browser.ended()


class Page:
    """A page, its context, and a session of DevTools, as far as `Pages` needs them."""

    def __init__(self) -> None:
        self.context = self

    async def new_cdp_session(self, page: object) -> Page:
        return self

    async def send(self, method: str, params: object = None) -> None: ...

    async def detach(self) -> None: ...


class Dialog:
    """A dialog of a page."""

    type = "alert"
    message = "Careful"

    def __init__(self) -> None:
        self.dismissed = asyncio.Event()

    async def dismiss(self) -> None:
        self.dismissed.set()


@pytest.mark.asyncio
async def test_dialogs_are_left_to_others_until_the_agent_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("playwright")
    monkeypatch.setattr("agb.local.browser.agent.pages.DIALOG_SECONDS", 0)
    pages = Pages(cast("Any", None))
    before, meanwhile = cast("Any", Dialog()), cast("Any", Dialog())
    pages._asked(before)
    assert not pages._dialogs  # nothing is about to dismiss it
    async with pages.using(cast("Any", Page())) as happened:
        await before.dismissed.wait()
        pages._asked(meanwhile)
        await meanwhile.dismissed.wait()
    assert happened == ["the page showed a dialog (alert), which was dismissed: 'Careful'"] * 2


@pytest.mark.asyncio
async def test_without_playwright_the_refusal_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def find_others(name: str, *more: Any) -> Any:
        return None if name == "playwright" else find(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", find_others)
    driver = Driver()
    with pytest.raises(NoDriver, match=r"pip install 'agb\[browser\]'"):
        await driver.connect(cast("Browser", Echo()))
    await driver.close()


def test_dialogs_that_others_answer_are_not_collected() -> None:
    """Pages may show any number of dialogs to a program that answers them, while the agent does nothing."""
    nothing: Any = None
    pages = Pages(nothing)
    for number in range(1000):
        pages._asked(cast("Any", number))
    kept: list[Any] = list(pages._unanswered)
    assert kept == list(range(950, 1000))
