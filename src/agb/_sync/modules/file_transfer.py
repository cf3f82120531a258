# Generated from src/agb/_async/modules/file_transfer.py by tools/unasync.py. Do not edit.
"""Copies files of this machine into a session and out of it: through its internal context, or by its file tools."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve

from ..._ops import contexts as ops
from ..._ops.arguments import check_size
from ..._ops.tools.files import check_path
from ..._wire.deadline import Deadline, check_timeout
from ..._wire.signed import REDIRECTS
from ...exceptions import AGBError, ErrorKind, FileError
from ...results.transfers import DownloadResult, UploadResult
from .._compat.loop import call, in_thread
from ..host.local_files import SourceFile, TargetFile
from ..host.progress import ProgressReport
from ..storage.transfer import STEP, get_file, put_file
from .context_manager import POLL_INTERVAL, SyncRun
from .file_calls import CHUNK, COPY_SECONDS, MAX_COPY, FileCalls, ReadForm, SizeLimit
from .file_stream import FileStream
from .file_writer import FileWriter

if TYPE_CHECKING:
    from .protocols import ClientAccess, SessionAccess

ResultT = TypeVar("ResultT", UploadResult, DownloadResult)
ProgressCallback = Callable[[int], Any]
"""Called with the bytes copied so far; fewer than before when an attempt failed and the file begins again."""

UPLOAD_LIMIT = 30.0
"""Seconds that `FileTransfer.upload` waits for the session to have the file."""
DOWNLOAD_LIMIT = 300.0
"""Seconds that `FileTransfer.download` waits for the store to have the file."""
TYPE = "file_transfer"
"""The type of the internal context that file transfers use."""


class FileTransfer:
    """Copies whole files between this machine and a session, past its tools; also ``session.file.upload()``.

    A file below `context_path` travels through the session's internal context, whose directory that is. An upload puts
    the file into the store, by a pre-signed URL, and then syncs the session with the store; a download first syncs and
    then gets the file. The sync waits for its own tasks only, so an older one, finished or failed, does not count.
    Every other file is written and read by the session's file tools.

    Args:
        agb: the client.
        session: the session.
        http_timeout: seconds without progress after which a transfer fails.
        follow_redirects: whether redirects of the store are followed.

    Attributes:
        context_id, context_path: the internal context and its directory; None until it is loaded.

    API: POST /sdk/GetAndLoadInternalContext; POST /sdk/GetContextFileUploadUrl and PUT to its URL, or POST
    /sdk/GetContextFileDownloadUrl and GET from its URL; POST /sdk/SyncContext, GET /sdk/GetContextInfo.
    """

    def __init__(
        self,
        agb: ClientAccess,
        session: SessionAccess,
        *,
        http_timeout: float = 60.0,
        follow_redirects: bool = True,
    ) -> None:
        check_timeout(http_timeout, "http_timeout")
        self.context_id: str | None = None
        self.context_path: str | None = None
        self._api = agb.client
        self._session = session
        self._http_timeout = http_timeout
        self._redirects = REDIRECTS if follow_redirects else 0
        self._writer = FileWriter(session)
        self._form = ReadForm()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self._session.session_id}>"

    def ensure_context_id(self) -> tuple[bool, str | None]:
        """Load the internal context unless it is loaded; return whether that succeeded, and the error's text.

        API: POST /sdk/GetAndLoadInternalContext.
        """
        try:
            self._load()
        except AGBError as error:
            return False, str(error)
        return True, None

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
        """Copy a file of this machine into the session; of any size, in pieces.

        Args:
            local_path: the file here.
            remote_path: the path in the session, absolute; its directory is made if needed.
            content_type: sent to the store; real stores refuse one that their URL was not signed with.
            wait: whether to wait until the session has the file; otherwise this returns when the store has the file
                and the session has begun to fetch it.
            wait_timeout: seconds to wait for that. The copying itself ends when nothing moves for too long.
            poll_interval: seconds between two status requests, at most; the first ones follow each other faster.
            progress_cb: called with the bytes sent so far. An exception of it ends the upload and is raised here.

        Returns:
            A success when the session has the file. Never raises for a failed call.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.
        """
        _check(wait_timeout, poll_interval, progress_cb)
        progress = _Progress(progress_cb)
        failed = partial(UploadResult, path=remote_path)
        if not in_thread(Path(local_path).is_file):
            return _failed(failed(), f"Local file not found: {local_path}")
        try:
            self._prepare(remote_path)
        except AGBError as error:
            return _failed(failed(), str(error), error)
        if not self._is_in_context(remote_path):
            return self._write(local_path, remote_path, progress)
        try:
            moved = put_file(
                self._api,
                self.context_id or "",
                local_path,
                remote_path,
                self._api.idle_timeout(step=self._http_timeout),
                progress,
                content_type=content_type or "",
                redirects=self._redirects,
                session_id=self._session.session_id,
            )
        except AGBError as error:
            status = error.http_status if error.extra.get(STEP) != "url" else None
            result = failed(
                request_id_upload_url=_request_id(error), http_status=status, bytes_sent=progress.done if status else 0
            )
            return _failed(result, _transfer_message("upload", error), error)
        result = failed(
            request_id_upload_url=moved.url_request_id,
            http_status=moved.http_status,
            etag=moved.etag or None,
            bytes_sent=moved.size,
        )
        run = self._sync_run("download")
        try:
            self._sync(run, "download", wait, wait_timeout, poll_interval)
        except _SyncError as failure:
            return _failed(evolve(result, request_id_sync=run.request_id or None), str(failure), failure.error)
        return evolve(result, success=True, request_id_sync=run.request_id or None)

    def download(
        self,
        remote_path: str,
        local_path: str,
        *,
        overwrite: bool = True,
        wait: bool = True,
        wait_timeout: float = DOWNLOAD_LIMIT,
        poll_interval: float = POLL_INTERVAL,
        max_size: int | None = MAX_COPY,
        progress_cb: ProgressCallback | None = None,
    ) -> DownloadResult:
        """Copy a file of the session to this machine; of any size, in pieces.

        It is written beside the target and moved there when it is complete; directories are created if needed.

        Args:
            remote_path: the path in the session, absolute.
            local_path: the file here.
            overwrite: whether an existing file is replaced; otherwise it is a failure.
            wait: whether to wait until the session has stored the file; otherwise the version is copied that the store
                has now.
            wait_timeout: seconds to wait for that. The copying itself ends when nothing moves for too long.
            poll_interval: seconds between two status requests, at most; the first ones follow each other faster.
            max_size: bytes; a larger file is a failure. None for no limit.
            progress_cb: called with the bytes received so far. An exception of it ends the download and is raised here.

        Returns:
            A success when the file is here. Never raises for a failed call.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.
        """
        _check(wait_timeout, poll_interval, progress_cb)
        check_size(max_size)
        target, progress = Path(local_path), _Progress(progress_cb)
        result = DownloadResult(path=remote_path, local_path=str(local_path))
        if not overwrite and in_thread(target.exists):
            return _failed(result, f"Destination exists and overwrite=False: {local_path}")
        try:
            self._prepare(remote_path)
        except AGBError as error:
            return _failed(result, str(error), error)
        if not self._is_in_context(remote_path):
            return self._read(result, target, progress, overwrite, max_size)
        run = self._sync_run("upload")
        try:
            self._sync(run, "upload", wait, wait_timeout, poll_interval)
        except _SyncError as failure:
            return _failed(evolve(result, request_id_sync=run.request_id or None), str(failure), failure.error)
        result = evolve(result, request_id_sync=run.request_id or None)
        try:
            moved = get_file(
                self._api,
                self.context_id or "",
                remote_path,
                target,
                self._api.idle_timeout(step=self._http_timeout),
                progress,
                overwrite=overwrite,
                max_size=max_size,
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

    # --- by the file tools ----------------------------------------------------------------------------------------

    def _write(self, local_path: str, remote_path: str, progress: _Progress) -> UploadResult:
        """Write a file of this machine into the session, with its mode and time."""
        calls = FileCalls(self._session, COPY_SECONDS)
        source = SourceFile(Path(local_path), progress, self._to_error("upload", local_path))
        try:
            size = source.open()
            with ProgressReport(None, f"upload {local_path}") as report:
                self._writer.replace_by_chunks(
                    check_path(remote_path, "remote_path"),
                    source,
                    calls,
                    report,
                    size,
                    attributes=lambda: (source.mode, source.mtime),
                )
        except AGBError as error:
            return _failed(UploadResult(path=remote_path, bytes_sent=progress.done), str(error), error)
        finally:
            source.close()
        return UploadResult(True, bytes_sent=size, path=remote_path)

    def _read(
        self, result: DownloadResult, target: Path, progress: _Progress, overwrite: bool, max_size: int | None
    ) -> DownloadResult:
        """Read a file of the session into one of this machine, with its mode and time."""
        file = TargetFile(
            target, progress, self._to_error("download", result.local_path), overwrite=overwrite, max_size=max_size
        )
        stream = FileStream(
            self._session,
            check_path(result.path, "remote_path"),
            CHUNK,
            ProgressReport(None, f"download {result.path}"),
            COPY_SECONDS,
            form=self._form,
            limit=SizeLimit(max_size),
        )
        try:
            file.open()
            with stream:
                while piece := stream.receive():
                    file.write(piece)
            return evolve(result, success=True, bytes_received=file.commit(stream.mode, stream.mtime))
        except AGBError as error:
            return _failed(result, str(error), error)
        finally:
            file.close()

    def _to_error(self, verb: str, local_path: str) -> Callable[[OSError], FileError]:
        def to_error(error: OSError) -> FileError:
            return FileError(f"Could not {verb} {local_path!r}: {error}", session_id=self._session.session_id)

        return to_error

    def _is_in_context(self, remote_path: str) -> bool:
        """Return whether a path is below the directory of the internal context."""
        path = remote_path.strip()
        return path.startswith(f"{(self.context_path or '').rstrip('/')}/") and ".." not in path.split("/")

    # --- steps ---------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Load the internal context unless it is loaded.

        Raises:
            AGBError: the service refused, or returned no context.
        """
        if self.context_id:
            return
        session_id = self._session.session_id
        items, request_id = self._api.call(ops.get_and_load_internal_context(session_id, (TYPE,)))
        for item in items:
            context_id, path = item.get("contextId"), item.get("contextPath")
            # A service that returns no type was asked for this type only.
            if item.get("contextType", TYPE) == TYPE and _is_text(context_id) and _is_text(path):
                self.context_id, self.context_path = context_id, path
                return
        message = f"Could not load the internal context of session {session_id}: Response contains no data"
        raise FileError(message, kind=ErrorKind.INVALID_ANSWER, session_id=session_id, request_id=request_id)

    def _prepare(self, remote_path: str) -> None:
        """Load the internal context and check the path in the session.

        Raises:
            AGBError: there is no internal context, or the path is not absolute.
            TypeError: the path is no string.
        """
        self._load()
        if not isinstance(remote_path, str):
            raise TypeError(f"remote_path must be a string, not {type(remote_path).__name__}")
        if not remote_path.strip().startswith("/"):
            message = f"remote_path must be an absolute path of the session, not {remote_path!r}"
            raise FileError(f"Could not transfer a file: {message}", session_id=self._session.session_id)

    def _sync_run(self, mode: str) -> SyncRun:
        session_id, context_id = self._session.session_id, self.context_id or ""
        return SyncRun(self._api, session_id, context_id, self.context_path or "", mode)

    def _sync(self, run: SyncRun, mode: str, wait: bool, wait_timeout: float, poll_interval: float) -> None:
        """Sync the session and the store.

        Raises:
            _SyncError: with the text of 0.12 for the step that failed.
        """
        deadline = Deadline(wait_timeout)
        try:
            run.start(deadline if wait else Deadline(self._api.timeout))
        except AGBError as error:
            raise _SyncError(f"session.context.sync({mode}) failed: {error}", error) from error
        try:
            if wait:
                run.wait(deadline, poll_interval)
        except AGBError as error:
            direction = "Upload" if mode == "download" else "Download"
            raise _SyncError(f"{direction} sync not finished: {error}", error) from error


class _SyncError(Exception):
    """A sync failed; the text is the result's ``error_message``."""

    def __init__(self, message: str, error: AGBError) -> None:
        super().__init__(message)
        self.error = error


class _Progress:
    """Adds up the bytes that were copied, and calls the caller's function."""

    def __init__(self, callback: ProgressCallback | None) -> None:
        self.done = 0
        self._callback = callback

    def __call__(self, count: int) -> None:
        self.done += count
        if self._callback is not None:
            call(self._callback, self.done)


def _check(wait_timeout: float, poll_interval: float, progress_cb: object) -> None:
    check_timeout(wait_timeout, "wait_timeout")
    check_timeout(poll_interval, "poll_interval")
    if progress_cb is not None and not callable(progress_cb):
        raise TypeError(f"progress_cb must be a function of the bytes copied so far, not {type(progress_cb).__name__}")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _request_id(error: AGBError) -> str | None:
    return error.extra.get("url_request_id") or (error.request_id if error.extra.get(STEP) == "url" else None) or None


def _transfer_message(verb: str, error: AGBError) -> str:
    """Return the text of 0.12, followed by the error itself."""
    if error.extra.get(STEP) == "url":
        return f"get_file_{verb}_url failed: {error}"
    if error.http_status is not None:
        return f"{verb.capitalize()} failed with HTTP {error.http_status}: {error}"
    return str(error)


def _failed(result: ResultT, message: str, error: AGBError | None = None) -> ResultT:
    return evolve(result, error_message=message, error=error or FileError(message))
