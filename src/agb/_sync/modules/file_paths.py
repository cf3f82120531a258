# Generated from src/agb/_async/modules/file_paths.py by tools/unasync.py. Do not edit.
"""Files of a session by their paths: directories, names, searching."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from ..._ops.tools import file_listings as listings
from ..._ops.tools import file_scripts as scripts
from ..._ops.tools import files as ops
from ..._ops.tools.file_names import exact_matches, is_odd
from ..._wire.toolcall import ToolCall
from ...exceptions import AGBError, FileError
from ...results.base import BoolResult
from ...results.files import DirectoryListResult, ExistsResult, FileInfoResult, FileSearchResult
from ..host.progress import ProgressReport
from .file_calls import CHUNK, MAX_READ, FileCalls, ReadForm, SizeLimit
from .file_stream import FileStream
from .tools import tool_result

if TYPE_CHECKING:
    from .protocols import SessionAccess


class FilePaths:
    """The part of ``session.file`` that works on paths: what exists where, and its name."""

    def __init__(self, session: SessionAccess, form: ReadForm) -> None:
        self.session = session
        self._form = form

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self.session.session_id}>"

    def mkdir(self, path: str, *, timeout: float | None = None) -> BoolResult:
        """Create a directory.

        Raises:
            ValueError, TypeError: the path is invalid; nothing was sent.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = session.file.mkdir("/tmp/reports")
            ...     print(result.success)
            True

        API: the tool ``create_directory``.
        """
        call = ops.create_directory(path, session_id=self.session.session_id)
        return tool_result(self.session, call, BoolResult, timeout=timeout)

    def list(self, path: str, *, timeout: float | None = None) -> DirectoryListResult:
        """Return the contents of a directory as ``entries``: dicts with ``name`` and ``isDirectory``.

        Names may contain line breaks; bytes that are not UTF-8 are surrogates in them, as of `os.fsdecode`. Each name
        leads back to its file. If the service cannot report one so, the result is a failure with the entries as they
        are shown.

        Raises:
            ValueError, TypeError: the path is invalid; nothing was sent.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     session.command.execute("mkdir -p /tmp/here && touch /tmp/here/a.txt")
            ...     listed = session.file.list("/tmp/here")
            ...     print(listed.entries)
            CommandResult(...)
            [{'name': 'a.txt', 'isDirectory': False}]

        API: the tool ``list_directory``; for names that no line of text can hold, the tool ``shell``.
        """
        path = ops.check_path(path)
        session_id = self.session.session_id
        calls = FileCalls(self.session, timeout)
        try:
            listed = calls.run(ops.list_directory(path, session_id=session_id))
        except AGBError as error:
            return DirectoryListResult.failed(error)
        if listed.is_exact:
            return listed.result
        try:
            names, _ = self._names(listings.list_names(path, session_id=session_id), calls)
        except AGBError as error:
            return evolve(listed.result, success=False, error_message=_not_named(error), error=error)
        entries = [{"name": name[1:], "isDirectory": name[0] == "d"} for name in names]
        return evolve(listed.result, entries=sorted(entries, key=lambda entry: str(entry["name"])))

    def info(self, path: str, *, timeout: float | None = None) -> FileInfoResult:
        """Return the properties of a file or directory as ``file_info``: ``size`` in bytes, ``isDirectory``, and more.

        Raises:
            ValueError, TypeError: the path is invalid; nothing was sent.

        API: the tool ``get_file_info``.
        """
        call = ops.get_file_info(path, session_id=self.session.session_id)
        return tool_result(self.session, call, FileInfoResult, timeout=timeout)

    def exists(self, path: str, *, timeout: float | None = None) -> ExistsResult:
        """Return whether a path leads to something, as `info` and `read` do; a broken link does not.

        A path below a directory that may not be searched is reported as missing.

        Returns:
            The answer as ``data``; the result is true if there is something. The truth of a failed call is not known:
            ``if`` raises its error.

        Raises:
            ValueError, TypeError: the path is invalid; nothing was sent.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     if not session.file.exists("/tmp/no-such-file"):
            ...         print("there is none")
            there is none
        """
        call = scripts.exists(ops.check_path(path), session_id=self.session.session_id)
        return tool_result(self.session, call, ExistsResult, timeout=timeout)

    def move(self, source: str, destination: str, *, timeout: float | None = None) -> BoolResult:
        """Move or rename a file or directory.

        Raises:
            ValueError, TypeError: a path is invalid; nothing was sent.

        API: the tool ``move_file``.
        """
        call = ops.move_file(source, destination, session_id=self.session.session_id)
        return tool_result(self.session, call, BoolResult, timeout=timeout)

    def remove(self, path: str, *, recursive: bool = False, timeout: float | None = None) -> BoolResult:
        """Remove a file; with ``recursive`` also a directory and everything below it.

        Raises:
            ValueError, TypeError: the path is invalid; nothing was sent.

        API: the tool ``delete_file``.
        """
        path = ops.check_path(path)
        make = scripts.remove_tree if recursive else ops.delete_file
        call = make(path, session_id=self.session.session_id)
        return tool_result(self.session, call, BoolResult, timeout=timeout)

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
            exclude_patterns: patterns of names that are left out.
            timeout: seconds for everything.

        Returns:
            The paths, with any names, as of `list`.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        API: the tool ``search_files``.
        """
        session_id = self.session.session_id
        call = ops.search_files(path, pattern, exclude_patterns, session_id=session_id)
        calls = FileCalls(self.session, timeout)
        try:
            result = calls.run(call)
        except AGBError as error:
            return FileSearchResult.failed(error)
        if not any(is_odd(match) for match in result.matches):
            return result
        path = ops.check_path(path)
        try:
            names, _ = self._names(listings.odd_names(path, session_id=session_id), calls)
        except AGBError as error:
            return evolve(result, success=False, error_message=_not_named(error), error=error)
        found, unknown = exact_matches(result.matches, path, [name for name in names if is_odd(name)])
        if unknown:
            reason = FileError(f"{len(unknown)} of them cannot be found again: {unknown[:3]}", session_id=session_id)
            return evolve(
                result, success=False, matches=found + unknown, error_message=_not_named(reason), error=reason
            )
        return evolve(result, matches=found)

    def glob(self, pattern: str, *, timeout: float | None = None) -> FileSearchResult:
        """Return the paths that match a pattern, sorted, as ``matches``; any number of them, with any names.

        Args:
            pattern: the whole path; ``*`` and ``?`` stand for characters of a name, ``[abc]`` for one of them,
                ``**`` for any number of directories. As in a shell, they do not match a dot at the start of a name,
                and a slash at the end selects directories.
            timeout: seconds for the whole call.

        Raises:
            ValueError, TypeError: the pattern is invalid; nothing was sent.

        Example:
            >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     made = session.command.execute("mkdir -p /tmp/g/sub; touch /tmp/g/a.py /tmp/g/sub/b.py")
            ...     found = session.file.glob("/tmp/g/**/*.py")
            ...     print(found.matches)
            ['/tmp/g/a.py', '/tmp/g/sub/b.py']
        """
        call = listings.find(ops.check_pattern(pattern, "pattern"), session_id=self.session.session_id)
        calls = FileCalls(self.session, timeout)
        try:
            names, request_id = self._names(call, calls)
        except AGBError as error:
            return FileSearchResult.failed(error)
        return FileSearchResult(request_id, True, listings.matching(names, pattern))

    def _names(self, call: ToolCall[listings.Listing], calls: FileCalls) -> tuple[Sequence[str], str]:
        """Return the names that a script lists, and the request id."""
        names, request_id = self._listed(call, calls)
        return listings.names_in(names), request_id

    def _listed(self, call: ToolCall[listings.Listing], calls: FileCalls) -> tuple[bytes, str]:
        """Return what a script lists, which is in a file if it is long, and the request id."""
        listing = calls.run(call)
        if not listing.file:
            return listing.names, listing.request_id
        report = ProgressReport(None, f"read {listing.file}")
        limit = SizeLimit(MAX_READ)
        try:
            with FileStream(
                self.session, listing.file, CHUNK, report, calls.left(), form=self._form, limit=limit
            ) as stream:
                return stream.read(), listing.request_id
        finally:
            calls.remove_temporary(listing.file)


def _not_named(error: AGBError) -> str:
    return f"some names contain line breaks or bytes that are not UTF-8, and are shown otherwise than they are: {error}"
