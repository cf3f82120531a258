# Generated from src/agb/_async/modules/computer/polling.py by tools/unasync.py. Do not edit.
"""Waiting for something on the desktop: polls with growing pauses, within one deadline."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ...._wire.deadline import Deadline
from ...._wire.toolcall import ToolCall
from ....exceptions import AGBError, ErrorKind
from ..tools import run_tool

if TYPE_CHECKING:
    from ..protocols import SessionAccess

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two polls: at first, and in the end."""


class DesktopCalls:
    """The tool calls of one method, which share its deadline: ``timeout`` seconds, or the client's time-out."""

    def __init__(self, session: SessionAccess, timeout: float | None) -> None:
        self.session = session
        self.session_id = session.session_id
        self.api = session.get_client()
        self.deadline: Deadline = self.api.deadline(timeout)

    def run(self, call: ToolCall[T]) -> T:
        """Call a tool within the time that is left.

        Raises:
            AGBError: the tool failed, or the time is over.
        """
        return run_tool(self.session, call, deadline=self.deadline.part())

    def poll(self, attempt: Callable[[], T | None]) -> T | None:
        """Make attempts until one returns something, and return that; None if the time is over.

        An attempt that fails because it had only the rest of the time means that the time is over, unless it was the
        first: then the session does not answer at all, which is its error.

        Raises:
            AGBError: an attempt failed otherwise.
        """
        pause, is_first = FIRST_PAUSE, True
        while True:
            try:
                found = attempt()
            except AGBError as error:
                if is_first or error.kind is not ErrorKind.TIMED_OUT or self.deadline.left() > 0:
                    raise
                return None
            left = self.deadline.left()
            if found is not None or left <= 0:
                return found
            self.api.sleep(min(pause, left))
            pause, is_first = min(pause * 1.5, LONGEST_PAUSE), False
