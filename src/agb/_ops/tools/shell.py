"""The tool `shell`: one command in a new shell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..._wire.toolcall import ToolCall, ToolReply
from ...exceptions import CommandError
from ...results.commands import CommandResult
from . import check_time_limit, reason_of, tool_failure

RUN = "run the command"
TIMED_OUT = "Command execution timeout"
"""The service's text for a command that was ended by its time limit."""


def shell(
    command: str,
    timeout_ms: int = 1000,
    cwd: str | None = None,
    envs: Mapping[str, str] | None = None,
    *,
    session_id: str,
) -> ToolCall[CommandResult]:
    """Return the call that runs ``command``; wrong arguments raise ``ValueError`` or ``TypeError``."""
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
    return ToolCall(
        "shell",
        args,
        lambda reply: _read(reply, session_id),
        seconds=timeout_ms / 1000,
        error=CommandError,
        description=RUN,
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


def _read(reply: ToolReply, session_id: str) -> CommandResult:
    """Read both forms of a failing command, and text that is not JSON as plain output."""
    try:
        fields = json.loads(reply.text or "")
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or not fields.keys() & {"stdout", "stderr", "exit_code", "errorCode"}:
        if reply.is_error:
            own = ToolReply(reason_of("shell", reply), True, reply.request_id)
            return CommandResult.failed(tool_failure("shell", own, session_id, CommandError))
        return CommandResult(reply.request_id, True, output=reply.text or "")
    stdout, stderr = _text(fields.get("stdout")), _text(fields.get("stderr"))
    code = fields.get("exit_code", fields.get("errorCode"))
    if not isinstance(code, int) or isinstance(code, bool):
        code = None if reply.is_error else 0
    return CommandResult.of_exit(
        stdout,
        stderr,
        code,
        request_id=reply.request_id,
        session_id=session_id,
        trace_id=_text(fields.get("traceId")),
        why=(stderr or reply.text or "") if reply.is_error else "",
        is_timeout=reply.is_error and stderr.rstrip().endswith(TIMED_OUT),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
