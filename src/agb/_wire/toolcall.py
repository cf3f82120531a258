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
from .shape import FLAG, TEXT, Array, JsonText, Object, Shape, ShapeError, maybe, needed

T = TypeVar("T")

LONGEST_RUN = 86_400
"""Seconds that code and a command may run at most: a day."""
SHOWN = "AGB_SHOWN"
"""A variable of a call of ``shell`` that says what a script of the SDK does; the script removes it first.

The local runtime displays it in place of the script, which is not what the user wrote, and does not pass it on.
"""


@frozen
class ToolReply:
    """The answer of a tool."""

    text: str | None
    """The text; base64 for a picture without text; None if the answer has neither."""
    is_error: bool
    request_id: str
    errno: str = ""
    """The name of the operating system's error, such as ``EACCES``, if the tool failed by one and the service says so.
    """


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
    shape: Shape | None = None
    """What the text of a success contains, if it is JSON."""


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
        shape=BY_API,
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
        shape=BY_LINK,
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


class _Content(Shape):
    """One item of a tool's content; on the link route it may be a string."""

    def read(self, value: Any, place: str) -> dict[str, Any]:
        """Return the fields of the item; one of the type text has a text."""
        if isinstance(value, str):
            return {"text": value}
        item: dict[str, Any] = _ITEM.read(value, place)
        if item.get("type") == "text" and "text" not in item:
            raise ShapeError(f"it has no {place}.text")
        return item


_ITEM = Object(dict.fromkeys(("type", "text", "data", "blob"), maybe(TEXT)))
_RESULT = Object({"isError": maybe(FLAG), "content": maybe(Array(_Content())), "errno": maybe(TEXT)})
BY_API = Object({"data": maybe(_RESULT)})
BY_LINK = Object({"data": needed(JsonText(Object({"result": needed(_RESULT)})))})


def _read_api(reply: Reply) -> ToolReply:
    """Return all text items joined; without any, the data of the first picture."""
    result = reply.content().get("data", {})
    items = result.get("content", [])
    texts = [item["text"] for item in items if item.get("type") == "text"]
    pictures = [item["data"] for item in items if item.get("type") == "image" and "data" in item]
    text = "\n".join(texts) if texts else next(iter(pictures), None)
    return ToolReply(text, result.get("isError", False), reply.request_id, result.get("errno", ""))


def _read_link(reply: Reply, request_id: str) -> ToolReply:
    """Return the first item only, as the link route does; a status outside 200-299 is a refusal with a reason."""
    body = reply.json()
    if not 200 <= reply.status < 300:
        raise reply.refused()
    try:
        result = reply.shaped(BY_LINK, body)["data"]["result"]
    except AGBError:
        if body.get("success") is False:
            raise reply.refused() from None
        raise
    first: dict[str, str] = next(iter(result.get("content", [])), {})
    text = next((first[key] for key in ("text", "blob", "data") if first.get(key)), "")
    return ToolReply(text, result.get("isError", False), request_id, result.get("errno", ""))


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
