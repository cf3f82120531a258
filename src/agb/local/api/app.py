"""The application: the whole API as one list of routes, its authentication, and the envelope of every answer."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable

from attrs import frozen
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from ..._wire.reply import INTERNAL_ERROR, INVALID_REQUEST, NO_SUCH_OPERATION
from ..errors import Refused
from ..sessions.runtime import Runtime
from ..validation import shown
from . import browser_handlers, context_handlers, handlers, mount_handlers
from .answers import enveloped, refusal, request_id
from .cdp_links import CdpLinks
from .context_files import ContextFiles
from .file_urls import PREFIX
from .handlers import Answer, Api
from .hosts import HostCheck, Hosts
from .links import Links
from .live_view import LiveViews
from .open_requests import OpenRequests
from .request import ApiRequest, check_key
from .session_page import SessionPage
from .streams import Streams

logger = logging.getLogger("agb.local")

Handler = Callable[[Api, ApiRequest], Awaitable[Answer]]


@frozen
class Operation:
    """One operation of the API: its method and path, and its handler."""

    method: str
    path: str
    handler: Handler
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
    Operation("POST", "/internet/getCdpLink", browser_handlers.get_cdp_link),
    Operation("POST", "/mcp/getMcpResource", handlers.get_mcp_resource),
    Operation("POST", "/mcp/listTools", handlers.list_tools),
    Operation("POST", "/mcp", handlers.call_tool),
    Operation("POST", "/sessions/{session_id}/callTool", handlers.call_tool_by_link, needs_key=False),
    Operation("POST", "/browser/init", browser_handlers.browser_init),
    Operation("GET", "/sdk/ListContexts", context_handlers.list_contexts),
    Operation("GET", "/sdk/GetContext", context_handlers.get_context),
    Operation("POST", "/sdk/ModifyContext", context_handlers.modify_context),
    Operation("POST", "/sdk/DeleteContext", context_handlers.delete_context),
    Operation("POST", "/sdk/ClearContext", context_handlers.clear_context),
    Operation("POST", "/sdk/SyncContext", mount_handlers.sync_context),
    Operation("GET", "/sdk/GetContextInfo", mount_handlers.get_context_info),
    Operation("POST", "/sdk/GetContextFileDownloadUrl", context_handlers.get_context_file_download_url),
    Operation("POST", "/sdk/GetContextFileUploadUrl", context_handlers.get_context_file_upload_url),
    Operation("POST", "/sdk/DeleteContextFile", context_handlers.delete_context_file),
    Operation("POST", "/sdk/DescribeContextFiles", context_handlers.describe_context_files),
    Operation("POST", "/sdk/GetAndLoadInternalContext", mount_handlers.get_and_load_internal_context),
]


def build_app(runtime: Runtime, api_key: str, hosts: Hosts = Hosts()) -> Starlette:  # noqa: B008 - frozen
    """Return the ASGI application that offers a (running) runtime to callers with the API key, under its host names.

    Its ``state.requests`` are the requests under way through links; cancel them when the server stops.
    """
    requests = OpenRequests()
    links = Links(runtime, requests)
    page = SessionPage(runtime, links)
    cdp_links = CdpLinks(runtime, requests)
    api = Api(runtime, links, cdp_links)
    routes: list[BaseRoute] = [
        *(_route(operation, api, api_key) for operation in OPERATIONS),
        WebSocketRoute("/sessions/{session_id}/ws", Streams(runtime).serve),
        WebSocketRoute("/sessions/{session_id}/live", LiveViews(runtime, requests).serve),
        Route("/sessions/{session_id}/page", page.show, methods=["GET"]),
        Route(f"{PREFIX}{{token}}", ContextFiles(runtime).serve, methods=["GET", "PUT"]),
        Mount("/sessions/{session_id}/cdp/{token}", app=cdp_links),
        Mount("/link", app=links),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(HostCheck, hosts=hosts, links=links, cdp_links=cdp_links)],
        exception_handlers=dict.fromkeys((Refused, HTTPException, ClientDisconnect, Exception), _answer_error),
    )
    app.router.redirect_slashes = False
    app.state.links = links
    app.state.requests = requests
    return app


def _route(operation: Operation, api: Api, api_key: str) -> Route:
    async def endpoint(request: Request) -> Response:
        if operation.needs_key:
            check_key(request.headers, api_key)
        else:
            handlers.check_session(api, request.path_params["session_id"])
        answer = await operation.handler(api, await ApiRequest.read(request))
        return enveloped(request, data=answer.data, **answer.beside)

    return Route(operation.path, endpoint, methods=[operation.method])


# --- answers -----------------------------------------------------------------------------------------------------


def _refusal(request: Request, code: str, message: str, http_status: int) -> Response:
    return refusal(request, Refused(code, message, http_status=http_status))


async def _answer_error(request: Request, error: Exception) -> Response:
    """Answer a request that failed; only an error of this server is logged."""
    if isinstance(error, Refused):
        return refusal(request, error)
    if isinstance(error, HTTPException):
        return _no_route(request, error.status_code)
    if isinstance(error, ClientDisconnect):  # the answer is for the log of an ASGI server only; the client has left
        return _refusal(request, INVALID_REQUEST, "The request body ended early", 400)
    path = re.sub(r"^(/link/[^/]*/[^/]*|/contexts/files)/.*", r"\1/...", request.url.path)  # the rest is a secret
    known_id = request_id(request)
    logger.error("Unexpected error in %s %s (request id %s)", request.method, path, known_id, exc_info=error)
    message = f"The runtime failed unexpectedly; its log has more under {known_id}"
    return _refusal(request, INTERNAL_ERROR, message, 500)


def _no_route(request: Request, status: int) -> Response:
    """Answer an unknown path; a request from a page behind a link is redirected to the same path behind that link."""
    links: Links = request.app.state.links
    if status == 404 and (below := links.behind_referer(request)):
        return RedirectResponse(below, 307)
    path = shown(request.url.path, 100)
    return _refusal(request, NO_SUCH_OPERATION, f"There is no operation {request.method} {path} in this API", status)
