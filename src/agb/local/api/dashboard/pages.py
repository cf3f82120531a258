"""The pages of the dashboard, their live updates, and what buttons do: an ASGI application of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ...errors import Refused
from ...sessions.runtime import Runtime
from ...sessions.session import LocalSession
from ..links import Links
from ..open_requests import OpenRequests
from ..session_page import page_url
from .access import COOKIE_SECONDS, HOST, Access, dashboard_origin
from .usage import EVERY, Usage
from .views import Changes, Part, Rows, Views, asset

_MOST_VIEWERS = 20
"""Pages that get live updates at the same time."""
_SHOWN = 64 * 1024
"""Bytes of a file that are shown; all of it can be downloaded."""
_DOWNLOAD_LIMIT = 64 * 2**20
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "frame-src http://localhost:*; base-uri 'none'; form-action 'self' http://localhost:*; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "referrer-policy": "same-origin",  # with no-referrer, forms would send no Origin
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_ASSETS = {"dashboard.css": "text/css", "dashboard.js": "text/javascript"}

Endpoint = Callable[[Request], Awaitable[Response]]


def is_dashboard(host: str) -> bool:
    """Return whether a host (and port) is that of the dashboard."""
    name, _, port = host.lower().partition(":")
    return name.removesuffix(".") == HOST and (not port or port.isdecimal())


def dashboard_url(server_url: str, code: str = "") -> str:
    """Return the address of the dashboard of a server; ``code`` lets one browser in."""
    return f"{dashboard_origin(server_url)}/" + (f"?code={quote(code)}" if code else "")


class Dashboard:
    """The dashboard of a runtime."""

    def __init__(self, runtime: Runtime, links: Links, requests: OpenRequests) -> None:
        self.access = Access(time.monotonic)
        self._runtime = runtime
        self._requests = requests
        self._usage = Usage(runtime)
        self._views = Views(runtime, links, self._usage)
        self._viewers = 0
        self._app = Starlette(
            routes=[
                Route("/", self._guarded(self._show_overview)),
                Route("/contexts", self._guarded(self._show_contexts)),
                Route("/sessions/{session_id}", self._guarded(self._show_session)),
                Route("/sessions/{session_id}/files", self._guarded(self._show_files)),
                Route("/sessions/{session_id}/file", self._guarded(self._show_file)),
                Route("/sessions/{session_id}/download", self._guarded(self._download)),
                Route("/sessions/{session_id}/{action}", self._guarded(self._act), methods=["POST"]),
                Route("/events", self._guarded(self._overview_events)),
                Route("/contexts/events", self._guarded(self._context_events)),
                Route("/sessions/{session_id}/events", self._guarded(self._session_events)),
                *(Route(f"/{name}", self._asset(name, kind)) for name, kind in _ASSETS.items()),
            ],
            exception_handlers={Refused: self._refused},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for the host name of the dashboard."""
        if scope["type"] == "http":
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse("There is no WebSocket here.\n", 404)(scope, receive, send)

    # --- who may look -------------------------------------------------------------------------------------------------

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint for browsers that were let in. One with a valid code is, and is led to the same page."""

        async def guarded(request: Request) -> Response:
            if (code := request.query_params.get("code")) and request.method == "GET":
                return self._let_in(request, code)
            if not self._is_let_in(request):
                return self._message(
                    "Not open to this browser",
                    "Open the address that agb serve printed, which is valid once, or run: agb open",
                    403,
                )
            if request.method != "GET" and not _is_own(request):
                return self._message("Refused", "Another page has sent this request.", 403)
            return await endpoint(request)

        return guarded

    def _is_let_in(self, request: Request) -> bool:
        return self.access.is_valid(request.cookies.get(self.access.cookie, ""))

    def _let_in(self, request: Request, code: str) -> Response:
        token = self.access.redeem(code)
        if token is None and self._is_let_in(request):
            return RedirectResponse(request.url.path, 303, _HEADERS)  # the address from the terminal, opened again
        if token is None:
            return self._message("This address is used up", "An address with a code is valid once. Run: agb open", 403)
        response = RedirectResponse(request.url.path, 303, _HEADERS)
        response.set_cookie(
            self.access.cookie, token, max_age=int(COOKIE_SECONDS), httponly=True, samesite="strict", path="/"
        )
        return response

    # --- pages --------------------------------------------------------------------------------------------------------

    async def _show_overview(self, request: Request) -> Response:
        del request
        return self._page("overview.html", title="Sessions", events="/events")

    async def _show_contexts(self, request: Request) -> Response:
        del request
        return self._page("contexts.html", title="Contexts", events="/contexts/events")

    async def _show_session(self, request: Request) -> Response:
        session = self._session(request)
        events = f"/sessions/{session.id}/events"
        live = session.has_desktop or session.browser.is_running
        live_url = page_url(session, _api_base(request), only_live=True) if live else ""
        return self._page("session.html", title=session.id, session=session, events=events, live_url=live_url)

    async def _show_files(self, request: Request) -> Response:
        session = self._session(request)
        path = request.query_params.get("path") or str(session.sandbox.home)
        reply = await session.look("list_directory", {"path": path})
        if not reply.ok:
            return self._message("No such directory", reply.text, 404)
        return HTMLResponse(self._views.files(session, path, reply.text), headers=_HEADERS)

    async def _show_file(self, request: Request) -> Response:
        session, path = self._session(request), request.query_params.get("path", "")
        data = await self._read(session, path, _SHOWN + 1)
        if isinstance(data, Response):
            return data
        text = data[:_SHOWN].decode("utf-8", "replace")
        note = f"The first {_SHOWN // 1024} KiB." if len(data) > _SHOWN else ""
        if "\0" in text:
            text, note = "", "This is no text."
        parent = path.rstrip("/").rpartition("/")[0] or "/"
        return self._page("file.html", title=path, session=session, path=path, parent=parent, text=text, note=note)

    async def _download(self, request: Request) -> Response:
        session, path = self._session(request), request.query_params.get("path", "")
        data = await self._read(session, path, _DOWNLOAD_LIMIT + 1)
        if isinstance(data, Response):
            return data
        if len(data) > _DOWNLOAD_LIMIT:
            return self._message("Too large", f"Copy it with: agb cp {session.id}:{path} .", 413)
        name = quote(path.rpartition("/")[2] or "file", safe="")
        headers = _HEADERS | {"content-disposition": f"attachment; filename*=UTF-8''{name}"}
        return Response(data, media_type="application/octet-stream", headers=headers)

    async def _read(self, session: LocalSession, path: str, length: int) -> bytes | Response:
        reply = await session.look("read_file", {"path": path, "format": "binary", "offset": 0, "length": length})
        if not reply.ok:
            return self._message("This file cannot be read", reply.text, 404)
        return base64.b64decode(reply.text)

    # --- buttons ------------------------------------------------------------------------------------------------------

    async def _act(self, request: Request) -> Response:
        session = self._session(request)
        match request.path_params["action"]:
            case "keep-alive":
                session.touch()
                return RedirectResponse(request.headers.get("referer") or "/", 303, _HEADERS)
            case "delete":
                self._runtime.release(session.id)
                return RedirectResponse("/", 303, _HEADERS)
            case "open":
                return RedirectResponse(page_url(session, _api_base(request)), 303, _HEADERS)
        return self._message("There is no such action", "", 404)

    # --- live updates -------------------------------------------------------------------------------------------------

    async def _overview_events(self, request: Request) -> Response:
        del request

        async def parts() -> tuple[Sequence[Part], Sequence[Rows]]:
            return self._views.overview()

        return self._events(parts, lambda: True)

    async def _context_events(self, request: Request) -> Response:
        del request

        async def parts() -> tuple[Sequence[Part], Sequence[Rows]]:
            return [], [await self._views.contexts()]

        return self._events(parts, lambda: True)

    async def _session_events(self, request: Request) -> Response:
        session = self._session(request)
        return self._events(lambda: self._views.session(session), lambda: session.state == "RUNNING")

    def _events(
        self,
        parts: Callable[[], Awaitable[tuple[Sequence[Part], Sequence[Rows]]]],
        goes_on: Callable[[], bool],
    ) -> Response:
        if self._viewers >= _MOST_VIEWERS:
            return PlainTextResponse("Too many pages are open.\n", 503, {**_HEADERS, "retry-after": "10"})
        return _Live(self, parts, goes_on)

    async def updates(
        self,
        parts: Callable[[], Awaitable[tuple[Sequence[Part], Sequence[Rows]]]],
        goes_on: Callable[[], bool],
    ) -> AsyncIterator[str]:
        """Yield server-sent events: what changed since the last one, at most one every two seconds."""
        changes = Changes()
        while goes_on():
            try:
                update = changes.update(*await parts())
            except Refused:  # it ended meanwhile
                break
            # A comment in place of an empty update: a viewer that is gone is noticed when something is written.
            yield f"data: {json.dumps(update)}\n\n" if update else ": nothing changed\n\n"
            await asyncio.sleep(EVERY)
        yield "event: ended\ndata:\n\n"

    async def serve_updates(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a response with live updates, as a viewer, until it ends, the viewer leaves or the server stops."""
        self._viewers += 1
        try:
            with self._requests.tracked(), self._usage.watched():
                await response(scope, receive, send)
        finally:
            self._viewers -= 1

    # --- answers ------------------------------------------------------------------------------------------------------

    def _session(self, request: Request) -> LocalSession:
        return self._runtime.find(request.path_params["session_id"])

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self._views.page(template, **values), status, _HEADERS)

    def _message(self, title: str, text: str, status: int) -> Response:
        return self._page("message.html", status, title=title, text=text)

    async def _refused(self, request: Request, error: Exception) -> Response:
        del request
        return self._message("There is no such session", str(error), 404)

    def _asset(self, name: str, kind: str) -> Endpoint:
        async def serve(request: Request) -> Response:
            del request
            return Response(asset(name), media_type=kind, headers=_HEADERS)

        return serve


class _Live(Response):
    """The response of live updates; a viewer counts from its first byte to its last."""

    def __init__(
        self,
        dashboard: Dashboard,
        parts: Callable[[], Awaitable[tuple[Sequence[Part], Sequence[Rows]]]],
        goes_on: Callable[[], bool],
    ) -> None:
        self._dashboard = dashboard
        self._updates = dashboard.updates(parts, goes_on)
        super().__init__()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = StreamingResponse(self._updates, media_type="text/event-stream", headers=_HEADERS)
        await self._dashboard.serve_updates(response, scope, receive, send)


def _api_base(connection: HTTPConnection) -> str:
    """Return scheme and host of the API, as a browser that shows the dashboard reaches it."""
    port = urlsplit(f"//{connection.headers['host']}").port
    return f"http://localhost{f':{port}' if port else ''}"


def _is_own(connection: HTTPConnection) -> bool:
    """Return whether a page of the dashboard has sent a request; browsers say so, and scripts cannot change it."""
    if site := connection.headers.get("sec-fetch-site"):
        return site == "same-origin"
    return connection.headers.get("origin") == f"http://{connection.headers.get('host', '')}"
