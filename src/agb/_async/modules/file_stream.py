"""The bytes of a file of a session, chunk by chunk."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from ..._ops.tools import files as ops
from ...exceptions import AGBError, FileError
from .._compat.concurrency import gather
from .._compat.flavour import BlockHint, IterationHint
from ..host.progress import AsyncProgressReport
from .file_calls import CONCURRENT_CALLS, AsyncFileCalls

if TYPE_CHECKING:
    from .protocols import AsyncSessionAccess


class AsyncFileStream(BlockHint, IterationHint):
    """The bytes of a file, chunk by chunk; returned by ``session.file.read_stream()``.

    Up to four chunks are requested at the same time, and returned in order. The calls never run ahead of what the
    file is known to hold, so a file that reports no size (as those of ``/proc``) is read one chunk after the other.
    A failed call does not discard the chunks before it: they are returned first, then the error is raised.

    Attributes:
        path: the file.
        size: the bytes that it reported, known inside the block; 0 for files that report none, as those of ``/proc``.
        request_id: the service's id of the first request.
    """

    def __init__(
        self,
        session: AsyncSessionAccess,
        path: str,
        chunk_size: int,
        report: AsyncProgressReport,
        timeout: float | None,
    ) -> None:
        self.path = path
        self.size = 0
        self.request_id = ""
        self._session = session
        self._chunk_size = chunk_size
        self._report = report
        self._timeout = timeout
        self._calls: AsyncFileCalls | None = None
        self._offset = 0
        self._ready: deque[bytes] = deque()
        self._failure: AGBError | None = None
        self._is_over = False

    def __repr__(self) -> str:
        where = f"{self.path!r} in session {self._session.session_id}"
        return f"<{type(self).__name__} of {where}{', over' if self._is_over else ''}>"

    async def __aenter__(self) -> AsyncFileStream:
        self._calls = AsyncFileCalls(self._session, self._timeout)
        session_id = self._session.session_id
        info = await self._calls.run(
            ops.get_file_info(self.path, session_id=session_id, description=f"read {self.path!r}")
        )
        self.request_id = info.request_id
        if not info.file_info or info.file_info.get("isDirectory") is True:
            why = "it is a directory" if info.file_info else "it does not exist, or has no properties"
            raise FileError(
                f"Could not read {self.path!r}: {why}",
                request_id=info.request_id,
                session_id=session_id,
            )
        size = info.file_info.get("size")
        self.size = size if isinstance(size, int) and size > 0 else 0
        await self._report.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._ready.clear()
        self._is_over = True
        await self._report.__aexit__(*raised)

    def __aiter__(self) -> AsyncFileStream:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self.receive()
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def receive(self) -> bytes:
        """Return the next chunk, ``b""`` at the end.

        Raises:
            FileError: it cannot be read; ``extra["offset"]`` is the number of bytes that could.
        """
        while not self._ready and self._failure is None and not self._is_over:
            await self._fetch()
        if self._ready:
            chunk = self._ready.popleft()
            await self._report.add(len(chunk), self.size or None)
            return chunk
        if self._failure is not None:
            raise self._failure
        return b""

    async def read(self) -> bytes:
        """Return all that is left."""
        chunks = []
        while chunk := await self.receive():
            chunks.append(chunk)
        return b"".join(chunks)

    async def _fetch(self) -> None:
        """Request the next chunks, several at the same time as long as the file is known to have them."""
        ahead = -(-(self.size - self._offset) // self._chunk_size)
        offsets = [self._offset + i * self._chunk_size for i in range(max(1, min(ahead, CONCURRENT_CALLS)))]
        for answer in await gather([partial(self._chunk, offset) for offset in offsets]):
            if isinstance(answer, AGBError):
                answer.extra["offset"] = self._offset
                self._failure = answer
                return
            if not self._accept(answer.data):
                return

    def _accept(self, data: bytes) -> bool:
        """Add the answer of one request; return whether it has the requested length, so that the next answer fits.

        A short chunk is the last one, unless the file reported that it has more. Then either the file became shorter,
        or the service returns less per call than was requested: only an empty chunk shows which. So reading goes on
        at the new offset with the shorter length, and the answers that were requested behind the short one, whose
        offsets are wrong now, are dropped.
        """
        self._offset += len(data)
        if data:
            self._ready.append(data)
        if len(data) == self._chunk_size:
            return True
        if not data or (self.size and self._offset >= self.size):
            self._is_over = True
        elif self.size:
            self._chunk_size = len(data)
        return False

    async def _chunk(self, offset: int) -> ops.Chunk | AGBError:
        assert self._calls is not None  # the stream was entered
        call = ops.read_file(self.path, offset, self._chunk_size, session_id=self._session.session_id)
        try:
            return await self._calls.run(call)
        except AGBError as error:
            return error  # raised when the chunks before it have been returned
