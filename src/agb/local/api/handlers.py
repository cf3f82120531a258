"""Handlers of sessions: each operation of the API as calls of the runtime, and its answer as it is on the wire.

One function per operation, named after it: ``create_session`` is API: POST /mcp/createSession (`app.OPERATIONS`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from attrs import field, frozen

from ..._wire.call import json_text
from ..._wire.reply import SESSION_NOT_FOUND, TOOL_SESSION_NOT_FOUND, UNAUTHORIZED
from ..contexts.mounts import mounts
from ..errors import Refused, invalid
from ..sessions.images import WITHOUT_LINK, tools_of
from ..sessions.runtime import Runtime
from ..sessions.session import LocalSession
from ..sessions.tools import ToolReply
from ..validation import ARGUMENTS, kind_of, labels, object_or_json, shown
from .cdp_links import CdpLinks
from .links import FIRST_PORT, Links
from .request import ApiRequest, same_secret
from .session_page import page_url, screen_url

MOST_RESULTS = 1_000
"""The most sessions one page of a list may hold."""
RELEASE_SECONDS = 0.25
"""The longest wait for the end of a session in the answer to a request that only begins to release it."""


@frozen
class Api:
    """The objects that handlers work on."""

    runtime: Runtime
    links: Links
    cdp_links: CdpLinks


@frozen
class Answer:
    """The answer of an operation: the envelope's ``data``, and the fields beside it at the top level."""

    data: Any = None
    beside: dict[str, Any] = field(factory=dict)


# --- sessions ----------------------------------------------------------------------------------------------------


async def create_session(api: Api, request: ApiRequest) -> Answer:
    """Create a session; the answer is sent when it runs."""
    session = await api.runtime.create(
        request.from_query("imageId"),
        labels=labels(request.body.get("labels"), "labels"),
        idle_timeout=_idle_timeout(request.body.get("timeout")),
        policy_id=_policy_id(request.body.get("mcpPolicyId")),
        mounts=mounts(request.body.get("persistenceDataList")),
    )
    return Answer({"success": True, "errMsg": "", **_connection(session, request.base)})


def _idle_timeout(value: Any) -> float | None:
    """Return the seconds after which an idle session is released; 0 means the default, as if nothing was given."""
    if value is None or value == 0:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        given = str(value) if isinstance(value, int | float) else kind_of(value)
        raise invalid(f"timeout must be a whole number of seconds, at least 1, not {given}")
    return float(min(value, 2**31))


def _policy_id(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    raise invalid(f"mcpPolicyId must be a string, not {kind_of(value)}")


async def get_session(api: Api, request: ApiRequest) -> Answer:
    """Answer how to reach a session; the auth code in its resourceUrl is a new one each time."""
    session = api.runtime.find(request.from_body("sessionId"))
    return Answer({**_connection(session, request.base), "status": session.state})


def _connection(session: LocalSession, base: str) -> dict[str, Any]:
    return {
        "sessionId": session.id,
        "imageId": session.image_id,
        "appInstanceId": session.app_instance_id,
        "resourceId": session.resource_id,
        "resourceUrl": page_url(session, base),
        "linkUrl": "" if session.image_id in WITHOUT_LINK else f"{base}/sessions/{session.id}",
        "wsUrl": f"ws{base.removeprefix('http')}/sessions/{session.id}/ws",
        "token": session.token,
        "toolList": _tools(session.image_id),
    }


async def get_session_info(api: Api, request: ApiRequest) -> Answer:
    """Answer a session's status, that of a released one included."""
    session_id = request.from_body("sessionId")
    return Answer({"sessionId": session_id, "status": api.runtime.status(session_id)})


async def list_sessions(api: Api, request: ApiRequest) -> Answer:
    """Answer one page of the active sessions that have all the labels given."""
    most = request.number_from_query("maxResults", default=10, lowest=1, highest=MOST_RESULTS)
    wanted = labels(request.query.get("labels") or None, "labels")
    page = api.runtime.list(wanted, max_results=most, next_token=request.query.get("nextToken") or None)
    return Answer(
        [{"sessionId": session.id, "sessionStatus": session.state} for session in page.sessions],
        {"nextToken": page.next_token, "maxResults": most, "count": page.count},
    )


async def release_session_async(api: Api, request: ApiRequest) -> Answer:
    """Begin to release a session and answer when it is gone, or after a short time.

    Clients request its state from then on, with pauses that are longer than most sessions take to end.
    """
    session_id = request.from_body("sessionId")
    api.runtime.release(session_id)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(RELEASE_SECONDS):
            await api.runtime.released(session_id)
    return Answer()


async def release_session(api: Api, request: ApiRequest) -> Answer:
    """Release a session and answer when all of it is gone."""
    session_id = request.from_body("sessionId")
    api.runtime.release(session_id)
    await api.runtime.released(session_id)
    return Answer()


async def refresh_session_idle_time(api: Api, request: ApiRequest) -> Answer:
    """Restart a session's idle time."""
    api.runtime.find(request.from_query("sessionId")).touch()
    return Answer()


async def get_mcp_resource(api: Api, request: ApiRequest) -> Answer:
    """Answer the URL of a session's page and, of a session with a desktop, how viewers reach its screen."""
    session = api.runtime.find(request.from_body("sessionId"))
    data = {"sessionId": session.id, "resourceUrl": page_url(session, request.base)}
    return Answer({**data, "desktopInfo": _desktop_info(session, request.base)} if session.has_desktop else data)


def _desktop_info(session: LocalSession, base: str) -> dict[str, str]:
    code = session.new_ticket()
    return {
        "appId": session.app_instance_id,
        "authCode": code,
        "connectionProperties": json_text({"protocol": "vnc", "url": screen_url(session, base, code)}),
        "resourceId": session.resource_id,
        "resourceType": "desktop",
        "ticket": code,
    }


# --- labels and links --------------------------------------------------------------------------------------------


async def set_label(api: Api, request: ApiRequest) -> Answer:
    """Replace all labels of a session."""
    session = api.runtime.find(request.from_query("sessionId"))
    session.set_labels(labels(request.from_query("Labels"), "Labels"))
    session.touch()
    return Answer()


async def get_label(api: Api, request: ApiRequest) -> Answer:
    """Answer the labels of a session."""
    session = api.runtime.find(request.from_query("sessionId"))
    return Answer({"labels": json_text(session.labels), "count": len(session.labels), "nextToken": ""})


async def get_link(api: Api, request: ApiRequest) -> Answer:
    """Answer a URL that leads to a port inside a session, port 30100 if none is given.

    It has a host name of its own where the caller can resolve it (`hosts.Hosts.link_by_name`). A server on loopback has
    no certificate, so ``https`` and ``wss`` are answered with the server's own scheme: ``http`` and ``ws``.
    """
    session = api.runtime.find(request.from_query("sessionId"))
    port = api.links.port(request.query.get("port") or str(FIRST_PORT))
    protocol = request.query.get("protocolType") or "http"
    url = api.links.create(session, port, protocol, request.base, by_name=request.by_name)
    session.touch()
    return Answer({"url": url})


# --- tools -------------------------------------------------------------------------------------------------------


async def list_tools(api: Api, request: ApiRequest) -> Answer:  # noqa: ARG001 - as every handler
    """Answer the tools of an image, as JSON inside a string."""
    return Answer(_tools(request.from_query("imageId")))


def _tools(image_id: str) -> str:
    return json_text([tool.definition() for tool in tools_of(image_id)])


async def call_tool(api: Api, request: ApiRequest) -> Answer:
    """Call a tool by the API; its arguments come as JSON inside a string."""
    session = api.runtime.find(request.from_body("sessionId"), tool=True)
    name = request.from_body("name")
    args = object_or_json(request.body.get(ARGUMENTS), ARGUMENTS)
    reply = await api.runtime.call_tool(session.id, name, args, route="api", hang_up=request.hang_up)
    return Answer(_result(reply, request.base))


async def call_tool_by_link(api: Api, request: ApiRequest) -> Answer:
    """Call a tool at the session's own address, with the session's token instead of the API key."""
    with _at_own_address(session_id := request.path["session_id"]):
        session = api.runtime.find(session_id, tool=True)
        _check_token(request, session)
        name = request.from_body("tool")
        args = object_or_json(request.body.get(ARGUMENTS), ARGUMENTS)
        reply = await api.runtime.call_tool(session.id, name, args, route="link", hang_up=request.hang_up)
        return Answer({"result": _result(reply, request.base)})


def check_session(api: Api, session_id: str) -> None:
    """Raise `Refused` if there is no such session.

    The token may be in the body, so it cannot be checked before the body is read. The id is a secret as well: without
    it, a web page or another user of the machine cannot have this server read and parse large bodies.
    """
    with _at_own_address(session_id):
        api.runtime.find(session_id, tool=True)


@contextlib.contextmanager
def _at_own_address(session_id: str) -> Iterator[None]:
    """Report the end of a session as callers of its own address recognise it: by the status and by these words."""
    try:
        yield
    except Refused as refusal:
        if refusal.code != TOOL_SESSION_NOT_FOUND:
            raise
        gone = f"The session {shown(session_id)} is not found: it has expired or was released"
        raise Refused(SESSION_NOT_FOUND, gone, http_status=404) from refusal


def _check_token(request: ApiRequest, session: LocalSession) -> None:
    """Raise `Refused` unless the session's token is in the header or in the body; clients send it in both."""
    in_body = request.body.get("token")
    given = request.access_token or (in_body if isinstance(in_body, str) else "")
    if not same_secret(given, session.token):
        raise Refused(
            UNAUTHORIZED,
            "The session's token is missing or wrong: send it in the header 'X-Access-Token'",
            http_status=401,
        )


def _result(reply: ToolReply, base: str) -> dict[str, Any]:
    """Return a tool's result; always one text item, since clients differ in how they read none or several."""
    text = f"{base}{reply.path}" if reply.path else reply.text
    result = {"isError": reply.is_error, "content": [{"type": "text", "text": text}]}
    return {**result, "errno": reply.errno} if reply.errno else result
