"""What an error looks like from outside: one line, or one JSON object, and the exit code of its kind.

The kinds are imported when there is an error, so that ``agb --help`` needs none of them.
"""

from __future__ import annotations

import json
from typing import Any

import click

from ..exceptions import AGBError, ErrorKind
from .output import FAILED, NOT_FOUND, REFUSED, TIMED_OUT, UNREACHABLE, USAGE, CommandFailed, clean
from .parser import Shared

_CODES = {
    ErrorKind.NOT_FOUND: NOT_FOUND,
    ErrorKind.TIMED_OUT: TIMED_OUT,
    ErrorKind.UNREACHABLE: UNREACHABLE,
    ErrorKind.UNAVAILABLE: UNREACHABLE,
}
_KINDS = {USAGE: "usage", NOT_FOUND: ErrorKind.NOT_FOUND.value, TIMED_OUT: ErrorKind.TIMED_OUT.value}
"""The exit code of an error of this program -> its kind."""


def exit_code(error: AGBError) -> int:
    """Return the exit code for an error of the service."""
    return _CODES.get(error.kind, REFUSED)


def reported(error: Exception, shared: Shared) -> int:
    """Print an error of a command and return its exit code; one that is a fault of this program is raised again."""
    if isinstance(error, click.UsageError):
        where = f" ('{error.ctx.command_path} --help' explains it)" if error.ctx is not None else ""
        _print(f"{error.format_message()}{where}", shared, kind="usage")
        return USAGE
    if isinstance(error, click.ClickException):
        _print(error.format_message(), shared, kind="usage")
        return USAGE
    if isinstance(error, CommandFailed):
        _print(str(error), shared, kind=_KINDS.get(error.code, "failed"))
        return error.code
    if isinstance(error, AGBError):
        _print(str(error), shared, kind=error.kind.value, error=error)
        return exit_code(error)
    if isinstance(error, OSError):
        _print(reason(error), shared, kind="failed")
        return FAILED
    if isinstance(error, ValueError) and not shared.verbose:  # an argument that the client refuses before any I/O
        _print(str(error), shared, kind="usage")
        return USAGE
    raise error


def reason(error: OSError) -> str:
    """Return why something of this machine failed: the file and the reason, without the number of the error."""
    if error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def _print(message: str, shared: Shared, *, kind: str, error: AGBError | None = None) -> None:
    if not shared.json:
        click.echo(f"agb: {clean(message)}", err=True)
        return
    details: dict[str, Any] = {"kind": kind, "message": message}
    if error is not None:
        details |= {
            name: value
            for name in ("code", "request_id", "session_id", "http_status", "retry_after")
            if (value := getattr(error, name)) not in ("", None)
        }
    click.echo(json.dumps({"ok": False, "error": details}, ensure_ascii=False))
