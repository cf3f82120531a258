"""Programs that run to their end in one call of `shell`, byte for byte; and as which user programs can run.

The arguments that this takes are an addition to the protocol: a list of arguments in place of a command, the input, and
outputs in base64. A service that has them says so in its list of tools (`takes_programs`).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from shlex import join
from typing import Any

from attrs import evolve, frozen

from ..._wire.shape import FLAG, TEXT, WHOLE, Object, ShapeError, maybe, needed
from ..._wire.toolcall import LONGEST_RUN, ToolCall, ToolReply
from ...exceptions import CommandError, ErrorKind, Sent
from ...results.commands import CommandResult
from ...results.sandbox import ExecOutcome
from ...results.sessions import McpTool
from . import DISCARDED, has_argument, invalid, tool_failure
from .program import check_environment, check_text, command_line
from .shell import RUN, shell

OUTPUT_LIMIT = 16 << 20
"""Bytes of each output that are returned, unless the caller sets others."""
INLINE_INPUT = 4 << 20
"""Bytes of input that one call carries; more is written to a file first."""
TIMED_OUT = 124
"""Exit code of a program that its time limit ended, as of the program timeout."""
SHELL = 'if command -v bash >/dev/null; then exec bash -c -- "$0"; else exec sh -c -- "$0"; fi'
"""Runs the command in ``$0`` in the session's shell."""
SHELL_FILE = (
    'exec 3<"$0"; rm -f -- "$0"; s=$(command -v bash || command -v sh); exec "$s" -c \'eval "$(cat <&3)" 3<&-\''
)
"""Does the same for a command in the file ``$0``, which may be longer than an argument."""
WITH_INPUT = 'f=$0; exec 3<"$f"; rm -f -- "$f"; exec "$@" <&3 3<&-'
"""Runs a program whose input is the file ``$0``."""

_OUTCOME = Object(
    {
        "stdout": needed(TEXT),
        "stderr": needed(TEXT),
        "exit_code": needed(WHOLE),
        "format": needed(TEXT),
        "timed_out": maybe(FLAG),
        "discarded": maybe(DISCARDED),
    }
)


def takes_programs(tools: Iterable[McpTool]) -> bool | None:
    """Return whether the `shell` in a list of tools has the arguments of `run`, None if the list does not say."""
    return has_argument(tools, "shell", "argv")


def check_limit(output_limit: int) -> None:
    """Raise ``TypeError`` or ``ValueError`` unless this is a number of bytes."""
    if isinstance(output_limit, bool) or not isinstance(output_limit, int):
        raise TypeError(f"output_limit must be a number of bytes, not {output_limit!r}")
    if output_limit < 0:
        raise ValueError(f"output_limit must be a number of bytes, not {output_limit}")


def check_run(
    command: str | Sequence[str],
    cwd: str | None,
    envs: Mapping[str, str] | None,
    stdin: bytes | str | None,
    output_limit: int,
) -> bytes:
    """Raise ``TypeError`` or ``ValueError`` unless a program can be run so; return its input."""
    command_line(command)
    if cwd is not None:
        check_text(cwd, "cwd")
    check_environment(envs or {})
    check_limit(output_limit)
    if stdin is None:
        return b""
    if not isinstance(stdin, (str, bytes, bytearray, memoryview)):
        raise TypeError(f"stdin must be text or bytes, not {type(stdin).__name__}")
    return stdin.encode() if isinstance(stdin, str) else bytes(stdin)


def run(
    command: str | Sequence[str],
    *,
    cwd: str | None,
    envs: Mapping[str, str] | None,
    stdin: bytes,
    timeout: float | None,
    output_limit: int,
    session_id: str,
) -> ToolCall[ExecOutcome]:
    """Return the call that runs a program to its end; the arguments were checked by `check_run`."""
    seconds = LONGEST_RUN if timeout is None else min(timeout, LONGEST_RUN)
    args: dict[str, Any] = {
        "command": command if isinstance(command, str) else join(command),
        "timeout_ms": max(1, int(seconds * 1000)),
        "format": "binary",
        "output_limit": output_limit,
    }
    if not isinstance(command, str):
        args["argv"] = [*command]
    if cwd is not None:
        args["cwd"] = cwd
    if envs:
        args["envs"] = dict(envs)
    if stdin:
        args["stdin"] = base64.b64encode(stdin).decode("ascii")
    return ToolCall(
        "shell",
        args,
        lambda reply: _read(reply, session_id),
        seconds=seconds,
        error=CommandError,
        description=RUN,
    )


def _read(reply: ToolReply, session_id: str) -> ExecOutcome:
    try:
        value = json.loads(reply.text or "")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        if reply.is_error:
            raise tool_failure("shell", reply, session_id, CommandError, RUN)
        raise invalid("shell", "it contains no result", reply, session_id, CommandError)
    try:
        fields = _OUTCOME.read(value, "")
        stdout, stderr = (base64.b64decode(fields[name], validate=True) for name in ("stdout", "stderr"))
    except (ShapeError, binascii.Error, ValueError) as error:
        raise invalid("shell", str(error), reply, session_id, CommandError) from error
    return ExecOutcome(
        fields["exit_code"], stdout, stderr, fields.get("timed_out", False), bool(fields.get("discarded"))
    )


# --- users ----------------------------------------------------------------------------------------------------------

_AS_USER = """\
uid=$(id -u); wanted=$(id -u -- "$u" 2>/dev/null) || { echo agb-user missing; exit 0; }
if [ "$wanted" = "$uid" ]; then echo agb-user self
elif [ "$uid" = 0 ] && command -v setpriv >/dev/null; then echo "agb-user setpriv $wanted $(id -g -- "$u")"
elif sudo -n -E -u "$u" true 2>/dev/null; then echo agb-user sudo
elif [ "$wanted" = 0 ] && unshare --map-root-user -- true 2>/dev/null; then echo agb-user namespace
else echo agb-user denied; fi
"""


@frozen
class AsUser:
    """How programs of a user are run: the program with its arguments that stands before theirs."""

    prefix: tuple[str, ...]


def as_user(user: str, *, session_id: str) -> ToolCall[AsUser]:
    """Return the call that finds out how programs run as a user; its reader raises where they cannot."""
    check_text(user, "user")
    if not user or user.startswith("-"):
        raise ValueError(f"user must be the name of a user, or its number, not {user!r}")
    call = shell(_AS_USER, 30_000, None, {"u": user}, session_id=session_id, shown=f"find the user {user!r}")

    def read(result: CommandResult, reply: ToolReply) -> AsUser:
        if result.error is not None:
            raise result.error
        words = result.stdout.split()
        match words[1:]:
            case ["self"]:
                return AsUser(())
            case ["setpriv", uid, gid]:
                return AsUser(("setpriv", "--reuid", uid, "--regid", gid, "--init-groups", "--"))
            case ["sudo"]:
                return AsUser(("sudo", "-n", "-E", "-u", user, "--"))
            case ["namespace"]:
                return AsUser(("unshare", "--map-root-user", "--"))
            case ["missing"]:
                why, kind = f"there is no user {user!r} in this session", ErrorKind.NOT_FOUND
            case ["denied"]:
                why = f"this session cannot run programs as the user {user!r}: its own user may not change to that one"
                kind = ErrorKind.PERMISSION_DENIED
            case _:
                raise invalid("shell", f"{result.stdout[:200]!r}", reply, session_id, CommandError)
        raise CommandError(
            f"Could not {RUN}: {why}",
            kind=kind,
            request_id=reply.request_id,
            session_id=session_id,
            sent=Sent.YES,
            user=user,  # the same kinds are those of a working directory
        )

    return evolve(call, read=lambda reply: read(call.read(reply), reply), repeatable=True)  # type: ignore[arg-type, return-value]
