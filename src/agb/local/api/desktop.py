"""The desktop of a session over HTTP: pictures by their URLs, and the screen for the viewer in the session's page."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

import anyio
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.frames import CloseCode

from ..errors import Refused
from ..sessions.runtime import Runtime
from ..sessions.session import LocalSession
from .open_requests import OpenRequests
from .request import base_url

VIEWER = "/novnc"
"""The path of the files of noVNC."""
LONGEST_TYPED = 1000
"""Characters of a text that the page types at a time."""
_CHUNK = 1 << 16
_INPUT = (4, 5, 6)
"""First bytes of the messages that a viewer sends when a key, the mouse or the clipboard is used (RFC 6143, 7.5)."""
_PICTURE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; sandbox",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def routes(runtime: Runtime, requests: OpenRequests) -> list[BaseRoute]:
    """Return the routes; that of the viewer's files only where noVNC is installed."""
    desktop = _Desktops(runtime, requests)
    found: list[BaseRoute] = [
        Route("/sessions/{session_id}/screenshots/{name}", desktop.screenshot, methods=["GET"]),
        WebSocketRoute("/sessions/{session_id}/screen", desktop.screen),
        Route("/sessions/{session_id}/typed", desktop.typed, methods=["POST"]),
    ]
    if runtime.desktop_programs.viewer is not None:
        found.append(Mount(VIEWER, StaticFiles(directory=runtime.desktop_programs.viewer)))
    return found


class _Desktops:
    """The desktops of a runtime's sessions. Secrets in the addresses take the place of the API key."""

    def __init__(self, runtime: Runtime, requests: OpenRequests) -> None:
        self._runtime = runtime
        self._requests = requests

    async def screenshot(self, request: Request) -> Response:
        """Return a picture, 404 if there is none (any more)."""
        session = self._session(request.path_params["session_id"])
        path = None if session is None else session.screenshots.find(request.path_params["name"])
        picture = None if path is None else await asyncio.to_thread(_read, path)
        if picture is None:
            return PlainTextResponse("There is no such picture: its time is over, or its session has ended.\n", 404)
        return Response(picture, media_type="image/png", headers=_PICTURE_HEADERS)

    async def screen(self, websocket: WebSocket) -> None:
        """Join a viewer with the VNC server of a session, as long as both live; the auth code is the page's."""
        session = self._session(websocket.path_params["session_id"])
        if session is None or not session.check_ticket(websocket.query_params.get("authcode", "")):
            await websocket.close(CloseCode.POLICY_VIOLATION)
            return
        try:
            connected = await session.connect_to_screen()
        except OSError as error:
            await websocket.accept()
            await websocket.close(CloseCode.INTERNAL_ERROR, str(error)[:100])
            return
        offered = websocket.scope["subprotocols"]
        with connected, self._requests.tracked():
            await websocket.accept("binary" if "binary" in offered else None)
            async with anyio.create_task_group() as both_ways:
                both_ways.start_soon(_carry_in, websocket, connected, session, both_ways.cancel_scope)
                await _carry_out(websocket, connected)
                both_ways.cancel_scope.cancel()

    async def typed(self, request: Request) -> Response:
        """Type a text on a desktop: what the page's viewer cannot send as keys. Only a page of this server may ask."""
        session = self._session(request.path_params["session_id"])
        is_ours = request.headers.get("origin") == base_url(request)
        if session is None or not is_ours or not session.check_ticket(request.query_params.get("authcode", "")):
            return PlainTextResponse("The session ended, or this address expired.\n", 403)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_TYPED * 4:  # bytes of a character in UTF-8
                return PlainTextResponse("The text is too long.\n", 413)
        session.touch()
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return PlainTextResponse("The text is not UTF-8.\n", 400)
        why_not = await session.type_on_desktop(text)
        return PlainTextResponse(f"{why_not}\n", 400) if why_not else Response(status_code=204)

    def _session(self, session_id: str) -> LocalSession | None:
        try:
            return self._runtime.find(session_id)
        except Refused:
            return None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:  # replaced by a later one meanwhile
        return None


async def _carry_in(
    websocket: WebSocket, connected: socket.socket, session: LocalSession, joined: anyio.CancelScope
) -> None:
    """Pass the viewer's messages on; those of a person who works there are activity of the session."""
    loop = asyncio.get_running_loop()
    with suppress(WebSocketDisconnect, OSError):
        while True:
            data = await websocket.receive_bytes()
            if data[:1] and data[0] in _INPUT:
                session.touch()
            await loop.sock_sendall(connected, data)
    joined.cancel()


async def _carry_out(websocket: WebSocket, connected: socket.socket) -> None:
    """Pass on what the VNC server sends, until it ends."""
    loop = asyncio.get_running_loop()
    with suppress(OSError, WebSocketDisconnect):
        while data := await loop.sock_recv(connected, _CHUNK):
            await websocket.send_bytes(data)
        await websocket.close(CloseCode.GOING_AWAY, "the desktop has ended")
