"""Many files between this machine and a context: what a directory or a folder contains, several at the same time."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from ..._ops import contexts as ops
from ..._ops.arguments import check_size, check_transfer, is_text
from ..._wire.deadline import IdleTimeout
from ...exceptions import AGBError, ErrorKind, FileError
from ...results.contexts import ContextFileEntry
from ...results.transfers import ContextTransferResult, FailedTransfer, TransferredFile
from .._compat.concurrency import gather
from .._compat.loop import in_thread
from .._compat.primitives import Lock
from ..host.local_files import files_below
from ..host.progress import AsyncProgressReport, Progress
from ..pager import AsyncPager
from .transfer import Moved, get_file, left, put_file

if TYPE_CHECKING:
    from ..api import AsyncAPI

MAX_SIZE = 16 << 30
"""Bytes of a file that is downloaded, unless the caller sets others."""
_PAGE = 100
"""Stored files requested at a time."""
_FOLDER_TYPES = frozenset({"folder", "directory", "dir"})


@frozen
class _Job:
    """A file to be transferred; ``reason`` is why it is not attempted."""

    local: Path
    remote: str
    reason: str = ""


class _Stopped(Exception):  # it only ends a worker; the error is raised by another one
    """Another file has ended the whole transfer."""


class AsyncTransfers:
    """Files that are transferred together: workers that take one job after the other, and one progress report.

    A file that fails is an outcome, and the others go on. What the caller's progress function raises ends all: the
    other workers stop at their next report, and it is raised.
    """

    def __init__(self, jobs: list[_Job], concurrency: int, report: AsyncProgressReport, total: int | None) -> None:
        self._jobs = jobs
        self._next = iter(range(len(jobs)))
        self._concurrency = concurrency
        self._report = report
        self._total = total
        self._lock = threading.Lock()  # never held while waiting
        self._reporting = Lock()
        self._is_stopped = False
        self._outcomes: dict[int, TransferredFile | FailedTransfer] = {}

    async def run(self, move: Callable[[_Job], Awaitable[Moved]]) -> ContextTransferResult:
        """Transfer all files, and return the outcome of each."""
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

    async def moved(self, count: int) -> None:
        """Report bytes that were transferred."""
        if self._is_stopped:
            raise _Stopped
        async with self._reporting.within(threading.TIMEOUT_MAX):
            await self._report.add(count, self._total)


async def _outcome(job: _Job, move: Callable[[_Job], Awaitable[Moved]]) -> TransferredFile | FailedTransfer:
    try:
        if job.reason:
            raise FileError(job.reason)
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
    api: AsyncAPI,
    context_id: str,
    local: str | PathLike[str],
    remote: str,
    *,
    concurrency: int,
    progress: Progress,
    timeout: float | None,
) -> ContextTransferResult:
    """Upload a file, or the content of a directory; see `AsyncContextService.upload`."""
    context_id, remote = check_transfer(context_id, remote, concurrency)
    source = Path(local)
    idle_timeout = api.idle_timeout(timeout)
    report = AsyncProgressReport(progress, f"upload {source}")
    try:
        jobs, total = await in_thread(partial(_upload_jobs, source, remote))
    except OSError as error:
        message = f"Could not upload {str(source)!r} to {remote!r} in the context {context_id}: {error}"
        return _result([FailedTransfer(str(source), remote, FileError(message))])
    transfers = AsyncTransfers(jobs, concurrency, report, total)

    async def put(job: _Job) -> Moved:
        return await put_file(api, context_id, job.local, job.remote, idle_timeout, transfers.moved)

    async with report:
        return await transfers.run(put)


def _upload_jobs(source: Path, remote: str) -> tuple[list[_Job], int]:
    """Return the files to be uploaded, and their bytes in all."""
    if not source.is_dir():
        if not source.exists():
            raise FileNotFoundError(errno.ENOENT, "Local file not found", str(source))
        return [_Job(source, f"{remote}{source.name}" if remote.endswith("/") else remote)], source.stat().st_size
    jobs: list[_Job] = []
    total = 0
    for file in files_below(source):
        key, reason = f"{remote.rstrip('/')}/{file.relative}", file.reason
        if not reason and not is_text(key):
            key, reason = ascii(key), "its name is not UTF-8"
        jobs.append(_Job(file.path, key, f"Could not upload {str(file.path)!r}: {reason}" if reason else ""))
        total += 0 if reason else file.size
    return jobs, total


# --- from a context ----------------------------------------------------------------------------------------------


async def download(
    api: AsyncAPI,
    context_id: str,
    remote: str,
    local: str | PathLike[str],
    *,
    overwrite: bool,
    max_size: int | None,
    concurrency: int,
    progress: Progress,
    timeout: float | None,
) -> ContextTransferResult:
    """Download a file, or the content of a folder; see `AsyncContextService.download`."""
    context_id, remote = check_transfer(context_id, remote, concurrency)
    check_size(max_size)
    target = Path(local)
    idle_timeout = api.idle_timeout(timeout)
    report = AsyncProgressReport(progress, f"download {remote}")

    async def get_all(jobs: list[_Job], total: int | None) -> ContextTransferResult:
        transfers = AsyncTransfers(jobs, concurrency, report, total)

        async def get(job: _Job) -> Moved:
            return await get_file(
                api,
                context_id,
                job.remote,
                job.local,
                idle_timeout,
                transfers.moved,
                overwrite=overwrite,
                max_size=max_size,
            )

        return await transfers.run(get)

    async with report:
        if not remote.endswith("/"):
            is_directory = str(local).endswith(os.sep) or await in_thread(target.is_dir)
            file = target / remote.rpartition("/")[2] if is_directory else target
            result = await get_all([_Job(file, remote)], None)
            if result.error is None or result.error.kind is not ErrorKind.NOT_FOUND:
                return result
        folder = remote.rstrip("/")
        try:
            sizes = await _stored_below(api, context_id, folder, idle_timeout)
            if folder and not sizes:
                why = "there is neither a file nor a folder of that name"
                message = f"Could not download {remote!r} of the context {context_id}: {why}"
                raise FileError(message, kind=ErrorKind.NOT_FOUND)
        except AGBError as error:
            return _result([FailedTransfer(str(target), remote, error)])
        known = [size for size in sizes.values() if size is not None]
        total = sum(known) if len(known) == len(sizes) else None
        return await get_all([_download_job(path, folder, target) for path in sorted(sizes)], total)


async def _stored_below(
    api: AsyncAPI, context_id: str, folder: str, idle_timeout: IdleTimeout
) -> dict[str, int | None]:
    """Return the paths of the files that are stored below a folder, with their sizes if they are known.

    What a listing contains is not published. Some services list all files below a folder, others only those right in
    it, with its folders or without. So the folders that are listed are listed as well; and if nothing deeper was found,
    the whole context is, which the local runtime lists with all its files.
    """
    sizes: dict[str, int | None] = {}
    folders, listed = [folder], set[str]()
    is_deep = False

    async def list_one(parent: str) -> None:
        nonlocal is_deep
        seconds = left(idle_timeout, f"list the files below {folder!r} in the context {context_id}")
        listing = ops.file_listing(context_id, parent, _PAGE)
        entries: AsyncPager[ContextFileEntry] = AsyncPager(api, listing, seconds)
        async for entry in entries:
            path = entry.file_path
            if _is_folder(path, (entry.file_type or "").lower()):
                if parent or not folder:
                    is_deep = True
                    folders.append(path.rstrip("/"))
            elif parent or path.startswith(f"{folder}/"):
                is_deep = is_deep or "/" in path.removeprefix(f"{folder}/")
                sizes.setdefault(path, entry.size)

    while folders:
        if (parent := folders.pop()) not in listed:
            listed.add(parent)
            await list_one(parent)
    if not is_deep and "" not in listed:
        await list_one("")
    return sizes


def _is_folder(path: str, kind: str) -> bool:
    """Return whether a listed path is a folder; the type of a file is its extension, so ``a.dir`` is a file."""
    return path.endswith("/") or (kind in _FOLDER_TYPES and not path.lower().endswith(f".{kind}"))


def _download_job(path: str, folder: str, target: Path) -> _Job:
    """Return the place of a stored file in the target directory; a path that leads out of it is not downloaded."""
    inner = path.removeprefix(f"{folder}/")
    parts = inner.split("/")
    is_below = path.startswith(f"{folder}/") and not any(part in ("", ".", "..") or "\0" in part for part in parts)
    if is_below and os.name == "nt":
        is_below = not any(ch in inner for ch in '\\:*?"<>|')
    if not is_below:
        return _Job(target, path, f"Could not download {path!r}: it would not be below {str(target)!r}")
    return _Job(target.joinpath(*parts), path)
