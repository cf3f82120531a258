"""The files of contexts: their URLs, their lists, and transfers between a context and this machine."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any, Protocol

from attrs import evolve

from ..._ops import arguments
from ..._ops import contexts as ops
from ...exceptions import AGBError, ErrorKind
from ...results.base import BoolResult, OperationResult
from ...results.contexts import ContextFileEntry, ContextFileListResult, FileUrlResult
from ...results.files import BinaryFileContentResult
from ...results.transfers import ContextTransferResult
from ..host.progress import Progress
from ..pager import AsyncPager
from . import many_files
from .transfer import get_bytes, put_bytes

if TYPE_CHECKING:
    from ...results.narrowed import OperationFailure, OperationSuccess
    from ..api import AsyncAPI


MAX_READ = 256 << 20
"""Bytes that `AsyncContextFiles.read_file` returns, unless the caller sets others."""


class AsyncClient(Protocol):
    """What this service needs of the client."""

    @property
    def client(self) -> AsyncAPI:
        """Sends the calls."""
        ...


class AsyncContextFileIterator(AsyncPager[ContextFileEntry]):
    """The files that `AsyncContextService.iterate_files` finds, one after the other."""


class AsyncContextFiles:
    """The methods of `AsyncContextService` for the files that are stored in a context."""

    def __init__(self, agb: AsyncClient) -> None:
        self.agb = agb

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._api.endpoint}>"

    @property
    def _api(self) -> AsyncAPI:
        return self.agb.client

    # --- stored files --------------------------------------------------------------------------------------------

    async def get_file_download_url(
        self, context_id: str, file_path: str, *, timeout: float | None = None
    ) -> FileUrlResult:
        """Return a URL from which a stored file is read by GET, without an API key, until it expires.

        Args:
            context_id: the context it is stored in.
            file_path: the path that the file has inside a session, such as ``/tmp/notes.txt``.
            timeout: seconds for the whole call.

        Returns:
            The URL. A blank id or path is a failure.

        API: POST /sdk/GetContextFileDownloadUrl.
        """
        try:
            context_id = arguments.required("context_id", context_id, "get the download URL of a file")
            file_path = arguments.required("file_path", file_path, "get the download URL of a file")
        except ValueError as error:
            return FileUrlResult.failed(AGBError(str(error)))
        call = ops.get_context_file_download_url(context_id, file_path)
        return await self._api.result(call, FileUrlResult, timeout=timeout)

    async def get_file_upload_url(
        self, context_id: str, file_path: str, *, timeout: float | None = None
    ) -> FileUrlResult:
        """Return a URL to which a file is sent by PUT, without an API key and a content type, until it expires.

        Args:
            context_id: the context to store it in.
            file_path: the path that the file will have inside a session, such as ``/tmp/notes.txt``.
            timeout: seconds for the whole call.

        Returns:
            The URL. A blank id or path is a failure.

        API: POST /sdk/GetContextFileUploadUrl.
        """
        try:
            context_id = arguments.required("context_id", context_id, "get the upload URL of a file")
            file_path = arguments.required("file_path", file_path, "get the upload URL of a file")
        except ValueError as error:
            return FileUrlResult.failed(AGBError(str(error)))
        call = ops.get_context_file_upload_url(context_id, file_path)
        return await self._api.result(call, FileUrlResult, timeout=timeout)

    async def delete_file(
        self, context_id: str, file_path: str, *, timeout: float | None = None
    ) -> OperationSuccess[bool] | OperationFailure:
        """Delete a stored file. A URL that was returned before may stay valid until it expires.

        Returns:
            ``data`` is whether it was deleted. A blank id or path is a failure.

        API: POST /sdk/DeleteContextFile.
        """
        try:
            context_id = arguments.required("context_id", context_id, "delete a file")
            file_path = arguments.required("file_path", file_path, "delete a file")
        except ValueError as error:
            return OperationResult.failed(AGBError(str(error)))
        call = ops.delete_context_file(context_id, file_path)
        result = deleted_by_first_attempt(await self._api.result(call, OperationResult, timeout=timeout))
        return evolve(result, data=result.success)  # type: ignore[arg-type]  # False after a failure, as in 0.12

    async def list_files(
        self,
        context_id: str,
        parent_folder_path: str | None = None,
        page_number: int = 1,
        page_size: int = 50,
        *,
        timeout: float | None = None,
    ) -> ContextFileListResult:
        """Return one page of the files of a context; `iterate_files` returns all of them.

        Args:
            context_id: the context.
            parent_folder_path: the folder whose files are listed, such as ``/tmp``; None is the root.
            page_number: which page, from 1.
            page_size: how many files a page holds.
            timeout: seconds for the whole call.

        Returns:
            The files, and ``count`` of all pages. A blank id or a number below 1 is a failure.

        API: POST /sdk/DescribeContextFiles.
        """
        try:
            context_id = arguments.required("context_id", context_id, "list the files of a context")
            arguments.check_file_page(context_id, page_number, page_size)
        except ValueError as error:
            return ContextFileListResult.failed(AGBError(str(error)))
        parent = arguments.stripped("parent_folder_path", parent_folder_path)
        call = ops.describe_context_files(context_id, parent, page_number, page_size)
        return await self._api.result(call, ContextFileListResult, timeout=timeout)

    def iterate_files(
        self,
        context_id: str,
        parent_folder_path: str | None = None,
        page_size: int = 100,
        *,
        timeout: float | None = None,
    ) -> AsyncContextFileIterator:
        """Iterate over all files of a folder of a context; each page is requested when the caller reaches it.

        Files may be stored and deleted meanwhile: each one that is there all the time is returned once. If the service
        only numbers its pages, that costs further requests: when its count of the files changes, the pages are read
        again.

        Args:
            context_id: the context.
            parent_folder_path: the folder whose files are listed; None is the root.
            page_size: how many files are requested at a time.
            timeout: seconds for each request.

        Returns:
            An iterator of `ContextFileEntry`. It raises `AGBError` when a page cannot be read.

        Raises:
            ValueError: a blank id, or a page size below 1.
        """
        context_id = arguments.required("context_id", context_id, "list the files of a context")
        arguments.check_count("page_size", page_size)
        parent = arguments.stripped("parent_folder_path", parent_folder_path)
        return AsyncContextFileIterator(self._api, ops.file_listing(context_id, parent, page_size), timeout)

    async def read_file(
        self,
        context_id: str,
        file_path: str,
        *,
        offset: int = 0,
        limit: int | None = None,
        max_size: int | None = MAX_READ,
        timeout: float | None = None,
    ) -> BinaryFileContentResult:
        """Return the bytes of a stored file, or a part of them, without a session and without a file here.

        Args:
            context_id: the context it is stored in.
            file_path: the path that the file has inside a session, such as ``/tmp/notes.txt``.
            offset: the number of the first byte. Beyond the end there are none, which is no failure.
            limit: how many bytes at most; None for all to the end.
            max_size: bytes without ``limit``; more are a failure, and `download` stores them in a file. None for no
                limit.
            timeout: seconds for everything; without it, it fails when nothing arrives for the client's time-out.

        Returns:
            ``content``: the bytes. A blank id or path is a failure; the ``kind`` of the error is
            ``ErrorKind.NOT_FOUND`` if no such file is stored.

        Raises:
            ValueError, TypeError: a number is negative or no whole number; nothing was sent.

        Example:
            >>> made = await client.context.create("read-and-written")
            >>> written = await client.context.write_file(made.context_id, "/tmp/a.txt", b"hello")
            >>> (await client.context.read_file(made.context_id, "/tmp/a.txt", offset=1, limit=3)).content
            b'ell'
            >>> deleted = await client.context.delete(made.context)

        API: POST /sdk/GetContextFileDownloadUrl, and GET of the URL.
        """
        arguments.check_size(max_size)
        arguments.check_part(offset, limit)
        try:
            context_id = arguments.required("context_id", context_id, "read a file")
            file_path = arguments.required("file_path", file_path, "read a file")
        except ValueError as error:
            return BinaryFileContentResult.failed(AGBError(str(error)))
        idle_timeout = self._api.idle_timeout(timeout)
        try:
            content, request_id = await get_bytes(
                self._api, context_id, file_path, idle_timeout, offset=offset, limit=limit, max_size=max_size
            )
        except AGBError as error:
            return BinaryFileContentResult.failed(error)
        return BinaryFileContentResult(request_id, True, content, size=len(content))

    async def write_file(
        self, context_id: str, file_path: str, data: str | bytes, *, timeout: float | None = None
    ) -> BoolResult:
        """Store text or bytes as a file of a context, without a session and without a file here.

        A file of that path is replaced by the complete new one, or stays as it was.

        Args:
            context_id: the context to store it in.
            file_path: the path that the file will have inside a session, such as ``/tmp/notes.txt``.
            data: its content; text is encoded as UTF-8.
            timeout: seconds for everything; without it, it fails when nothing moves for the client's time-out.

        Returns:
            A success if it is stored. A blank id or path is a failure.

        Raises:
            TypeError: ``data`` is neither text nor bytes; nothing was sent.

        API: POST /sdk/GetContextFileUploadUrl, and PUT to the URL.
        """
        content = arguments.as_bytes("data", data)
        try:
            context_id = arguments.required("context_id", context_id, "write a file")
            file_path = arguments.required("file_path", file_path, "write a file")
            idle_timeout = self._api.idle_timeout(timeout)
            request_id = await put_bytes(self._api, context_id, content, file_path, idle_timeout)
        except ValueError as error:
            return BoolResult.failed(AGBError(str(error)))
        except AGBError as error:
            return BoolResult.failed(error)
        return BoolResult(request_id, True, True)

    # --- files and directories of this machine -------------------------------------------------------------------

    async def upload(
        self,
        context_id: str,
        local: str | PathLike[str],
        remote: str,
        *,
        concurrency: int = 8,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> ContextTransferResult:
        """Upload a file of this machine, or the content of a directory, without a session.

        Files are streamed, several at the same time, with further attempts where these may help. A stored file is
        replaced by a complete one or stays as it was. A file has the size that it has when its upload begins; one that
        becomes shorter meanwhile is a failure. Modes and times are stored by the local runtime; the cloud's store has
        no place for them, and files have the mode 644 there. An archive, such as of `upload_dir` or of a context in
        archive mode, keeps them everywhere.

        Args:
            context_id: the context to store in.
            local: the file or directory here. In a directory, symbolic links to files inside it are uploaded as those
                files; other links are failures; empty directories, devices and pipes are left out.
            remote: the path inside a session, such as ``/tmp/data``: of the file, or of the folder for the content of
                the directory. A file goes into the folder if ``remote`` ends with a slash.
            concurrency: how many files are sent at the same time.
            progress: a function called with the bytes sent and the bytes in all, or True for a bar. What it raises
                ends the upload and is raised here. The bytes of an attempt that is given up are subtracted.
            timeout: seconds for everything; without it, a transfer fails when nothing moves for the client's time-out.

        Returns:
            The outcome of each file, in ``files`` and ``failures``; a success if none failed.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.
            ImportError: ``progress=True`` without rich.

        Example:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> made = await client.context.create("transferred")
            >>> with TemporaryDirectory() as here:
            ...     written = Path(here, "a.txt").write_text("hello")
            ...     sent = await client.context.upload(made.context_id, here, "/tmp/project")
            ...     got = await client.context.download(made.context_id, "/tmp/project/a.txt", Path(here, "b.txt"))
            ...     print(sent.files[0].remote_path, sent.size, got.success, Path(here, "b.txt").read_text())
            /tmp/project/a.txt 5 True hello
            >>> deleted = await client.context.delete(made.context)

        API: POST /sdk/GetContextFileUploadUrl, and PUT to the URL.
        """
        return await many_files.upload(
            self._api, context_id, local, remote, concurrency=concurrency, progress=progress, timeout=timeout
        )

    async def download(
        self,
        context_id: str,
        remote: str,
        local: str | PathLike[str],
        *,
        overwrite: bool = True,
        max_size: int | None = many_files.MAX_SIZE,
        concurrency: int = 8,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> ContextTransferResult:
        """Download a stored file, or all files below a folder, without a session.

        Files are streamed, several at the same time, with further attempts where these may help. Each is written
        beside its place and moved there when it is complete, so an incomplete file is never visible. Nothing is
        written outside ``local``, whatever names are listed. Files have the modes and times with which they were
        stored, if the store returns them, as the local runtime's does and the cloud's does not.

        Args:
            context_id: the context.
            remote: the path inside a session, of the file or of the folder; with a slash at its end, of the folder.
            local: the file here, or the directory, which is made if needed. A file goes into an existing
                directory, under its own name.
            overwrite: whether an existing file is replaced; otherwise it is a failure.
            max_size: bytes of a file; a larger one is a failure. None for no limit.
            concurrency: how many files are received at the same time.
            progress: a function called with the bytes received and the bytes in all (None if not known), or True for a
                bar. What it raises ends the download and is raised here. The bytes of an attempt that is given up are
                subtracted.
            timeout: seconds for everything; without it, a transfer fails when nothing moves for the client's time-out.

        Returns:
            The outcome of each file, in ``files`` and ``failures``; a success if none failed. The error's ``kind`` is
            ``ErrorKind.NOT_FOUND`` if there is neither a file nor a folder of that name.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.
            ImportError: ``progress=True`` without rich.

        API: POST /sdk/GetContextFileDownloadUrl and /sdk/DescribeContextFiles, and GET of the URL.
        """
        return await many_files.download(
            self._api,
            context_id,
            remote,
            local,
            overwrite=overwrite,
            max_size=max_size,
            concurrency=concurrency,
            progress=progress,
            timeout=timeout,
        )


def deleted_by_first_attempt(
    result: OperationSuccess[Any] | OperationFailure,
) -> OperationSuccess[Any] | OperationFailure:
    """Return a success if a second attempt found nothing: the first has deleted it, and its answer was lost."""
    error = result.error
    if error is None or error.kind is not ErrorKind.NOT_FOUND or error.extra.get("attempts", 1) < 2:
        return result
    return OperationResult.of(None, result.request_id)
