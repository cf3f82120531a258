"""Reading a program's output through a pipe, with a limit, and without waiting for other programs that hold it."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
from collections.abc import Callable

_CHUNK = 1 << 18
_PIPE_MOST = 1 << 20
"""The largest pipe an ordinary user can have, so the most that is still in it when its writer has ended."""


class Capture:
    """The reading end of a pipe. It is read as soon as data arrives, so a writer never waits for long.

    The first ``limit`` bytes are kept, or passed to ``on_data``; the rest is counted and discarded. The writing end,
    ``writer``, is for the program; close it with :meth:`close_writer` once the program has it. ``on_end`` is called
    when no program holds it any more.
    """

    def __init__(
        self,
        limit: int,
        *,
        owner: int | None = None,
        on_data: Callable[[bytes], None] | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.data = bytearray()
        self.discarded = 0
        self._limit = limit
        self._kept = 0
        self._on_data = on_data
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._reader, self.writer = os.pipe()
        if owner is not None:
            # So that the session's user can open /dev/stdout.
            os.fchown(self.writer, owner, owner)
        os.set_blocking(self._reader, False)
        self._loop.add_reader(self._reader, self._read)

    @property
    def is_open(self) -> bool:
        """Whether a program may still hold the writing end."""
        return self._reader >= 0

    def close_writer(self) -> None:
        """Close this process' copy of the writing end."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def drain(self) -> None:
        """Read everything that is in the pipe now."""
        most = _PIPE_MOST
        while most > 0 and self.is_open and (size := self._read()):
            most -= size

    def discard_rest(self) -> None:
        """Keep nothing from now on, but continue to read.

        Programs left in the background often hold the pipe. If it was closed, SIGPIPE would end them at their next
        line of output.
        """
        self._limit = 0

    def close(self) -> None:
        """Stop reading; writers get SIGPIPE. May be called twice."""
        self.close_writer()
        if self.is_open:
            self._loop.remove_reader(self._reader)
            os.close(self._reader)
            self._reader = -1

    def text(self) -> str:
        """Return what was kept as text; invalid UTF-8 is replaced, and a character that the limit has cut is left out.

        The bytes of that character count as discarded.
        """
        decode = codecs.getincrementaldecoder("utf-8")("replace")
        text = decode.decode(bytes(self.data), final=not self.discarded)
        if self.discarded and (rest := decode.getstate()[0]):
            del self.data[-len(rest) :]
            self.discarded += len(rest)
        return text

    def _read(self) -> int:
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._reader, _CHUNK)
            if not data:
                self.close()
                self._on_end()
        self._keep(data)
        return len(data)

    def _keep(self, data: bytes) -> None:
        kept = data[: max(0, self._limit - self._kept)]
        self._kept += len(kept)
        self.discarded += len(data) - len(kept)
        if not kept:
            return
        if self._on_data is None:
            self.data += kept
        else:
            self._on_data(kept)
