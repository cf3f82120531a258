"""Tool calls: one use of an in-session tool, and the two routes it can take.

API: POST /mcp; POST {link_url}/callTool.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from attrs import field, frozen

from ..exceptions import AGBError, SessionError
from .call import Call, json_text, post
from .reply import Reply

T = TypeVar("T")

LONGEST_RUN = 86_400
"""Seconds that code and a command may run at most: a day."""


@frozen
class ToolReply:
    """The answer of a tool."""

    text: str | None
    """The text; base64 for a picture without text; None if the answer has neither."""
    is_error: bool
    request_id: str


@frozen
class ToolCall(Generic[T]):
    """One use of a tool and how to read its text; built by the functions of ``agb._ops.tools``."""

    name: str
    args: Mapping[str, Any]
    read: Callable[[ToolReply], T]
    """Return the result for the answer, also when the tool failed, or raise an `AGBError`."""
    seconds: float = 0.0
    """How long the tool itself may take; the call's deadline is at least this."""
    repeatable: bool = False
    error: type[AGBError] = SessionError
    """The class of errors of this tool's calls."""
    description: str = ""
    """What the caller wants, as a verb phrase for error texts: "read '/tmp/a'"; otherwise the tool is named."""


@frozen
class ToolAccess:
    """The data by which the tools of a session are called."""

    session_id: str
    link_url: str = ""
    token: str = field(default="", repr=False)
    servers: Mapping[str, str] = field(factory=dict)
    """The server of each tool by the tool's name, from the session's tool list."""


def routed(tool: ToolCall[Any], access: ToolAccess) -> Call[ToolReply]:
    """Return the call by the route that the protocol prescribes.

    That is directly to the session's host if link URL, token and server are known, otherwise through the API.
    """
    server = access.servers.get(tool.name, "")
    if access.link_url and access.token and server:
        return over_link(tool, access, server)
    return over_api(tool, access.session_id)


def over_api(tool: ToolCall[Any], session_id: str) -> Call[ToolReply]:
    """Return the call through the API.

    API: POST /mcp.
    """
    return post(
        _description(tool, session_id),
        "/mcp",
        {"autoGenSession": False},
        {"args": _json_args(tool), "sessionId": session_id, "name": tool.name},
        read=_read_api,
        **_common(tool, session_id),
    )


def over_link(tool: ToolCall[Any], access: ToolAccess, server: str) -> Call[ToolReply]:
    """Return the call to the session's own host; the request id is generated here.

    API: POST {link_url}/callTool.
    """
    request_id = f"link-{time.time_ns() // 1_000_000}-{random.randrange(10**9):09d}"
    _json_args(tool)
    return post(
        _description(tool, access.session_id),
        "/callTool",
        body={
            "args": dict(tool.args),
            "server": server,
            "requestId": request_id,
            "tool": tool.name,
            "token": access.token,
        },
        read=lambda reply: _read_link(reply, request_id),
        base=access.link_url.rstrip("/"),
        token=access.token,
        **_common(tool, access.session_id),
    )


def _description(tool: ToolCall[Any], session_id: str) -> str:
    return f"{tool.description or f'call the tool {tool.name!r}'} in session {session_id}"


def _common(tool: ToolCall[Any], session_id: str) -> dict[str, Any]:
    return {"repeatable": tool.repeatable, "session_id": session_id, "error": tool.error}


def _json_args(tool: ToolCall[Any]) -> str:
    """Return the arguments as JSON; arguments that JSON cannot represent raise before any I/O."""
    try:
        return json_text(tool.args)
    except (TypeError, ValueError, RecursionError) as error:
        raise type(error)(f"the arguments of the tool {tool.name!r} cannot be written as JSON: {error}") from error


def _read_api(reply: Reply) -> ToolReply:
    """Return all text items joined; without any, the data of the first picture."""
    data = reply.data()
    if data is None:
        return ToolReply(None, False, reply.request_id)
    if not isinstance(data, dict):
        raise reply.invalid("the tool's result is not an object")
    items = [item for item in _items(data, reply) if isinstance(item, dict)]
    texts = [item["text"] for item in items if item.get("type") == "text" and isinstance(item.get("text"), str)]
    pictures = [item["data"] for item in items if item.get("type") == "image" and isinstance(item.get("data"), str)]
    text = "\n".join(texts) if texts else next(iter(pictures), None)
    return ToolReply(text, data.get("isError") is True, reply.request_id)


def _read_link(reply: Reply, request_id: str) -> ToolReply:
    """Return the first item only, as the link route does; a status outside 200-299 is a refusal with a reason."""
    body = reply.json()
    if not 200 <= reply.status < 300:
        raise reply.refused()
    data = body.get("data")
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise reply.invalid("the tool's result is not JSON") from error
    result = data.get("result") if isinstance(data, dict) else None
    if not isinstance(result, dict):
        if body.get("success") is False:
            raise reply.refused()
        raise reply.invalid("it contains no tool result")
    first = next(iter(_items(result, reply)), "")
    if isinstance(first, dict):
        first = next((first[key] for key in ("text", "blob", "data") if first.get(key)), "")
    if not isinstance(first, str):
        raise reply.invalid("the tool's text is not a string")
    return ToolReply(first, result.get("isError") is True, request_id)


def _items(result: Mapping[str, Any], reply: Reply) -> list[Any]:
    content = result.get("content") or []
    if not isinstance(content, list):
        raise reply.invalid("the tool's content is not an array")
    return content


def parse_tool_list(value: Any) -> list[dict[str, Any]]:
    """Return the tools in a ``toolList``, which is JSON text or an array.

    Each has its name and server, and ``inputSchema``, the JSON Schema of its arguments, if the list contains it.

    API: POST /mcp/createSession, POST /mcp/getSession.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value) if value else []
        except (ValueError, RecursionError):
            return []  # as documented: an unreadable list is an empty one, and calls take the API's route
    tools = []
    for item in value if isinstance(value, list) else []:
        if isinstance(item, dict) and isinstance(name := item.get("name") or item.get("Name"), str):
            server = item.get("server") or item.get("serverName") or item.get("Server") or ""
            tool: dict[str, Any] = {"name": name, "server": server if isinstance(server, str) else ""}
            if isinstance(schema := item.get("inputSchema"), dict):
                tool["inputSchema"] = schema
            tools.append(tool)
    return tools
