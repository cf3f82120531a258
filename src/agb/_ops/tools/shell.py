"""The tool `shell`: one command in a new shell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..._wire.shape import FLAG, TEXT, WHOLE, Object, ShapeError, maybe
from ..._wire.toolcall import SHOWN, ToolCall, ToolReply
from ...exceptions import CommandError
from ...results.base import Truncated
from ...results.commands import CommandResult
from . import DISCARDED, check_time_limit, invalid, reason_of, tool_failure

RUN = "run the command"
TIMED_OUT = "Command execution timeout"
"""The service's text for a command that was ended by its time limit, as the whole text of a tool that failed.

As a part of stderr it says nothing: a program can write it there.
"""

_LONGEST_SHOWN = 300

SHELL = Object(
    {
        "stdout": maybe(TEXT),
        "stderr": maybe(TEXT),
        "exit_code": maybe(WHOLE, "errorCode"),
        "traceId": maybe(TEXT),
        "timed_out": maybe(FLAG),
        "discarded": maybe(DISCARDED),
    }
)


def shell(
    command: str,
    timeout_ms: int = 1000,
    cwd: str | None = None,
    envs: Mapping[str, str] | None = None,
    *,
    session_id: str,
    shown: str = "",
) -> ToolCall[CommandResult]:
    """Return the call that runs ``command``; wrong arguments raise ``ValueError`` or ``TypeError``.

    ``shown`` says what a script of the SDK does, for those who look at the calls of a session.
    """
    if not isinstance(command, str):
        raise TypeError(f"command must be a string, not {type(command).__name__}")
    if isinstance(timeout_ms, bool) or not isinstance(timeout_ms, int):
        raise TypeError(f"timeout_ms must be a whole number of milliseconds, not {timeout_ms!r}")
    check_time_limit("timeout_ms", timeout_ms, "milliseconds", 1000)
    args: dict[str, Any] = {"command": command, "timeout_ms": timeout_ms}
    if cwd is not None:
        args["cwd"] = cwd
    if envs is not None:
        _check_envs(envs)
        args["envs"] = dict(envs)
    if shown:
        args["command"] = f"unset {SHOWN}; {command}"
        args["envs"] = {**args.get("envs", {}), SHOWN: shown[:_LONGEST_SHOWN]}
    return ToolCall(
        "shell",
        args,
        lambda reply: _read(reply, timeout_ms, session_id),
        seconds=timeout_ms / 1000,
        error=CommandError,
        description=RUN,
        shape=SHELL,
    )


def _check_envs(envs: Mapping[str, str]) -> None:
    if not isinstance(envs, Mapping):
        raise TypeError(f"envs must be a dict of strings to strings, not {type(envs).__name__}")
    wrong: list[str] = []
    for key, value in envs.items():
        if not isinstance(key, str):
            wrong.append(f"key {key!r} (type: {type(key).__name__})")
        if not isinstance(value, str):
            wrong.append(f"value for key {key!r} (type: {type(value).__name__})")
    if wrong:
        raise ValueError(
            "Invalid environment variables: all keys and values must be strings. "
            f"Found invalid entries: {', '.join(wrong)}"
        )


def _read(reply: ToolReply, timeout_ms: int, session_id: str) -> CommandResult:
    """Read both forms of a failing command, and text that is not a JSON object as plain output."""
    if not reply.text and not reply.is_error:
        return _invalid("it contains no result", reply, session_id)
    try:
        value = json.loads(reply.text or "")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or (reply.is_error and not value.keys() & _OF_A_COMMAND):
        if not reply.is_error:
            return CommandResult(reply.request_id, True, output=reply.text or "")
        if (reply.text or "").strip() == TIMED_OUT:
            return _timed_out({}, reply, timeout_ms, session_id)
        own = ToolReply(reason_of("shell", reply), True, reply.request_id)
        return CommandResult.failed(tool_failure("shell", own, session_id, CommandError))
    try:
        fields = SHELL.read(value, "")
    except ShapeError as error:
        return _invalid(str(error), reply, session_id)
    if not fields.keys() & _OF_A_COMMAND:
        return _invalid("it contains no result", reply, session_id)
    if fields.get("timed_out"):
        return _timed_out(fields, reply, timeout_ms, session_id)
    code = fields.get("exit_code", None if reply.is_error else 0)
    why = ""
    if reply.is_error and not code:
        why = "the command failed" if code is None else "the tool 'shell' reported a failure"
    return _result(fields, code, reply, session_id, why=why)


def _invalid(why: str, reply: ToolReply, session_id: str) -> CommandResult:
    return CommandResult.failed(invalid("shell", why, reply, session_id, CommandError))


_OF_A_COMMAND = frozenset({"stdout", "stderr", "exit_code", "errorCode"})
"""The fields of which a result has at least one."""


def _timed_out(fields: Mapping[str, Any], reply: ToolReply, timeout_ms: int, session_id: str) -> CommandResult:
    why = (
        f"the command was ended by its time limit of {timeout_ms} ms; the argument timeout_ms sets it, "
        "and it is 1000 unless given"
    )
    return _result(fields, fields.get("exit_code"), reply, session_id, why=why, is_timeout=True)


def _result(
    fields: Mapping[str, Any],
    code: int | None,
    reply: ToolReply,
    session_id: str,
    *,
    why: str,
    is_timeout: bool = False,
) -> CommandResult:
    return CommandResult.of_exit(
        fields.get("stdout", ""),
        fields.get("stderr", ""),
        code,
        request_id=reply.request_id,
        session_id=session_id,
        trace_id=fields.get("traceId", ""),
        why=why,
        is_timeout=is_timeout,
        truncated=Truncated(**fields.get("discarded", {})),
    )
