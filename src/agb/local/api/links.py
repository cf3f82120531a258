"""Links: URLs that lead from outside to a port inside a session, and the forwarding of requests to it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from urllib.parse import quote, urlsplit
from weakref import WeakKeyDictionary

import anyio
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import Receive, Scope, Send

from ..errors import Refused, invalid
from ..sessions.runtime import Runtime
from ..sessions.session import LocalSession
from ..validation import shown
from .proxy import Target, forward_http
from .proxy_websocket import forward_websocket
from .request import host

logger = logging.getLogger("agb.local")

FIRST_PORT, LAST_PORT = 30_100, 30_199
"""The ports inside a session that links may lead to, as in the service."""

SCHEMES = {"http": "http", "https": "http", "ws": "ws", "wss": "ws"}
"""Requested protocol -> the scheme of the answered URL, as long as this server is reached without TLS."""


class Links:
    """The links into the sessions of a runtime: makes them, and is the ASGI application behind them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._urls: WeakKeyDictionary[LocalSession, dict[tuple[str, int], str]] = WeakKeyDictionary()
        self._open: set[anyio.CancelScope] = set()

    def port(self, text: str) -> int:
        """Return the port a link is wanted for; raise `Refused` if links do not lead there."""
        if not (text.isascii() and text.isdecimal() and len(text) < 6 and FIRST_PORT <= int(text) <= LAST_PORT):
            raise invalid(f"port must be from {FIRST_PORT} to {LAST_PORT}, not {shown(text)}")
        return int(text)

    def create(self, session: LocalSession, port: int, protocol: str, base: str) -> str:
        """Return the URL of a link; ``base`` is scheme and host by which the caller reaches this server."""
        if protocol not in SCHEMES:
            names = ", ".join(SCHEMES)
            raise invalid(f"protocolType must be one of {names}, not {shown(protocol)}")
        own, _, address = base.partition("://")
        scheme = SCHEMES[protocol] + ("s" if own == "https" else "")
        url = f"{scheme}://{address}/link/{session.id}/{port}/{session.link_token(port)}/"
        self._urls.setdefault(session, {})[SCHEMES[protocol], port] = url
        return url

    def created(self, session: LocalSession) -> Mapping[tuple[str, int], str]:
        """Return the links made for a session: URL by scheme and port."""
        return self._urls.get(session, {})

    def target(self, path: bytes, query: bytes = b"") -> Target | None:
        """Return where a (percent-encoded) path leads; None if it is no link, or its token or session is not valid."""
        parts = path.split(b"/", 5)
        if len(parts) < 5 or parts[1] != b"link":
            return None
        try:
            session_id, port, token = parts[2].decode(), self.port(parts[3].decode()), parts[4].decode()
            session = self._runtime.find(session_id)
        except (UnicodeDecodeError, Refused):
            return None
        if not session.check_link_token(port, token):
            return None
        below = b"/" + parts[5] + (b"?" + query if query else b"") if len(parts) > 5 else b""
        return Target(session, port, f"/link/{session_id}/{port}/{token}", below)

    def below_referer(self, request: Request) -> str | None:
        """Return the URL behind a link for a request that a page behind that link sent to a path outside of it.

        Pages name their parts by absolute paths ("/style.css"), which a browser looks for outside of the link. None
        if the request did not come from such a page.
        """
        try:
            referer = urlsplit(request.headers.get("referer", ""))
        except ValueError:
            return None
        if referer.netloc != host(request) or not referer.path.isascii():
            return None
        target = self.target(referer.path.encode())
        if target is None or not target.path:
            return None
        query = request.url.query
        return target.prefix + _raw_path(request.scope).decode("ascii") + (f"?{query}" if query else "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request below ``/link``."""
        target = self.target(_raw_path(scope), scope["query_string"])
        if target is None:
            text = "There is no such link: its session has ended, or the address is not complete.\n"
            await PlainTextResponse(text, 404)(scope, receive, send)
        elif not target.path and scope["type"] == "http":
            # Without the slash, the relative addresses of a page would lead one level up, out of the link.
            query = scope["query_string"].decode("latin-1")
            await RedirectResponse(f"{target.prefix}/" + (f"?{query}" if query else ""), 307)(scope, receive, send)
        else:
            with anyio.CancelScope() as open_link:
                self._open.add(open_link)
                try:
                    await _forward(target, scope, receive, send)
                finally:
                    self._open.discard(open_link)

    def close(self) -> None:
        """Cancel all requests under way; a server that stops need not wait for them."""
        for open_link in list(self._open):
            open_link.cancel()


async def _forward(target: Target, scope: Scope, receive: Receive, send: Send) -> None:
    target.session.touch()
    try:
        connected = await target.session.connect(target.port)
    except OSError as error:
        text = (
            f"Nothing answers on port {target.port} of session {target.session.id} ({_reason(error)}).\n"
            "Start a server there that listens on this port, then try again.\n"
        )
        await PlainTextResponse(text, 502)(scope, receive, send)
    else:
        if scope["type"] == "http":
            return await forward_http(connected, target, scope, receive, send)
        try:
            await forward_websocket(connected, target, scope, receive, send)
        except Exception:
            # The application's error handlers are for HTTP only, so nothing else would log it.
            logger.exception("Unexpected error in a WebSocket to port %d of %s", target.port, target.session.id)
            raise


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def _raw_path(scope: Scope) -> bytes:
    """Return the path as it was sent, since a program may distinguish %2F from a slash."""
    return bytes(scope.get("raw_path") or quote(scope["path"]).encode())
