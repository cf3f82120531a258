"""Errors of the local runtime: refused requests, and failures to start.

Refused                 one request: its subject does not exist, or it makes no sense; the runtime continues
CannotStart             the runtime does not start
├── IsolationUnavailable    sessions cannot be isolated as asked
└── DataDirInUse            another runtime works in the same data directory
"""

from __future__ import annotations

from .._wire.reply import (
    CONTEXT_NOT_FOUND,
    FILE_NOT_FOUND,
    INVALID_REQUEST,
    SESSION_NOT_FOUND,
    STOPPING,
    TOOL_SESSION_NOT_FOUND,
)


class Refused(Exception):
    """A request that the runtime refuses; ``code``, ``message`` and ``http_status`` are the API's."""

    def __init__(self, code: str, message: str, *, http_status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status


def invalid(message: str) -> Refused:
    """Return the refusal of a request that makes no sense."""
    return Refused(INVALID_REQUEST, message)


def session_not_found(session_id: str, *, tool: bool = False) -> Refused:
    """Return the refusal of a session that does not exist (any more); tool calls have a code of their own."""
    code = TOOL_SESSION_NOT_FOUND if tool else SESSION_NOT_FOUND
    return Refused(code, f"Resource [Session {session_id[:100]}] is not found")


def context_not_found(context_id: str = "", *, name: str = "") -> Refused:
    """Return the refusal of a context that does not exist (any more), which was asked for by its id or its name."""
    if name:
        return Refused(CONTEXT_NOT_FOUND, f"Resource [Context {name[:100]}] is not found")
    return Refused(CONTEXT_NOT_FOUND, f"Invalid context ID: resource [Context {context_id[:100]}] is not found")


def file_not_found(path: str) -> Refused:
    """Return the refusal of a file that a context does not hold (any more)."""
    return Refused(FILE_NOT_FOUND, f"File not found: {path[:200]!a} is not stored in the context", http_status=404)


def stopping() -> Refused:
    """Return the refusal of a request that a stopping runtime no longer serves."""
    return Refused(STOPPING, "The runtime is stopping; its contexts are closed", http_status=503)


class CannotStart(Exception):
    """The runtime cannot start; the message says what to do."""


class IsolationUnavailable(CannotStart):
    """Sessions cannot be isolated as asked; the message names what to install and the option that goes without."""


class DataDirInUse(CannotStart):
    """Another runtime works in the same data directory."""
