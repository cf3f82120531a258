# Generated from src/agb/_async/modules/files.py by tools/unasync.py. Do not edit.
"""Files of a session: reading, writing, watching, and what the classes of their own subjects add."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Literal, overload

from ..._ops.tools import files as ops
from ..._wire.deadline import check_timeout
from ...exceptions import AGBError, FileError
from ...results.base import BoolResult
from ...results.files import BinaryFileContentResult, FileContentResult, MultipleFileContentResult
from .._compat.concurrency import gather
from .._compat.iteration import AnyBytesIterable
from ..host.chunks import check_chunks, opened_chunks
from ..host.progress import Progress, ProgressReport
from .file_calls import (
    CHUNK,
    CONCURRENT_CALLS,
    MAX_READ,
    READ_SECONDS,
    FileCalls,
    ReadForm,
    SizeLimit,
)
from .file_copies import FileCopies
from .file_paths import FilePaths
from .file_stream import FileStream
from .file_watch import Events, FileChanges, WatchThread
from .tools import tool_result

if TYPE_CHECKING:
    from .protocols import SessionAccess


class FileSystem(FilePaths, FileCopies):
    """The files of a session; available as ``session.file``.

    Paths are paths inside the session, preferably absolute; relative ones start at a fixed directory of the session.
    Methods return results; a `FileError` in ``error`` says why something failed, its ``kind`` is
    ``ErrorKind.NOT_FOUND`` for a missing file.
    """

    DEFAULT_CHUNK_SIZE = 50 * 1024
    """Characters that one call of `write_file` takes, as every service does."""

    def __init__(self, session: SessionAccess) -> None:
        form = ReadForm()
        FilePaths.__init__(self, session, form)
        FileCopies.__init__(self, session, form)

    # --- reading -------------------------------------------------------------------------------------------------

    @overload
    def read(
        self,
        path: str,
        *,
        format: Literal["text"] = ...,
        max_size: int | None = ...,
        progress: Progress = ...,
        timeout: float | None = ...,
    ) -> FileContentResult: ...
    @overload
    def read(
        self,
        path: str,
        *,
        format: Literal["bytes"],
        max_size: int | None = ...,
        progress: Progress = ...,
        timeout: float | None = ...,
    ) -> BinaryFileContentResult: ...
    def read(
        self,
        path: str,
        *,
        format: Literal["text", "bytes"] = "text",
        max_size: int | None = MAX_READ,
        progress: Progress = None,
        timeout: float | None = READ_SECONDS,
    ) -> FileContentResult | BinaryFileContentResult:
        r"""Return the content of a file, to its end, whatever size it reports.

        Args:
            path: the file. Devices, pipes and sockets are refused, since their content may have no end.
            format: ``text``, which is UTF-8, or ``bytes``.
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
            >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     written = session.file.write("/tmp/hello.txt", "größer\n")
            ...     text = session.file.read("/tmp/hello.txt")
            ...     raw = session.file.read("/tmp/hello.txt", format="bytes")
            ...     print(text.content, raw.content)
            größer
             b'gr\xc3\xb6\xc3\x9fer\n'

        API: the tools ``get_file_info`` and ``read_file``.
        """
        if format not in ("text", "bytes"):
            raise ValueError(f"format must be 'text' or 'bytes', not {format!r}")
        return self._read(path, format, SizeLimit(max_size), progress, timeout)

    def _read(
        self, path: str, format: str, limit: SizeLimit, progress: Progress, timeout: float | None
    ) -> FileContentResult | BinaryFileContentResult:
        stream = self._stream(path, CHUNK, limit, progress, timeout)
        try:
            with stream:
                content = stream.read()
            if format == "bytes":
                return BinaryFileContentResult(stream.request_id, True, content, size=len(content))
            return FileContentResult(stream.request_id, True, ops.decoded(content, path, self.session.session_id))
        except AGBError as error:
            return (BinaryFileContentResult if format == "bytes" else FileContentResult).failed(error)

    def read_batch(
        self, paths: Sequence[str], *, max_size: int | None = MAX_READ, timeout: float | None = READ_SECONDS
    ) -> MultipleFileContentResult:
        """Return the texts of several files as ``contents``, by their paths.

        Args:
            paths: the files.
            max_size: bytes of all files together; the files beyond it are failures. None for no limit.
            timeout: seconds for everything.

        Returns:
            A success if all of them were read. Otherwise ``contents`` has the files that were read, and ``errors`` the
            error of each other file.

        Raises:
            ValueError, TypeError: a path is invalid; nothing was sent.

        API: the tools ``get_file_info`` and ``read_file``.
        """
        if isinstance(paths, str):
            raise TypeError("paths must be a list of paths, not a string")
        for path in paths:
            ops.check_path(path)
        calls, limit = FileCalls(self.session, timeout), SizeLimit(max_size)
        results: dict[str, FileContentResult | BinaryFileContentResult] = {}
        wanted = [*dict.fromkeys(paths)]
        for start in range(0, len(wanted), CONCURRENT_CALLS):
            some = wanted[start : start + CONCURRENT_CALLS]
            results |= zip(some, gather([partial(self._text, path, calls, limit) for path in some]), strict=True)
        contents = {path: one.content for path, one in results.items() if one.success}
        errors = {path: one.error for path, one in results.items() if one.error is not None}
        request_id = next((one.request_id for one in results.values()), "")
        for path, error in errors.items():
            message = f"{len(errors)} of {len(results)} files could not be read; {path}: {error}"
            return MultipleFileContentResult(request_id, False, contents, message, errors=errors, error=error)
        return MultipleFileContentResult(request_id, True, contents)

    def _text(self, path: str, calls: FileCalls, limit: SizeLimit) -> FileContentResult | BinaryFileContentResult:
        try:
            return self._read(path, "text", limit, None, calls.left())
        except AGBError as error:
            return FileContentResult.failed(error)

    def read_stream(
        self,
        path: str,
        chunk_size: int = CHUNK,
        *,
        max_size: int | None = None,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> FileStream:
        """Return the bytes of a file as a stream, for ``with``; a few chunks are in memory, never the file.

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
            >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     written = session.file.write("/tmp/data.bin", bytes(5_000_000))
            ...     with session.file.read_stream("/tmp/data.bin") as chunks:
            ...         sizes = [len(chunk) for chunk in chunks]
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
        self, path: str, chunk_size: int, limit: SizeLimit, progress: Progress, timeout: float | None
    ) -> FileStream:
        check_timeout(timeout)
        path = ops.check_path(path)
        report = ProgressReport(progress, f"read {path}")
        return FileStream(self.session, path, chunk_size, report, timeout, form=self._form, limit=limit)

    # --- writing -------------------------------------------------------------------------------------------------

    def write(
        self,
        path: str,
        content: str | bytes,
        mode: str = "overwrite",
        *,
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
            progress: a function called with the bytes written and the bytes in all, or True for a bar.
            timeout: seconds for everything; without it, the client's time-out for each call.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.
            ImportError: ``progress=True`` without rich.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = session.file.write("/tmp/pixels.raw", bytes(range(256)) * 1000)
            ...     info = session.file.info("/tmp/pixels.raw")
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
        if isinstance(content, (bytearray, memoryview)):
            content = bytes(content)
        if not isinstance(content, bytes):
            ops.check_text(content, "content")
        calls = FileCalls(self.session, timeout)
        try:
            with ProgressReport(progress, f"write {path}") as report:
                if mode == "append":
                    with self._writer.appending(path, calls):
                        return self._write(path, content, mode, calls, report)
                return self._write(path, content, mode, calls, report)
        except AGBError as error:
            return BoolResult.failed(error)

    def _write(
        self, path: str, content: str | bytes, mode: str, calls: FileCalls, report: ProgressReport
    ) -> BoolResult:
        data = content.encode() if isinstance(content, str) else content
        if isinstance(content, str) and len(content) <= self.DEFAULT_CHUNK_SIZE:
            result = calls.run(ops.write_file(path, content, mode, session_id=self.session.session_id))
            report.add(len(data), len(data))
            return result
        write = self._writer.append if mode == "append" else self._writer.replace
        return write(path, data, calls, report)

    def write_stream(
        self,
        path: str,
        chunks: AnyBytesIterable | PathLike[str],
        *,
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
            progress: a function called with the bytes written and None, or True for a bar.
            timeout: seconds for everything.

        Returns:
            A failure also if the file of this machine cannot be read.

        Raises:
            ValueError, TypeError: an argument is invalid.
            ImportError: ``progress=True`` without rich.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = session.file.write_stream("/tmp/zeros", (bytes(100_000) for _ in range(20)))
            ...     print(result.success)
            True

        API: the tool ``shell``; ``write_file`` where it takes bytes.
        """
        path = ops.check_path(path)
        check_chunks(chunks)
        calls = FileCalls(self.session, timeout)
        try:
            with (
                ProgressReport(progress, f"write {path}") as report,
                opened_chunks(chunks, self._unreadable) as (pieces, total),
            ):
                return self._writer.replace_by_chunks(path, pieces, calls, report, total)
        except AGBError as error:
            return BoolResult.failed(error)

    def _unreadable(self, error: OSError) -> AGBError:
        return FileError(f"cannot read the file of this machine: {error}", session_id=self.session.session_id)

    def edit(
        self, path: str, edits: Sequence[Mapping[str, str]], dry_run: bool = False, *, timeout: float | None = None
    ) -> BoolResult:
        """Replace pieces of a text file.

        Args:
            path: the file.
            edits: dicts with ``oldText``, which must be in the file, and ``newText``; applied one after the other.
            dry_run: only check whether the edits can be applied.
            timeout: seconds for the whole call.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     written = session.file.write("/tmp/app.ini", "debug = no")
            ...     edited = session.file.edit("/tmp/app.ini", [{"oldText": "no", "newText": "yes"}])
            ...     text = session.file.read("/tmp/app.ini")
            ...     print(text.content)
            debug = yes

        API: the tool ``edit_file``.
        """
        call = ops.edit_file(path, edits, dry_run, session_id=self.session.session_id)
        return tool_result(self.session, call, BoolResult, timeout=timeout)

    # --- watching ------------------------------------------------------------------------------------------------

    def watch(self, path: str, *, interval: float = 1.0, timeout: float | None = None) -> FileChanges:
        """Return the changes below a directory from now on, for ``with``.

        Args:
            path: the directory.
            interval: seconds between two calls.
            timeout: seconds for each call.

        Raises:
            ValueError, TypeError: an argument is invalid.
            FileError: when the block is entered, or changes are waited for: the directory cannot be watched.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     made = session.file.mkdir("/tmp/inbox")
            ...     with session.file.watch("/tmp/inbox", interval=0.05) as changes:
            ...         written = session.file.write("/tmp/inbox/a.txt", "hello")
            ...         for batch in changes:
            ...             print(batch[0].event_type, batch[0].path)
            ...             break
            create /tmp/inbox/a.txt

        API: the tool ``get_file_change``.
        """
        check_timeout(interval, "interval")
        check_timeout(timeout)
        return FileChanges(self.session, ops.check_path(path), interval, timeout)

    def watch_dir(
        self,
        path: str,
        callback: Callable[[Events], None],
        interval: float = 1.0,
        stop_event: threading.Event | None = None,
    ) -> WatchThread:
        """Return a thread, not started yet, that calls ``callback`` with the changes below a directory.

        Its ``ready_event`` is set once changes are seen; setting its ``stop_event`` ends it, as does the end of
        the session. An exception of ``callback`` is logged, and the thread goes on.

        Args:
            path: the directory.
            callback: called in the thread with a list of `FileChangeEvent`, never an empty one.
            interval: seconds between two calls.
            stop_event: ends the thread when set; created if it is None.

        Raises:
            ValueError, TypeError: an argument is invalid.

        API: the tool ``get_file_change``.
        """
        check_timeout(interval, "interval")
        if not callable(callback):
            raise TypeError(f"callback must be a function of a list of events, not {type(callback).__name__}")
        path = ops.check_path(path)
        stop = stop_event or threading.Event()
        # Bound wherever this method exists, which is in the synchronous flavour.
        thread = WatchThread  # pyright: ignore[reportPossiblyUnboundVariable]
        return thread(self.session, path, callback, interval, stop)
