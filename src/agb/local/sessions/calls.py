"""Calls of a session's tools: each counts as activity while it runs, and is kept in the session's recent calls."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import define

from ..errors import invalid, session_not_found
from ..kernels.base import Execution
from ..sandbox.sandbox import SandboxGone
from . import tools
from .arguments import BadArgument
from .images import IMAGES, tools_of
from .session import CallRecord, LocalSession, RunningCall
from .tasks import stop
from .tools import RUN_CODE, Tool, ToolReply

_REPLY = 4000
"""Characters of a reply that are kept."""


@define
class _Call:
    """A call under way, whether it has succeeded, and the text of its reply."""

    ok: bool = False
    text: str = ""


HangUp = Callable[[], Coroutine[Any, Any, None]]
"""Returns once the caller has hung up, so that the reply is not read any more."""


async def call_tool(
    session: LocalSession, name: str, args: Mapping[str, Any], *, route: str, hang_up: HangUp | None = None
) -> ToolReply:
    """Call a tool of a session; an error inside the session is a reply with ``is_error``.

    A tool that runs a program of the caller is ended when the caller hangs up. Raises ``Refused`` when the session was
    released while the call was running.
    """
    offered = {tool.name: tool for tool in tools_of(session.image_id)}
    tool = offered.get(name)
    if tool is None:
        text = f"The tool {name[:100]!r} is not offered by the image {session.image_id}; "
        having = [image for image, tools in IMAGES.items() if any(tool.name == name for tool in tools)]
        if having:
            return ToolReply(f"{text}create the session with one of {', '.join(having)}", is_error=True)
        return ToolReply(f"{text}offered are {', '.join(offered)}", is_error=True)
    with _recorded(session, tool, args, route) as call:
        if hang_up is not None and tool.ends_with_caller:
            reply = await _until(hang_up, tool.call(session, args), tool)
        else:
            reply = await tool.call(session, args)
        call.ok, call.text = not reply.is_error, reply.text
        return reply


async def _until(hang_up: HangUp, work: Coroutine[Any, Any, ToolReply], tool: Tool) -> ToolReply:
    """Return the reply of a tool; if the caller hangs up before, end the tool's work and wait for its end."""
    running, leaving = asyncio.create_task(work), asyncio.create_task(hang_up())
    try:
        await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return running.result()
    finally:
        await stop({running, leaving})
    if not running.cancelled():
        running.exception()  # read, or asyncio reports it as never retrieved
    return ToolReply(f"{tool.name}: the caller hung up, so it was ended", is_error=True)


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
    session.calls += 1
    running = RunningCall(session.calls, datetime.now(UTC), tool.name, route, time.perf_counter(), tool.summary(args))
    session.running_calls.append(running)
    call = _Call()
    try:
        with session.active():
            yield call
    finally:
        session.running_calls.remove(running)
        seconds = time.perf_counter() - running.began
        about = (running.number, running.at, tool.name, route, seconds)
        session.recent_calls.append(CallRecord(*about, call.ok, running.summary, call.text[:_REPLY]))
