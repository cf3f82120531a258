# Generated from src/agb/_async/storage/contexts.py by tools/unasync.py. Do not edit.
"""Contexts: named persistent stores, what lies in them, and moving files to and from them."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from typing import TYPE_CHECKING, Self

from attrs import evolve

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
from .transfer import download, upload

if TYPE_CHECKING:
    from ..api import API
    from ..client import AGB


class ContextService:
    """Named persistent stores of an account; available as ``agb.context``.

    Unless a method says otherwise, it gives a result and never raises for a failed call; arguments of a wrong type
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

    def __init__(self, agb: AGB) -> None:
        self.agb = agb

    @property
    def _transport(self) -> API:
        return self.agb.client

    # --- find ----------------------------------------------------------------------------------------------------

    def list(self, params: ContextListParams | None = None, *, timeout: float | None = None) -> ContextListResult:
        """Return one page of the contexts, 10 unless ``params`` says otherwise; `iterate` gives all of them.

        Args:
            params: how many, and the ``next_token`` of the page before.
            timeout: seconds for the whole call.

        Source: control-plane.md 2.16.
        """
        if not isinstance(params, (ContextListParams, type(None))):
            raise TypeError(f"params is a ContextListParams, not {type(params).__name__}")
        params = params or ContextListParams()
        call = ops.list_contexts(params.max_results or 10, params.next_token or "")
        return self._transport.result(call, ContextListResult, timeout=timeout)

    def iterate(self, max_results: int = 50, *, timeout: float | None = None) -> ContextIterator:
        """Iterate over all contexts, page by page, asking only when more are wanted.

        Args:
            max_results: how many contexts are asked for at a time.
            timeout: seconds for each request.

        Returns:
            An iterator of `Context`. It raises `AGBError` when a page cannot be had.

        Example:
            >>> for context in agb.context.iterate():
            ...     print(context.name)
        """
        _check_number("max_results", max_results)
        return ContextIterator(self._transport, max_results, timeout)

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
            login_region_id: the region it lives in, if not the service's default.
            context_id: its id.
            timeout: seconds for the whole call.

        Returns:
            The context. Without name and id, or with ``create`` and an id, a failure, and nothing is sent.

        Source: control-plane.md 2.17.
        """
        name, context_id = _stripped("name", name), _stripped("context_id", context_id)
        if not name and not context_id:
            return ContextResult.failed(AGBError("Could not get a context: context_id or name is required"))
        if create and context_id:
            why = "context_id is not allowed with create: a context is made by its name, the service gives the id"
            return ContextResult.failed(AGBError(f"Could not create the context {name!r}: {why}"))
        call = ops.get_context(name, context_id, create=create, login_region_id=login_region_id or "")
        return self._transport.result(call, ContextResult, timeout=timeout)

    # --- make, rename, delete ------------------------------------------------------------------------------------

    def create(self, name: str, *, timeout: float | None = None) -> ContextResult:
        """Return the context of that name, made if there is none.

        Two callers that ask for the same name at the same time get the same context. A blank name is a failure.

        Source: control-plane.md 2.17.
        """
        if not (name := _stripped("name", name)):
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

        Source: control-plane.md 2.18.
        """
        context_id, refused = _id_of(context, "rename")
        name = "" if refused else _stripped("the name of the context", context.name)
        if not refused and not name:
            refused = f"Could not rename the context {context_id}: its new name cannot be empty"
        if refused:
            return OperationResult.failed(AGBError(refused))
        result = self._transport.result(ops.modify_context(context_id, name), OperationResult, timeout=timeout)
        return evolve(result, data={"context_id": context_id}) if result.success else result

    def delete(self, context: Context, *, timeout: float | None = None) -> OperationResult:
        """Delete a context, and all that is stored in it.

        Returns:
            ``{"context_id": ...}`` as ``data``. A blank id is a failure.

        Source: control-plane.md 2.19.
        """
        context_id, refused = _id_of(context, "delete")
        if refused:
            return OperationResult.failed(AGBError(refused))
        result = self._transport.result(ops.delete_context(context_id), OperationResult, timeout=timeout)
        result = _gone_by_first_try(result)
        return evolve(result, data={"context_id": context_id}) if result.success else result

    # --- clear ---------------------------------------------------------------------------------------------------

    def clear_async(self, context_id: str, *, timeout: float | None = None) -> ClearContextResult:
        """Start to remove all that is stored in a context, and return; `get_clear_status` tells how far it is.

        Returns:
            ``status`` is ``clearing``. A refusal is a failure.

        Raises:
            AGBError: there was no valid answer.

        Source: control-plane.md 2.20 and 3.8.
        """
        if not (context_id := _stripped("context_id", context_id)):
            return ClearContextResult.failed(AGBError("Could not clear a context: context_id cannot be empty"))
        call = ops.clear_context(context_id)
        result = self._transport.result(call, ClearContextResult, timeout=timeout)
        return evolve(result, context_id=context_id, status=ops.CLEARING if result.success else None)

    def get_clear_status(self, context_id: str, *, timeout: float | None = None) -> ClearContextResult:
        """Return how far a clearing is: ``status`` is ``available`` when it is over.

        A service that tells no state is taken to be ``clearing``.

        Source: control-plane.md 2.17 and 4.6.
        """
        if not (context_id := _stripped("context_id", context_id)):
            return ClearContextResult.failed(AGBError("Could not look at a context: context_id cannot be empty"))
        try:
            context, request_id = self._transport.call(ops.get_context("", context_id), timeout=timeout)
        except AGBError as error:
            return evolve(ClearContextResult.failed(error), context_id=context_id)
        return ClearContextResult(request_id, success=True, status=context.state or ops.CLEARING, context_id=context_id)

    def clear(self, context_id: str, timeout: float = 60, poll_interval: float = 2.0) -> ClearContextResult:
        """Remove all that is stored in a context, and wait until it is done.

        Args:
            context_id: which one.
            timeout: seconds for all of it, the time that requests take included.
            poll_interval: seconds between two looks, at most; the first ones follow each other faster.

        Returns:
            ``status`` is ``available``; ``request_id`` is that of the request that started it. A clearing that cannot
            be started or looked at is a failure.

        Raises:
            ClearanceTimeoutError: it did not end in time; it may still do so.
            AGBError: there was no valid answer to the request that starts it.

        Example:
            >>> made = agb.context.create("scratch")
            >>> cleared = agb.context.clear(made.context_id, timeout=30)
            >>> cleared.status
            'available'
            >>> deleted = agb.context.delete(made.context)

        Source: control-plane.md 2.20, 3.11 and 4.6.
        """
        check_timeout(timeout)
        _check_interval(poll_interval)
        deadline = Deadline(timeout)
        started = self.clear_async(context_id, timeout=min(timeout, self._transport.timeout))
        if not started.success:
            return started
        # A state may lag behind: "available" is believed when another one was seen before, or after the pause of 0.12.
        settled = Deadline(min(poll_interval, deadline.left() / 2))
        pause, was_busy = 0.02, False
        while (left := deadline.left()) > 0:
            seen = self.get_clear_status(context_id, timeout=min(left, self._transport.timeout))
            if seen.success and seen.status == ops.AVAILABLE and (was_busy or settled.left() <= 0):
                return evolve(seen, request_id=started.request_id)
            if not seen.success and deadline.left() > 0:
                return seen
            was_busy = was_busy or seen.status != ops.AVAILABLE
            sleep(min(pause, poll_interval, deadline.left()))
            pause *= 1.5
        raise ClearanceTimeoutError(
            f"the context {started.context_id} was asked to clear {timeout:g} s ago and has not ended",
            request_id=started.request_id,
            sent=Sent.YES,
        )

    # --- stored files --------------------------------------------------------------------------------------------

    def get_file_download_url(self, context_id: str, file_path: str, *, timeout: float | None = None) -> FileUrlResult:
        """Return a URL from which a stored file can be had by GET, without an API key, until it expires.

        Args:
            context_id: the context it is stored in.
            file_path: the path that the file has inside a session, such as ``/tmp/notes.txt``.
            timeout: seconds for the whole call.

        Returns:
            The URL. A blank id or path is a failure.

        Source: control-plane.md 2.23.
        """
        context_id, file_path, refused = _file(context_id, file_path, "get the download URL of a file")
        if refused:
            return FileUrlResult.failed(AGBError(refused))
        call = ops.get_context_file_download_url(context_id, file_path)
        return self._transport.result(call, FileUrlResult, timeout=timeout)

    def get_file_upload_url(self, context_id: str, file_path: str, *, timeout: float | None = None) -> FileUrlResult:
        """Return a URL to which a file can be sent by PUT, without an API key and a content type, until it expires.

        Args:
            context_id: the context to store it in.
            file_path: the path that the file will have inside a session, such as ``/tmp/notes.txt``.
            timeout: seconds for the whole call.

        Returns:
            The URL. A blank id or path is a failure.

        Source: control-plane.md 2.24.
        """
        context_id, file_path, refused = _file(context_id, file_path, "get the upload URL of a file")
        if refused:
            return FileUrlResult.failed(AGBError(refused))
        call = ops.get_context_file_upload_url(context_id, file_path)
        return self._transport.result(call, FileUrlResult, timeout=timeout)

    def delete_file(self, context_id: str, file_path: str, *, timeout: float | None = None) -> OperationResult:
        """Delete a stored file. A URL that was given out before may stay valid until it expires.

        Returns:
            ``data`` is whether it was deleted. A blank id or path is a failure.

        Source: control-plane.md 2.25.
        """
        context_id, file_path, refused = _file(context_id, file_path, "delete a file")
        if refused:
            return OperationResult.failed(AGBError(refused))
        call = ops.delete_context_file(context_id, file_path)
        result = _gone_by_first_try(self._transport.result(call, OperationResult, timeout=timeout))
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
        """Return one page of the files of a context; `iterate_files` gives all of them.

        Args:
            context_id: the context.
            parent_folder_path: the folder whose files are listed, such as ``/tmp``; None is the root.
            page_number: which page, from 1.
            page_size: how many files a page holds.
            timeout: seconds for the whole call.

        Returns:
            The files, and ``count`` of all pages. A blank id or a number below 1 is a failure.

        Source: control-plane.md 2.26.
        """
        if not (context_id := _stripped("context_id", context_id)):
            why = "Could not list the files of a context: context_id cannot be empty"
            return ContextFileListResult.failed(AGBError(why))
        try:
            _check_number("page_number", page_number)
            _check_number("page_size", page_size)
        except ValueError as error:
            why = f"Could not list the files of the context {context_id}: {error}"
            return ContextFileListResult.failed(AGBError(why))
        parent = _stripped("parent_folder_path", parent_folder_path)
        call = ops.describe_context_files(context_id, parent, page_number, page_size)
        return self._transport.result(call, ContextFileListResult, timeout=timeout)

    def iterate_files(
        self,
        context_id: str,
        parent_folder_path: str | None = None,
        page_size: int = 100,
        *,
        timeout: float | None = None,
    ) -> ContextFileIterator:
        """Iterate over all files of a folder of a context, page by page, asking only when more are wanted.

        Pages are numbered by the service: a file that is deleted meanwhile moves those behind it, so collect first
        and delete then.

        Args:
            context_id: the context.
            parent_folder_path: the folder whose files are listed; None is the root.
            page_size: how many files are asked for at a time.
            timeout: seconds for each request.

        Returns:
            An iterator of `ContextFileEntry`. It raises `AGBError` when a page cannot be had.

        Raises:
            ValueError: a blank id, or a page size below 1.
        """
        if not (context_id := _stripped("context_id", context_id)):
            raise ValueError("Could not list the files of a context: context_id cannot be empty")
        _check_number("page_size", page_size)
        parent = _stripped("parent_folder_path", parent_folder_path)
        return ContextFileIterator(self._transport, context_id, parent, page_size, timeout)

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
        """Upload a file of this machine, or all that a directory holds, without a session.

        Files are streamed, several at the same time, and tried again where that may help. What is stored is replaced
        by a whole file or stays as it was. A file is uploaded with the size that it has when its turn comes; one that
        becomes shorter meanwhile is a failure.

        Args:
            context_id: the context to store in.
            local: the file or directory here. In a directory, symbolic links to files inside of it are uploaded as
                those files; other links are failures; empty directories, devices and pipes are left out.
            remote: the path inside a session, such as ``/tmp/data``: of the file, or of the folder that gets what the
                directory holds. A file goes into the folder if ``remote`` ends with a slash.
            concurrency: how many files are sent at the same time.
            progress: a function called with the bytes sent and the bytes in all, or True for a bar. What it raises
                ends the upload and is raised here. A try that is given up is taken back.
            timeout: seconds for everything; without it, a transfer fails when nothing moves for the client's time-out.

        Returns:
            What became of each file, as ``files`` and ``failures``; a success if none failed.

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

        Source: control-plane.md 2.24.
        """
        return upload(self, context_id, local, remote, concurrency=concurrency, progress=progress, timeout=timeout)

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
        """Download a stored file, or all that is stored below a folder, without a session.

        Files are streamed, several at the same time, and tried again where that may help. Each is written beside its
        place and moved there when it is whole, so a half-written file is never seen. Nothing is written outside of
        ``local``, whatever the names that are listed.

        Args:
            context_id: the context.
            remote: the path inside a session, of the file or of the folder; with a slash at its end, of the folder.
            local: the file here, or the directory, which is made if need be. A file goes into a directory that is
                there, under its own name.
            overwrite: whether a file that is here is replaced; otherwise it is a failure.
            concurrency: how many files are received at the same time.
            progress: a function called with the bytes received and the bytes in all (None if not known), or True for a
                bar. What it raises ends the download and is raised here. A try that is given up is taken back.
            timeout: seconds for everything; without it, a transfer fails when nothing moves for the client's time-out.

        Returns:
            What became of each file, as ``files`` and ``failures``; a success if none failed. The error's ``kind`` is
            ``ErrorKind.NOT_FOUND`` if there is neither a file nor a folder of that name.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.
            ImportError: ``progress=True`` without rich.

        Source: control-plane.md 2.23 and 2.26.
        """
        return download(
            self,
            context_id,
            remote,
            local,
            overwrite=overwrite,
            concurrency=concurrency,
            progress=progress,
            timeout=timeout,
        )


class ContextIterator:
    """The contexts that `ContextService.iterate` finds, one after the other."""

    def __init__(self, transport: API, max_results: int, timeout: float | None) -> None:
        self._transport, self._max_results, self._timeout = transport, max_results, timeout
        self._ready: Iterator[Context] = iter(())
        self._token: str | None = ""
        self._seen: set[str] = set()
        self._tokens: set[str] = set()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Context:
        while (context := next(self._ready, None)) is None:
            if self._token is None:
                raise StopIteration
            call = ops.list_contexts(self._max_results, self._token)
            page, request_id = self._transport.call(call, timeout=self._timeout)
            fresh = [item for item in page.items if item.id not in self._seen]
            if page.next_token and not fresh and (page.items or page.next_token in self._tokens):
                raise _same_page_again(call.description, request_id)
            self._seen.update(item.id for item in fresh)
            self._tokens.add(page.next_token)
            self._ready, self._token = iter(fresh), page.next_token or None
        return context


class ContextFileIterator:
    """The files that `ContextService.iterate_files` finds, one after the other."""

    def __init__(self, transport: API, context_id: str, parent: str, page_size: int, timeout: float | None) -> None:
        self._transport, self._timeout = transport, timeout
        self._context_id, self._parent, self._page_size = context_id, parent, page_size
        self._ready: Iterator[ContextFileEntry] = iter(())
        self._number: int | None = 1
        self._seen: set[str] = set()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ContextFileEntry:
        while (entry := next(self._ready, None)) is None:
            if self._number is None:
                raise StopIteration
            call = ops.describe_context_files(self._context_id, self._parent, self._number, self._page_size)
            page, request_id = self._transport.call(call, timeout=self._timeout)
            fresh = [item for item in page.items if item.file_path not in self._seen]
            if page.items and not fresh:
                raise _same_page_again(call.description, request_id)
            self._seen.update(item.file_path for item in fresh)
            self._ready = iter(fresh)
            self._number = None if self._is_last(page) else self._number + 1
        return entry

    def _is_last(self, page: ops.Page[ContextFileEntry]) -> bool:
        """Return whether nothing comes after a page; the service may give less than was asked for at a time."""
        if not page.items:
            return True
        if page.total_count is None:
            return len(page.items) < self._page_size
        return len(self._seen) >= page.total_count


def _gone_by_first_try(result: OperationResult) -> OperationResult:
    """Return a success for what was not found by a second try: the first has done it, and its answer was lost."""
    error = result.error
    if error is None or error.kind is not ErrorKind.NOT_FOUND or error.extra.get("attempts", 1) < 2:
        return result
    return OperationResult(result.request_id, success=True)


def _same_page_again(what: str, request_id: str) -> AGBError:
    why = f"Could not {what}: the service gives the same page again and again"
    return AGBError(why, kind=ErrorKind.INVALID_ANSWER, request_id=request_id, sent=Sent.YES)


# --- arguments ---------------------------------------------------------------------------------------------------


def _stripped(name: str, value: str | None) -> str:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} is a string, not {type(value).__name__}")
    return value.strip() if value else ""


def _id_of(context: Context | None, verb: str) -> tuple[str, str]:
    """Return the id of a context, and why nothing can be done with it, ``""`` if something can."""
    if context is None:
        return "", f"Could not {verb} a context: context is required: what create or get gave"
    if not isinstance(context, Context):
        raise TypeError(f"context is a Context, not {type(context).__name__}; agb.context.get finds one by name or id")
    context_id = _stripped("the id of the context", context.id)
    return context_id, "" if context_id else f"Could not {verb} a context: its id cannot be empty"


def _file(context_id: str, file_path: str, what: str) -> tuple[str, str, str]:
    """Return id and path without white space around them, and why they name no file, ``""`` if they do."""
    context_id, file_path = _stripped("context_id", context_id), _stripped("file_path", file_path)
    missing = "context_id" if not context_id else "file_path" if not file_path else ""
    return context_id, file_path, f"Could not {what}: {missing} cannot be empty" if missing else ""


def _check_number(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} is a number >= 1, not {value}")


def _check_interval(seconds: float) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"poll_interval is a number of seconds, not {seconds!r}")
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"poll_interval is a number of seconds, 0 or more, not {seconds!r}")
