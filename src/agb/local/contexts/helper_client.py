"""The runtime's end of the connection to a mount helper: requests, rows, limits of time, and checks of the answers.

The helper runs as the session's user, so a program of the session may have changed or replaced it. Its answers are
checked for shape, number and size; a path is used only if it is one below the mount, in the form in which the store
has it.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from ..errors import Refused
from ..inside.messages import MessageSocket
from ..inside.mount_helper.tree import CHUNK
from ..inside.mount_helper.walk import MOST_FILES
from .binding import Signature, SyncFailed
from .keys import folder_key

QUIET_SECONDS = 60.0
"""Seconds without a message after which the helper is taken for stopped."""
BATCH = 1 << 16
"""Characters of paths in one message."""
MOST_BYTES = 256 << 20
"""Bytes of all rows of one answer, which are kept until the sync has ended."""
_LONGEST_REASON = 2000
"""Characters of a reason that the helper gives for a failure."""

T = TypeVar("T")


class HelperClient:
    """The connection to a helper that was started for one sync. All methods but `abort` are for one thread."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._socket = sock
        self._messages = MessageSocket(sock, largest=4 * CHUNK)
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._abort_reason = ""

    def abort(self, why: str) -> None:
        """Make the sync fail for a reason, from any thread."""
        self._abort_reason = self._abort_reason or why
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self._messages.close()

    def failure(self, error: Exception) -> SyncFailed:
        """Return the failure of a sync in which the helper sent no answer, or an invalid one."""
        if isinstance(error, OSError | EOFError) and self._abort_reason:
            return SyncFailed(self._abort_reason)
        if isinstance(error, TimeoutError):
            if time.monotonic() >= self._end:
                return SyncFailed(f"it was not done within {self._seconds:.0f} seconds")
            return SyncFailed(f"no data has arrived from the session for {QUIET_SECONDS:.0f} seconds")
        if isinstance(error, OSError | EOFError):
            return SyncFailed(f"the program that works on the mount ended: {error}")
        return SyncFailed("the program that works on the mount sent an invalid answer")

    def send(self, header: dict[str, Any], blob: bytes = b"") -> None:
        """Send a request."""
        self._limit_wait()
        self._messages.send(header, blob)

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """Return the next message. Raises ``TimeoutError``, another ``OSError``, ``EOFError`` or ``ValueError``."""
        self._limit_wait()
        header, blob = self._messages.receive()
        if failed := header.get("failed"):
            header["failed"] = _in_one_line(str(failed))
        return header, blob

    def _limit_wait(self) -> None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(min(left, QUIET_SECONDS))

    def note(self, rows: Iterable[Sequence[Any]]) -> None:
        """Send rows that the next request uses."""
        for batch in batches(rows, lambda row: len(row[0]) + 64):
            self.send({"op": "note"}, json.dumps(batch).encode())

    def rows(self) -> Rows:
        """Return the rows of the answer that follows."""
        return Rows(self)


class Rows:
    """The rows of an answer, and its end. Iterating raises ``SyncFailed`` if the helper reports a failure."""

    def __init__(self, client: HelperClient) -> None:
        self.end: dict[str, Any] = {}
        """The header of the last message."""
        self._client = client

    def __iter__(self) -> Iterator[list[Any]]:
        count = size = 0
        while True:
            header, blob = self._client.receive()
            size += len(blob)
            if size > MOST_BYTES:
                raise SyncFailed("the list of files is too large")
            if header.get("failed"):
                raise SyncFailed(str(header["failed"]))
            if header.get("end"):
                self.end = header
                return
            for row in json.loads(blob):
                count += 1
                if count > MOST_FILES:
                    raise SyncFailed(f"there are more than {MOST_FILES:,} files")
                yield row


def _in_one_line(reason: str) -> str:
    """Return a reason as it can be written to a log: without control characters, and of limited length."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in reason[:_LONGEST_REASON])


def batches(items: Iterable[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield the items in lists that each fit into a message."""
    batch: list[T] = []
    size = 0
    for item in items:
        batch.append(item)
        size += size_of(item)
        if size > BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def is_plain(path: Any) -> bool:
    """Return whether a value of an answer is a path below the mount, in the form in which the store has it."""
    if not isinstance(path, str):
        return False
    try:
        return bool(path) and folder_key(f"/{path}") == f"/{path}"
    except Refused:
        return False


def checked_path(path: Any) -> str:
    """Return a path of an answer. Raises ``ValueError`` for an invalid one."""
    if not is_plain(path):
        raise ValueError("a path is invalid")
    return str(path)


def checked_number(value: Any) -> int:
    """Return an integer of an answer. Raises ``ValueError`` for an invalid one."""
    if type(value) is not int or abs(value) >= 2**63:
        raise ValueError("a number is invalid")
    return value


def checked_signature(value: Any) -> Signature:
    """Return a signature of an answer. Raises ``ValueError`` for an invalid one."""
    if not isinstance(value, list) or len(value) != 5:
        raise ValueError("a signature is invalid")
    return tuple(map(checked_number, value))
