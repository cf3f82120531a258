# Generated from src/agb/_async/storage/contexts.py by tools/unasync.py. Do not edit.
"""Contexts: named persistent stores, the files in them, and transfers of files to and from them."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Protocol

from attrs import evolve

from ..._ops import arguments
from ..._ops import contexts as ops
from ..._wire.deadline import Deadline, check_timeout
from ...exceptions import AGBError, ClearanceTimeoutError, ErrorKind, Sent
from ...results.base import OperationResult
from ...results.contexts import (
    ClearContextResult,
    Context,
    ContextFileEntry,
    ContextFileListResult,
    ContextListParams,
    ContextListResult,
    ContextResult,
    FileUrlResult,
)
from ...results.transfers import ContextTransferResult
from .._compat.loop import sleep
from ..host.progress import Progress
from ..pager import Pager
from . import many_files

if TYPE_CHECKING:
    from ..api import API


class Client(Protocol):
    """What this service needs of the client."""

    @property
    def client(self) -> API:
        """Sends the calls."""
        ...


class ContextIterator(Pager[Context]):
    """The contexts that `ContextService.iterate` finds, one after the other."""


class ContextFileIterator(Pager[ContextFileEntry]):
    """The files that `ContextService.iterate_files` finds, one after the other."""


class ContextService:
    """Named persistent stores of an account; available as ``agb.context``.

    Unless a method says otherwise, it returns a result and never raises for a failed call; arguments of a wrong type
    raise `TypeError` before anything is sent.

    Example:
        >>> made = agb.context.create("notes")
        >>> context = made.raise_for_error().context
        >>> found = agb.context.get("notes")
        >>> found.context_id == context.id
        True
        >>> deleted = agb.context.delete(context)
        >>> deleted.success
        True
    """

    def __init__(self, agb: Client) -> None:
        self.agb = agb

    @property
    def _api(self) -> API:
        return self.agb.client

    # --- find ----------------------------------------------------------------------------------------------------

    def list(self, params: ContextListParams | None = None, *, timeout: float | None = None) -> ContextListResult:
        """Return one page of the contexts, 10 unless ``params`` says otherwise; `iterate` returns all of them.

        Args:
            params: how many, and the ``next_token`` of the page before.
            timeout: seconds for the whole call.

        API: GET /sdk/ListContexts.
        """
        if not isinstance(params, (ContextListParams, type(None))):
            raise TypeError(f"params is a ContextListParams, not {type(params).__name__}")
        params = params or ContextListParams()
        call = ops.list_contexts(params.max_results or 10, params.next_token or "")
        return self._api.result(call, ContextListResult, timeout=timeout)

    def iterate(self, max_results: int = 50, *, timeout: float | None = None) -> ContextIterator:
        """Iterate over all contexts; each page is requested when the caller reaches it.

        Args:
            max_results: how many contexts are requested at a time.
            timeout: seconds for each request.

        Returns:
            An iterator of `Context`. It raises `AGBError` when a page cannot be read.

        Example:
            >>> for context in agb.context.iterate():
            ...     print(context.name)
        """
        arguments.check_count("max_results", max_results)
        return ContextIterator(self._api, ops.context_listing(max_results), timeout)

    def get(
        self,
        name: str | None = None,
        create: bool = False,
        login_region_id: str | None = None,
        context_id: str | None = None,
        *,
        timeout: float | None = None,
    ) -> ContextResult:
        """Return a context by its name or its id, or make one of that name.

        Args:
            name: its name.
            create: make the context if there is none of that name; goes with ``name`` only.
            login_region_id: its region, if not the service's default.
            context_id: its id.
            timeout: seconds for the whole call.

        Returns:
            The context. Without name and id, or with ``create`` and an id, a failure, and nothing is sent.

        API: GET /sdk/GetContext.
        """
        try:
            name, context_id = arguments.check_context_query(name, context_id, create=create)
        except ValueError as error:
            return ContextResult.failed(AGBError(str(error)))
        call = ops.get_context(name, context_id, create=create, login_region_id=login_region_id or "")
        return self._api.result(call, ContextResult, timeout=timeout)

    # --- make, rename, delete ------------------------------------------------------------------------------------

    def create(self, name: str, *, timeout: float | None = None) -> ContextResult:
        """Return the context of that name, made if there is none.

        Two callers that ask for the same name at the same time get the same context. A blank name is a failure.

        API: GET /sdk/GetContext.
        """
        if not (name := arguments.stripped("name", name)):
            return ContextResult.failed(AGBError("Could not create a context: its name cannot be empty"))
        return self.get(name, create=True, timeout=timeout)

    def update(self, context: Context, *, timeout: float | None = None) -> OperationResult:
        """Rename a context: the one with the id of ``context`` gets its ``name``.

        Returns:
            ``{"context_id": ...}`` as ``data``. A blank id or name is a failure, and so is a name that is taken.

        Example:
            >>> made = agb.context.create("before")
            >>> context = made.context
            >>> context.name = "after"
            >>> renamed = agb.context.update(context)
            >>> renamed.success
            True
            >>> deleted = agb.context.delete(context)

        API: POST /sdk/ModifyContext.
        """
        try:
            context_id = arguments.id_of_context(context, "rename")
        except ValueError as error:
            return OperationResult.failed(AGBError(str(error)))
        if not (name := arguments.stripped("the name of the context", context.name)):
            why = f"Could not rename the context {context_id}: its new name cannot be empty"
            return OperationResult.failed(AGBError(why))
        result = self._api.result(ops.modify_context(context_id, name), OperationResult, timeout=timeout)
        return evolve(result, data={"context_id": context_id}) if result.success else result

    def delete(self, context: Context, *, timeout: float | None = None) -> OperationResult:
        """Delete a context with all its data.

        Returns:
            ``{"context_id": ...}`` as ``data``. A blank id is a failure.

        API: POST /sdk/DeleteContext.
        """
        try:
            context_id = arguments.id_of_context(context, "delete")
        except ValueError as error:
            return OperationResult.failed(AGBError(str(error)))
        result = self._api.result(ops.delete_context(context_id), OperationResult, timeout=timeout)
        result = _gone_by_first_try(result)
        return evolve(result, data={"context_id": context_id}) if result.success else result

    # --- clear ---------------------------------------------------------------------------------------------------

    def clear_async(self, context_id: str, *, timeout: float | None = None) -> ClearContextResult:
        """Start to remove all data of a context, and return; `get_clear_status` returns the state.

        Returns:
            ``status`` is ``clearing``. A refusal is a failure.

        Raises:
            AGBError: there was no valid answer.

        API: POST /sdk/ClearContext.
        """
        try:
            context_id = arguments.required("context_id", context_id, "clear a context")
        except ValueError as error:
            return ClearContextResult.failed(AGBError(str(error)))
        call = ops.clear_context(context_id)
        result = self._api.result(call, ClearContextResult, timeout=timeout)
        return evolve(result, context_id=context_id, status=ops.CLEARING if result.success else None)

    def get_clear_status(self, context_id: str, *, timeout: float | None = None) -> ClearContextResult:
        """Return the state of a clearing: ``status`` is ``available`` when it has ended.

        A context without a state counts as ``clearing``.

        API: GET /sdk/GetContext.
        """
        try:
            context_id = arguments.required("context_id", context_id, "get the state of a context")
        except ValueError as error:
            return ClearContextResult.failed(AGBError(str(error)))
        try:
            context, request_id = self._api.call(ops.get_context("", context_id), timeout=timeout)
        except AGBError as error:
            return evolve(ClearContextResult.failed(error), context_id=context_id)
        return ClearContextResult(request_id, success=True, status=context.state or ops.CLEARING, context_id=context_id)

    def clear(self, context_id: str, timeout: float = 60, poll_interval: float = 2.0) -> ClearContextResult:
        """Remove all data of a context, and wait until that is done.

        Args:
            context_id: which one.
            timeout: seconds for all of it, requests included.
            poll_interval: seconds between two polls, at most; the first polls are faster.

        Returns:
            ``status`` is ``available``; ``request_id`` is that of the request that started it. A clearing that cannot
            be started or polled is a failure.

        Raises:
            ClearanceTimeoutError: it did not end in time; it may still do so.
            AGBError: there was no valid answer to the request that starts it.

        Example:
            >>> made = agb.context.create("scratch")
            >>> cleared = agb.context.clear(made.context_id, timeout=30)
            >>> cleared.status
            'available'
            >>> deleted = agb.context.delete(made.context)

        API: POST /sdk/ClearContext and GET /sdk/GetContext.
        """
        check_timeout(timeout)
        arguments.check_interval(poll_interval)
        deadline = Deadline(timeout)
        started = self.clear_async(context_id, timeout=min(timeout, self._api.timeout))
        if not started.success:
            return started
        # The state may lag behind the request: "available" counts after another state, or after the pause of 0.12.
        settled = Deadline(min(poll_interval, deadline.left() / 2))
        pause, was_busy = 0.02, False
        while (left := deadline.left()) > 0:
            state = self.get_clear_status(context_id, timeout=min(left, self._api.timeout))
            if state.success and state.status == ops.AVAILABLE and (was_busy or settled.left() <= 0):
                return evolve(state, request_id=started.request_id)
            if not state.success and deadline.left() > 0:
                return state
            was_busy = was_busy or state.status != ops.AVAILABLE
            sleep(min(pause, poll_interval, deadline.left()))
            pause *= 1.5
        raise ClearanceTimeoutError(
            f"the context {started.context_id} was asked to clear {timeout:g} s ago and has not ended",
            request_id=started.request_id,
            sent=Sent.YES,
        )

    # --- stored files --------------------------------------------------------------------------------------------

    def get_file_download_url(self, context_id: str, file_path: str, *, timeout: float | None = None) -> FileUrlResult:
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
        return self._api.result(call, FileUrlResult, timeout=timeout)

    def get_file_upload_url(self, context_id: str, file_path: str, *, timeout: float | None = None) -> FileUrlResult:
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
        return self._api.result(call, FileUrlResult, timeout=timeout)

    def delete_file(self, context_id: str, file_path: str, *, timeout: float | None = None) -> OperationResult:
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
        result = _gone_by_first_try(self._api.result(call, OperationResult, timeout=timeout))
        return evolve(result, data=result.success)

    def list_files(
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
        return self._api.result(call, ContextFileListResult, timeout=timeout)

    def iterate_files(
        self,
        context_id: str,
        parent_folder_path: str | None = None,
        page_size: int = 100,
        *,
        timeout: float | None = None,
    ) -> ContextFileIterator:
        """Iterate over all files of a folder of a context; each page is requested when the caller reaches it.

        Pages have numbers: deleting a file moves those behind it to an earlier page, so collect first, and delete
        then.

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
        return ContextFileIterator(self._api, ops.file_listing(context_id, parent, page_size), timeout)

    # --- files and directories of this machine -------------------------------------------------------------------

    def upload(
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
        becomes shorter meanwhile is a failure.

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
            >>> made = agb.context.create("transferred")
            >>> with TemporaryDirectory() as here:
            ...     written = Path(here, "a.txt").write_text("hello")
            ...     sent = agb.context.upload(made.context_id, here, "/tmp/project")
            ...     got = agb.context.download(made.context_id, "/tmp/project/a.txt", Path(here, "b.txt"))
            ...     print(sent.files[0].remote_path, sent.size, got.success, Path(here, "b.txt").read_text())
            /tmp/project/a.txt 5 True hello
            >>> deleted = agb.context.delete(made.context)

        API: POST /sdk/GetContextFileUploadUrl, and PUT to the URL.
        """
        return many_files.upload(
            self._api, context_id, local, remote, concurrency=concurrency, progress=progress, timeout=timeout
        )

    def download(
        self,
        context_id: str,
        remote: str,
        local: str | PathLike[str],
        *,
        overwrite: bool = True,
        concurrency: int = 8,
        progress: Progress = None,
        timeout: float | None = None,
    ) -> ContextTransferResult:
        """Download a stored file, or all files below a folder, without a session.

        Files are streamed, several at the same time, with further attempts where these may help. Each is written
        beside its place and moved there when it is complete, so an incomplete file is never visible. Nothing is
        written outside ``local``, whatever names are listed.

        Args:
            context_id: the context.
            remote: the path inside a session, of the file or of the folder; with a slash at its end, of the folder.
            local: the file here, or the directory, which is made if needed. A file goes into an existing
                directory, under its own name.
            overwrite: whether an existing file is replaced; otherwise it is a failure.
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
        return many_files.download(
            self._api,
            context_id,
            remote,
            local,
            overwrite=overwrite,
            concurrency=concurrency,
            progress=progress,
            timeout=timeout,
        )


def _gone_by_first_try(result: OperationResult) -> OperationResult:
    """Return a success if a second attempt has not found it: the first has deleted it, and its answer was lost."""
    error = result.error
    if error is None or error.kind is not ErrorKind.NOT_FOUND or error.extra.get("attempts", 1) < 2:
        return result
    return OperationResult(result.request_id, success=True)
