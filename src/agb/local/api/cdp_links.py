"""CDP links: URLs at which DevTools clients drive the browser of a session.

A browser has one link, which ends with it. It has two forms, as the links to ports (`links`):

- **By path:** ``http://127.0.0.1:PORT/sessions/SESSION/cdp/TOKEN``.
- **By host name:** ``http://cdp-SESSION-TOKEN.localhost:PORT``, for clients such as Puppeteer that replace the path of
  the URL they are given.

Below both are the DevTools' own addresses: the WebSockets ``/devtools/browser/ID`` and ``/devtools/page/ID``, and
``/json/version`` and the like, in whose answers the addresses are changed to such of the link.

Web pages are refused, whatever they know: a browser names the page in ``Origin`` or ``Sec-Fetch-Site``, which scripts
cannot change. Only DevTools windows, which are not pages of the web, have an accepted origin.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

from attrs import frozen
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from ..browser.cdp import CdpClosed
from ..browser.devtools import DevToolsAnswer, NoAnswer
from ..browser.process import Browser, BrowserUnavailable
from ..errors import Refused
from ..sessions.runtime import Runtime
from ..sessions.session import LocalSession
from .open_requests import OpenRequests
from .proxy_websocket import join
from .request import base_url, same_secret

_DEVTOOLS_ORIGIN = "devtools://devtools"
_FRONTEND = f"{_DEVTOOLS_ORIGIN}/bundled/inspector.html?ws="
_WEBSOCKET = re.compile(r"/devtools/(?:browser|page)/[\w-]+")
_HTTP = re.compile(r"/json(?:/(?:version|list|protocol|new|activate/[\w-]+|close/[\w-]+)?)?/?")
_HOST_NAME = re.compile(
    r"cdp-(?P<session>s-[0-9a-z]{1,32})-(?P<token>[0-9a-f]{32})\.localhost\.?(?::\d{1,5})?", re.IGNORECASE
)
_NO_LINK = "There is no such link: its session or its browser has ended, or the address is not complete."


def is_cdp_link(host: str) -> bool:
    """Return whether a host (and port) has the form of the host name of a CDP link."""
    return _HOST_NAME.fullmatch(host) is not None


@frozen
class _Link:
    """A link that leads to a browser."""

    session: LocalSession
    browser: Browser
    base: str
    """The link itself, with ``http`` or ``https``."""

    def moved(self, address: str) -> str:
        """Return a WebSocket address of the DevTools as one of the link."""
        return f"ws{self.base.removeprefix('http')}{urlsplit(address).path}"


class CdpLinks:
    """The links to the browsers of a runtime's sessions, and the ASGI application behind them."""

    def __init__(self, runtime: Runtime, requests: OpenRequests) -> None:
        self._runtime = runtime
        self._requests = requests

    def urls(self, session: LocalSession, browser: Browser, base: str, *, by_name: bool) -> tuple[str, str]:
        """Return the WebSocket URL of a browser, and the URL of its HTTP addresses, by path or by host name.

        ``base`` is scheme and host by which a caller reaches this server: a loopback host for a link by host name. The
        WebSocket URL is by path in any case: no client needs another one.
        """
        by_path = f"{base}/sessions/{session.id}/cdp/{browser.token}"
        port = urlsplit(base).port
        host = f"cdp-{session.id}-{browser.token}.localhost" + (f":{port}" if port else "")
        link = _Link(session, browser, by_path)
        return link.moved(browser.path), f"{urlsplit(base).scheme}://{host}" if by_name else by_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request below the path of a link."""
        connection = HTTPConnection(scope)
        given = connection.path_params
        link = self._find(given["session_id"], given["token"], base_url(connection) + scope["root_path"])
        await self._serve(link, scope["path"].removeprefix(scope["root_path"]), scope, receive, send)

    async def serve_host(self, host: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to the host name of a link."""
        found = _HOST_NAME.fullmatch(host)
        scheme = "https" if scope["scheme"] in ("https", "wss") else "http"
        link = found and self._find(found["session"].lower(), found["token"].lower(), f"{scheme}://{host.lower()}")
        await self._serve(link, scope["path"], scope, receive, send)

    def _find(self, session_id: str, token: str, base: str) -> _Link | None:
        try:
            session = self._runtime.find(session_id)
            browser = session.browser.running()
        except (Refused, BrowserUnavailable):
            return None
        return _Link(session, browser, base) if same_secret(token, browser.token) else None

    async def _serve(self, link: _Link | None, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        headers = HTTPConnection(scope).headers
        is_page = headers.get("sec-fetch-site", "none") != "none"
        if is_page or headers.get("origin", _DEVTOOLS_ORIGIN) != _DEVTOOLS_ORIGIN:
            return await _text("A browser is driven by programs, not by web pages.", 403)(scope, receive, send)
        if link is None:
            return await _text(_NO_LINK, 404)(scope, receive, send)
        is_websocket = scope["type"] == "websocket"
        if (_WEBSOCKET if is_websocket else _HTTP).fullmatch(path) is None:
            return await _text(f"The DevTools have no such address: {path[:100]!a}.", 404)(scope, receive, send)
        link.session.touch()
        if not is_websocket:
            return await (await _answer(link, path, scope))(scope, receive, send)
        with self._requests.tracked():
            return await _join(link, path, scope, receive, send)


async def _join(link: _Link, path: str, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        inside = await link.browser.open_websocket(path)
    except CdpClosed as error:
        return await _text(f"{error}.", 404)(scope, receive, send)
    try:
        await receive()  # "websocket.connect", always the first
        await send({"type": "websocket.accept"})
        stored = partial(_stored_in_session, directory=link.browser.downloads)
        await join(inside, link.session, receive, send, on_message=link.session.touch, changed=stored)
    finally:
        inside.transport.abort()


def _stored_in_session(text: str, *, directory: str) -> str:
    """Return a call of the DevTools, by which Playwright stores downloads, with the session's directory for them.

    Playwright names a temporary directory of its own machine and reads the files there, which it cannot do with a
    browser on another one. In the session they would have a number for their name and a place that the caller never
    learns.
    """
    if "Browser.setDownloadBehavior" not in text or "playwright-artifacts-" not in text:
        return text
    call = json.loads(text)
    if call.get("method") == "Browser.setDownloadBehavior" and call["params"].get("behavior") == "allowAndName":
        call["params"] |= {"behavior": "allow", "downloadPath": directory}
    return json.dumps(call)


async def _answer(link: _Link, path: str, scope: Scope) -> Response:
    """Return the answer of the DevTools to a request, its addresses moved to the link."""
    query = scope["query_string"].decode("latin-1")
    target = quote(path.removesuffix("/")) + (f"?{query}" if query else "")
    try:
        answer = await link.browser.ask(target, method=scope["method"])
        body = _moved(answer, link)
    except NoAnswer as error:
        return _text(f"{error}.", 502)
    return Response(body, answer.status, {"cache-control": "no-store"}, answer.content_type or "text/plain")


def _moved(answer: DevToolsAnswer, link: _Link) -> bytes:
    if b"webSocketDebuggerUrl" not in answer.body:
        return answer.body
    found = answer.json()
    for target in found if isinstance(found, list) else [found]:
        _move(target, link)
    return json.dumps(found, ensure_ascii=False).encode()


def _move(target: dict[str, Any], link: _Link) -> None:
    target["webSocketDebuggerUrl"] = moved = link.moved(target["webSocketDebuggerUrl"])
    if "devtoolsFrontendUrl" in target:
        # The DevTools that every Chromium has, instead of a page of the web, which would be given the token.
        target["devtoolsFrontendUrl"] = _FRONTEND + moved.partition("://")[2]


def _text(text: str, status: int) -> Response:
    return PlainTextResponse(f"{text}\n", status)
