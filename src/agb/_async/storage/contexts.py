"""Contexts: named persistent stores, which are found, created, renamed, cleared and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from ..._ops import arguments
from ..._ops import contexts as ops
from ..._wire.deadline import Deadline, check_timeout
from ..._wire.retry import poll_pause
from ...exceptions import AGBError, ClearanceTimeoutError, Sent
from ...results.base import OperationResult
from ...results.contexts import (
    ClearContextResult,
    Context,
    ContextListParams,
    ContextListResult,
    ContextResult,
)
from .._compat.loop import sleep
from ..pager import AsyncPager
from .context_files import AsyncContextFiles, deleted_by_first_attempt

if TYPE_CHECKING:
    from ...results.narrowed import ContextFailure, ContextSuccess, OperationFailure, OperationSuccess


class AsyncContextIterator(AsyncPager[Context]):
    """The contexts that `AsyncContextService.iterate` finds, one after the other."""


class AsyncContextService(AsyncContextFiles):
    """Named persistent stores of an account; available as ``client.context``.

    Unless a method says otherwise, it returns a result and never raises for a failed call; arguments of a wrong type
    raise `TypeError` before anything is sent.

    Example:
        >>> made = await client.context.create("notes")
        >>> context = made.raise_for_error().context
        >>> found = await client.context.get("notes")
        >>> found.context_id == context.id
        True
        >>> deleted = await client.context.delete(context)
        >>> deleted.success
        True
    """

    # --- find ----------------------------------------------------------------------------------------------------

    async def list(self, params: ContextListParams | None = None, *, timeout: float | None = None) -> ContextListResult:
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
        return await self._api.result(call, ContextListResult, timeout=timeout)

    def iterate(self, max_results: int = 50, *, timeout: float | None = None) -> AsyncContextIterator:
        """Iterate over all contexts; each page is requested when the caller reaches it.

        Args:
            max_results: how many contexts are requested at a time.
            timeout: seconds for each request.

        Returns:
            An iterator of `Context`. It raises `AGBError` when a page cannot be read.

        Example:
            >>> names = [context.name async for context in client.context.iterate()]
        """
        arguments.check_count("max_results", max_results)
        return AsyncContextIterator(self._api, ops.context_listing(max_results), timeout)

    async def get(
        self,
        name: str | None = None,
        create: bool = False,
        login_region_id: str | None = None,
        context_id: str | None = None,
        *,
        timeout: float | None = None,
    ) -> ContextSuccess | ContextFailure:
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
        return await self._api.result(call, ContextResult, timeout=timeout)

    # --- make, rename, delete ------------------------------------------------------------------------------------

    async def create(self, name: str, *, timeout: float | None = None) -> ContextSuccess | ContextFailure:
        """Return the context of that name, made if there is none.

        Two callers that ask for the same name at the same time get the same context. A blank name is a failure.

        API: GET /sdk/GetContext.
        """
        if not (name := arguments.stripped("name", name)):
            return ContextResult.failed(AGBError("Could not create a context: its name cannot be empty"))
        return await self.get(name, create=True, timeout=timeout)

    async def update(
        self, context: Context, *, timeout: float | None = None
    ) -> OperationSuccess[dict[str, str]] | OperationFailure:
        """Rename a context: the one with the id of ``context`` gets its ``name``.

        Returns:
            ``{"context_id": ...}`` as ``data``. A blank id or name is a failure, and so is a name that is taken.

        Example:
            >>> made = await client.context.create("before")
            >>> context = made.context
            >>> context.name = "after"
            >>> renamed = await client.context.update(context)
            >>> renamed.success
            True
            >>> deleted = await client.context.delete(context)

        API: POST /sdk/ModifyContext.
        """
        try:
            context_id = arguments.id_of_context(context, "rename")
        except ValueError as error:
            return OperationResult.failed(AGBError(str(error)))
        if not (name := arguments.stripped("the name of the context", context.name)):
            why = f"Could not rename the context {context_id}: its new name cannot be empty"
            return OperationResult.failed(AGBError(why))
        result = await self._api.result(ops.modify_context(context_id, name), OperationResult, timeout=timeout)
        return OperationResult.of({"context_id": context_id}, result.request_id) if result.success else result

    async def delete(
        self, context: Context, *, timeout: float | None = None
    ) -> OperationSuccess[dict[str, str]] | OperationFailure:
        """Delete a context with all its data.

        Returns:
            ``{"context_id": ...}`` as ``data``. A blank id is a failure.

        API: POST /sdk/DeleteContext.
        """
        try:
            context_id = arguments.id_of_context(context, "delete")
        except ValueError as error:
            return OperationResult.failed(AGBError(str(error)))
        result = await self._api.result(ops.delete_context(context_id), OperationResult, timeout=timeout)
        result = deleted_by_first_attempt(result)
        return OperationResult.of({"context_id": context_id}, result.request_id) if result.success else result

    # --- clear ---------------------------------------------------------------------------------------------------

    async def clear_async(self, context_id: str, *, timeout: float | None = None) -> ClearContextResult:
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
        result = await self._api.result(call, ClearContextResult, timeout=timeout)
        return evolve(result, context_id=context_id, status=ops.CLEARING if result.success else None)

    async def get_clear_status(self, context_id: str, *, timeout: float | None = None) -> ClearContextResult:
        """Return the state of a clearing: ``status`` is ``available`` when it has ended.

        A context without a state counts as ``clearing``.

        API: GET /sdk/GetContext.
        """
        try:
            context_id = arguments.required("context_id", context_id, "get the state of a context")
        except ValueError as error:
            return ClearContextResult.failed(AGBError(str(error)))
        try:
            context, request_id = await self._api.call(ops.get_context("", context_id), timeout=timeout)
        except AGBError as error:
            return evolve(ClearContextResult.failed(error), context_id=context_id)
        return ClearContextResult(request_id, success=True, status=context.state or ops.CLEARING, context_id=context_id)

    async def clear(self, context_id: str, timeout: float = 60, poll_interval: float = 2.0) -> ClearContextResult:
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
            >>> made = await client.context.create("scratch")
            >>> cleared = await client.context.clear(made.context_id, timeout=30)
            >>> cleared.status
            'available'
            >>> deleted = await client.context.delete(made.context)

        API: POST /sdk/ClearContext and GET /sdk/GetContext.
        """
        check_timeout(timeout)
        arguments.check_interval(poll_interval)
        deadline = Deadline(timeout)
        started = await self.clear_async(context_id, timeout=min(timeout, self._api.timeout))
        if not started.success:
            return started
        # The state may lag behind the request: "available" counts after another state, or after the pause of 0.12.
        settled = Deadline(min(poll_interval, deadline.left() / 2))
        pause, was_busy = 0.02, False
        while (left := deadline.left()) > 0:
            state = await self.get_clear_status(context_id, timeout=min(left, self._api.timeout))
            if state.success and state.status == ops.AVAILABLE and (was_busy or settled.left() <= 0):
                return evolve(state, request_id=started.request_id)
            if not state.success and deadline.left() > 0:
                return state
            was_busy = was_busy or state.status != ops.AVAILABLE
            await sleep(min(poll_pause(pause, poll_interval), deadline.left()))
            pause *= 1.5
        raise ClearanceTimeoutError(
            f"the context {started.context_id} was asked to clear {timeout:g} s ago and has not ended",
            request_id=started.request_id,
            sent=Sent.YES,
        )
