"""The tool `shell`: its arguments and its result."""

from __future__ import annotations

import base64
import binascii
import errno
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from ..._wire.toolcall import LONGEST_RUN, SHOWN
from .arguments import Arguments, Text
from .session import LocalSession
from .shell import ShellResult, in_base64, run_shell
from .tools import Tool, ToolReply, to_json

_NOT_FOUND, _CANNOT_RUN = 127, 126
"""Exit codes of shells for a program that does not exist, and for one that cannot be run."""


class ShellArguments(Arguments, frozen=True):
    """Arguments of ``shell``."""

    command: Annotated[Text, Meta(description="Command line, run by a new bash.")]
    timeout_ms: Annotated[int, Meta(description="Milliseconds until it is killed.", ge=1, le=LONGEST_RUN * 1000)] = 1000
    cwd: Annotated[
        Text | None, Meta(description="Directory to run it in; relative to the session's home, which is the default.")
    ] = None
    envs: Annotated[dict[Text, Text] | None, Meta(description="Variables added to its environment.")] = None
    argv: Annotated[
        list[Text] | None, Meta(description="A program and its arguments, run without a shell in place of the command.")
    ] = None
    stdin: Annotated[str | None, Meta(description="Its input, in base64; empty by default.")] = None
    output_limit: (
        Annotated[int, Meta(description="Bytes of stdout, and of stderr, that are returned at most.", ge=0)] | None
    ) = None
    format: Annotated[
        Literal["text", "binary"],
        Meta(description="How stdout and stderr are returned: text (UTF-8) or binary (base64 of the bytes)."),
    ] = "text"


async def shell(session: LocalSession, given: ShellArguments) -> ToolReply:
    """Run a command; the text is JSON with ``stdout``, ``stderr``, ``exit_code`` and ``traceId``.

    Where they apply, it also has ``timed_out``, since a program can write any text, and ``discarded``, the bytes of
    each stream beyond the limit.
    """
    envs = {name: value for name, value in (given.envs or {}).items() if name != SHOWN}
    for key in envs:
        if not key or "=" in key:
            return _not_run(f"argument 'envs': {key!r} cannot be the name of a variable")
    try:
        stdin = base64.b64decode(given.stdin or "", validate=True)
    except (binascii.Error, ValueError) as error:
        return _not_run(f"argument 'stdin': not base64: {error}")
    await session.ready_for_programs()
    try:
        result = await run_shell(
            session.sandbox,
            session.shell,
            given.command,
            timeout=given.timeout_ms / 1000,
            cwd=given.cwd or None,
            envs=envs,
            argv=given.argv or (),
            stdin=stdin,
            output_limit=given.output_limit,
            is_binary=given.format == "binary",
        )
    except OSError as error:
        if given.cwd and error.filename == str(Path(session.sandbox.home, given.cwd)):
            return _not_run(f"argument 'cwd': cannot run in {given.cwd!r}: {error.strerror}", error)
        if given.argv:
            return _reply(_without_program(given, error), given)
        return _not_run(f"the shell could not be started: {error.strerror or error}", error)
    return _reply(result, given)


def _without_program(given: ShellArguments, error: OSError) -> ShellResult:
    """Return the result of a program that could not be started, as a shell reports it."""
    code = _NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_RUN
    text = f"{(given.argv or [''])[0]}: {error.strerror or error}\n"
    return ShellResult("", in_base64(text.encode()) if given.format == "binary" else text, code, "", False, {})


def _reply(result: ShellResult, given: ShellArguments) -> ToolReply:
    text: dict[str, Any] = {
        "stdout": result.stdout,
        "stderr": result.stderr,
        "exit_code": result.exit_code,
        "traceId": result.trace_id,
    }
    if given.format != "text":
        text["format"] = given.format
    if result.has_timed_out:
        text["timed_out"] = True
    if result.discarded:
        text["discarded"] = result.discarded
    return ToolReply(to_json(text), is_error=result.exit_code != 0)


def _not_run(why: str, error: OSError | None = None) -> ToolReply:
    # Plain text without an exit code, by which clients know that nothing was run.
    name = "" if error is None or error.errno is None else errno.errorcode.get(error.errno, "")
    return ToolReply(f"shell: {why}", is_error=True, errno=name)


SHELL: Final = Tool(
    "shell",
    "wuying_shell",
    "Run a shell command and return its output.",
    ShellArguments,
    shell,
    summarized="command",
    ends_with_caller=True,
)
