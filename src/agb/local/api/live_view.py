"""The live view of a session's browser on the session's page: a WebSocket with its pictures and a person's input.

It is opened with the auth code of the page, and only by a page of this server: a foreign page cannot even ask. Looking
does not count as activity of the session; what a person does in the page does.

Messages are JSON, but for pictures, which are binary: JPEG. The viewer acknowledges each picture when it is painted,
and gets the next one after that.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable
from contextlib import suppress
from typing import Annotated, Any

import anyio
import msgspec
from msgspec import Meta
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from websockets.frames import CloseCode

from ..browser.cdp import CdpError
from ..browser.live_input import Key, Mouse, Typed, Wheel
from ..browser.live_view import LiveView, Picture
from ..browser.process import Browser, BrowserUnavailable
from ..errors import Refused
from ..sessions.runtime import Runtime
from ..sessions.session import LocalSession
from .open_requests import OpenRequests
from .request import base_url

_Id = Annotated[str, Meta(max_length=64)]


class _Seen(msgspec.Struct, frozen=True, tag="seen"):
    """The last picture is painted."""


class _Go(msgspec.Struct, frozen=True, tag="go"):
    url: Annotated[str, Meta(max_length=100_000)]


class _Step(msgspec.Struct, frozen=True, tag="step"):
    by: Annotated[int, Meta(ge=-1, le=1)]
    """Back or forward; 0 loads the page again."""


class _Tab(msgspec.Struct, frozen=True, tag="tab"):
    id: _Id


class _Close(msgspec.Struct, frozen=True, tag="close"):
    id: _Id


class _New(msgspec.Struct, frozen=True, tag="new"):
    """A new tab."""


class _Dialog(msgspec.Struct, frozen=True, tag="dialog"):
    accept: bool
    text: Annotated[str, Meta(max_length=10_000)] = ""


_Message = Mouse | Wheel | Key | Typed | _Seen | _Go | _Step | _Tab | _Close | _New | _Dialog
_decoder: msgspec.json.Decoder[_Message] = msgspec.json.Decoder(_Message)


class LiveViews:
    """The live views of a runtime's sessions."""

    def __init__(self, runtime: Runtime, requests: OpenRequests) -> None:
        self._runtime = runtime
        self._requests = requests

    async def serve(self, socket: WebSocket) -> None:
        """Serve one viewer until it leaves, or the browser ends."""
        session = self._session(socket)
        if session is None or socket.headers.get("origin") != base_url(socket):
            await socket.send_denial_response(PlainTextResponse("There is nothing to see here.\n", 403))
            return
        await socket.accept()
        try:
            browser = session.browser.running()
            with self._requests.tracked():
                await _show(session, browser, socket)
            reason = "" if browser.is_running else browser.end
        except BrowserUnavailable as error:
            reason = str(error)
        await _close(socket, CloseCode.NORMAL_CLOSURE, reason)

    def _session(self, socket: WebSocket) -> LocalSession | None:
        try:
            session = self._runtime.find(socket.path_params["session_id"])
        except Refused:
            return None
        return session if session.check_ticket(socket.query_params.get("authcode", "")) else None


async def _show(session: LocalSession, browser: Browser, socket: WebSocket) -> None:
    view = LiveView(browser)
    try:
        await view.open()
    except CdpError as error:
        raise BrowserUnavailable(str(error)) from error
    try:
        async with anyio.create_task_group() as both_ways:
            both_ways.start_soon(_send, view, socket, both_ways.cancel_scope)
            await _receive(view, session, socket)
            both_ways.cancel_scope.cancel()
    finally:
        await view.close()


async def _send(view: LiveView, socket: WebSocket, joined: anyio.CancelScope) -> None:
    with suppress(WebSocketDisconnect):
        while (news := await view.next()) is not None:
            if isinstance(news, Picture):
                await socket.send_bytes(news.jpeg)
            else:
                await socket.send_text(json.dumps(news))
    joined.cancel()


async def _receive(view: LiveView, session: LocalSession, socket: WebSocket) -> None:
    while True:
        try:
            message = _decoder.decode(await socket.receive_text())
        except WebSocketDisconnect:
            return
        except (msgspec.ValidationError, msgspec.DecodeError, KeyError):
            await _close(socket, CloseCode.UNSUPPORTED_DATA, "not a message of the live view")
            return
        if isinstance(message, _Seen):
            view.acknowledge()
            continue
        if not (isinstance(message, Mouse) and message.kind == "mouseMoved"):
            session.touch()
        await _tried(_do(view, message))


def _do(view: LiveView, message: Any) -> Awaitable[None]:
    match message:
        case _Go(url):
            return view.go(url)
        case _Step(0):
            return view.reload()
        case _Step(by):
            return view.step(by)
        case _Tab(tab):
            return view.show(tab)
        case _Close(tab):
            return view.close_tab(tab)
        case _New():
            return view.open_tab()
        case _Dialog(accept, text):
            return view.answer_dialog(accept=accept, text=text)
    return view.put(message)


async def _tried(work: Awaitable[None]) -> None:
    """Await work on a page that may have been closed meanwhile, or be busy; the viewer sees what became of it."""
    try:
        await work
    except CdpError:
        return


async def _close(socket: WebSocket, code: CloseCode, reason: str) -> None:
    if WebSocketState.DISCONNECTED in (socket.client_state, socket.application_state):
        return
    # The reason of a close has at most 123 bytes (RFC 6455, 5.5).
    await socket.close(code, reason.encode()[:120].decode("utf-8", "ignore"))
