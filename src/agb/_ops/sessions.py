"""Session operations: create, find, list, label, link, release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import _version
from .._wire.call import Call, get, json_text, post
from .._wire.reply import Reply
from ..exceptions import AGBError, ErrorKind
from ..results.sessions import GetSessionData, McpTool
from .pages import Page, TokenListing

if TYPE_CHECKING:
    from ..results.sessions import SessionInfo
    from ..session_params import CreateSessionParams

# --- create and find ---------------------------------------------------------------------------------------------


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
    data = reply.json().get("data")
    data = data if isinstance(data, dict) else {}
    if reply.status >= 400 or reply.json().get("success") is False or data.get("success") is False:
        raise reply.refused(_text(data, "errMsg"))
    if not _text(data, "sessionId"):
        raise reply.refused(_text(data, "errMsg")) if data.get("errMsg") else reply.invalid("it names no session id")
    return _session_data(data, _text(data, "sessionId"), image_id)


def get_session(session_id: str) -> Call[GetSessionData]:
    """POST /mcp/getSession."""
    return post(
        f"get session {session_id}",
        "/mcp/getSession",
        body=_only_id(session_id),
        read=lambda reply: _session_data(reply.object(), session_id, ""),
        repeatable=True,
        session_id=session_id,
    )


def _session_data(data: Mapping[str, Any], session_id: str, image_id: str) -> GetSessionData:
    """Read connection data; getSession may spell some names with a capital letter."""

    def either(name: str) -> Any:
        return data[name] if name in data else data.get(name[:1].upper() + name[1:])

    return GetSessionData(
        app_instance_id=_text(data, "appInstanceId"),
        resource_id=_text(data, "resourceId"),
        session_id=_text(data, "sessionId") or session_id,
        success=True,
        resource_url=_text(data, "resourceUrl"),
        status=_text(data, "status"),
        link_url=_string(either("linkUrl")),
        ws_url=_string(either("wsUrl")),
        token=_string(either("token")),
        tool_list=either("toolList") or "",
        image_id=_text(data, "imageId") or image_id,
    )


def get_session_info(session_id: str) -> Call[str]:
    """POST /mcp/getSessionInfo: the state alone; the call does not count as activity."""
    return post(
        f"get the status of session {session_id}",
        "/mcp/getSessionInfo",
        body=_only_id(session_id),
        read=_read_status,
        repeatable=True,
        session_id=session_id,
    )


def _read_status(reply: Reply) -> str:
    data = reply.object()
    return _text(data, "status") or _text(data, "Status")


_GONE = frozenset({"FINISH", "DELETED"})
"""States in which a session is gone for good."""


def is_gone(status: str, error: AGBError | None) -> bool:
    """Return whether the answer to a status call means that the session is gone."""
    if error is not None:
        return error.kind is ErrorKind.NOT_FOUND
    return status.upper() in _GONE


# --- list --------------------------------------------------------------------------------------------------------


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
    )


def session_listing(labels: Mapping[str, str], limit: int = 50) -> TokenListing[str]:
    """Return how the ids of all sessions with these labels are listed, ``limit`` at a time."""
    return TokenListing(lambda token: list_sessions(labels, limit, token), key=lambda session_id: session_id)


def _read_page(reply: Reply, max_results: int) -> Page[str]:
    """Read a page; its tokens and counts are at the top level of the envelope."""
    data = reply.data()
    items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    body = reply.json()
    return Page(
        items=[session_id for item in items if (session_id := _text(item, "sessionId"))],
        next_token=_text(body, "nextToken"),
        max_results=_number(body, "maxResults") or max_results,
        total_count=_number(body, "count"),
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
        read=_read_labels,
        repeatable=True,
        raises=True,
        session_id=session_id,
    )


def _read_labels(reply: Reply) -> dict[str, str]:
    data = reply.data() or {}
    text = data.get("labels") if isinstance(data, dict) else None
    if not text:
        return {}
    try:
        labels = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError) as error:
        raise reply.invalid("its labels are not JSON") from error
    if not isinstance(labels, dict):
        raise reply.invalid("its labels are not an object")
    return labels


# --- addresses ---------------------------------------------------------------------------------------------------


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
        read=lambda reply: _required(reply, "url", "No URL found in response"),
        repeatable=True,
        raises=True,
        session_id=session_id,
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
    )


def _read_resource(reply: Reply, session_id: str) -> SessionInfo:
    data = reply.data()
    if not data:
        raise reply.invalid("No resource data found in response")
    if not isinstance(data, dict):
        raise reply.invalid("the resource data is not an object")
    info: SessionInfo = {
        "session_id": _text(data, "sessionId") or session_id,
        "resource_url": _text(data, "resourceUrl"),
    }
    desktop = data.get("desktopInfo")
    if isinstance(desktop, dict):
        info.update({ours: desktop.get(theirs) for theirs, ours in _DESKTOP_INFO.items()})  # type: ignore[typeddict-item]
    return info


_DESKTOP_INFO = {
    "appId": "app_id",
    "authCode": "auth_code",
    "connectionProperties": "connection_properties",
    "resourceId": "resource_id",
    "resourceType": "resource_type",
    "ticket": "ticket",
}


# --- tools -------------------------------------------------------------------------------------------------------


def list_tools(image_id: str) -> Call[list[McpTool]]:
    """POST /mcp/listTools: the tools of an image."""
    return post(
        f"list the tools of the image {image_id}",
        "/mcp/listTools",
        {"imageId": image_id},
        read=_read_tools,
        repeatable=True,
    )


def _read_tools(reply: Reply) -> list[McpTool]:
    data = reply.data()
    if isinstance(data, str):
        try:
            data = json.loads(data or "[]")
        except (ValueError, RecursionError) as error:
            raise reply.invalid("Failed to parse tools list") from error
    if data is not None and not isinstance(data, list):
        raise reply.invalid("Failed to parse tools list: it is not an array")
    return [
        McpTool(
            name=_text(item, "name"),
            description=_text(item, "description"),
            input_schema=schema if isinstance(schema := item.get("inputSchema"), dict) else {},
            server=_text(item, "server"),
            tool=_text(item, "tool"),
        )
        for item in data or []
        if isinstance(item, dict)
    ]


# --- small readers -----------------------------------------------------------------------------------------------


def _only_id(session_id: str) -> dict[str, str]:
    return {"sessionId": session_id} if session_id else {}


def _nothing(reply: Reply) -> None:
    reply.data()


def _required(reply: Reply, name: str, otherwise: str) -> str:
    value = _text(reply.object(), name)
    if not value:
        raise reply.invalid(otherwise)
    return value


def _text(data: Mapping[str, Any], name: str) -> str:
    return _string(data.get(name))


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
