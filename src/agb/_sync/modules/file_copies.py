# Generated from src/agb/_async/modules/file_copies.py by tools/unasync.py. Do not edit.
"""Copies between this machine and a session: directories as one archive, and large files past the tools."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from ..._ops.arguments import check_size
from ..._ops.tools import file_archives as archives
from ..._ops.tools import file_scripts as scripts
from ..._ops.tools import files as ops
from ...exceptions import AGBError, FileError
from ...results.transfers import DirectoryResult, DownloadResult, FailedTransfer, UploadResult
from .._compat.loop import from_thread, in_thread
from ..host.archive import Packed, Unpacking
from ..host.progress import Progress, ProgressReport
from .context_manager import POLL_INTERVAL
from .file_calls import (
    CHUNK,
    COPY_SECONDS,
    MAX_COPY,
    FileCalls,
    ReadForm,
    SizeLimit,
    random_token,
)
from .file_stream import FileStream
from .file_transfer import UPLOAD_LIMIT, FileTransfer, ProgressCallback
from .file_writer import FileWriter

if TYPE_CHECKING:
    from .protocols import SessionAccess


_NAMED = 5
"""Entries that are named in the message of a result."""


class FileCopies:
    """The part of ``session.file`` that copies between this machine and the session."""

    def __init__(self, session: SessionAccess, form: ReadForm) -> None:
        self.session = session
        self._form = form
        self._writer = FileWriter(session)
        self._transfer = FileTransfer(session.agb, session)

    def upload_dir(
        self,
        local_path: str | PathLike[str],
        remote_path: str,
        *,
        progress: Progress = None,
        timeout: float | None = COPY_SECONDS,
    ) -> DirectoryResult:
        """Copy the contents of a directory of this machine into one of the session, which is created if needed.

        Files, directories and symbolic links, with their modes and times; sent as one archive, so that many small
        files are as fast as a large one. Links are kept as they are, wherever they lead. Devices, pipes and sockets
        are left out.

        Args:
            local_path: the directory here.
            remote_path: the directory in the session.
            progress: a function called with the bytes sent and None, or True for a bar.
            timeout: seconds for everything; None for the client's time-out for each call.

        Returns:
            A success if all was copied. Otherwise ``failures`` has each entry that was not, with the error; all others
            were copied, unless ``failures`` is empty.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.
            ImportError: ``progress=True`` without rich.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> with TemporaryDirectory() as here:
            ...     written = Path(here, "a.txt").write_text("hello")
            ...     with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...         sent = session.file.upload_dir(here, "/tmp/project")
            ...         text = session.file.read("/tmp/project/a.txt")
            ...         got = session.file.download_dir("/tmp/project", Path(here, "back"))
            ...     print(sent.success, text.content, got.success, Path(here, "back", "a.txt").read_text())
            True hello True hello
        """
        remote_path = ops.check_path(remote_path, "remote_path")
        source = Path(local_path)
        if not in_thread(source.is_dir):
            raise ValueError(f"local_path must be a directory of this machine, and {str(source)!r} is none")
        session_id = self.session.session_id
        calls = FileCalls(self.session, timeout)
        packed = Packed(source)
        try:
            with ProgressReport(progress, f"upload {source}") as report:
                archive = calls.run(scripts.temporary_name(random_token(), session_id=session_id))
                try:
                    self._writer.fill(scripts.Place(archive, archive), _Pieces(packed), calls, report)
                    done = calls.run(archives.unpack(archive, remote_path, packed.damaged, session_id=session_id))
                finally:
                    calls.remove_temporary(archive)
        except OSError as error:
            return DirectoryResult.failed(FileError(f"cannot read {str(source)!r}: {error}", session_id=session_id))
        except AGBError as error:
            return DirectoryResult.failed(error)
        return self._copied(packed.failures | done.reasons, done.request_id, str(source), remote_path, "uploaded")

    def download_dir(
        self,
        remote_path: str,
        local_path: str | PathLike[str],
        *,
        max_size: int | None = MAX_COPY,
        progress: Progress = None,
        timeout: float | None = COPY_SECONDS,
    ) -> DirectoryResult:
        """Copy the contents of a directory of the session into one of this machine, which is created if needed.

        What `upload_dir` copies, in the other direction. Nothing is written outside of the directory: links are kept
        as they are, wherever they lead, but nothing is written through a link that leads out.

        Args:
            remote_path: the directory in the session.
            local_path: the directory here.
            max_size: bytes of all files, with the headers of the archive; more are a failure. None for no limit.
            progress: a function called with the bytes received and the bytes in all, or True for a bar.
            timeout: seconds for everything; None for the client's time-out for each call.

        Returns:
            A success if all was copied. Otherwise ``failures`` has each entry that was not, with the error; all others
            were copied, unless ``failures`` is empty.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.
            ImportError: ``progress=True`` without rich.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> with TemporaryDirectory() as here:
            ...     with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...         done = session.command.execute("mkdir out && echo 42 > out/answer.txt", check=True)
            ...         got = session.file.download_dir("out", here)
            ...     print(got.success, Path(here, "answer.txt").read_text())
            True 42
            <BLANKLINE>
        """
        remote_path = ops.check_path(remote_path, "remote_path")
        check_size(max_size)
        target = Path(local_path)
        if in_thread(lambda: target.exists() and not target.is_dir()):
            raise ValueError(f"local_path must be a directory of this machine, and {str(target)!r} is a file")
        report = ProgressReport(progress, f"download {remote_path}")
        session_id = self.session.session_id
        calls = FileCalls(self.session, timeout)
        unpacking = Unpacking(target, max_size)
        try:
            archive = calls.run(scripts.temporary_name(random_token(), session_id=session_id))
            try:
                done = calls.run(archives.pack(remote_path, archive, max_size, session_id=session_id))
                with FileStream(
                    self.session, archive, CHUNK, report, calls.left(), form=self._form, limit=SizeLimit(max_size)
                ) as stream:
                    in_thread(lambda: unpacking.run(lambda: from_thread(stream.receive)))
            finally:
                calls.remove_temporary(archive)
        except OSError as error:
            return DirectoryResult.failed(FileError(f"cannot write {str(target)!r}: {error}", session_id=session_id))
        except AGBError as error:
            return DirectoryResult.failed(error)
        return self._copied(done.reasons | unpacking.failures, done.request_id, str(target), remote_path, "downloaded")

    def _copied(self, reasons: dict[str, str], request_id: str, local: str, remote: str, verb: str) -> DirectoryResult:
        """Return the result of a copy, with a failure for each entry that was not copied."""
        if not reasons:
            return DirectoryResult(request_id, True, True)
        failures = [
            FailedTransfer(
                str(Path(local, name)),
                f"{remote.rstrip('/')}/{name}",
                FileError(f"{name or 'the directory'} was not {verb}: {reason}", session_id=self.session.session_id),
            )
            for name, reason in reasons.items()
        ]
        listed = ", ".join(f"{name} ({reason})" for name, reason in list(reasons.items())[:_NAMED])
        more = f", and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
        message = f"all was {verb} but for {listed}{more}"
        return DirectoryResult(request_id, False, False, message, failures=failures, error=failures[0].error)

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
        """Copy a file of this machine into the session, with its mode and time; of any size, in pieces.

        Below the directory `transfer_path` it goes to the session's internal context, and from there into the session;
        the cloud's store carries neither mode nor time. Everywhere else it is written by the session's file tools.

        Args:
            local_path: the file here.
            remote_path: the path in the session, absolute; its directory is made if needed.
            content_type: sent to the store; real stores refuse one that their URL was not signed with.
            wait: below `transfer_path`, whether to wait until the session has the file; otherwise this returns when the
                store has the file and the session has begun to fetch it.
            wait_timeout: seconds to wait for that. The copying itself ends when nothing moves for 60 seconds.
            poll_interval: seconds between two status requests, at most; the first ones follow each other faster.
            progress_cb: called with the bytes sent so far. An exception of it ends the upload and is raised here.

        Returns:
            A success when the session has the file. Never raises for a failed call.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> with TemporaryDirectory() as here:
            ...     written = Path(here, "a.txt").write_text("hello")
            ...     with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...         place = session.file.transfer_path()
            ...         sent = session.file.upload(f"{here}/a.txt", f"{place}/a.txt")
            ...         text = session.file.read(f"{place}/a.txt")
            ...         got = session.file.download(f"{place}/a.txt", f"{here}/b.txt")
            ...     print(sent.success, text.content, got.bytes_received, Path(here, "b.txt").read_text())
            True hello 5 hello

        API: POST /sdk/GetContextFileUploadUrl, PUT to its URL, POST /sdk/SyncContext, GET /sdk/GetContextInfo; or the
        tools ``shell`` and ``write_file``.
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
        max_size: int | None = MAX_COPY,
        progress_cb: ProgressCallback | None = None,
    ) -> DownloadResult:
        """Copy a file of the session to this machine, with its mode and time; of any size, in pieces.

        Below the directory `transfer_path` the session stores it in its internal context first; the cloud's store
        carries neither mode nor time. Everywhere else it is read by the session's file tools. Here it is written beside
        the target and moved there when it is complete; directories are created if needed.

        Args:
            remote_path: the path in the session, absolute.
            local_path: the file here.
            overwrite: whether an existing file is replaced; otherwise it is a failure.
            wait: below `transfer_path`, whether to wait until the session has stored the file; otherwise the version is
                copied that the store has now.
            wait_timeout: seconds to wait for that. The copying itself ends when nothing moves for 60 seconds.
            poll_interval: seconds between two status requests, at most; the first ones follow each other faster.
            max_size: bytes; a larger file is a failure. None for no limit.
            progress_cb: called with the bytes received so far. An exception of it ends the download and is raised here.

        Returns:
            A success when the file is here. Never raises for a failed call.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        API: POST /sdk/SyncContext, GET /sdk/GetContextInfo, POST /sdk/GetContextFileDownloadUrl, GET from its URL; or
        the tools ``get_file_info`` and ``read_file``.
        """
        return self._transfer.download(
            remote_path,
            local_path,
            overwrite=overwrite,
            wait=wait,
            wait_timeout=wait_timeout,
            poll_interval=poll_interval,
            max_size=max_size,
            progress_cb=progress_cb,
        )

    def transfer_path(self) -> str | None:
        """Return the directory of the session whose files pass through the store; None if there is none.

        API: POST /sdk/GetAndLoadInternalContext.
        """
        self._transfer.ensure_context_id()
        return self._transfer.context_path


class _Pieces:
    """The pieces of an archive; the disk is read in a thread."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> _Pieces:
        return self

    def __next__(self) -> bytes:
        piece = in_thread(lambda: next(self._pieces, None))
        if piece is None:
            raise StopIteration
        return piece
