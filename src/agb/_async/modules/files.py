"""Files of a session: several at once, watching, and what the classes of their own subjects add."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ..._ops.tools import files as ops
from ..._wire.deadline import check_timeout
from ...exceptions import AGBError, FileError
from ...results.files import (
    FileContentResult,
    FileWriteBatchResult,
    MultipleFileContentResult,
)
from .._compat.concurrency import gather
from .._compat.flavour import ASYNC
from .file_calls import CONCURRENT_CALLS, MAX_READ, READ_SECONDS, AsyncFileCalls, SizeLimit
from .file_texts import AsyncFileTexts
from .file_watch import AsyncFileChanges, Events

if not ASYNC:
    from .file_watch import WatchThread


class AsyncFileSystem(AsyncFileTexts):
    """The files of a session; available as ``session.file``.

    Paths are paths inside the session, preferably absolute; relative ones start at a fixed directory of the session.
    Methods return results; a `FileError` in ``error`` says why something failed. Its ``kind`` is ``NOT_FOUND``,
    ``PERMISSION_DENIED``, ``IS_A_DIRECTORY``, ``NOT_A_DIRECTORY`` or ``EXISTS`` of `ErrorKind` where the operating
    system said so.
    """

    # --- several files -------------------------------------------------------------------------------------------

    async def read_batch(
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
        calls, limit = AsyncFileCalls(self.session, timeout), SizeLimit(max_size)
        results: dict[str, FileContentResult] = {}
        wanted = [*dict.fromkeys(paths)]
        for start in range(0, len(wanted), CONCURRENT_CALLS):
            some = wanted[start : start + CONCURRENT_CALLS]
            results |= zip(some, await gather([partial(self._text, path, calls, limit) for path in some]), strict=True)
        contents = {path: one.content for path, one in results.items() if one.success}
        errors = {path: one.error for path, one in results.items() if one.error is not None}
        request_id = next((one.request_id for one in results.values()), "")
        for path, error in errors.items():
            message = f"{len(errors)} of {len(results)} files could not be read; {path}: {error}"
            return MultipleFileContentResult(request_id, False, contents, message, errors=errors, error=error)
        return MultipleFileContentResult(request_id, True, contents)

    async def _text(self, path: str, calls: AsyncFileCalls, limit: SizeLimit) -> FileContentResult:
        try:
            return await self._read_text(path, 0, None, limit, None, calls.left())
        except AGBError as error:
            return FileContentResult.failed(error)

    async def write_batch(
        self,
        files: Sequence[tuple[str, str | bytes]],
        *,
        parents: bool = False,
        timeout: float | None = READ_SECONDS,
    ) -> FileWriteBatchResult:
        """Write several files, up to four at the same time; one that fails does not stop the others.

        Args:
            files: the path and the content of each, as of `write`. Of a path that is there twice, the last one counts.
            parents: whether to create the directories above them that are missing.
            timeout: seconds for everything.

        Returns:
            A success if all of them were written. ``errors`` has one item for each file, in their order: the error
            that it could not be written by, or None.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     files = [("/tmp/b/1.txt", "one"), ("/proc/2.txt", b"two")]
            ...     result = await session.file.write_batch(files, parents=True)
            ...     print(result.success, [error is None for error in result.errors])
            False [True, False]

        API: the tools ``write_file`` and ``create_directory``; for bytes that they do not take, the tool ``shell``.
        """
        if isinstance(files, (str, bytes, Mapping)) or not isinstance(files, Sequence):
            raise TypeError(f"files must be a list of pairs of a path and a content, not {type(files).__name__}")
        for number, file in enumerate(files):
            if not isinstance(file, tuple) or len(file) != 2:
                raise TypeError(f"files[{number}] must be a pair of a path and a content, not {type(file).__name__}")
            ops.check_path(file[0])
            ops.check_content(file[1])
        calls = AsyncFileCalls(self.session, timeout)
        wanted = dict(files)
        results: dict[str, AGBError | None] = {}
        paths = [*wanted]
        for start in range(0, len(paths), CONCURRENT_CALLS):
            some = paths[start : start + CONCURRENT_CALLS]
            jobs = [partial(self._written, path, wanted[path], parents, calls) for path in some]
            results |= zip(some, await gather(jobs), strict=True)
        errors = [results[path] for path, _ in files]
        for path, error in results.items():
            if error is not None:
                failed = len([one for one in results.values() if one is not None])
                message = f"{failed} of {len(results)} files could not be written; {path}: {error}"
                return FileWriteBatchResult(error.request_id, False, message, errors=errors, error=error)
        return FileWriteBatchResult("", True, errors=errors)

    async def _written(self, path: str, content: str | bytes, parents: bool, calls: AsyncFileCalls) -> AGBError | None:
        try:
            return (await self.write(path, content, parents=parents, timeout=calls.left())).error
        except FileError as error:  # the time is over
            return error

    # --- watching ------------------------------------------------------------------------------------------------

    def watch(self, path: str, *, interval: float = 1.0, timeout: float | None = None) -> AsyncFileChanges:
        """Return the changes below a directory from now on, for ``async with``.

        Args:
            path: the directory.
            interval: seconds between two calls.
            timeout: seconds for each call.

        Raises:
            ValueError, TypeError: an argument is invalid.
            FileError: when the block is entered, or changes are waited for: the directory cannot be watched.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     made = await session.file.mkdir("/tmp/inbox")
            ...     async with session.file.watch("/tmp/inbox", interval=0.05) as changes:
            ...         written = await session.file.write("/tmp/inbox/a.txt", "hello")
            ...         async for batch in changes:
            ...             print(batch[0].event_type, batch[0].path)
            ...             break
            create /tmp/inbox/a.txt

        API: the tool ``get_file_change``.
        """
        check_timeout(interval, "interval")
        check_timeout(timeout)
        return AsyncFileChanges(self.session, ops.check_path(path), interval, timeout)

    if not ASYNC:  # a thread belongs to code that is not asynchronous: `watch` is for both flavours

        def watch_dir(
            self,
            path: str,
            callback: Callable[[Events], None],
            interval: float = 1.0,
            stop_event: threading.Event | None = None,
        ) -> WatchThread:
            """Return a thread, not started yet, that calls ``callback`` with the changes below a directory.

            Only in the synchronous class; an asynchronous program uses `watch`.

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
