"""The bytes of a file of a session, chunk by chunk."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from ..._ops.tools import files as ops
from ...exceptions import AGBError, ErrorKind, FileError
from .._compat.concurrency import gather
from .._compat.flavour import BlockHint, IterationHint
from .._compat.primitives import Lock
from ..host.progress import AsyncProgressReport
from .file_calls import CONCURRENT_CALLS, AsyncFileCalls, ReadForm, SizeLimit
from .file_ranges import Range

if TYPE_CHECKING:
    from .protocols import AsyncSessionAccess


class AsyncFileStream(BlockHint, IterationHint):
    """The bytes of a file, chunk by chunk; returned by ``session.file.read_stream()``.

    Up to four chunks are requested at the same time, and returned in order. The calls never run ahead of what the
    file is known to hold, so a file that reports no size (as those of ``/proc``) is read one chunk after the other.
    A failed call does not discard the chunks before it: they are returned first, then the error is raised.
    Tasks and threads that share a stream receive different chunks.

    Attributes:
        path: the file.
        size: the bytes that it reported, known inside the block; 0 for files that report none, as those of ``/proc``.
        request_id: the service's id of the first request.
        mode: its permissions, known inside the block if the service reports them.
        mtime: its time of modification in seconds since 1970, likewise.
    """

    def __init__(
        self,
        session: AsyncSessionAccess,
        path: str,
        chunk_size: int,
        report: AsyncProgressReport,
        timeout: float | None,
        *,
        form: ReadForm,
        limit: SizeLimit,
        wanted: Range | None = None,
    ) -> None:
        self.path = path
        self.size = 0
        self.request_id = ""
        self.mode: int | None = None
        self.mtime: float | None = None
        self._session = session
        self._chunk_size = chunk_size
        self._report = report
        self._timeout = timeout
        self._calls: AsyncFileCalls | None = None
        self._wanted = wanted or Range()
        self._offset = self._wanted.offset
        self._ready: deque[bytes] = deque()
        self._failure: AGBError | None = None
        self._is_over = False
        self._form = form
        self._number = 0  # of the form that this stream reads in
        self._limit = limit
        self._receiving = Lock()
        self._encoded = 0
        """Bytes that arrived as text."""

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
        ops.check_regular(info.file_info, self.path, session_id, info.request_id)
        size = info.file_info.get("size")
        self.size = size if isinstance(size, int) and size > 0 else 0
        self._limit.check(self._wanted.size(self.size), self.path, session_id)
        self.mode, self.mtime = ops.attributes_of(info.file_info)
        self._use_form(self._form.number)
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
        async with self._receiving.within():
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
        known = self.size - self._offset
        left = self._wanted.left(self._offset)
        if left is None:
            ahead = -(-known // self._chunk_size)
        elif left == 0:
            self._is_over = True
            return
        else:  # the last chunk of a range may be shorter, and is requested by itself
            self._chunk_size = min(self._chunk_size, left)
            ahead = min(known, left) // self._chunk_size
        offsets = [self._offset + i * self._chunk_size for i in range(max(1, min(ahead, CONCURRENT_CALLS)))]
        answers = await gather([partial(self._chunk, offset) for offset in offsets])
        if isinstance(answers[0], AGBError) and self._offset == self._wanted.offset:
            answers = [await self._first_chunk(answers[0])]
        for answer in answers:
            if isinstance(answer, AGBError):
                answer.extra["offset"] = self._offset
                self._failure = answer
                return
            try:
                if not self._accept(answer.data):
                    return
            except FileError as error:
                self._failure = error
                return

    async def _first_chunk(self, refused: AGBError) -> ops.Chunk | AGBError:
        """Request the first chunk in the older forms, for a service that refuses the newer ones."""
        before, size = self._number, self._chunk_size
        while ops.is_form_refused(refused) and self._number + 1 < len(ReadForm.FORMS):
            self._use_form(self._number + 1)
            if self._is_text and not self._wanted.is_whole:
                break
            answer = await self._chunk(self._offset)
            if not isinstance(answer, AGBError):
                self._form.number = self._number
                return answer
        self._number, self._chunk_size = before, size
        return refused

    def _use_form(self, number: int) -> None:
        most, _ = ReadForm.FORMS[number]
        self._number = number
        self._chunk_size = min(self._chunk_size, most or self._chunk_size)

    def _accept(self, data: bytes) -> bool:
        """Add the answer of one request; return whether it has the requested length, so that the next answer fits.

        A short chunk is the last one, unless the file reported that it has more. Then either the file became shorter,
        or the service returns less per call than was requested: only an empty chunk shows which. So reading goes on
        at the new offset with the shorter length, and the answers that were requested behind the short one, whose
        offsets are wrong now, are dropped.
        """
        self._limit.add(len(data), self.path, self._session.session_id)
        if data:
            self._ready.append(data)
        if self._is_text:
            return self._accept_text(data)
        self._offset += len(data)
        if len(data) == self._chunk_size:
            return True
        if not data or (self.size and self._offset >= self.size):
            self._is_over = True
        elif self.size:
            self._chunk_size = len(data)
        return False

    @property
    def _is_text(self) -> bool:
        return ReadForm.FORMS[self._number][1]

    def _accept_text(self, data: bytes) -> bool:
        """Do the same for a chunk of text: the characters of a range of bytes, whose number is not that of the range.

        Where a service replaces what is not UTF-8, or cuts a character, the number of all bytes is not the file's size.
        """
        self._offset += self._chunk_size
        self._encoded += len(data)
        self._is_over = not data or (0 < self.size <= self._offset)
        if self._is_over and (self._encoded != self.size if self.size else b"\xef\xbf\xbd" in b"".join(self._ready)):
            raise FileError(
                f"Could not read {self.path!r}: the service returns files as text only, and this one is not UTF-8 "
                "text, or changed while it was read",
                kind=ErrorKind.INVALID_ANSWER,
                session_id=self._session.session_id,
            )
        return not self._is_over

    async def _chunk(self, offset: int) -> ops.Chunk | AGBError:
        assert self._calls is not None  # the stream was entered
        session_id = self._session.session_id
        call = ops.read_file(self.path, offset, self._chunk_size, is_text=self._is_text, session_id=session_id)
        try:
            return await self._calls.run(call)
        except AGBError as error:
            return error  # raised when the chunks before it have been returned
