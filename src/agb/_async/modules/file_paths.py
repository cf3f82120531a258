"""Files of a session by their paths: directories, names, searching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..._ops.tools import file_scripts as scripts
from ..._ops.tools import files as ops
from ...exceptions import AGBError
from ...results.base import BoolResult
from ...results.files import DirectoryListResult, ExistsResult, FileInfoResult, FileSearchResult
from ..host.progress import AsyncProgressReport
from .file_calls import CHUNK, AsyncFileCalls
from .file_stream import AsyncFileStream
from .tools import tool_result

if TYPE_CHECKING:
    from .protocols import AsyncSessionAccess


class AsyncFilePaths:
    """The part of ``session.file`` that works on paths: what exists where, and its name."""

    def __init__(self, session: AsyncSessionAccess) -> None:
        self.session = session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self.session.session_id}>"

    async def mkdir(self, path: str, *, timeout: float | None = None) -> BoolResult:
        """Create a directory.

        Raises:
            ValueError, TypeError: the path is invalid; nothing was sent.

        Example:
            >>> async with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = await session.file.mkdir("/tmp/reports")
            ...     print(result.success)
            True

        API: the tool ``create_directory``.
        """
        call = ops.create_directory(path, session_id=self.session.session_id)
        return await tool_result(self.session, call, BoolResult, timeout=timeout)

    async def list(self, path: str, *, timeout: float | None = None) -> DirectoryListResult:
        """Return the contents of a directory as ``entries``: dicts with ``name`` and ``isDirectory``.

        Raises:
            ValueError, TypeError: the path is invalid; nothing was sent.

        Example:
            >>> async with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     await session.command.execute("mkdir -p /tmp/here && touch /tmp/here/a.txt")
            ...     listed = await session.file.list("/tmp/here")
            ...     print(listed.entries)
            CommandResult(...)
            [{'name': 'a.txt', 'isDirectory': False}]

        API: the tool ``list_directory``.
        """
        call = ops.list_directory(path, session_id=self.session.session_id)
        return await tool_result(self.session, call, DirectoryListResult, timeout=timeout)

    async def info(self, path: str, *, timeout: float | None = None) -> FileInfoResult:
        """Return the properties of a file or directory as ``file_info``: ``size`` in bytes, ``isDirectory``, and more.

        Raises:
            ValueError, TypeError: the path is invalid; nothing was sent.

        API: the tool ``get_file_info``.
        """
        call = ops.get_file_info(path, session_id=self.session.session_id)
        return await tool_result(self.session, call, FileInfoResult, timeout=timeout)

    async def exists(self, path: str, *, timeout: float | None = None) -> ExistsResult:
        """Return whether there is anything at a path; a symbolic link counts, also if it is broken.

        A path below a directory that may not be searched is reported as missing.

        Returns:
            The answer as ``data``; the result is true if there is something. The truth of a failed call is not known:
            ``if`` raises its error.

        Raises:
            ValueError, TypeError: the path is invalid; nothing was sent.

        Example:
            >>> async with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     if not await session.file.exists("/tmp/no-such-file"):
            ...         print("there is none")
            there is none
        """
        call = scripts.exists(ops.check_path(path), session_id=self.session.session_id)
        return await tool_result(self.session, call, ExistsResult, timeout=timeout)

    async def move(self, source: str, destination: str, *, timeout: float | None = None) -> BoolResult:
        """Move or rename a file or directory.

        Raises:
            ValueError, TypeError: a path is invalid; nothing was sent.

        API: the tool ``move_file``.
        """
        call = ops.move_file(source, destination, session_id=self.session.session_id)
        return await tool_result(self.session, call, BoolResult, timeout=timeout)

    async def remove(self, path: str, *, recursive: bool = False, timeout: float | None = None) -> BoolResult:
        """Remove a file; with ``recursive`` also a directory and everything below it.

        Raises:
            ValueError, TypeError: the path is invalid; nothing was sent.

        API: the tool ``delete_file``.
        """
        ops.check_path(path)
        make = scripts.remove_tree if recursive else ops.delete_file
        call = make(path, session_id=self.session.session_id)
        return await tool_result(self.session, call, BoolResult, timeout=timeout)

    async def search(
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
            exclude_patterns: patterns of names that are left out.
            timeout: seconds for the whole call.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        API: the tool ``search_files``.
        """
        call = ops.search_files(path, pattern, exclude_patterns, session_id=self.session.session_id)
        return await tool_result(self.session, call, FileSearchResult, timeout=timeout)

    async def glob(self, pattern: str, *, timeout: float | None = None) -> FileSearchResult:
        """Return the paths that match a pattern, sorted, as ``matches``; any number of them, with any names.

        Args:
            pattern: the whole path; ``*`` and ``?`` stand for characters of a name, ``[abc]`` for one of them,
                ``**`` for any number of directories. As in a shell, they do not match a dot at the start of a name.
            timeout: seconds for the whole call.

        Raises:
            ValueError, TypeError: the pattern is invalid; nothing was sent.

        Example:
            >>> async with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     made = await session.command.execute("mkdir -p /tmp/g/sub; touch /tmp/g/a.py /tmp/g/sub/b.py")
            ...     found = await session.file.glob("/tmp/g/**/*.py")
            ...     print(found.matches)
            ['/tmp/g/a.py', '/tmp/g/sub/b.py']
        """
        call = scripts.find(ops.check_path(pattern, "pattern"), session_id=self.session.session_id)
        calls = AsyncFileCalls(self.session, timeout)
        try:
            listing = await calls.run(call)
            names = listing.names
            if listing.file:
                try:
                    names = await _content(listing.file, calls)
                finally:
                    await calls.remove_temporary(listing.file)
        except AGBError as error:
            return FileSearchResult.failed(error)
        return FileSearchResult(listing.request_id, True, scripts.names_in(names))


async def _content(path: str, calls: AsyncFileCalls) -> bytes:
    report = AsyncProgressReport(None, f"read {path}")
    async with AsyncFileStream(calls.session, path, CHUNK, report, calls.left()) as stream:
        return await stream.read()
