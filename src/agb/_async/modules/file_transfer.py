"""Files of this machine into a session and out of it, by way of the session's internal context."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve

from ..._ops import contexts as ops
from ..._wire.deadline import Deadline, check_timeout
from ..._wire.signed import REDIRECTS
from ...exceptions import AGBError, ErrorKind, FileError
from ...results.transfers import DownloadResult, UploadResult
from .._compat.loop import call, in_thread
from ..storage.transfer import STEP, get_file, put_file
from .context_manager import POLL_INTERVAL, AsyncSyncRun

if TYPE_CHECKING:
    from ..client import AsyncAGB
    from ..session import AsyncSession

ResultT = TypeVar("ResultT", UploadResult, DownloadResult)
ProgressCallback = Callable[[int], Any]
"""Called with the bytes moved so far; fewer than before when a try is given up and the file begins again."""

UPLOAD_LIMIT = 30.0
"""Seconds that `AsyncFileTransfer.upload` waits for the session to have the file."""
DOWNLOAD_LIMIT = 300.0
"""Seconds that `AsyncFileTransfer.download` waits for the store to have the file."""
TYPE = "file_transfer"
"""The type of the internal context (control-plane.md 2.27)."""


class AsyncFileTransfer:
    """Moves whole files between this machine and a session, past its tools; also there as ``session.file.upload()``.

    A file travels by the session's internal context, whose directory in the session is `context_path`: an upload
    puts it into the store and lets the session fetch it from there, a download goes the other way.

    Args:
        agb: the client.
        session: the session.
        http_timeout: seconds after which a transfer in which nothing moves is given up.
        follow_redirects: whether redirects of the store are followed.

    Attributes:
        context_id, context_path: the internal context and its directory; None until it is loaded.

    Source: control-plane.md 4.8.
    """

    def __init__(
        self, agb: AsyncAGB, session: AsyncSession, *, http_timeout: float = 60.0, follow_redirects: bool = True
    ) -> None:
        check_timeout(http_timeout, "http_timeout")
        self.context_id: str | None = None
        self.context_path: str | None = None
        self._transport = agb.client
        self._session = session
        self._http_timeout = http_timeout
        self._redirects = REDIRECTS if follow_redirects else 0

    async def ensure_context_id(self) -> tuple[bool, str | None]:
        """Load the internal context unless that was done; return whether it is there, and why not.

        Source: control-plane.md 2.27.
        """
        error = await self._loaded()
        return error is None, None if error is None else str(error)

    async def upload(
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
        """Copy a file of this machine into the session; of any size, in pieces.

        Args:
            local_path: the file here.
            remote_path: the path in the session, below `context_path`.
            content_type: sent to the store; real stores refuse one that their URL was not signed with.
            wait: whether to wait until the session has the file; else it is stored, and the session has begun to fetch
                it, when this returns.
            wait_timeout: seconds to wait for that. The copying itself is over when nothing moves for too long.
            poll_interval: seconds between two looks, at most; the first ones follow each other faster.
            progress_cb: called with the bytes sent so far. What it raises ends the upload and is raised here.

        Returns:
            A success when the session has the file. Never raises for a failed call.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.
        """
        _check(wait_timeout, poll_interval, progress_cb)
        told = _Told(progress_cb)
        failed = partial(UploadResult, path=remote_path)
        if not await in_thread(Path(local_path).is_file):
            return _failed(failed(), f"Local file not found: {local_path}")
        if error := await self._ready(remote_path):
            return _failed(failed(), str(error), error)
        try:
            moved = await put_file(
                self._transport,
                self.context_id or "",
                local_path,
                remote_path,
                self._transport.patience(step=self._http_timeout),
                told,
                content_type=content_type or "",
                redirects=self._redirects,
                session_id=self._session.session_id,
            )
        except AGBError as error:
            status = error.http_status if error.extra.get(STEP) != "url" else None
            result = failed(
                request_id_upload_url=_request_id(error), http_status=status, bytes_sent=told.done if status else 0
            )
            return _failed(result, _transfer_message("upload", error), error)
        result = failed(
            request_id_upload_url=moved.url_request_id,
            http_status=moved.http_status,
            etag=moved.etag or None,
            bytes_sent=moved.size,
        )
        request_id, message, error_ = await self._synced("download", remote_path, wait, wait_timeout, poll_interval)
        result = evolve(result, request_id_sync=request_id)
        return _failed(result, message, error_) if error_ is not None else evolve(result, success=True)

    async def download(
        self,
        remote_path: str,
        local_path: str,
        *,
        overwrite: bool = True,
        wait: bool = True,
        wait_timeout: float = DOWNLOAD_LIMIT,
        poll_interval: float = POLL_INTERVAL,
        progress_cb: ProgressCallback | None = None,
    ) -> DownloadResult:
        """Copy a file of the session to this machine; of any size, in pieces.

        It is written beside its place and moved there when it is whole; directories are made if need be.

        Args:
            remote_path: the path in the session, below `context_path`.
            local_path: the file here.
            overwrite: whether a file that is here is replaced; otherwise it is a failure.
            wait: whether to wait until the session has stored the file; else what the store has by now is copied.
            wait_timeout: seconds to wait for that. The copying itself is over when nothing moves for too long.
            poll_interval: seconds between two looks, at most; the first ones follow each other faster.
            progress_cb: called with the bytes received so far. What it raises ends the download and is raised here.

        Returns:
            A success when the file is here. Never raises for a failed call.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.
        """
        _check(wait_timeout, poll_interval, progress_cb)
        target, told = Path(local_path), _Told(progress_cb)
        result = DownloadResult(path=remote_path, local_path=str(local_path))
        if not overwrite and await in_thread(target.exists):
            return _failed(result, f"Destination exists and overwrite=False: {local_path}")
        if error := await self._ready(remote_path):
            return _failed(result, str(error), error)
        request_id, message, error_ = await self._synced("upload", remote_path, wait, wait_timeout, poll_interval)
        result = evolve(result, request_id_sync=request_id)
        if error_ is not None:
            return _failed(result, message, error_)
        try:
            moved = await get_file(
                self._transport,
                self.context_id or "",
                remote_path,
                target,
                self._transport.patience(step=self._http_timeout),
                told,
                overwrite=overwrite,
                redirects=self._redirects,
                session_id=self._session.session_id,
            )
        except AGBError as error:
            status = error.http_status if error.extra.get(STEP) != "url" else None
            result = evolve(result, request_id_download_url=_request_id(error), http_status=status)
            return _failed(result, _transfer_message("download", error), error)
        return evolve(
            result,
            success=True,
            request_id_download_url=moved.url_request_id,
            http_status=moved.http_status,
            bytes_received=moved.size,
        )

    # --- steps ---------------------------------------------------------------------------------------------------

    async def _loaded(self) -> AGBError | None:
        """Load the internal context; return what kept it from being loaded."""
        if self.context_id:
            return None
        session_id = self._session.session_id
        try:
            items, request_id = await self._transport.call(ops.get_and_load_internal_context(session_id, (TYPE,)))
        except AGBError as error:
            return error
        for item in items:
            context_id, path = item.get("contextId"), item.get("contextPath")
            # A service that tells no type was asked for this one only.
            if item.get("contextType", TYPE) == TYPE and _is_text(context_id) and _is_text(path):
                self.context_id, self.context_path = context_id, path
                return None
        why = f"Could not load the internal context of session {session_id}: Response contains no data"
        return FileError(why, kind=ErrorKind.INVALID_ANSWER, session_id=session_id, request_id=request_id)

    async def _ready(self, remote_path: str) -> AGBError | None:
        """Return why nothing can be moved to or from a path, None if it can be tried."""
        if error := await self._loaded():
            return error
        if not isinstance(remote_path, str):
            raise TypeError(f"remote_path is a string, not {type(remote_path).__name__}")
        if not remote_path.strip().startswith("/"):
            why = f"remote_path is an absolute path below {self.context_path}, not {remote_path!r}"
            return FileError(f"Could not transfer a file: {why}", session_id=self._session.session_id)
        return None

    async def _synced(
        self, mode: str, remote_path: str, wait: bool, wait_timeout: float, poll_interval: float
    ) -> tuple[str | None, str, AGBError | None]:
        """Let the session and the store have the same; return the id of the request, and what went wrong."""
        path = self._directory(remote_path)
        run = AsyncSyncRun(self._transport, self._session.session_id, self.context_id or "", path, mode)
        deadline = Deadline(wait_timeout)
        try:
            await run.start(deadline if wait else Deadline(self._transport.timeout))
        except AGBError as error:
            return run.request_id or None, f"session.context.sync({mode}) failed: {error}", error
        try:
            if wait:
                await run.wait(deadline, poll_interval)
        except AGBError as error:
            what = "Upload" if mode == "download" else "Download"
            return run.request_id or None, f"{what} sync not finished: {error}", error
        return run.request_id or None, "", None

    def _directory(self, remote_path: str) -> str:
        """Return the mount that a path lies in: that of the internal context, or, as 0.12 has it, its directory."""
        mount = (self.context_path or "").rstrip("/")
        path = remote_path.strip().replace("\\", "/")
        if path.startswith(f"{mount}/"):
            return self.context_path or ""
        return path.rstrip("/") if path.endswith("/") else posixpath.dirname(path)


class _Told:
    """Adds up what is moved, and tells a caller."""

    def __init__(self, tell: ProgressCallback | None) -> None:
        self.done = 0
        self._tell = tell

    async def __call__(self, count: int) -> None:
        self.done += count
        if self._tell is not None:
            await call(self._tell, self.done)


def _check(wait_timeout: float, poll_interval: float, progress_cb: object) -> None:
    check_timeout(wait_timeout, "wait_timeout")
    check_timeout(poll_interval, "poll_interval")
    if progress_cb is not None and not callable(progress_cb):
        raise TypeError(f"progress_cb is a function of the bytes moved so far, not {type(progress_cb).__name__}")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _request_id(error: AGBError) -> str | None:
    return error.extra.get("url_request_id") or (error.request_id if error.extra.get(STEP) == "url" else None) or None


def _transfer_message(verb: str, error: AGBError) -> str:
    """Return the text of 0.12, and what really happened."""
    if error.extra.get(STEP) == "url":
        return f"get_file_{verb}_url failed: {error}"
    if error.http_status is not None:
        return f"{verb.capitalize()} failed with HTTP {error.http_status}: {error}"
    return str(error)


def _failed(result: ResultT, message: str, error: AGBError | None = None) -> ResultT:
    return evolve(result, error_message=message, error=error or FileError(message))
