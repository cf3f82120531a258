# Generated from src/agb/_async/modules/file_calls.py by tools/unasync.py. Do not edit.
"""The tool calls of one file operation, which share one time limit, and what is removed after them."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, TypeVar

from ..._ops.tools import file_scripts as scripts
from ..._wire.deadline import Deadline, check_timeout
from ..._wire.toolcall import ToolCall
from ...exceptions import AGBError, ErrorKind, FileError
from .._compat.cancellation import CLEANUP_LIMIT, shielded
from .tools import run_tool

if TYPE_CHECKING:
    from .protocols import SessionAccess

T = TypeVar("T")

_log = logging.getLogger("agb")

CHUNK = 1 << 20
"""Bytes requested, or sent, by one call."""
CONCURRENT_CALLS = 4
"""Calls that run at the same time where their order does not matter."""


class FileCalls:
    """The tool calls of one file operation.

    Without a time limit each call has the client's own time-out; with one, each call has what the calls before it left.

    Attributes:
        session: the session.
        session_id: its id.
    """

    def __init__(self, session: SessionAccess, timeout: float | None) -> None:
        check_timeout(timeout)
        self.session = session
        self.session_id = session.session_id
        self._deadline = None if timeout is None else Deadline(timeout)

    def left(self) -> float | None:
        """Return the seconds left, None without a limit.

        Raises:
            FileError: the time is over.
        """
        if self._deadline is None:
            return None
        if left := self._deadline.left():
            return left
        raise FileError(f"not done within {self._deadline.seconds:g} s", kind=ErrorKind.TIMED_OUT, retryable=True)

    def run(self, call: ToolCall[T]) -> T:
        """Call a tool within the time that is left.

        Raises:
            FileError: the time is over, or the tool failed.
        """
        return run_tool(self.session, call, timeout=self.left())

    def remove_temporary(self, path: str) -> None:
        """Remove a temporary file, also if the caller is cancelled or its time is over; a failure is logged only.

        The operation has its own outcome by then, and the file goes with the session at the latest.
        """
        call = scripts.remove_quietly(path, session_id=self.session_id)
        try:
            shielded(lambda: run_tool(self.session, call, timeout=CLEANUP_LIMIT))
        except AGBError as error:
            _log.debug("the temporary file %s was not removed: %s", path, error)


def random_token() -> str:
    """Return a name that no other operation uses."""
    return secrets.token_hex(8)
