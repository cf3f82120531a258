"""Transfers: files and directories of this machine to and from a context, streamed, several at once."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import stat
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from attrs import frozen

from ..._ops import contexts as ops
from ..._wire.call import Call
from ..._wire.deadline import IdleTimeout
from ..._wire.signed import REDIRECTS, signed_call
from ...exceptions import AGBError, ErrorKind, FileError
from ...results.transfers import ContextTransferResult, FailedTransfer, TransferredFile
from .._compat.cancellation import shielded
from .._compat.concurrency import gather
from .._compat.loop import in_thread
from .._compat.primitives import Lock
from ..host.progress import AsyncProgressReport, Progress

if TYPE_CHECKING:
    from ..api import AsyncAPI
    from .contexts import AsyncContextService

LocalPath = str | PathLike[str]
Tell = Callable[[int], Awaitable[object]]
"""Is told of each piece that was moved how many bytes it has; fewer than none when a try is given up."""

_log = logging.getLogger("agb")

PIECE = 1 << 20
"""Bytes sent at a time."""
_BLOCK = 4 * PIECE
"""Bytes read or written in one turn of a thread: changing to a thread costs as much as copying some 100 kB."""
_PAGE = 100
"""Stored files asked for at a time."""
STEP = "step"
"""In an error's ``extra``: ``url`` if it was the asking for a URL that went wrong."""
_FOLDER_TYPES = frozenset({"folder", "directory", "dir"})


# --- one file ----------------------------------------------------------------------------------------------------


@frozen
class Moved:
    """A file that was put or got."""

    size: int
    http_status: int
    etag: str
    url_request_id: str
    """The service's id of the request that gave the URL."""


async def put_file(
    transport: AsyncAPI,
    context_id: str,
    local: LocalPath,
    remote: str,
    patience: IdleTimeout,
    tell: Tell,
    *,
    content_type: str = "",
    redirects: int = REDIRECTS,
    session_id: str = "",
) -> Moved:
    """Upload a file of this machine, with as many tries as the transport's policy has, each with a fresh URL.

    Raises:
        AGBError: it could not be sent, or the store refused it; a `FileError` if it cannot be read.
    """
    what = f"upload {str(local)!r} to {remote!r} in the context {context_id}"
    call = signed_call("PUT", what, error=FileError, session_id=session_id)
    source = _Source(Path(local), call, tell)
    try:
        size = await source.open()

        async def put(url: str) -> tuple[int, str]:
            reply = await transport.upload(
                url, source, size, call, patience, content_type=content_type, redirects=redirects
            )
            return reply.status, reply.header(b"etag")

        ask = ops.get_context_file_upload_url(context_id, remote)
        (status, etag), request_id = await _tries(transport, ask, put, source.rewind, patience)
        return Moved(size, status, etag, request_id)
    finally:
        await source.aclose()


async def get_file(
    transport: AsyncAPI,
    context_id: str,
    remote: str,
    local: Path,
    patience: IdleTimeout,
    tell: Tell,
    *,
    overwrite: bool = True,
    redirects: int = REDIRECTS,
    session_id: str = "",
) -> Moved:
    """Download a file to this machine, with as many tries as the transport's policy has, each with a fresh URL.

    It is written beside its place, and moved there when it is whole; directories are made if need be.

    Raises:
        AGBError: it could not be got; a `FileError` if it cannot be written, or is there and is not to be replaced.
    """
    call = signed_call(
        "GET",
        f"download {remote!r} of the context {context_id} to {str(local)!r}",
        error=FileError,
        session_id=session_id,
    )
    target = _Target(local, overwrite, call, tell)
    try:
        await target.open()

        async def get(url: str) -> tuple[int, str]:
            async with transport.download(url, call, patience, redirects=redirects) as download:
                while piece := await download.receive():
                    await target.write(piece)
                return download.reply.status, download.reply.header(b"etag")

        ask = ops.get_context_file_download_url(context_id, remote)
        (status, etag), request_id = await _tries(transport, ask, get, target.rewind, patience)
        return Moved(await target.finish(), status, etag, request_id)
    finally:
        await target.aclose()


async def _tries(
    transport: AsyncAPI,
    ask: Call[dict[str, Any]],
    move: Callable[[str], Awaitable[tuple[int, str]]],
    rewind: Callable[[], Awaitable[None]],
    patience: IdleTimeout,
) -> tuple[tuple[int, str], str]:
    """Ask for a URL and move the file, until it is there or no other try is worth it."""
    attempt, is_refused = 1, False
    while True:
        try:
            found, request_id = await transport.call(ask, timeout=_left(patience, ask.description))
        except AGBError as error:
            error.extra[STEP] = "url"
            raise
        try:
            return await move(found["url"]), request_id
        except AGBError as error:
            error.extra["url_request_id"] = request_id
            # A URL may have expired while its turn came; a fresh one that is refused as well is refused for good.
            if error.http_status == 403 and not is_refused:
                is_refused = error.retryable = True
            wait = transport.next_try(error, attempt, patience)
        await transport.sleep(wait)
        await rewind()
        attempt += 1


def _left(patience: IdleTimeout, what: str) -> float:
    if left := patience.left():
        return left
    raise FileError(f"Could not {what}: not done {patience.description}", kind=ErrorKind.TIMED_OUT, retryable=True)


class _Local:
    """A file of this machine that is worked on in threads.

    A caller that is cancelled goes away while a thread still reads or writes; the lock keeps the file open until it
    has ended, and what begins after the end does nothing.
    """

    def __init__(self, path: Path, call: Call[Any], tell: Tell) -> None:
        self.path = path
        self._call = call
        self._tell = tell
        self._told = 0
        self._lock = threading.Lock()  # never held across a wait
        self._file: IO[bytes] | None = None
        self._is_at_work = self._is_over = False

    async def _work(self, function: Callable[[], Any]) -> Any:
        def work() -> Any:
            with self._lock:
                return None if self._is_over else function()

        self._is_at_work = True
        try:
            result = await in_thread(work)
        except OSError as error:
            self._is_at_work = False
            raise self._call.error(
                f"Could not {self._call.description}: {error}", session_id=self._call.session_id
            ) from error
        self._is_at_work = False
        return result

    async def _moved(self, count: int) -> None:
        self._told += count
        await self._tell(count)

    async def _begin_again(self) -> None:
        told, self._told = self._told, 0
        await self._tell(-told)

    async def aclose(self) -> None:
        """Close the file, whatever became of it and of the caller."""
        if self._is_at_work or self._file is not None:
            await shielded(partial(in_thread, self._close))

    def _close(self) -> None:
        with self._lock:
            self._is_over = True
            if self._file is not None:
                self._file.close()
                self._tidy()
                self._file = None

    def _tidy(self) -> None:
        """Leave nothing behind."""


class _Source(_Local):
    """A file that is uploaded: as many bytes as it has when it is opened."""

    _block = memoryview(b"")
    _left = _size = 0

    async def open(self) -> int:
        """Open the file, and return its size."""
        await self._work(self._open)
        return self._size

    def _open(self) -> None:
        if not stat.S_ISREG(self.path.stat().st_mode):  # a pipe would be waited for
            raise OSError(errno.EINVAL, "it is not a regular file", str(self.path))
        self._file = self.path.open("rb", buffering=0)
        self._size = os.fstat(self._file.fileno()).st_size
        self._left = self._size
        self._read()

    async def receive(self) -> bytes:
        """Return the next bytes, ``b""`` at the end."""
        if not self._block and self._left:
            await self._work(self._read)
        piece, self._block = self._block[:PIECE], self._block[PIECE:]
        if piece:
            await self._moved(len(piece))
        return piece  # type: ignore[return-value]  # a view of the block, which is not copied

    def _read(self) -> None:
        assert self._file is not None  # noqa: S101 - it was opened
        block = self._file.read(min(self._left, _BLOCK)) or b""
        if self._left and not block:
            raise OSError(errno.EIO, f"it became shorter while it was read: {self._left:,} bytes are missing")
        self._left -= len(block)
        self._block = memoryview(block)
        if not self._left:
            self._file.close()
            self._file = None

    async def rewind(self) -> None:
        """Begin again, with what the file has by now."""
        await self._begin_again()
        await self._work(self._reopen)

    def _reopen(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        size = self._size
        self._open()
        if self._size != size:
            raise OSError(errno.EIO, f"its size changed from {size:,} to {self._size:,} bytes while it was read")


class _Target(_Local):
    """A file that is downloaded: beside its place until it is whole."""

    def __init__(self, path: Path, overwrite: bool, call: Call[Any], tell: Tell) -> None:
        super().__init__(path, call, tell)
        self._overwrite = overwrite
        self._temporary = path.with_name(f".agb-{secrets.token_hex(8)}.part")
        self._waiting: list[bytes] = []
        self._held = self._size = 0

    async def open(self) -> None:
        """See that the file may be written; nothing is made yet."""
        await self._work(self._check)

    def _check(self) -> None:
        if self.path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "there is a directory", str(self.path))
        if not self._overwrite and os.path.lexists(self.path):
            raise FileExistsError(errno.EEXIST, "Destination exists and overwrite=False", str(self.path))

    async def write(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._waiting.append(piece)
        self._held += len(piece)
        if self._held >= _BLOCK:
            await self._work(self._flush)
        await self._moved(len(piece))

    def _flush(self) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary.open("xb", buffering=0)
        waiting, self._waiting, self._held = self._waiting, [], 0
        for piece in waiting:
            view = memoryview(piece)
            while view:
                view = view[self._file.write(view) :]
            self._size += len(piece)

    async def rewind(self) -> None:
        """Begin again."""

        def rewind() -> None:
            self._waiting, self._held, self._size = [], 0, 0
            if self._file is not None:
                self._file.seek(0)
                self._file.truncate()

        await self._begin_again()
        await self._work(rewind)

    async def finish(self) -> int:
        """Move the file to its place, and return its size."""

        def finish() -> None:
            self._flush()
            assert self._file is not None  # noqa: S101 - it was opened
            self._file.close()
            self._check()
            self._temporary.replace(self.path)
            self._file = None

        await self._work(finish)
        return self._size

    def _tidy(self) -> None:
        self._temporary.unlink(missing_ok=True)


# --- several files -----------------------------------------------------------------------------------------------


@frozen
class _Job:
    """A file to be moved; ``refused`` says why it is not even tried."""

    local: Path
    remote: str
    refused: str = ""


class _Stopped(Exception):  # noqa: N818 - it is no error: somebody else's was
    """Another file ended all."""


class _Several:
    """Files that are moved together: workers that take one after the other, one report for all."""

    def __init__(self, jobs: list[_Job], concurrency: int, report: AsyncProgressReport, total: int | None) -> None:
        self._jobs = jobs
        self._next = iter(range(len(jobs)))
        self._concurrency = concurrency
        self._report = report
        self._total = total
        self._lock = threading.Lock()  # never held across a wait
        self._telling = Lock()
        self._is_stopped = False
        self._outcomes: dict[int, TransferredFile | FailedTransfer] = {}

    async def run(self, move: Callable[[_Job], Awaitable[Moved]]) -> ContextTransferResult:
        """Move them all, and return what became of each."""
        await gather([partial(self._work, move) for _ in range(min(self._concurrency, len(self._jobs)))], self._stop)
        return _result([self._outcomes[number] for number in range(len(self._jobs))])

    async def _work(self, move: Callable[[_Job], Awaitable[Moved]]) -> None:
        try:
            while (number := self._take()) is not None:
                self._outcomes[number] = await _outcome(self._jobs[number], move)
        except _Stopped:
            pass
        except BaseException:
            self._stop()
            raise

    def _stop(self) -> None:
        self._is_stopped = True

    def _take(self) -> int | None:
        with self._lock:
            return None if self._is_stopped else next(self._next, None)

    async def tell(self, count: int) -> None:
        """Report; what the caller's function raises ends all."""
        if self._is_stopped:
            raise _Stopped
        async with self._telling.within(threading.TIMEOUT_MAX):
            await self._report.add(count, self._total)


async def _outcome(job: _Job, move: Callable[[_Job], Awaitable[Moved]]) -> TransferredFile | FailedTransfer:
    try:
        if job.refused:
            raise FileError(job.refused)
        moved = await move(job)
    except AGBError as error:
        return FailedTransfer(str(job.local), job.remote, error)
    return TransferredFile(str(job.local), job.remote, moved.size, moved.etag)


def _result(outcomes: list[TransferredFile | FailedTransfer]) -> ContextTransferResult:
    files = [outcome for outcome in outcomes if isinstance(outcome, TransferredFile)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, FailedTransfer)]
    size = sum(file.size for file in files)
    if not failures:
        return ContextTransferResult(True, files, size)
    error = failures[0].error
    message = (
        str(error) if len(outcomes) == 1 else f"{len(failures)} of {len(outcomes)} files failed; the first: {error}"
    )
    return ContextTransferResult(False, files, size, failures, message, error=error)


# --- to a context ------------------------------------------------------------------------------------------------


async def upload(
    service: AsyncContextService,
    context_id: str,
    local: LocalPath,
    remote: str,
    *,
    concurrency: int,
    progress: Progress,
    timeout: float | None,
) -> ContextTransferResult:
    """Upload a file, or what a directory holds; see `AsyncContextService.upload`."""
    context_id, remote = _checked(context_id, remote, concurrency)
    source = Path(local)
    transport = service.agb.client
    patience = transport.patience(timeout)
    report = AsyncProgressReport(progress, f"upload {source}")
    try:
        jobs, total = await in_thread(partial(_found, source, remote))
    except OSError as error:
        message = f"Could not upload {str(source)!r} to {remote!r} in the context {context_id}: {error}"
        return _result([FailedTransfer(str(source), remote, FileError(message))])
    several = _Several(jobs, concurrency, report, total)

    async def move(job: _Job) -> Moved:
        return await put_file(transport, context_id, job.local, job.remote, patience, several.tell)

    async with report:
        return await several.run(move)


def _found(source: Path, remote: str) -> tuple[list[_Job], int]:
    """Return what there is to be uploaded, and the bytes in all."""
    if not source.is_dir():
        if not source.exists():
            raise FileNotFoundError(errno.ENOENT, "Local file not found", str(source))
        return [_Job(source, f"{remote}{source.name}" if remote.endswith("/") else remote)], source.stat().st_size
    jobs: list[_Job] = []
    total = 0
    root = source.resolve()
    folders = [source]
    while folders:
        folder = folders.pop()
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            path = folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
                continue
            key = f"{remote.rstrip('/')}/{path.relative_to(source).as_posix()}"
            refused = _link_refused(path, root) if entry.is_symlink() else ""
            if not refused and not _is_text(key):
                refused, key = f"Could not upload {str(path)!r}: its name is no UTF-8", ascii(key)
            if refused:
                jobs.append(_Job(path, key, refused))
            elif entry.is_file():
                jobs.append(_Job(path, key))
                total += entry.stat().st_size
            else:
                _log.debug("%s is no file, directory or link, and is left out", path)
    return jobs, total


def _link_refused(link: Path, root: Path) -> str:
    """Return why a symbolic link is not uploaded, ``""`` if it leads to a file in the directory that is."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        return f"Could not upload {str(link)!r}: the symbolic link leads nowhere ({error})"
    if not target.is_relative_to(root):
        return f"Could not upload {str(link)!r}: the symbolic link leads out of the directory, to {str(target)!r}"
    if target.is_dir():
        return f"Could not upload {str(link)!r}: it is a symbolic link to a directory, which is uploaded itself"
    return ""


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# --- from a context ----------------------------------------------------------------------------------------------


async def download(
    service: AsyncContextService,
    context_id: str,
    remote: str,
    local: LocalPath,
    *,
    overwrite: bool,
    concurrency: int,
    progress: Progress,
    timeout: float | None,
) -> ContextTransferResult:
    """Download a file, or what a folder holds; see `AsyncContextService.download`."""
    context_id, remote = _checked(context_id, remote, concurrency)
    target = Path(local)
    transport = service.agb.client
    patience = transport.patience(timeout)
    report = AsyncProgressReport(progress, f"download {remote}")

    async def several(jobs: list[_Job], total: int | None) -> ContextTransferResult:
        all_of_them = _Several(jobs, concurrency, report, total)

        async def move(job: _Job) -> Moved:
            tell = all_of_them.tell
            return await get_file(transport, context_id, job.remote, job.local, patience, tell, overwrite=overwrite)

        return await all_of_them.run(move)

    async with report:
        if not remote.endswith("/"):
            into = str(local).endswith(os.sep) or await in_thread(target.is_dir)
            file = target / remote.rpartition("/")[2] if into else target
            result = await several([_Job(file, remote)], None)
            if result.error is None or result.error.kind is not ErrorKind.NOT_FOUND:
                return result
        folder = remote.rstrip("/")
        try:
            jobs, total = await _listed(service, context_id, folder, target, patience)
            if folder and not jobs:
                what = f"Could not download {remote!r} of the context {context_id}"
                raise FileError(f"{what}: there is neither a file nor a folder of that name", kind=ErrorKind.NOT_FOUND)
        except AGBError as error:
            return _result([FailedTransfer(str(target), remote, error)])
        return await several(jobs, total)


async def _listed(
    service: AsyncContextService, context_id: str, folder: str, target: Path, patience: IdleTimeout
) -> tuple[list[_Job], int | None]:
    """Return what is stored below a folder, and the bytes in all if they are told.

    What a listing holds is not published. Some services list all that is below a folder, others what is right in it,
    with the folders or without. So folders that are told are asked for as well; and if there was no sign of anything
    deeper, the context as a whole, which the local runtime lists to its depth.
    """
    sizes: dict[str, int | None] = {}
    folders, asked = [folder], set[str]()
    is_deep = False

    async def ask(parent: str) -> None:
        nonlocal is_deep
        left = _left(patience, f"list what is below {folder!r} in the context {context_id}")
        async for entry in service.iterate_files(context_id, parent or None, _PAGE, timeout=left):
            path = entry.file_path
            if _is_folder(path, (entry.file_type or "").lower()):
                if parent or not folder:
                    is_deep = True
                    folders.append(path.rstrip("/"))
            elif parent or path.startswith(f"{folder}/"):
                is_deep = is_deep or "/" in path.removeprefix(f"{folder}/")
                sizes.setdefault(path, entry.size)

    while folders:
        if (parent := folders.pop()) not in asked:
            asked.add(parent)
            await ask(parent)
    if not is_deep and "" not in asked:
        await ask("")
    jobs = [_job(path, folder, target) for path in sorted(sizes)]
    known = [size for size in sizes.values() if size is not None]
    return jobs, sum(known) if len(known) == len(sizes) else None


def _is_folder(path: str, kind: str) -> bool:
    """Return whether a listed path is a folder's; the type of a file is its extension, so ``a.dir`` is a file."""
    return path.endswith("/") or (kind in _FOLDER_TYPES and not path.lower().endswith(f".{kind}"))


def _job(path: str, folder: str, target: Path) -> _Job:
    """Return where a stored file goes to, or that it is refused: a listing names nothing outside of the directory."""
    inner = path.removeprefix(f"{folder}/")
    parts = inner.split("/")
    is_below = path.startswith(f"{folder}/") and not any(part in ("", ".", "..") or "\0" in part for part in parts)
    if is_below and os.name == "nt":
        is_below = not any(ch in inner for ch in '\\:*?"<>|')
    if not is_below:
        return _Job(target, path, f"Could not download {path!r}: it would not lie below {str(target)!r}")
    return _Job(target.joinpath(*parts), path)


def _checked(context_id: str, remote: str, concurrency: int) -> tuple[str, str]:
    """Return the context's id and the path in it, or raise what is wrong with the arguments."""
    for name, value in (("context_id", context_id), ("remote", remote)):
        if not isinstance(value, str):
            raise TypeError(f"{name} is a string, not {type(value).__name__}")
    context_id = context_id.strip()
    if not context_id:
        raise ValueError("context_id is the id of a context, such as agb.context.create() gives, and is empty")
    if not remote.startswith("/"):
        raise ValueError(
            f"remote is the absolute path that a file has in a session, such as /tmp/a.txt, not {remote!r}"
        )
    if any(part == ".." for part in remote.split("/")) or "\0" in remote:
        raise ValueError(f"remote contains no '..' and no NUL, and {remote!r} does")
    if isinstance(concurrency, bool) or not isinstance(concurrency, int):
        raise TypeError(f"concurrency is a number of files moved at the same time, not {concurrency!r}")
    if concurrency < 1:
        raise ValueError(f"concurrency is a number of files >= 1, not {concurrency}")
    return context_id, remote
