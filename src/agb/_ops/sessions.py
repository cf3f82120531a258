"""Session operations: create, find, list, label, link, release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import _version
from .._wire.call import Call, get, json_text, post
from .._wire.reply import Reply
from .._wire.shape import ANYTHING, NAME, OBJECT, TEXT, WHOLE, Array, JsonText, Object, Table, maybe, needed
from ..exceptions import AGBError, ErrorKind
from ..results.sessions import GetSessionData, McpTool
from .pages import Page, TokenListing

if TYPE_CHECKING:
    from ..results.sessions import SessionInfo
    from ..session_params import CreateSessionParams

# --- create and find ---------------------------------------------------------------------------------------------

_CONNECTION = {
    **dict.fromkeys(("appInstanceId", "resourceId", "resourceUrl", "status", "imageId"), maybe(TEXT)),
    "linkUrl": maybe(TEXT, "LinkUrl"),
    "wsUrl": maybe(TEXT, "WsUrl"),
    "token": maybe(TEXT, "Token"),
    "toolList": maybe(ANYTHING, "ToolList"),  # as documented, one that cannot be read is an empty one
}
CREATED = Object({"data": needed(Object({"sessionId": needed(NAME), **_CONNECTION}))})
FOUND = Object({"data": needed(Object({"sessionId": maybe(TEXT), **_CONNECTION}))})
STATUS = Object({"data": needed(Object({"status": needed(NAME, "Status")}))})


def create_session(params: CreateSessionParams, hidden: Mapping[str, str] | None = None) -> Call[GetSessionData]:
    """POST /mcp/createSession; ``hidden`` are the SDK's labels beside those of the user."""
    persistence = [
        {
            "contextId": sync.context_id,
            "path": sync.path,
            "policy": json_text((sync.policy or _default_policy()).to_dict()),
        }
        for sync in params.all_context_syncs()
    ]
    labels = {**params.labels, **(hidden or {})}
    body = {
        "persistenceDataList": persistence,
        "labels": json_text(labels) if labels else "",
        "mcpPolicyId": params.policy_id,
        "timeout": params.idle_release_timeout,
    }
    return post(
        f"create a session from the image {params.image_id}",
        "/mcp/createSession",
        {"imageId": params.image_id, "sdkStats": json_text(_SDK_STATS)},
        {name: value for name, value in body.items() if value},
        read=lambda reply: _read_created(reply, params.image_id or ""),
        shape=CREATED,
    )


_SDK_STATS = {
    "source": "sdk",
    "sdk_language": "python",
    "sdk_version": _version.__version__,
    "is_release": "dev" not in _version.__version__,
}


def _default_policy() -> Any:
    from ..context_sync import SyncPolicy

    return SyncPolicy()


def _read_created(reply: Reply, image_id: str) -> GetSessionData:
    """Read the new session; both the envelope and the data inside may report a refusal."""
    body = reply.json()
    data = body.get("data")
    data = data if isinstance(data, dict) else {}
    refuses = body.get("success") is False or data.get("success") is False
    if reply.status >= 400 or refuses or (data.get("errMsg") and not data.get("sessionId")):
        raise reply.refused(_text(data, "errMsg"))
    return _session_data(reply.shaped(CREATED, body)["data"], "", image_id)


def get_session(session_id: str) -> Call[GetSessionData]:
    """POST /mcp/getSession."""
    return post(
        f"get session {session_id}",
        "/mcp/getSession",
        body=_only_id(session_id),
        read=lambda reply: _session_data(reply.content()["data"], session_id, ""),
        repeatable=True,
        session_id=session_id,
        shape=FOUND,
    )


def _session_data(data: Mapping[str, Any], session_id: str, image_id: str) -> GetSessionData:
    return GetSessionData(
        app_instance_id=data.get("appInstanceId", ""),
        resource_id=data.get("resourceId", ""),
        session_id=data.get("sessionId") or session_id,
        success=True,
        resource_url=data.get("resourceUrl", ""),
        status=data.get("status", ""),
        link_url=data.get("linkUrl", ""),
        ws_url=data.get("wsUrl", ""),
        token=data.get("token", ""),
        tool_list=data.get("toolList") or "",
        image_id=data.get("imageId") or image_id,
    )


def get_session_info(session_id: str) -> Call[str]:
    """POST /mcp/getSessionInfo: the state alone; the call does not count as activity."""
    return post(
        f"get the status of session {session_id}",
        "/mcp/getSessionInfo",
        body=_only_id(session_id),
        read=lambda reply: reply.content()["data"]["status"],
        repeatable=True,
        session_id=session_id,
        shape=STATUS,
    )


_GONE = frozenset({"FINISH", "DELETED"})
"""States in which a session is gone for good."""


def is_gone(status: str, error: AGBError | None) -> bool:
    """Return whether the answer to a status call means that the session is gone."""
    if error is not None:
        return error.kind is ErrorKind.NOT_FOUND
    return status.upper() in _GONE


def has_ended(status: str, error: AGBError | None) -> bool:
    """Return whether the answer to a status call means that the session does not serve calls any more."""
    return is_gone(status, error) or status.upper() == "DELETING"


# --- list --------------------------------------------------------------------------------------------------------

# Services write an empty list as null.
SESSION_PAGE = Object(
    {
        "data": maybe(Array(Object({"sessionId": needed(NAME)}))),
        "nextToken": maybe(TEXT),
        "maxResults": maybe(WHOLE),
        "count": maybe(WHOLE),
    }
)


def list_sessions(
    labels: Mapping[str, str] | None = None, max_results: int = 10, next_token: str = "", is_all: bool | None = None
) -> Call[Page[str]]:
    """GET /sdk/ListSession: a page of session ids; all labels must match."""
    return get(
        "list sessions",
        "/sdk/ListSession",
        {
            "maxResults": max_results,
            "labels": json_text(dict(labels or {})),
            "nextToken": next_token,
            "isAll": is_all,
        },
        read=lambda reply: _read_page(reply, max_results),
        repeatable=True,
        shape=SESSION_PAGE,
    )


def session_listing(labels: Mapping[str, str], limit: int = 50) -> TokenListing[str]:
    """Return how the ids of all sessions with these labels are listed, ``limit`` at a time."""
    return TokenListing(lambda token: list_sessions(labels, limit, token), key=lambda session_id: session_id)


def _read_page(reply: Reply, max_results: int) -> Page[str]:
    """Read a page; its tokens and counts are at the top level of the envelope."""
    page = reply.content()
    return Page(
        items=[item["sessionId"] for item in page.get("data", [])],
        next_token=page.get("nextToken", ""),
        max_results=page.get("maxResults") or max_results,
        total_count=page.get("count", 0),
    )


# --- release and keep alive --------------------------------------------------------------------------------------


def release_session_async(session_id: str) -> Call[None]:
    """POST /mcp/releaseSessionAsync: start the release, which ends some time later."""
    return post(
        f"delete session {session_id}",
        "/mcp/releaseSessionAsync",
        body=_only_id(session_id),
        read=_read_release,
        repeatable=True,
        session_id=session_id,
    )


def _read_release(reply: Reply) -> None:
    """Read the answer, which may be inside ``body`` and be spelled with capital letters."""
    outer = reply.json()
    body = inner if isinstance(inner := outer.get("body"), dict) else outer
    success = body.get("Success", body.get("success"))
    if reply.status >= 400 or success is not True:
        raise reply.refused(
            _text(body, "Message") or _text(body, "message"), _text(body, "Code") or _text(body, "code")
        )


def release_session(session_id: str) -> Call[None]:
    """POST /mcp/releaseSession: the older form, which answers when the session is gone."""
    return post(
        f"release session {session_id}",
        "/mcp/releaseSession",
        body=_only_id(session_id),
        read=_nothing,
        repeatable=True,
        session_id=session_id,
    )


def refresh_session_idle_time(session_id: str) -> Call[None]:
    """POST /mcp/refreshSessionIdleTime."""
    return post(
        f"keep session {session_id} alive",
        "/mcp/refreshSessionIdleTime",
        {"sessionId": session_id},
        read=_nothing,
        repeatable=True,
        session_id=session_id,
    )


# --- labels ------------------------------------------------------------------------------------------------------

LABELS = Object({"data": maybe(Object({"labels": maybe(JsonText(Table(TEXT), empty=dict))}))})


def set_label(session_id: str, labels: Mapping[str, str]) -> Call[None]:
    """POST /sdk/SetLabel: replace the whole set; note the capital letter of ``Labels``."""
    return post(
        f"set the labels of session {session_id}",
        "/sdk/SetLabel",
        {"sessionId": session_id, "Labels": json_text(dict(labels))},
        read=_nothing,
        repeatable=True,
        raises=True,
        session_id=session_id,
    )


def get_label(session_id: str, max_results: int | None = None, next_token: str = "") -> Call[dict[str, str]]:
    """GET /sdk/GetLabel."""
    return get(
        f"get the labels of session {session_id}",
        "/sdk/GetLabel",
        {"sessionId": session_id, "maxResults": max_results, "nextToken": next_token},
        read=lambda reply: reply.content().get("data", {}).get("labels", {}),
        repeatable=True,
        raises=True,
        session_id=session_id,
        shape=LABELS,
    )


# --- addresses ---------------------------------------------------------------------------------------------------

LINK = Object({"data": needed(Object({"url": needed(NAME)}))})
_DESKTOP_INFO = {
    "appId": "app_id",
    "authCode": "auth_code",
    "connectionProperties": "connection_properties",
    "resourceId": "resource_id",
    "resourceType": "resource_type",
    "ticket": "ticket",
}
_DESKTOP = Object({**dict.fromkeys(_DESKTOP_INFO, maybe(TEXT)), "connectionProperties": maybe(ANYTHING)})
RESOURCE = Object(
    {"data": needed(Object({"sessionId": maybe(TEXT), "resourceUrl": needed(TEXT), "desktopInfo": maybe(_DESKTOP)}))}
)


def get_link(session_id: str, protocol_type: str | None = None, port: int | None = None) -> Call[str]:
    """GET /internet/getLink."""
    return _get_link("/internet/getLink", session_id, protocol_type, port)


def get_link_mcp(session_id: str, protocol_type: str | None = None, port: int | None = None) -> Call[str]:
    """GET /mcp/getLink: the same at another path, which some deployments serve instead."""
    return _get_link("/mcp/getLink", session_id, protocol_type, port)


def _get_link(path: str, session_id: str, protocol_type: str | None, port: int | None) -> Call[str]:
    return get(
        f"get a link to {'port ' + str(port) if port else 'the default port'} of session {session_id}",
        path,
        {"sessionId": session_id, "protocolType": protocol_type, "port": port or None},
        read=lambda reply: reply.content()["data"]["url"],
        repeatable=True,
        raises=True,
        session_id=session_id,
        shape=LINK,
    )


def get_mcp_resource(session_id: str) -> Call[SessionInfo]:
    """POST /mcp/getMcpResource: where the session's desktop is shown."""
    return post(
        f"get the information of session {session_id}",
        "/mcp/getMcpResource",
        body=_only_id(session_id),
        read=lambda reply: _read_resource(reply, session_id),
        repeatable=True,
        session_id=session_id,
        shape=RESOURCE,
    )


def _read_resource(reply: Reply, session_id: str) -> SessionInfo:
    data = reply.content()["data"]
    info: SessionInfo = {
        "session_id": data.get("sessionId") or session_id,
        "resource_url": data["resourceUrl"],
    }
    desktop = data.get("desktopInfo")
    if desktop is not None:
        info.update({ours: desktop.get(theirs) for theirs, ours in _DESKTOP_INFO.items()})  # type: ignore[typeddict-item]
    return info


# --- tools -------------------------------------------------------------------------------------------------------

_TOOL = Object(
    {
        "name": needed(NAME),
        "inputSchema": maybe(OBJECT),
        **dict.fromkeys(("description", "server", "tool"), maybe(TEXT)),
    }
)
TOOLS = Object({"data": needed(JsonText(Array(_TOOL)))})


def list_tools(image_id: str) -> Call[list[McpTool]]:
    """POST /mcp/listTools: the tools of an image."""
    return post(
        f"list the tools of the image {image_id}",
        "/mcp/listTools",
        {"imageId": image_id},
        read=_read_tools,
        repeatable=True,
        shape=TOOLS,
    )


def _read_tools(reply: Reply) -> list[McpTool]:
    return [
        McpTool(
            name=item["name"],
            description=item.get("description", ""),
            input_schema=item.get("inputSchema"),
            server=item.get("server", ""),
            tool=item.get("tool", ""),
        )
        for item in reply.content()["data"]
    ]


# --- small readers -----------------------------------------------------------------------------------------------


def _only_id(session_id: str) -> dict[str, str]:
    return {"sessionId": session_id} if session_id else {}


def _nothing(reply: Reply) -> None:
    reply.data()


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""
