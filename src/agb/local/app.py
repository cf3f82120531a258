"""The application: the whole API as one list of routes, who may call it, and how every answer is wrapped."""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import frozen
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from .._wire.call import json_bytes
from .._wire.reply import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    NO_SUCH_OPERATION,
    NOT_OFFERED,
    TOOL_SESSION_NOT_FOUND,
    envelope,
)
from . import handlers, mount_handlers
from .errors import Refused
from .handlers import Answer, Api
from .links import Links
from .page import SessionPage
from .request import ApiRequest, check_key, shown
from .runtime import Runtime
from .streams import Streams

logger = logging.getLogger("agb.local")

Handler = Callable[[Api, ApiRequest], Awaitable[Answer]]


@frozen
class Operation:
    """One operation of the API: where it is, and what answers it (None: this runtime does not offer it)."""

    method: str
    path: str
    handler: Handler | None = None
    needs_key: bool = True


OPERATIONS = [
    Operation("POST", "/mcp/createSession", handlers.create_session),
    Operation("POST", "/mcp/getSession", handlers.get_session),
    Operation("POST", "/mcp/getSessionInfo", handlers.get_session_info),
    Operation("GET", "/sdk/ListSession", handlers.list_sessions),
    Operation("POST", "/mcp/releaseSessionAsync", handlers.release_session_async),
    Operation("POST", "/mcp/releaseSession", handlers.release_session),
    Operation("POST", "/mcp/refreshSessionIdleTime", handlers.refresh_session_idle_time),
    Operation("POST", "/sdk/SetLabel", handlers.set_label),
    Operation("GET", "/sdk/GetLabel", handlers.get_label),
    Operation("GET", "/internet/getLink", handlers.get_link),
    Operation("GET", "/mcp/getLink", handlers.get_link),
    Operation("POST", "/internet/getCdpLink"),
    Operation("POST", "/mcp/getMcpResource", handlers.get_mcp_resource),
    Operation("POST", "/mcp/listTools", handlers.list_tools),
    Operation("POST", "/mcp", handlers.call_tool),
    Operation("POST", "/sessions/{session_id}/callTool", handlers.call_tool_by_link, needs_key=False),
    Operation("POST", "/browser/init"),
    Operation("GET", "/sdk/ListContexts"),
    Operation("GET", "/sdk/GetContext"),
    Operation("POST", "/sdk/ModifyContext"),
    Operation("POST", "/sdk/DeleteContext"),
    Operation("POST", "/sdk/ClearContext"),
    Operation("POST", "/sdk/SyncContext", mount_handlers.sync_context),
    Operation("GET", "/sdk/GetContextInfo", mount_handlers.get_context_info),
    Operation("POST", "/sdk/GetContextFileDownloadUrl"),
    Operation("POST", "/sdk/GetContextFileUploadUrl"),
    Operation("POST", "/sdk/DeleteContextFile"),
    Operation("POST", "/sdk/DescribeContextFiles"),
    Operation("POST", "/sdk/GetAndLoadInternalContext", mount_handlers.get_and_load_internal_context),
]


def build_app(runtime: Runtime, api_key: str) -> Starlette:
    """Return the ASGI application that offers a (running) runtime to whoever knows the API key.

    Its ``state.links`` are the links into sessions; close them when the server stops.
    """
    links = Links(runtime)
    page = SessionPage(runtime, links)
    api = Api(runtime, links)
    routes: list[BaseRoute] = [
        *(_route(operation, api, api_key) for operation in OPERATIONS),
        WebSocketRoute("/sessions/{session_id}/ws", Streams(runtime).serve),
        Route("/sessions/{session_id}/page", page.show, methods=["GET"]),
        Mount("/link", app=links),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers=dict.fromkeys((Refused, HTTPException, ClientDisconnect, Exception), _answer_error),
    )
    app.router.redirect_slashes = False
    app.state.links = links
    return app


def _route(operation: Operation, api: Api, api_key: str) -> Route:
    async def endpoint(request: Request) -> Response:
        if operation.needs_key:
            check_key(request.headers, api_key)
        if operation.handler is None:
            raise Refused(NOT_OFFERED, f"{operation.path}: this runtime does not offer this operation", http_status=501)
        answer = await operation.handler(api, await ApiRequest.read(request))
        return _enveloped(request, data=answer.data, **answer.beside)

    return Route(operation.path, endpoint, methods=[operation.method])


# --- answers -----------------------------------------------------------------------------------------------------

_SAID_IN_THE_BODY_ONLY = {NOT_OFFERED, TOOL_SESSION_NOT_FOUND}
"""Codes the service answers with HTTP 200; the status stands in the envelope."""


def _enveloped(request: Request, *, http_status: int = 200, **parts: Any) -> Response:
    """Return the answer to a request, its id in the envelope and in a header."""
    request_id = _request_id(request)
    body = envelope(request_id=request_id, http_status=http_status, **parts)
    status = 200 if parts.get("code") in _SAID_IN_THE_BODY_ONLY else http_status
    headers = {"x-request-id": request_id, "cache-control": "no-store"}
    return Response(_json(body), status, headers, "application/json")


def _json(body: dict[str, Any]) -> bytes:
    """Return JSON as UTF-8, which for much text that is not ASCII costs a third of escaping it."""
    try:
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a character, which only an escape can carry
        return json_bytes(body)


def _request_id(request: Request) -> str:
    if not hasattr(request.state, "request_id"):
        request.state.request_id = str(uuid.uuid4()).upper()
    return str(request.state.request_id)


def _refusal(request: Request, code: str, message: str, http_status: int) -> Response:
    return _enveloped(request, success=False, code=code, message=message, http_status=http_status)


async def _answer_error(request: Request, error: Exception) -> Response:
    """Answer a request that did not go through; only a mistake of this server is logged."""
    if isinstance(error, Refused):
        return _refusal(request, error.code, error.message, error.http_status)
    if isinstance(error, HTTPException):
        return _no_route(request, error.status_code)
    if isinstance(error, ClientDisconnect):  # nobody will read this
        return _refusal(request, INVALID_REQUEST, "The request body ended early", 400)
    path = re.sub(r"^(/link/[^/]*/[^/]*)/.*", r"\1/...", request.url.path)  # what follows is a secret
    request_id = _request_id(request)
    logger.error("Unexpected error in %s %s (request id %s)", request.method, path, request_id, exc_info=error)
    message = f"The runtime failed unexpectedly; its log has more under {request_id}"
    return _refusal(request, INTERNAL_ERROR, message, 500)


def _no_route(request: Request, status: int) -> Response:
    """Answer a path that is none of ours; one asked for by a page behind a link is looked for behind that link."""
    links: Links = request.app.state.links
    if status == 404 and (below := links.below_referer(request)):
        return RedirectResponse(below, 307)
    path = shown(request.url.path, 100)
    return _refusal(request, NO_SUCH_OPERATION, f"There is no operation {request.method} {path} in this API", status)
