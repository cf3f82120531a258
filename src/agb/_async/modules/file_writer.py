"""Writing files of a session in pieces.

A service's `write_file` takes text at least; whether it takes bytes, its schema says. Where it takes none, bytes travel
in base64 through scripts of the shell. Either way, a file that takes several calls is written to a temporary file in
the directory of the target, and moved over the target at the end. A rename within one directory is atomic: a reader
sees the old file or the new one, and a failure on the way leaves the old file as it was.

A service may refuse one of these forms, or pieces of their size. Then the first piece is sent in the next of `FORMS`,
the last of which is that of 0.12: text, which is appended to the target piece by piece. The first form that is not
refused is used from then on. Only the first piece is sent again, and only if the call was refused: nothing of it was
written then.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from attrs import frozen

from ..._ops.tools import file_scripts as scripts
from ..._ops.tools import files as ops
from ..._wire.toolcall import ToolCall
from ...exceptions import AGBError, FileError, Sent
from ...results.base import BoolResult
from .._compat.concurrency import gather
from .._compat.iteration import AnyBytesIterable, each
from .._compat.primitives import Lock
from ..host.progress import AsyncProgressReport
from .file_calls import CHUNK, CONCURRENT_CALLS, OLD_CHUNK, AsyncFileCalls, random_token
from .tools import offered_tools

if TYPE_CHECKING:
    from .protocols import AsyncSessionAccess


T = TypeVar("T")

SMALL_PIECE = 36 * 1024
"""Bytes in a small piece: in base64 they are less than the 50 KiB that one call of 0.12 writes."""


@frozen
class Form:
    """A form in which a piece is sent: by `write_file` as bytes or as text, or by a script."""

    kind: Literal["bytes", "script", "text"]
    piece: int
    """Bytes in a piece."""


FORMS = (
    Form("bytes", CHUNK),
    Form("bytes", SMALL_PIECE),
    Form("script", scripts.PIECE),
    Form("script", SMALL_PIECE),
    Form("text", OLD_CHUNK),
)
"""In the order in which they are tried."""


class AsyncFileWriter:
    """Writes files of one session; it remembers the form in which the session takes pieces."""

    def __init__(self, session: AsyncSessionAccess) -> None:
        self._session = session
        self._form: Form | None = None
        self._appends: dict[str, _Append] = {}
        self._lock = threading.Lock()  # never held while waiting

    @property
    def _id(self) -> str:
        return self._session.session_id

    async def replace(self, path: str, data: bytes, calls: AsyncFileCalls, report: AsyncProgressReport) -> BoolResult:
        """Write a whole file, by one call if it fits into one."""

        async def attempt(form: Form) -> BoolResult | None:
            if len(data) > form.piece:
                return None
            if form.kind == "script":
                return await calls.run(scripts.write_at_once(path, data, random_token(), session_id=self._id))
            content = data if form.kind == "bytes" else _as_text(data)
            return await calls.run(ops.write_file(path, content, session_id=self._id))

        result = await self._attempt(attempt, calls, len(data))
        if result is None:
            return await self.replace_by_chunks(path, (data,), calls, report, len(data))
        await report.add(len(data), len(data))
        return result

    @asynccontextmanager
    async def appending(self, path: str, calls: AsyncFileCalls) -> AsyncIterator[None]:
        """Hold the lock for appending to a file: the pieces of one call follow each other."""
        with self._lock:
            append = self._appends.setdefault(path, _Append())
            append.users += 1
        try:
            async with append.lock.within(calls.left()) as is_acquired:
                if not is_acquired:
                    calls.left()  # raises, since the time is over
                yield
        finally:
            with self._lock:
                append.users -= 1
                if not append.users:
                    del self._appends[path]

    async def append(self, path: str, data: bytes, calls: AsyncFileCalls, report: AsyncProgressReport) -> BoolResult:
        """Append piece by piece; a piece whose answer is lost is not sent again, since it may have been written."""
        used: list[Form] = []

        async def attempt(form: Form) -> BoolResult:
            used[:] = [form]
            return await send(form, 0)

        async def send(form: Form, start: int) -> BoolResult:
            piece = data[start : start + form.piece]
            if form.kind == "script":
                return await calls.run(scripts.append(path, piece, session_id=self._id))
            content = piece if form.kind == "bytes" else _characters(data, start, form.piece)
            return await calls.run(ops.write_file(path, content, "append", session_id=self._id))

        result = await self._attempt(attempt, calls, len(data))
        (form,) = used
        await report.add(min(form.piece, len(data)), len(data))
        for start in range(form.piece, len(data), form.piece):
            result = await send(form, start)
            await report.add(min(form.piece, len(data) - start), len(data))
        return result

    async def replace_by_chunks(
        self,
        path: str,
        chunks: AnyBytesIterable,
        calls: AsyncFileCalls,
        report: AsyncProgressReport,
        total: int | None = None,
        *,
        attributes: Callable[[], tuple[int, float]] | None = None,
    ) -> BoolResult:
        """Write chunks to a temporary file beside the target, and move it there once all of them have arrived.

        The last call compares the size of the temporary file with the bytes that were sent, so a piece that was lost
        or written twice is an error and never a damaged file. Whatever ends the writing early, a cancellation
        included, removes the temporary file. A service that refuses scripts can only append to the target itself.

        With ``attributes``, which is called at the end, the file has that mode and time, and its directory is made.
        """
        is_copy = attributes is not None
        try:
            place = await calls.run(scripts.begin(path, random_token(), makes_directory=is_copy, session_id=self._id))
        except AGBError as error:
            if not ops.is_form_refused(error):
                raise
            await self.fill(scripts.Place(path, path), chunks, calls, report, total, is_direct=True)
            return BoolResult(error.request_id, True, True)
        try:
            size = await self.fill(place, chunks, calls, report, total)
            kept = None if attributes is None else attributes()
            return await calls.run(scripts.finish(place, size, kept, session_id=self._id))
        except BaseException:
            await calls.remove_temporary(place.temporary)
            raise

    async def fill(
        self,
        place: scripts.Place,
        chunks: AnyBytesIterable,
        calls: AsyncFileCalls,
        report: AsyncProgressReport,
        total: int | None = None,
        *,
        is_direct: bool = False,
    ) -> int:
        """Write chunks to an empty file; return the number of bytes.

        `write_file` can only append, so its pieces are sent one after the other. A script writes each piece at its own
        offset, so several are sent at the same time, in any order, and each may be repeated.

        Args:
            place: the file.
            chunks: the bytes.
            calls: the calls.
            report: the progress.
            total: the bytes in all, if known.
            is_direct: the file is the target itself, whose content is replaced, and the service runs no scripts.
        """
        pieces = _Pieces(chunks)
        first = partial(self._first_pieces, place, pieces, calls, is_direct)
        form, size = await self._attempt(first, calls, None, with_scripts=not is_direct)
        await report.add(size, total)
        number = pieces.taken
        while batch := await pieces.receive(form, CONCURRENT_CALLS if form.kind == "script" else 1):
            await gather([partial(calls.run, call) for call in self._calls(place, number, batch, form, "append")])
            number += len(batch)
            await report.add(sum(len(piece) for piece in batch), total)
        return report.done

    async def _first_pieces(
        self, place: scripts.Place, pieces: _Pieces, calls: AsyncFileCalls, is_direct: bool, form: Form
    ) -> tuple[Form, int]:
        """Write the first pieces; return the form, and the number of bytes. A failure leaves the pieces."""
        batch = await pieces.receive(form, CONCURRENT_CALLS if form.kind == "script" else 1)
        todo = self._calls(place, 0, batch or [b""][: int(is_direct)], form, "overwrite" if is_direct else "append")
        try:
            await gather([partial(calls.run, call) for call in todo])
        except AGBError:
            pieces.put_back(batch)
            raise
        return form, sum(len(piece) for piece in batch)

    def _calls(
        self,
        place: scripts.Place,
        number: int,
        batch: Sequence[bytes],
        form: Form,
        mode: str,
    ) -> list[ToolCall[BoolResult]]:
        path, session_id = place.temporary, self._id
        if form.kind == "script":
            numbered = enumerate(batch, number)
            return [scripts.put_piece(place, i, piece, size=form.piece, session_id=session_id) for i, piece in numbered]
        if form.kind == "bytes":
            return [ops.write_file(path, piece, mode, session_id=session_id) for piece in batch]
        return [ops.write_file(path, _as_text(piece), mode, session_id=session_id) for piece in batch]

    async def _attempt(
        self,
        attempt: Callable[[Form], Awaitable[T]],
        calls: AsyncFileCalls,
        size: int | None,
        *,
        with_scripts: bool = True,
    ) -> T:
        """Call a function with one form after the other until one is not refused, and remember that one.

        Args:
            attempt: the function. It writes nothing if it raises that its form is refused.
            calls: the calls.
            size: the bytes to be written, if known: a smaller piece does not help if all bytes fit into it.
            with_scripts: whether to try the forms that are scripts.
        """
        first = FORMS.index(await self._first_form(calls))
        refused: AGBError | None = None
        last: Form | None = None
        for form in FORMS[first:]:
            is_same = last is not None and last.kind == form.kind and size is not None and size <= form.piece
            if is_same or (form.kind == "script" and not with_scripts):
                continue
            try:
                result = await attempt(form)
            except AGBError as error:
                if not ops.is_form_refused(error):
                    raise
                refused, last = refused or error, form
            else:
                self._form = form
                return result
        assert refused is not None  # no form was accepted
        raise refused

    async def _first_form(self, calls: AsyncFileCalls) -> Form:
        if self._form is None:
            self._form = FORMS[0 if await self._can_take_bytes(calls) else 2]
        return self._form

    async def _can_take_bytes(self, calls: AsyncFileCalls) -> bool:
        """Return whether `write_file` takes bytes; the service is asked if the session's tool list does not say."""
        takes = ops.takes_bytes(self._session.tool_list or [])
        return bool(ops.takes_bytes(await offered_tools(self._session, calls.left())) if takes is None else takes)


class _Append:
    """The lock for appending to one file, and how many calls hold it or wait for it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.users = 0


def _as_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FileError(
            "the service writes text only, and these bytes are not UTF-8 text", sent=Sent.NO, ran=True
        ) from error


def _characters(data: bytes, start: int, size: int) -> str:
    """Return the characters that begin in a range of bytes; all of the bytes must be text."""
    if not start:
        _as_text(data)
    return _as_text(data[_character(data, start) : _character(data, start + size)])


def _character(data: bytes, at: int) -> int:
    """Return where the first character begins that does not begin before ``at``."""
    while at < len(data) and data[at] & 0xC0 == 0x80:
        at += 1
    return at


class _Pieces:
    """Cuts chunks of any sizes into pieces of one size; only the last piece may be shorter.

    Pieces for text end where a character ends, so they may be shorter too.
    """

    def __init__(self, chunks: AnyBytesIterable) -> None:
        self.taken = 0
        """How many pieces were returned."""
        self._chunks = each(chunks)
        self._left = memoryview(b"")
        self._is_over = False

    async def receive(self, form: Form, count: int) -> list[bytes]:
        """Return the next pieces, at most ``count``; none at the end."""
        pieces: list[bytes] = []
        while len(pieces) < count and (piece := await self._piece(form.piece)):
            if form.kind == "text":
                piece = self._cut(piece)
            pieces.append(piece)
        self.taken += len(pieces)
        return pieces

    def put_back(self, pieces: Sequence[bytes]) -> None:
        """Return pieces that were not written; the next ones begin with their bytes."""
        self._left = memoryview(b"".join([*pieces, self._left]))
        self.taken -= len(pieces)

    def _cut(self, piece: bytes) -> bytes:
        """Return a piece without the beginning of a character at its end, which is left for the next one."""
        for back in range(1, min(4, len(piece) - 1) + 1):
            if piece[-back] & 0xC0 != 0x80:
                size = 4 if piece[-back] >= 0xF0 else 3 if piece[-back] >= 0xE0 else 2 if piece[-back] >= 0xC0 else 1
                if size > back and not (self._is_over and not self._left):
                    self._left = memoryview(piece[-back:] + bytes(self._left))
                    return piece[:-back]
                break
        return piece

    async def _piece(self, size: int) -> bytes:
        parts: list[memoryview] = []
        missing = size
        while missing:
            if not self._left and not await self._more():
                break
            parts.append(self._left[:missing])
            self._left = self._left[len(parts[-1]) :]
            missing -= len(parts[-1])
        return b"".join(parts)

    async def _more(self) -> bool:
        while not self._is_over:
            try:
                chunk = await self._chunks.__anext__()
            except StopAsyncIteration:
                self._is_over = True
                break
            if not isinstance(chunk, (bytes, bytearray, memoryview)):
                raise TypeError(f"chunks must be an iterable of bytes, not of {type(chunk).__name__}")
            self._left = memoryview(chunk).cast("B")
            if self._left:
                return True
        return False
