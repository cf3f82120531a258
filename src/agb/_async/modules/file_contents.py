"""The contents of files of a session: reading and writing them, at once and as streams."""

from __future__ import annotations

import posixpath
from os import PathLike
from typing import TYPE_CHECKING, Literal, overload

from ..._ops.tools import files as ops
from ..._wire.deadline import check_timeout
from ...exceptions import AGBError, ErrorKind, FileError
from ...results.base import BoolResult
from ...results.files import BinaryFileContentResult, FileContentResult
from .._compat.iteration import AnyBytesIterable
from ..host.chunks import check_chunks, opened_chunks
from ..host.progress import AsyncProgressReport, Progress
from .file_calls import CHUNK, MAX_READ, READ_SECONDS, AsyncFileCalls, ReadForm, SizeLimit
from .file_copies import AsyncFileCopies
from .file_paths import AsyncFilePaths
from .file_ranges import Lines, Range, check_range
from .file_stream import AsyncFileStream

if TYPE_CHECKING:
    from .protocols import AsyncSessionAccess


class AsyncFileContents(AsyncFilePaths, AsyncFileCopies):
    """The part of ``session.file`` that reads and writes files."""

    DEFAULT_CHUNK_SIZE = 50 * 1024
    """Characters that one call of `write_file` takes, as every service does."""

    def __init__(self, session: AsyncSessionAccess) -> None:
        form = ReadForm()
        AsyncFilePaths.__init__(self, session, form)
        AsyncFileCopies.__init__(self, session, form)

    # --- reading -------------------------------------------------------------------------------------------------

    @overload
    async def read(
        self,
        path: str,
        *,
        format: Literal["text"] = ...,
        offset: int = ...,
        limit: int | None = ...,
        max_size: int | None = ...,
        progress: Progress = ...,
        timeout: float | None = ...,
    ) -> FileContentResult: ...
    @overload
    async def read(
        self,
        path: str,
        *,
        format: Literal["bytes"],
        offset: int = ...,
        limit: int | None = ...,
        max_size: int | None = ...,
        progress: Progress = ...,
        timeout: float | None = ...,
    ) -> BinaryFileContentResult: ...
    async def read(
        self,
        path: str,
        *,
        format: Literal["text", "bytes"] = "text",
        offset: int = 0,
        limit: int | None = None,
        max_size: int | None = MAX_READ,
        progress: Progress = None,
        timeout: float | None = READ_SECONDS,
    ) -> FileContentResult | BinaryFileContentResult:
        r"""Return the content of a file, or a part of it, to its end, whatever size it reports.

        Args:
            path: the file. Devices, pipes and sockets are refused, since their content may have no end.
            format: ``text``, which is UTF-8, or ``bytes``.
            offset: how many lines of a text are left out at the beginning, or how many bytes. A line ends with
                ``\n``, which belongs to it. Behind the end there is nothing, which is no failure.
            limit: how many lines of a text are returned at most, or how many bytes; without it, all.
            max_size: bytes; a larger file is a failure, and `read_stream` reads it. None for no limit.
            progress: a function called with the bytes read and the bytes in all, or True for a bar.
            timeout: seconds for everything; None for the client's time-out for each call.

        Returns:
            ``content``: a string, or bytes. A file that is not UTF-8 cannot be read as text: the error names the
            position of the first invalid byte.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.
            ImportError: ``progress=True`` without rich.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     written = await session.file.write("/tmp/hello.txt", "größer\n")
            ...     text = await session.file.read("/tmp/hello.txt")
            ...     raw = await session.file.read("/tmp/hello.txt", format="bytes")
            ...     print(text.content, raw.content)
            größer
             b'gr\xc3\xb6\xc3\x9fer\n'

        API: the tools ``get_file_info`` and ``read_file``.
        """
        if format not in ("text", "bytes"):
            raise ValueError(f"format must be 'text' or 'bytes', not {format!r}")
        check_range(offset, limit)
        size = SizeLimit(max_size)
        if format == "text":
            return await self._read_text(path, offset, limit, size, progress, timeout)
        try:
            content, request_id = await self._read_bytes(path, offset, limit, size, progress, timeout)
        except AGBError as error:
            return BinaryFileContentResult.failed(error)
        return BinaryFileContentResult(request_id, True, content, size=len(content))

    async def _read_text(
        self,
        path: str,
        offset: int,
        limit: int | None,
        size: SizeLimit,
        progress: Progress,
        timeout: float | None,
    ) -> FileContentResult:
        """Return the lines of a range; of a file with more lines no more is read than the chunks that hold them."""
        stream = self._stream(path, CHUNK, size, progress, timeout)
        lines = Lines(offset, limit)
        try:
            async with stream:
                while not lines.is_complete and (chunk := await stream.receive()):
                    lines.add(chunk)
            content = ops.decoded(lines.content(), path, self.session.session_id, lines.skipped)
        except AGBError as error:
            return FileContentResult.failed(error)
        return FileContentResult(stream.request_id, True, content)

    async def _read_bytes(
        self,
        path: str,
        offset: int,
        limit: int | None,
        size: SizeLimit,
        progress: Progress,
        timeout: float | None,
    ) -> tuple[bytes, str]:
        calls = AsyncFileCalls(self.session, timeout)
        stream = self._stream(path, CHUNK, size, progress, timeout, Range(offset, limit))
        try:
            async with stream:
                return await stream.read(), stream.request_id
        except AGBError as error:
            if not (offset or limit is not None) or not ops.is_form_refused(error):
                raise
        # A service that returns files as text only: a range of its bytes may begin inside a character.
        stream = self._stream(path, CHUNK, size, progress, calls.left())
        async with stream:
            content = await stream.read()
        return content[offset:] if limit is None else content[offset : offset + limit], stream.request_id

    def read_stream(
        self,
        path: str,
        chunk_size: int = CHUNK,
        *,
        max_size: int | None = None,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> AsyncFileStream:
        """Return the bytes of a file as a stream, for ``async with``; a few chunks are in memory, never the file.

        Args:
            path: the file. Devices, pipes and sockets are refused.
            chunk_size: bytes in a chunk; the last is shorter. A service that returns less per call makes them shorter.
            max_size: bytes; a larger file is an error. None for no limit.
            progress: a function called with the bytes read and the bytes in all, or True for a bar.
            timeout: seconds for everything, counted from entering the block.

        Raises:
            ValueError, TypeError: an argument is invalid.
            FileError: when the block is entered, or a chunk is read: the file cannot be read.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     written = await session.file.write("/tmp/data.bin", bytes(5_000_000))
            ...     async with session.file.read_stream("/tmp/data.bin") as chunks:
            ...         sizes = [len(chunk) async for chunk in chunks]
            ...     print(sum(sizes))
            5000000

        API: the tools ``get_file_info`` and ``read_file``.
        """
        if isinstance(chunk_size, bool) or not isinstance(chunk_size, int):
            raise TypeError(f"chunk_size must be a number of bytes, not {chunk_size!r}")
        if chunk_size <= 0:
            raise ValueError(f"chunk_size must be a number of bytes above zero, not {chunk_size}")
        return self._stream(path, chunk_size, SizeLimit(max_size), progress, timeout)

    def _stream(
        self,
        path: str,
        chunk_size: int,
        limit: SizeLimit,
        progress: Progress,
        timeout: float | None,
        wanted: Range | None = None,
    ) -> AsyncFileStream:
        check_timeout(timeout)
        path = ops.check_path(path)
        report = AsyncProgressReport(progress, f"read {path}")
        return AsyncFileStream(
            self.session, path, chunk_size, report, timeout, form=self._form, limit=limit, wanted=wanted
        )

    # --- writing -------------------------------------------------------------------------------------------------

    async def write(
        self,
        path: str,
        content: str | bytes,
        mode: str = "overwrite",
        *,
        parents: bool = False,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> BoolResult:
        """Write a file.

        A content that takes several calls is written beside the file and moved there at the end, so that a reader sees
        the old file or the new one; appending adds piece by piece.

        Args:
            path: the file.
            content: text, which is written as UTF-8, or bytes.
            mode: ``overwrite`` or ``append``; any other mode is a failure, and nothing is sent.
            parents: whether to create the directories above it that are missing.
            progress: a function called with the bytes written and the bytes in all, or True for a bar.
            timeout: seconds for everything; without it, the client's time-out for each call.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.
            ImportError: ``progress=True`` without rich.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = await session.file.write("/tmp/pixels.raw", bytes(range(256)) * 1000)
            ...     info = await session.file.info("/tmp/pixels.raw")
            ...     print(result.success, info.file_info["size"])
            True 256000

        API: the tool ``write_file``; for bytes that it does not take, the tool ``shell``.
        """
        path = ops.check_path(path)
        session_id = self.session.session_id
        try:
            ops.check_mode(mode)
        except ValueError as error:  # a result, as in 0.12
            return BoolResult.failed(FileError(str(error), session_id=session_id))
        content = ops.check_content(content)
        calls = AsyncFileCalls(self.session, timeout)
        try:
            async with AsyncProgressReport(progress, f"write {path}") as report:
                if mode == "append":
                    async with self._writer.appending(path, calls):
                        return await self._write(path, content, mode, calls, report, parents)
                return await self._write(path, content, mode, calls, report, parents)
        except AGBError as error:
            return BoolResult.failed(error)

    async def _write(
        self,
        path: str,
        content: str | bytes,
        mode: str,
        calls: AsyncFileCalls,
        report: AsyncProgressReport,
        parents: bool,
    ) -> BoolResult:
        """Write a file, and create its directory if only that is missing, which the first attempt finds out."""
        try:
            return await self._write_once(path, content, mode, calls, report)
        except AGBError as error:
            if not parents or error.kind is not ErrorKind.NOT_FOUND or ops.is_session_gone(error):
                raise
        await self._make_parents(path, calls)
        return await self._write_once(path, content, mode, calls, report)

    async def _make_parents(self, path: str, calls: AsyncFileCalls) -> None:
        if directory := posixpath.dirname(path):
            await calls.run(ops.create_directory(directory, session_id=self.session.session_id))

    async def _write_once(
        self, path: str, content: str | bytes, mode: str, calls: AsyncFileCalls, report: AsyncProgressReport
    ) -> BoolResult:
        data = content.encode() if isinstance(content, str) else content
        if isinstance(content, str) and len(content) <= self.DEFAULT_CHUNK_SIZE:
            result = await calls.run(ops.write_file(path, content, mode, session_id=self.session.session_id))
            await report.add(len(data), len(data))
            return result
        write = self._writer.append if mode == "append" else self._writer.replace
        return await write(path, data, calls, report)

    async def write_stream(
        self,
        path: str,
        chunks: AnyBytesIterable | PathLike[str],
        *,
        parents: bool = False,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> BoolResult:
        """Write a file from chunks of bytes as they arrive; a few of them are in memory, never the file.

        They are written beside the file, and moved there when all of them have arrived: a reader sees the old file or
        the new one. If the chunks end in an exception, it is raised and the file stays as it was.

        Args:
            path: the file.
            chunks: an iterable of bytes of any sizes; or a file of this machine, as a `pathlib.Path`, or opened with
                ``"rb"``.
            parents: whether to create the directories above it that are missing.
            progress: a function called with the bytes written and None, or True for a bar.
            timeout: seconds for everything.

        Returns:
            A failure also if the file of this machine cannot be read.

        Raises:
            ValueError, TypeError: an argument is invalid.
            ImportError: ``progress=True`` without rich.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = await session.file.write_stream("/tmp/zeros", (bytes(100_000) for _ in range(20)))
            ...     print(result.success)
            True

        API: the tool ``shell``; ``write_file`` where it takes bytes.
        """
        path = ops.check_path(path)
        check_chunks(chunks)
        calls = AsyncFileCalls(self.session, timeout)
        try:
            async with (
                AsyncProgressReport(progress, f"write {path}") as report,
                opened_chunks(chunks, self._unreadable) as (pieces, total),
            ):
                if parents:
                    await self._make_parents(path, calls)
                return await self._writer.replace_by_chunks(path, pieces, calls, report, total)
        except AGBError as error:
            return BoolResult.failed(error)

    def _unreadable(self, error: OSError) -> AGBError:
        return FileError(f"cannot read the file of this machine: {error}", session_id=self.session.session_id)
