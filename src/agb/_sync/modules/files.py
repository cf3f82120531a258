# Generated from src/agb/_async/modules/files.py by tools/unasync.py. Do not edit.
"""Files of a session: read, write, list, search, watch, whole directories."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from ..._ops.sessions import get_session
from ..._ops.tools import file_scripts as scripts
from ..._ops.tools import files as ops
from ..._wire.deadline import Deadline, check_timeout
from ..._wire.toolcall import ToolCall, parse_tool_list
from ...exceptions import AGBError, ErrorKind, FileError
from ...results.base import BoolResult
from ...results.files import (
    BinaryFileContentResult,
    DirectoryListResult,
    FileChangeEvent,
    FileChangeResult,
    FileContentResult,
    FileInfoResult,
    FileSearchResult,
    MultipleFileContentResult,
)
from ...results.sessions import GetSessionResult, McpTool
from ...results.transfers import DownloadResult, UploadResult
from .._compat.cancellation import CLEANUP_LIMIT, shielded
from .._compat.concurrency import gather
from .._compat.iteration import AnyBytesIterable, each
from .._compat.loop import from_thread, in_thread, sleep
from ..host.archive import packed, unpack
from ..host.progress import Progress, ProgressReport
from .context_manager import POLL_INTERVAL
from .file_transfer import UPLOAD_LIMIT, FileTransfer, ProgressCallback

if TYPE_CHECKING:
    from ..session import Session

T = TypeVar("T")
Events = list[FileChangeEvent]

_log = logging.getLogger("agb")

CHUNK = 1 << 20
"""Bytes asked for, or sent, in one call."""
AT_ONCE = 4
"""Calls that are on their way at the same time, where their order does not matter."""


class FileSystem:
    """The files of a session; available as ``session.file``.

    Paths are paths inside the session, absolute ones best; relative ones start at a fixed directory of the session.
    Methods return results; a `FileError` in ``error`` tells why something failed, its ``kind`` is
    ``ErrorKind.NOT_FOUND`` for what is not there.
    """

    DEFAULT_CHUNK_SIZE = 50 * 1024
    """Characters that one call of `write_file` takes, as every service does."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._takes_bytes: bool | None = None
        self._transfer = FileTransfer(session.agb, session)

    # --- directories and names -----------------------------------------------------------------------------------

    def mkdir(self, path: str, *, timeout: float | None = None) -> BoolResult:
        """Make a directory.

        Raises:
            ValueError, TypeError: the path cannot be one; nothing was sent.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = session.file.mkdir("/tmp/reports")
            ...     print(result.success)
            True

        Source: data-plane.md 2.3.1.
        """
        return self._result(ops.create_directory(path, session_id=self._id), BoolResult, timeout)

    def list(self, path: str, *, timeout: float | None = None) -> DirectoryListResult:
        """Return what a directory holds as ``entries``: dicts with ``name`` and ``isDirectory``.

        Raises:
            ValueError, TypeError: the path cannot be one; nothing was sent.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     session.command.execute("mkdir -p /tmp/here && touch /tmp/here/a.txt")
            ...     listed = session.file.list("/tmp/here")
            ...     print(listed.entries)
            CommandResult(...)
            [{'name': 'a.txt', 'isDirectory': False}]

        Source: data-plane.md 2.3.4.
        """
        return self._result(ops.list_directory(path, session_id=self._id), DirectoryListResult, timeout)

    def info(self, path: str, *, timeout: float | None = None) -> FileInfoResult:
        """Return what is known of a file or directory as ``file_info``: ``size`` in bytes, ``isDirectory``, and more.

        Raises:
            ValueError, TypeError: the path cannot be one; nothing was sent.

        Source: data-plane.md 2.3.3.
        """
        return self._result(ops.get_file_info(path, session_id=self._id), FileInfoResult, timeout)

    def exists(self, path: str, *, timeout: float | None = None) -> BoolResult:
        """Return as ``data`` whether there is anything at a path; a symbolic link is, wherever it leads.

        What lies in a directory that may not be looked into is taken for not there.

        Raises:
            ValueError, TypeError: the path cannot be one; nothing was sent.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     found = session.file.exists("/tmp/no-such-file")
            ...     print(found.data)
            False
        """
        return self._result(scripts.exists(ops.check_path(path), session_id=self._id), BoolResult, timeout)

    def move(self, source: str, destination: str, *, timeout: float | None = None) -> BoolResult:
        """Give a file or directory another path.

        Raises:
            ValueError, TypeError: a path cannot be one; nothing was sent.

        Source: data-plane.md 2.3.5.
        """
        return self._result(ops.move_file(source, destination, session_id=self._id), BoolResult, timeout)

    def remove(self, path: str, *, recursive: bool = False, timeout: float | None = None) -> BoolResult:
        """Remove a file; with ``recursive`` also a directory and all that it holds.

        Raises:
            ValueError, TypeError: the path cannot be one; nothing was sent.

        Source: data-plane.md 2.3.6.
        """
        ops.check_path(path)
        call = scripts.remove_tree if recursive else ops.delete_file
        return self._result(call(path, session_id=self._id), BoolResult, timeout)

    def search(
        self,
        path: str,
        pattern: str,
        exclude_patterns: Sequence[str] | None = None,
        *,
        timeout: float | None = None,
    ) -> FileSearchResult:
        """Return the paths below a directory whose names match a pattern, as ``matches``.

        Args:
            path: the directory.
            pattern: of the name, such as ``*.txt``.
            exclude_patterns: patterns of what is left out.
            timeout: seconds for the whole call.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.

        Source: data-plane.md 2.3.10.
        """
        call = ops.search_files(path, pattern, exclude_patterns, session_id=self._id)
        return self._result(call, FileSearchResult, timeout)

    def glob(self, pattern: str, *, timeout: float | None = None) -> FileSearchResult:
        """Return the paths that match a pattern, sorted, as ``matches``; however many, and whatever their names.

        Args:
            pattern: the whole path; ``*`` and ``?`` stand for characters of a name, ``[abc]`` for one of them,
                ``**`` for any number of directories. As in a shell, they match no dot at the start of a name.
            timeout: seconds for the whole call.

        Raises:
            ValueError, TypeError: the pattern cannot be one; nothing was sent.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     made = session.command.execute("mkdir -p /tmp/g/sub; touch /tmp/g/a.py /tmp/g/sub/b.py")
            ...     found = session.file.glob("/tmp/g/**/*.py")
            ...     print(found.matches)
            ['/tmp/g/a.py', '/tmp/g/sub/b.py']
        """
        call = scripts.find(ops.check_path(pattern, "pattern"), session_id=self._id)
        limit = _Limit(timeout)
        try:
            listing = self._tool(call, limit)
            names = listing.names
            if listing.file:
                try:
                    names = self._content(listing.file, limit)
                finally:
                    self._tidy(listing.file)
        except AGBError as error:
            return FileSearchResult.failed(error)
        return FileSearchResult(listing.request_id, True, scripts.names_in(names))

    # --- reading -------------------------------------------------------------------------------------------------

    @overload
    def read(
        self, path: str, *, format: Literal["text"] = ..., progress: Progress = ..., timeout: float | None = ...
    ) -> FileContentResult: ...
    @overload
    def read(
        self, path: str, *, format: Literal["bytes"], progress: Progress = ..., timeout: float | None = ...
    ) -> BinaryFileContentResult: ...
    def read(
        self,
        path: str,
        *,
        format: Literal["text", "bytes"] = "text",  # noqa: A002 - the name is that of 0.12
        progress: Progress = None,
        timeout: float | None = None,
    ) -> FileContentResult | BinaryFileContentResult:
        r"""Return what a file holds, to its end, whatever size it reports.

        Args:
            path: the file.
            format: ``text``, which is UTF-8, or ``bytes``.
            progress: a function called with the bytes read and the bytes in all, or True for a bar.
            timeout: seconds for everything; without it, the client's time-out for each call.

        Returns:
            ``content``: a string, or bytes. A file that is no UTF-8 cannot be read as text: the error tells where.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.
            ImportError: ``progress=True`` without rich.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     written = session.file.write("/tmp/hello.txt", "größer\n")
            ...     text = session.file.read("/tmp/hello.txt")
            ...     raw = session.file.read("/tmp/hello.txt", format="bytes")
            ...     print(text.content, raw.content)
            größer
             b'gr\xc3\xb6\xc3\x9fer\n'

        Source: data-plane.md 2.3.7.
        """
        if format not in ("text", "bytes"):
            raise ValueError(f"format is 'text' or 'bytes', not {format!r}")
        stream = self.read_stream(path, progress=progress, timeout=timeout)
        try:
            with stream:
                content = stream.read()
            if format == "bytes":
                return BinaryFileContentResult(stream.request_id, True, content, size=len(content))
            return FileContentResult(stream.request_id, True, ops.decoded(content, path, self._id))
        except AGBError as error:
            return (BinaryFileContentResult if format == "bytes" else FileContentResult).failed(error)

    def read_batch(self, paths: Sequence[str], *, timeout: float | None = None) -> MultipleFileContentResult:
        """Return the texts of several files as ``contents``, by their paths.

        Args:
            paths: the files.
            timeout: seconds for everything.

        Returns:
            A success if all of them were read. Else ``contents`` has those that were, ``errors`` why not the others.

        Raises:
            ValueError, TypeError: a path cannot be one; nothing was sent.

        Source: data-plane.md 2.3.9.
        """
        if isinstance(paths, str):
            raise TypeError("paths is a list of paths, not a string")
        for path in paths:
            ops.check_path(path)
        limit = _Limit(timeout)
        given: dict[str, FileContentResult] = {}
        wanted = [*dict.fromkeys(paths)]
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            given |= zip(some, gather([partial(self._text, path, limit) for path in some]), strict=True)
        contents = {path: one.content for path, one in given.items() if one.success}
        errors = {path: one.error for path, one in given.items() if one.error is not None}
        request_id = next((one.request_id for one in given.values()), "")
        for path, error in errors.items():
            message = f"{len(errors)} of {len(given)} files could not be read; {path}: {error}"
            return MultipleFileContentResult(request_id, False, contents, message, errors=errors, error=error)
        return MultipleFileContentResult(request_id, True, contents)

    def _text(self, path: str, limit: _Limit) -> FileContentResult:
        try:
            return self.read(path, timeout=limit.left())
        except AGBError as error:
            return FileContentResult.failed(error)

    def read_stream(
        self,
        path: str,
        chunk_size: int = CHUNK,
        *,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> FileStream:
        """Return the bytes of a file as a stream, for ``with``; it holds a few chunks in memory, never the file.

        Args:
            path: the file.
            chunk_size: bytes in a chunk; the last is shorter.
            progress: a function called with the bytes read and the bytes in all, or True for a bar.
            timeout: seconds for everything, counted from entering the block.

        Raises:
            ValueError, TypeError: an argument cannot be used.
            FileError: when the block is entered, or a chunk is read: the file cannot be read.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     written = session.file.write("/tmp/data.bin", bytes(5_000_000))
            ...     with session.file.read_stream("/tmp/data.bin") as chunks:
            ...         sizes = [len(chunk) for chunk in chunks]
            ...     print(sum(sizes))
            5000000
        """
        if isinstance(chunk_size, bool) or not isinstance(chunk_size, int):
            raise TypeError(f"chunk_size is a number of bytes, not {chunk_size!r}")
        if chunk_size <= 0:
            raise ValueError(f"chunk_size is a number of bytes above zero, not {chunk_size}")
        check_timeout(timeout)
        report = ProgressReport(progress, f"read {ops.check_path(path)}")
        return FileStream(self, path, chunk_size, report, timeout)

    def _content(self, path: str, limit: _Limit) -> bytes:
        with self.read_stream(path, timeout=limit.left()) as stream:
            return stream.read()

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

        What takes several calls is written beside the file and moved to its place at the end, so that a reader sees
        the old file or the new one; appending adds piece by piece.

        Args:
            path: the file.
            content: text, which is written as UTF-8, or bytes.
            mode: ``overwrite`` or ``append``.
            progress: a function called with the bytes written and the bytes in all, or True for a bar.
            timeout: seconds for everything; without it, the client's time-out for each call.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.
            ImportError: ``progress=True`` without rich.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = session.file.write("/tmp/pixels.raw", bytes(range(256)) * 1000)
            ...     info = session.file.info("/tmp/pixels.raw")
            ...     print(result.success, info.file_info["size"])
            True 256000

        Source: data-plane.md 2.3.8.
        """
        ops.check_path(path)
        if refused := ops.mode_refused(mode):
            return BoolResult.failed(FileError(refused, session_id=self._id))
        if isinstance(content, (bytearray, memoryview)):
            content = bytes(content)
        if not isinstance(content, bytes):
            ops.check_text(content, "content")
        limit = _Limit(timeout)
        try:
            with ProgressReport(progress, f"write {path}") as report:
                if isinstance(content, str) and len(content) <= self.DEFAULT_CHUNK_SIZE:
                    result = self._tool(ops.write_file(path, content, mode, session_id=self._id), limit)
                    size = len(content.encode())
                    report.add(size, size)
                    return result
                data = content.encode() if isinstance(content, str) else content
                if mode == "append":
                    return self._append(path, data, limit, report)
                if call := self._whole(path, data, limit):
                    result = self._tool(call, limit)
                    report.add(len(data), len(data))
                    return result
                return self._write_beside(path, (data,), limit, report, len(data))
        except AGBError as error:
            return BoolResult.failed(error)

    def write_stream(
        self,
        path: str,
        chunks: AnyBytesIterable,
        *,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> BoolResult:
        """Write a file from chunks of bytes as they come; a few of them are in memory, never the file.

        They are written beside the file, and moved to its place when all are there: a reader sees the old file or the
        new one. If the chunks end in an exception, it is raised and the file stays as it was.

        Args:
            path: the file.
            chunks: an iterable of bytes of any sizes, such as a generator or a file opened with ``"rb"``.
            progress: a function called with the bytes written and None, or True for a bar.
            timeout: seconds for everything.

        Raises:
            ValueError, TypeError: an argument cannot be used.
            ImportError: ``progress=True`` without rich.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = session.file.write_stream("/tmp/zeros", (bytes(100_000) for _ in range(20)))
            ...     print(result.success)
            True
        """
        ops.check_path(path)
        if isinstance(chunks, (str, bytes, bytearray, memoryview)):
            raise TypeError(f"chunks is an iterable of bytes, not {type(chunks).__name__}: use write()")
        limit = _Limit(timeout)
        try:
            with ProgressReport(progress, f"write {path}") as report:
                return self._write_beside(path, chunks, limit, report)
        except AGBError as error:
            return BoolResult.failed(error)

    def edit(
        self, path: str, edits: Sequence[Mapping[str, str]], dry_run: bool = False, *, timeout: float | None = None
    ) -> BoolResult:
        """Replace pieces of a text file.

        Args:
            path: the file.
            edits: dicts with ``oldText``, which must be in the file, and ``newText``; applied one after the other.
            dry_run: only find out whether it can be done.
            timeout: seconds for the whole call.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     written = session.file.write("/tmp/app.ini", "debug = no")
            ...     edited = session.file.edit("/tmp/app.ini", [{"oldText": "no", "newText": "yes"}])
            ...     text = session.file.read("/tmp/app.ini")
            ...     print(text.content)
            debug = yes

        Source: data-plane.md 2.3.2.
        """
        return self._result(ops.edit_file(path, edits, dry_run, session_id=self._id), BoolResult, timeout)

    def _whole(self, path: str, data: bytes, limit: _Limit) -> ToolCall[BoolResult] | None:
        """Return the one call that writes all, None if it takes several."""
        if len(data) > CHUNK:
            return None
        if self._can_take_bytes(limit):
            return ops.write_file(path, data, session_id=self._id)
        if len(data) > scripts.PIECE:
            return None
        return scripts.write_at_once(path, data, _token(), session_id=self._id)

    def _append(self, path: str, data: bytes, limit: _Limit, report: ProgressReport) -> BoolResult:
        """Add piece by piece; what is lost on the way is not sent again, since it may have arrived."""
        as_bytes = self._can_take_bytes(limit)
        size = CHUNK if as_bytes else scripts.PIECE
        result = BoolResult(success=True, data=True)
        for start in range(0, max(len(data), 1), size):
            piece = data[start : start + size]
            if as_bytes:
                call = ops.write_file(path, piece, "append", session_id=self._id)
            else:
                call = scripts.append(path, piece, session_id=self._id)
            result = self._tool(call, limit)
            report.add(len(piece), len(data))
        return result

    def _write_beside(
        self, path: str, chunks: AnyBytesIterable, limit: _Limit, report: ProgressReport, total: int | None = None
    ) -> BoolResult:
        """Write to a temporary file beside the target, and move it there once all has arrived."""
        place = self._tool(scripts.begin(path, _token(), session_id=self._id), limit)
        try:
            size = self._send(place, chunks, limit, report, total)
            return self._tool(scripts.finish(place, size, session_id=self._id), limit)
        except BaseException:
            self._tidy(place.temporary)
            raise

    def _send(
        self,
        place: scripts.Place,
        chunks: AnyBytesIterable,
        limit: _Limit,
        report: ProgressReport,
        total: int | None = None,
    ) -> int:
        """Write chunks to an empty file, several at once where their order does not matter; return the bytes."""
        as_bytes = self._can_take_bytes(limit)
        pieces = _Pieces(chunks, CHUNK if as_bytes else scripts.PIECE)
        number = 0
        # `write_file` only appends, so its pieces go one after the other; a script puts each into its place.
        while some := pieces.receive(1 if as_bytes else AT_ONCE):
            calls = [self._piece(place, number + i, piece, as_bytes) for i, piece in enumerate(some)]
            gather([partial(self._tool, call, limit) for call in calls])
            number += len(some)
            report.add(sum(len(piece) for piece in some), total)
        return report.done

    def _piece(self, place: scripts.Place, number: int, data: bytes, as_bytes: bool) -> ToolCall[BoolResult]:
        if as_bytes:
            return ops.write_file(place.temporary, data, "append", session_id=self._id)
        return scripts.put_piece(place, number, data, session_id=self._id)

    def _can_take_bytes(self, limit: _Limit) -> bool:
        """Return whether `write_file` takes bytes here; asked for once, where the list of tools is not known yet."""
        if self._takes_bytes is None:
            self._takes_bytes = ops.takes_bytes(self.session.tool_list or [])
        if self._takes_bytes is None:
            self._takes_bytes = ops.takes_bytes(self._tools(limit)) or False
        return self._takes_bytes

    def _tools(self, limit: _Limit) -> Sequence[McpTool]:
        """Return the tools by the session's image, or by the session itself if it was attached to by its id."""
        if self.session.image_id:
            return self.session.list_mcp_tools(timeout=limit.left()).tools
        result = self.session._transport.result(get_session(self._id), GetSessionResult, timeout=limit.left())
        told = parse_tool_list(result.data.tool_list if result.data else "")
        return [McpTool(tool["name"], input_schema=tool.get("inputSchema")) for tool in told]

    # --- whole directories ---------------------------------------------------------------------------------------

    def upload_dir(
        self,
        local_path: str | PathLike[str],
        remote_path: str,
        *,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> BoolResult:
        """Copy what a directory of this machine holds into one of the session, which is made if need be.

        Files, directories and symbolic links, with their modes and times; as one archive, so that many small files
        are as fast as a large one.

        Args:
            local_path: the directory here.
            remote_path: the directory in the session.
            progress: a function called with the bytes sent and None, or True for a bar.
            timeout: seconds for everything.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.
            ImportError: ``progress=True`` without rich.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> with TemporaryDirectory() as here:
            ...     written = Path(here, "a.txt").write_text("hello")
            ...     with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...         sent = session.file.upload_dir(here, "/tmp/project")
            ...         text = session.file.read("/tmp/project/a.txt")
            ...         got = session.file.download_dir("/tmp/project", Path(here, "back"))
            ...     print(sent.success, text.content, got.success, Path(here, "back", "a.txt").read_text())
            True hello True hello
        """
        ops.check_path(remote_path, "remote_path")
        source = Path(local_path)
        if not source.is_dir():
            raise ValueError(f"local_path is a directory of this machine, and {str(source)!r} is none")
        limit = _Limit(timeout)
        try:
            with ProgressReport(progress, f"upload {source}") as report:
                archive = self._tool(scripts.temporary_name(_token(), session_id=self._id), limit)
                try:
                    self._send(scripts.Place(archive, archive), _Packed(source), limit, report)
                    return self._tool(scripts.unpack(archive, remote_path, session_id=self._id), limit)
                finally:
                    self._tidy(archive)
        except OSError as error:
            return BoolResult.failed(FileError(f"cannot read {str(source)!r}: {error}", session_id=self._id))
        except AGBError as error:
            return BoolResult.failed(error)

    def download_dir(
        self,
        remote_path: str,
        local_path: str | PathLike[str],
        *,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> BoolResult:
        """Copy what a directory of the session holds into one of this machine, which is made if need be.

        Nothing is written outside of it: a name or a link that leads out is an error, and devices and pipes are left
        out.

        Args:
            remote_path: the directory in the session.
            local_path: the directory here.
            progress: a function called with the bytes received and the bytes in all, or True for a bar.
            timeout: seconds for everything.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.
            ImportError: ``progress=True`` without rich.
        """
        ops.check_path(remote_path, "remote_path")
        target = Path(local_path)
        if target.exists() and not target.is_dir():
            raise ValueError(f"local_path is a directory of this machine, and {str(target)!r} is a file")
        report = ProgressReport(progress, f"download {remote_path}")
        limit = _Limit(timeout)
        try:
            archive = self._tool(scripts.temporary_name(_token(), session_id=self._id), limit)
            try:
                packed_there = self._tool(scripts.pack(remote_path, archive, session_id=self._id), limit)
                with FileStream(self, archive, CHUNK, report, limit.left()) as stream:
                    in_thread(lambda: unpack(lambda: from_thread(stream.receive), target))
                return packed_there
            finally:
                self._tidy(archive)
        except OSError as error:
            return BoolResult.failed(FileError(f"cannot write {str(target)!r}: {error}", session_id=self._id))
        except AGBError as error:
            return BoolResult.failed(error)

    # --- files of this machine, past the tools -------------------------------------------------------------------

    def upload(
        self,
        local_path: str,
        remote_path: str,
        *,
        content_type: str | None = None,
        wait: bool = True,
        wait_timeout: float = UPLOAD_LIMIT,
        poll_interval: float = POLL_INTERVAL,
        progress_cb: ProgressCallback | None = None,
    ) -> UploadResult:
        """Copy a file of this machine into the directory `transfer_path` of the session; of any size, in pieces.

        It goes to the session's internal context, and from there into the session; `upload_dir` and `write_stream`
        write to any directory.

        Args:
            local_path: the file here.
            remote_path: the path in the session, below `transfer_path`.
            content_type: sent to the store; real stores refuse one that their URL was not signed with.
            wait: whether to wait until the session has the file; else it is stored, and the session has begun to fetch
                it, when this returns.
            wait_timeout: seconds to wait for that. The copying itself is over when nothing moves for 60 seconds.
            poll_interval: seconds between two looks, at most; the first ones follow each other faster.
            progress_cb: called with the bytes sent so far. What it raises ends the upload and is raised here.

        Returns:
            A success when the session has the file. Never raises for a failed call.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> with TemporaryDirectory() as here:
            ...     written = Path(here, "a.txt").write_text("hello")
            ...     with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...         place = session.file.transfer_path()
            ...         sent = session.file.upload(f"{here}/a.txt", f"{place}/a.txt")
            ...         text = session.file.read(f"{place}/a.txt")
            ...         got = session.file.download(f"{place}/a.txt", f"{here}/b.txt")
            ...     print(sent.success, text.content, got.bytes_received, Path(here, "b.txt").read_text())
            True hello 5 hello

        Source: control-plane.md 4.8.
        """
        return self._transfer.upload(
            local_path,
            remote_path,
            content_type=content_type,
            wait=wait,
            wait_timeout=wait_timeout,
            poll_interval=poll_interval,
            progress_cb=progress_cb,
        )

    def download(
        self,
        remote_path: str,
        local_path: str,
        *,
        overwrite: bool = True,
        wait: bool = True,
        wait_timeout: float = UPLOAD_LIMIT,
        poll_interval: float = POLL_INTERVAL,
        progress_cb: ProgressCallback | None = None,
    ) -> DownloadResult:
        """Copy a file out of the directory `transfer_path` of the session to this machine; of any size, in pieces.

        The session stores it in its internal context first. Here it is written beside its place and moved there when
        it is whole; directories are made if need be.

        Args:
            remote_path: the path in the session, below `transfer_path`.
            local_path: the file here.
            overwrite: whether a file that is here is replaced; otherwise it is a failure.
            wait: whether to wait until the session has stored the file; else what the store has by now is copied.
            wait_timeout: seconds to wait for that. The copying itself is over when nothing moves for 60 seconds.
            poll_interval: seconds between two looks, at most; the first ones follow each other faster.
            progress_cb: called with the bytes received so far. What it raises ends the download and is raised here.

        Returns:
            A success when the file is here. Never raises for a failed call.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.

        Source: control-plane.md 4.8.
        """
        return self._transfer.download(
            remote_path,
            local_path,
            overwrite=overwrite,
            wait=wait,
            wait_timeout=wait_timeout,
            poll_interval=poll_interval,
            progress_cb=progress_cb,
        )

    def transfer_path(self) -> str | None:
        """Return the directory of the session that `upload` and `download` work with; None if there is none.

        Source: control-plane.md 2.27.
        """
        self._transfer.ensure_context_id()
        return self._transfer.context_path

    # --- watching ------------------------------------------------------------------------------------------------

    def watch(self, path: str, *, interval: float = 1.0, timeout: float | None = None) -> FileChanges:
        """Return the changes below a directory from now on, for ``with``.

        Args:
            path: the directory.
            interval: seconds between two looks.
            timeout: seconds for each look.

        Raises:
            ValueError, TypeError: an argument cannot be used.
            FileError: when the block is entered, or changes are waited for: the directory cannot be watched.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     made = session.file.mkdir("/tmp/inbox")
            ...     with session.file.watch("/tmp/inbox", interval=0.05) as changes:
            ...         written = session.file.write("/tmp/inbox/a.txt", "hello")
            ...         for batch in changes:
            ...             print(batch[0].event_type, batch[0].path)
            ...             break
            create /tmp/inbox/a.txt

        Source: data-plane.md 2.3.11 and 5.6.
        """
        check_timeout(interval, "interval")
        check_timeout(timeout)
        return FileChanges(self, ops.check_path(path), interval, timeout)

    def watch_dir(
        self,
        path: str,
        callback: Callable[[Events], None],
        interval: float = 1.0,
        stop_event: threading.Event | None = None,
    ) -> WatchThread:
        """Return a thread, not started yet, that calls ``callback`` with the changes below a directory.

        Its ``ready_event`` is set once changes are seen; setting its ``stop_event`` ends it, as does the end of
        the session. What ``callback`` raises is logged, and the thread goes on.

        Args:
            path: the directory.
            callback: called in the thread with a list of `FileChangeEvent`, never an empty one.
            interval: seconds between two looks.
            stop_event: ends the thread when set; without it, one is made.

        Raises:
            ValueError, TypeError: an argument cannot be used.

        Source: data-plane.md 2.3.11.
        """
        check_timeout(interval, "interval")
        if not callable(callback):
            raise TypeError(f"callback is a function of a list of events, not {type(callback).__name__}")
        return WatchThread(self, ops.check_path(path), callback, interval, stop_event or threading.Event())

    def _get_file_change(self, path: str, *, timeout: float | None = None) -> FileChangeResult:
        """Return what changed below a directory since the call before; the first one only sets the beginning."""
        return self._result(ops.get_file_change(path, session_id=self._id), FileChangeResult, timeout)

    # --- calls ---------------------------------------------------------------------------------------------------

    @property
    def _id(self) -> str:
        return self.session.session_id

    def _tool(self, call: ToolCall[T], limit: _Limit) -> T:
        return self.session._tool(call, timeout=limit.left())

    def _result(self, call: ToolCall[T], kind: type[T], timeout: float | None) -> T:
        make: Any = kind
        try:
            return self.session._tool(call, timeout=timeout)
        except AGBError as error:
            return make.failed(error)  # type: ignore[no-any-return]

    def _tidy(self, path: str) -> None:
        """Remove a temporary file, whatever happens to the caller; if that fails, there is nothing else to be done."""
        call = scripts.remove_quietly(path, session_id=self._id)
        try:
            shielded(lambda: self.session._tool(call, timeout=CLEANUP_LIMIT))
        except AGBError as error:
            _log.debug("the temporary file %s was not removed: %s", path, error)


class _Limit:
    """The time for something that takes several calls."""

    def __init__(self, timeout: float | None) -> None:
        check_timeout(timeout)
        self._deadline = None if timeout is None else Deadline(timeout)

    def left(self) -> float | None:
        """Return the seconds left, None if there is no limit to all; raise `FileError` if it is over."""
        if self._deadline is None:
            return None
        if left := self._deadline.left():
            return left
        raise FileError(f"not done within {self._deadline.seconds:g} s", kind=ErrorKind.TIMED_OUT, retryable=True)


def _token() -> str:
    return secrets.token_hex(8)


# --- streams -----------------------------------------------------------------------------------------------------


class FileStream:
    """The bytes of a file, chunk by chunk; made by ``session.file.read_stream()``.

    Attributes:
        path: the file.
        size: the bytes that it reported, known inside the block; 0 for files that do not know, as those of ``/proc``.
        request_id: the service's id of the first request.
    """

    def __init__(
        self, files: FileSystem, path: str, chunk_size: int, report: ProgressReport, timeout: float | None
    ) -> None:
        self.path = path
        self.size = 0
        self.request_id = ""
        self._files = files
        self._step = chunk_size
        self._report = report
        self._timeout = timeout
        self._limit: _Limit | None = None
        self._offset = 0
        self._ready: deque[bytes] = deque()
        self._failure: AGBError | None = None
        self._is_over = False

    def __enter__(self) -> FileStream:
        self._limit = _Limit(self._timeout)
        session_id = self._files.session.session_id
        info = self._files._tool(ops.get_file_info(self.path, session_id=session_id), self._limit)
        self.request_id = info.request_id
        if not info.file_info or info.file_info.get("isDirectory") is True:
            raise FileError(
                f"Path does not exist or is a directory: {self.path}",
                request_id=info.request_id,
                session_id=session_id,
            )
        size = info.file_info.get("size")
        self.size = size if isinstance(size, int) and size > 0 else 0
        self._report.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._ready.clear()
        self._is_over = True
        self._report.__exit__(*raised)

    def __iter__(self) -> FileStream:
        return self

    def __next__(self) -> bytes:
        chunk = self.receive()
        if not chunk:
            raise StopIteration
        return chunk

    def receive(self) -> bytes:
        """Return the next chunk, ``b""`` at the end.

        Raises:
            FileError: it cannot be read; ``extra["offset"]`` tells how many bytes could.
        """
        while not self._ready and self._failure is None and not self._is_over:
            self._fetch()
        if self._ready:
            chunk = self._ready.popleft()
            self._report.add(len(chunk), self.size or None)
            return chunk
        if self._failure is not None:
            raise self._failure
        return b""

    def read(self) -> bytes:
        """Return all that is left."""
        chunks = []
        while chunk := self.receive():
            chunks.append(chunk)
        return b"".join(chunks)

    def _fetch(self) -> None:
        """Ask for the next chunks, several at once as long as the file is known to have them."""
        ahead = -(-(self.size - self._offset) // self._step)
        offsets = [self._offset + i * self._step for i in range(max(1, min(ahead, AT_ONCE)))]
        for got in gather([partial(self._chunk, offset) for offset in offsets]):
            if isinstance(got, AGBError):
                got.extra["offset"] = self._offset
                self._failure = got
                return
            if not self._accept(got.data):
                return

    def _accept(self, data: bytes) -> bool:
        """Take what came for one request; return whether it is what was asked for, so that the next one fits.

        A chunk that is short is the last, unless the file said that it has more: then it became shorter, or the
        service gives less at once than it was asked for. Only an empty one tells.
        """
        self._offset += len(data)
        if data:
            self._ready.append(data)
        if len(data) == self._step:
            return True
        if not data or (self.size and self._offset >= self.size):
            self._is_over = True
        elif self.size:
            self._step = len(data)
        return False

    def _chunk(self, offset: int) -> ops.Chunk | AGBError:
        assert self._limit is not None  # noqa: S101 - the stream was entered
        call = ops.read_file(self.path, offset, self._step, session_id=self._files.session.session_id)
        try:
            return self._files._tool(call, self._limit)
        except AGBError as error:
            return error  # raised when what came before it has been given


class _Pieces:
    """Cuts chunks of any sizes into pieces of one size, of which only the last may be shorter."""

    def __init__(self, chunks: AnyBytesIterable, size: int) -> None:
        self._chunks = each(chunks)
        self._size = size
        self._left = memoryview(b"")
        self._is_over = False

    def receive(self, count: int) -> list[bytes]:
        """Return the next pieces, at most so many; none at the end."""
        pieces: list[bytes] = []
        while len(pieces) < count and (piece := self._piece()):
            pieces.append(piece)
        return pieces

    def _piece(self) -> bytes:
        parts: list[memoryview] = []
        missing = self._size
        while missing:
            if not self._left and not self._more():
                break
            parts.append(self._left[:missing])
            self._left = self._left[len(parts[-1]) :]
            missing -= len(parts[-1])
        return b"".join(parts)

    def _more(self) -> bool:
        while not self._is_over:
            try:
                chunk = self._chunks.__next__()
            except StopIteration:
                self._is_over = True
                break
            if not isinstance(chunk, (bytes, bytearray, memoryview)):
                raise TypeError(f"chunks gives bytes, not {type(chunk).__name__}")
            self._left = memoryview(chunk).cast("B")
            if self._left:
                return True
        return False


class _Packed:
    """The archive of a directory; the disk is read in a thread."""

    def __init__(self, directory: Path) -> None:
        self._pieces = packed(directory)

    def __iter__(self) -> _Packed:
        return self

    def __next__(self) -> bytes:
        piece = in_thread(lambda: next(self._pieces, None))
        if piece is None:
            raise StopIteration
        return piece


class FileChanges:
    """What changes below a directory, in batches; made by ``session.file.watch()``."""

    def __init__(self, files: FileSystem, path: str, interval: float, timeout: float | None) -> None:
        self.path = path
        self._files = files
        self._interval = interval
        self._timeout = timeout
        self._next = 0.0

    def __enter__(self) -> FileChanges:
        self.poll()
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def __iter__(self) -> FileChanges:
        return self

    def __next__(self) -> Events:
        return self.receive()

    def receive(self) -> Events:
        """Wait for changes and return them, at least one.

        Raises:
            FileError: the directory cannot be looked at. If the session is still there, one may go on waiting.
        """
        while True:
            sleep(max(0.0, self._next - time.monotonic()))
            if events := self.poll():
                return events

    def poll(self) -> Events:
        """Return at once what has changed since one looked last; an empty list if nothing has.

        Raises:
            FileError: the directory cannot be looked at.
        """
        self._next = time.monotonic() + self._interval
        result = self._files._get_file_change(self.path, timeout=self._timeout)
        return result.raise_for_error().events


class WatchThread(threading.Thread):
    """Looks for changes below a directory until it is stopped; made by ``session.file.watch_dir()``."""

    def __init__(
        self,
        files: FileSystem,
        path: str,
        callback: Callable[[Events], None],
        interval: float,
        stop_event: threading.Event,
    ) -> None:
        super().__init__(name=f"agb-watch-{path}", daemon=True)
        self.stop_event = stop_event
        self.ready_event = threading.Event()
        self._changes = FileChanges(files, path, interval, None)
        self._callback = callback
        self._interval = interval

    def run(self) -> None:
        """Look, tell, wait, until the end."""
        while not self.stop_event.is_set():
            try:
                events: Any = self._changes.poll()
            except AGBError as error:
                _log.debug("watching %s: %s", self._changes.path, error)
                if ops.is_session_gone(error):
                    return
            else:
                if self.ready_event.is_set() and events:
                    self._tell(events)
                self.ready_event.set()
            self.stop_event.wait(self._interval)

    def _tell(self, events: Events) -> None:
        try:
            self._callback(events)
        except Exception:  # noqa: BLE001 - whatever a caller's function raises, others wait for changes
            _log.exception("the callback of watch_dir(%r) raised; watching goes on", self._changes.path)
