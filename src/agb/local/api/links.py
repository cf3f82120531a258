"""Links: URLs that lead from outside to a port inside a session, and the forwarding of requests to it.

A link has two forms. Both carry the same token and end with the session.

- **By path:** ``http://127.0.0.1:PORT/link/SESSION/30100/TOKEN/``. It works in every program, and from other machines.
- **By host name:** ``http://30100-SESSION-TOKEN.localhost:PORT/``. Web applications need this one: absolute paths,
  ``history.pushState``, ``WebSocket("/ws")`` and ``__Host-`` cookies belong to a host, and its pages are apart from
  those of all other links and of the API. Browsers resolve names below ``localhost`` to loopback themselves, but the
  resolvers of operating systems need not (`localhost_names`).

The API answers the second form to a caller on this machine if the machine resolves such names, and otherwise the first
one (`hosts.Hosts.link_by_name`). Both forms are valid in any case. A browser that opens the first form is redirected to
the second one. It is recognised by ``Sec-Fetch-Mode: navigate``, which browsers send, and pages cannot forge.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit
from weakref import WeakKeyDictionary

from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from ..errors import Refused, invalid
from ..sessions.runtime import Runtime
from ..sessions.session import LocalSession
from ..validation import shown
from .open_requests import OpenRequests
from .proxy import Target, failure, forward_http
from .proxy_websocket import forward_websocket
from .request import base_url

logger = logging.getLogger("agb.local")

FIRST_PORT, LAST_PORT = 30_100, 30_199
"""The ports inside a session that links may lead to, as in the service."""

SCHEMES = {"http": "http", "https": "http", "ws": "ws", "wss": "ws"}
"""Requested protocol -> the scheme of the answered URL, as long as this server is reached without TLS."""


_HOST_NAME = re.compile(
    r"(?P<port>\d{5})-(?P<session>s-[0-9a-z]{1,32})-(?P<token>[0-9a-f]{32})\.localhost\.?(:\d{1,5})?", re.IGNORECASE
)
LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that stand for the addresses to which a browser resolves names below ``localhost``."""
_PAGES = frozenset({"document", "iframe", "frame", "embed", "object"})
"""The places in which a browser shows a page and runs its scripts, as it names them in ``Sec-Fetch-Dest``."""


def is_link(host: str) -> bool:
    """Return whether a host (and port) has the form of a link's host name."""
    return _HOST_NAME.fullmatch(host) is not None


class Links:
    """The links into the sessions of a runtime: makes them, and is the ASGI application behind them."""

    def __init__(self, runtime: Runtime, requests: OpenRequests) -> None:
        self._runtime = runtime
        self._requests = requests
        self._urls: WeakKeyDictionary[LocalSession, dict[tuple[str, int], str]] = WeakKeyDictionary()

    def port(self, text: str) -> int:
        """Return the port a link is wanted for; raise `Refused` if links do not lead there."""
        if not (text.isascii() and text.isdecimal() and len(text) < 6 and FIRST_PORT <= int(text) <= LAST_PORT):
            raise invalid(f"port must be from {FIRST_PORT} to {LAST_PORT}, not {shown(text)}")
        return int(text)

    def create(self, session: LocalSession, port: int, protocol: str, base: str, *, by_name: bool = False) -> str:
        """Return the URL of a link, by path or by host name.

        ``base`` is scheme and host by which the caller reaches this server: a loopback host for a link by host name.
        """
        if protocol not in SCHEMES:
            names = ", ".join(SCHEMES)
            raise invalid(f"protocolType must be one of {names}, not {shown(protocol)}")
        own, _, address = base.partition("://")
        scheme = SCHEMES[protocol] + ("s" if own == "https" else "")
        if by_name:
            url = f"{scheme}://{_host_name(session, port, urlsplit(base).port)}/"
        else:
            url = f"{scheme}://{address}/link/{session.id}/{port}/{session.link_token(port)}/"
        self._urls.setdefault(session, {})[SCHEMES[protocol], port] = url
        return url

    def created(self, session: LocalSession) -> Mapping[tuple[str, int], str]:
        """Return the links made for a session: URL by scheme and port."""
        return self._urls.get(session, {})

    def target(self, base: str, path: bytes, query: bytes = b"") -> Target | None:
        """Return where a (percent-encoded) path leads; None if it is no link, or its token or session is not valid."""
        parts = path.split(b"/", 5)
        if len(parts) < 5 or parts[1] != b"link":
            return None
        try:
            session_id, port, token = (part.decode() for part in parts[2:5])
        except UnicodeDecodeError:
            return None
        below = b"/" + parts[5] + (b"?" + query if query else b"") if len(parts) > 5 else b""
        return self._target(session_id, port, token, base, f"/link/{session_id}/{port}/{token}", below)

    def host_target(self, base: str, path: bytes, query: bytes = b"") -> Target | None:
        """Return where a request to the host name of a link leads; None if its token or session is not valid."""
        found = _HOST_NAME.fullmatch(base.partition("://")[2])
        if found is None:
            return None
        below = path + (b"?" + query if query else b"")
        return self._target(found["session"].lower(), found["port"], found["token"].lower(), base, "", below)

    def _target(self, session_id: str, port: str, token: str, base: str, prefix: str, path: bytes) -> Target | None:
        try:
            number, session = self.port(port), self._runtime.find(session_id)
        except Refused:
            return None
        if not session.check_link_token(number, token):
            return None
        return Target(session, number, base, prefix, path)

    def behind_referer(self, request: Request) -> str | None:
        """Return the URL behind a link for a request that a page behind that link sent to this server's own host.

        Behind a link by path, pages name their parts by absolute paths ("/style.css"), which a browser looks for
        outside of the link. Behind one by host name, a program may make URLs of the ``Host`` that it sees. None if the
        request did not come from such a page.
        """
        referer = request.headers.get("referer", "")
        try:
            parts = urlsplit(referer)
        except ValueError:
            return None
        if not referer.isascii():
            return None
        base = f"{parts.scheme}://{parts.netloc}"
        query = request.url.query
        below = _raw_path(request.scope).decode("ascii") + (f"?{query}" if query else "")
        if base == base_url(request):
            target = self.target(base, parts.path.encode())
            return target.prefix + below if target is not None and target.path else None
        return base + below if self.host_target(base, b"/") is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request below ``/link``."""
        target = self.target(base_url(HTTPConnection(scope)), _raw_path(scope), scope["query_string"])
        if target is not None and scope["type"] == "http" and (elsewhere := _redirected(scope, target)) is not None:
            await elsewhere(scope, receive, send)
        else:
            await self._serve(target, scope, receive, send)

    async def serve_host(self, host: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to the host name of a link."""
        base = f"{'https' if scope['scheme'] in ('https', 'wss') else 'http'}://{host.lower()}"
        target = self.host_target(base, _raw_path(scope), scope["query_string"])
        await self._serve(target, scope, receive, send)

    async def _serve(self, target: Target | None, scope: Scope, receive: Receive, send: Send) -> None:
        if target is None:
            text = "There is no such link: its session has ended, or the address is not complete.\n"
            await PlainTextResponse(text, 404)(scope, receive, send)
            return
        with self._requests.tracked(), target.session.active():
            await _forward(target, scope, receive, send)


async def _forward(target: Target, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        connected = await target.session.connect(target.port)
    except OSError as error:
        why = (
            f"Nothing answers on port {target.port} of session {target.session.id} ({_reason(error)}).\n"
            "Start a server there that listens on this port, then try again."
        )
        await failure(target, why)(scope, receive, send)
    else:
        if scope["type"] == "http":
            return await forward_http(connected, target, scope, receive, send)
        try:
            await forward_websocket(connected, target, scope, receive, send)
        except Exception:
            # The application's error handlers are for HTTP only, so nothing else would log it.
            logger.exception("Unexpected error in a WebSocket to port %d of %s", target.port, target.session.id)
            raise


def _redirected(scope: Scope, target: Target) -> Response | None:
    """Return the redirect of a request by path to a better address, None if there is none."""
    query = scope["query_string"].decode("latin-1")
    if _is_shown_by_browser(scope) and (host_base := _host_base(target)) is not None:
        below = target.path.decode("latin-1") or "/" + (f"?{query}" if query else "")
        # Another program that asks for the same address must get the page.
        headers = {"cache-control": "no-store", "vary": "sec-fetch-mode, sec-fetch-dest, user-agent"}
        return RedirectResponse(host_base + below, 307, headers)
    if not target.path:
        # Without the slash, the relative addresses of a page would lead one level up, out of the link.
        return RedirectResponse(f"{target.prefix}/" + (f"?{query}" if query else ""), 307)
    return None


def _is_shown_by_browser(scope: Scope) -> bool:
    """Return whether a request is for a page that a browser is about to show, and can resolve names of links."""
    headers = HTTPConnection(scope).headers
    if scope["method"] != "GET" or headers.get("sec-fetch-mode") != "navigate":
        return False
    agent = headers.get("user-agent", "")
    is_safari = "AppleWebKit/" in agent and "Chrome/" not in agent  # resolves them by the operating system
    return headers.get("sec-fetch-dest") in _PAGES and not is_safari


def _host_base(target: Target) -> str | None:
    """Return scheme and host of a link by its host name, None if a caller cannot reach this server by loopback."""
    parts = urlsplit(target.base)
    if parts.hostname not in LOOPBACK:
        return None
    return f"{parts.scheme}://{_host_name(target.session, target.port, parts.port)}"


def _host_name(session: LocalSession, port: int, server_port: int | None) -> str:
    """Return the host name of a link, with the port of this server if that is not the default one."""
    name = f"{port}-{session.id}-{session.link_token(port)}.localhost"
    return f"{name}:{server_port}" if server_port else name


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def _raw_path(scope: Scope) -> bytes:
    """Return the path as it was sent, since a program may distinguish %2F from a slash."""
    return bytes(scope.get("raw_path") or quote(scope["path"]).encode())
