"""CDP links: URLs at which DevTools clients drive the browser of a session.

``ws://127.0.0.1:PORT/sessions/SESSION/cdp/TOKEN/devtools/browser/ID``, and above it the DevTools' own HTTP addresses
(``/json/version`` and others), in whose answers the addresses lead through the link. The token belongs to one browser
and ends with it.
"""

from __future__ import annotations

import anyio
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from ..browser.cdp import MESSAGE_LIMIT
from ..browser.process import Browser, BrowserUnavailable
from ..errors import Refused
from ..sessions.runtime import Runtime
from ..sessions.session import LocalSession
from .proxy import Target
from .proxy_websocket import forward_websocket
from .request import base_url, same_secret


class CdpLinks:
    """The links to the browsers of a runtime's sessions, and the ASGI application behind them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._open: set[anyio.CancelScope] = set()

    def url(self, session: LocalSession, browser: Browser, base: str) -> str:
        """Return the WebSocket URL of a browser; ``base`` is scheme and host by which a caller reaches this server."""
        return f"ws{base.removeprefix('http')}{_prefix(session, browser)}{browser.path}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request below the link of a browser."""
        connection = HTTPConnection(scope)
        found = self._find(connection.path_params)
        if isinstance(found, str):
            await PlainTextResponse(f"{found}\n", 404)(scope, receive, send)
            return
        session, browser = found
        try:
            connected = await browser.connect()
        except OSError:
            await PlainTextResponse("The browser has ended.\n", 404)(scope, receive, send)
            return
        below = "/" + connection.path_params["path"]
        target = Target(session, browser.port, base_url(connection), _prefix(session, browser), below.encode())
        with anyio.CancelScope() as open_link:
            self._open.add(open_link)
            try:
                await forward_websocket(
                    connected, target, scope, receive, send, limit=MESSAGE_LIMIT, on_message=session.touch
                )
            finally:
                self._open.discard(open_link)

    def _find(self, path: dict[str, str]) -> tuple[LocalSession, Browser] | str:
        """Return the session and the browser of a link, or the reason why it leads nowhere."""
        try:
            session = self._runtime.find(path["session_id"])
            browser = session.browser.running()
        except (Refused, BrowserUnavailable):
            return "There is no such link: its session or its browser has ended, or the address is not complete."
        if not same_secret(path["token"], browser.token):
            return "There is no such link: its browser has ended, or the address is not complete."
        return session, browser

    def close(self) -> None:
        """Cancel all connections; a server that stops need not wait for them."""
        for open_link in list(self._open):
            open_link.cancel()


def _prefix(session: LocalSession, browser: Browser) -> str:
    return f"/sessions/{session.id}/cdp/{browser.token}"
