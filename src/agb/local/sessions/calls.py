"""Calls of a session's tools: each counts as activity while it runs, and is kept in the session's recent calls."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import define

from ..errors import invalid, session_not_found
from ..kernels.base import Execution
from ..sandbox.sandbox import SandboxGone
from . import tools
from .arguments import BadArgument
from .images import tools_of
from .session import CallRecord, LocalSession
from .tools import RUN_CODE, Tool, ToolReply


@define
class _Call:
    """A call under way, and whether it has succeeded."""

    ok: bool = False


async def call_tool(session: LocalSession, name: str, args: Mapping[str, Any], *, route: str) -> ToolReply:
    """Call a tool of a session; an error inside the session is a reply with ``is_error``."""
    offered = {tool.name: tool for tool in tools_of(session.image_id)}
    tool = offered.get(name)
    if tool is None:
        text = f"The tool {name[:100]!r} is not offered by the image {session.image_id}; offered are "
        return ToolReply(text + ", ".join(offered), is_error=True)
    with _recorded(session, tool, args, route) as call:
        reply = await tool.call(session, args)
        call.ok = not reply.is_error
        return reply


async def stream_code(session: LocalSession, args: Mapping[str, Any], execution: Execution) -> None:
    """Run code like the tool ``run_code``; ``execution`` takes the output while the code runs.

    Raises ``Refused`` for arguments that make no sense, and when the session was released while the code ran.
    """
    with _recorded(session, RUN_CODE, args, "stream") as call:
        try:
            await tools.stream_code(session, args, execution)
        except BadArgument as error:
            raise invalid(f"run_code: {error}") from error
        except SandboxGone as error:
            raise session_not_found(session.id, tool=True) from error
        if session.state != "RUNNING":
            raise session_not_found(session.id, tool=True)
        call.ok = execution.error is None


@contextlib.contextmanager
def _recorded(session: LocalSession, tool: Tool, args: Mapping[str, Any], route: str) -> Iterator[_Call]:
    at, began = datetime.now(UTC), time.perf_counter()
    call = _Call()
    try:
        with session.active():
            yield call
    finally:
        seconds = time.perf_counter() - began
        session.recent_calls.append(CallRecord(at, tool.name, route, seconds, call.ok, tool.summary(args)))
