"""The tool calls of one file operation, which share one time limit, and what is removed after them."""

from __future__ import annotations

import logging
import secrets
import threading
from typing import TYPE_CHECKING, TypeVar

from ..._ops.arguments import check_size
from ..._ops.tools import file_scripts as scripts
from ..._wire.deadline import Deadline, check_timeout
from ..._wire.toolcall import ToolCall
from ...exceptions import AGBError, ErrorKind, FileError
from .._compat.cancellation import CLEANUP_LIMIT, shielded
from .tools import run_tool

if TYPE_CHECKING:
    from .protocols import AsyncSessionAccess

T = TypeVar("T")

_log = logging.getLogger("agb")

CHUNK = 1 << 20
"""Bytes requested, or sent, by one call."""
CONCURRENT_CALLS = 4
"""Calls that run at the same time where their order does not matter."""
OLD_CHUNK = 50 * 1024
"""Bytes requested by one call of 0.12, and the characters that it sends."""
READ_SECONDS = 600.0
"""Seconds for reading a file into memory, unless the caller sets others."""
COPY_SECONDS = 3600.0
"""Seconds for copying a directory, unless the caller sets others."""
MAX_READ = 256 << 20
"""Bytes that are read into memory, unless the caller sets others."""
MAX_COPY = 16 << 30
"""Bytes that are copied to this machine, unless the caller sets others."""


class SizeLimit:
    """The bytes that one operation may read, of one file or of several; safe in any thread."""

    def __init__(self, size: int | None) -> None:
        check_size(size)
        self._size = size
        self._done = 0
        self._lock = threading.Lock()

    def add(self, count: int, path: str, session_id: str) -> None:
        """Count bytes; raise `FileError` if they are too many."""
        with self._lock:
            self._done += count
        self.check(0, path, session_id)

    def check(self, count: int, path: str, session_id: str) -> None:
        """Raise `FileError` if so many bytes more would be too many."""
        if self._size is not None and self._done + count > self._size:
            raise FileError(
                f"Could not read {path!r}: there are more than {self._size:,} bytes; max_size allows more, and "
                "read_stream() and download() do not keep a file in memory",
                session_id=session_id,
            )


class ReadForm:
    """In which form a service returns the bytes of files, as far as it is known.

    The forms, in the order in which they are tried: any number of bytes in base64, as many as 0.12 requests, and those
    as text, as 0.12 reads text. A form that the service refuses is not tried again.
    """

    FORMS = ((None, False), (OLD_CHUNK, False), (OLD_CHUNK, True))
    """The largest number of bytes in a request (None: any), and whether they are requested as text."""

    def __init__(self) -> None:
        self.number = 0


class AsyncFileCalls:
    """The tool calls of one file operation.

    Without a time limit each call has the client's own time-out; with one, each call has what the calls before it left.

    Attributes:
        session: the session.
        session_id: its id.
    """

    def __init__(self, session: AsyncSessionAccess, timeout: float | None) -> None:
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

    async def run(self, call: ToolCall[T]) -> T:
        """Call a tool within the time that is left.

        Raises:
            FileError: the time is over, or the tool failed.
        """
        return await run_tool(self.session, call, timeout=self.left())

    async def remove_temporary(self, path: str) -> None:
        """Remove a temporary file, also if the caller is cancelled or its time is over; a failure is logged only.

        The operation has its own outcome by then, and the file goes with the session at the latest.
        """
        call = scripts.remove_quietly(path, session_id=self.session_id)
        try:
            await shielded(lambda: run_tool(self.session, call, timeout=CLEANUP_LIMIT))
        except AGBError as error:
            _log.debug("the temporary file %s was not removed: %s", path, error)


def random_token() -> str:
    """Return a name that no other operation uses."""
    return secrets.token_hex(8)
