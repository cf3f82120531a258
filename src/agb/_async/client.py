"""The client: creates, finds, lists and deletes sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, TypeVar

from attrs import evolve

from .._ops import arguments, ownership
from .._ops import sessions as ops
from .._wire.deadline import Deadline
from .._wire.exchange import checked_hooks
from ..config import Config, Endpoint, settings
from ..exceptions import AGBError, ErrorKind, Sent, SessionError
from ..hooks import RequestEvent, ResponseEvent, RetryEvent
from ..limits import Limits
from ..refs import SessionRef
from ..results.base import DeleteResult
from ..results.sessions import GetSessionResult, SessionListResult, SessionResult
from ._compat.cancellation import CLEANUP_LIMIT, run_to_completion, shielded
from ._compat.flavour import BlockHint, Closable
from .api import AsyncAPI
from .lifecycle.create_limiter import AsyncCreateLimiter, is_gone
from .lifecycle.deletion import delete_surely, warn_left_behind
from .lifecycle.hidden_labels import HiddenLabels
from .lifecycle.owner_process import BlockProcess
from .pager import AsyncPager
from .session import AsyncSession, session_from_data

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from os import PathLike

    from ..browser_options import BrowserOption
    from ..outcomes import RetryOn
    from ..owned import Owner, Reaped
    from ..results.narrowed import GetSessionFailure, GetSessionSuccess, SessionFailure, SessionSuccess
    from ..session_params import CreateSessionParams
    from ..stats import ClientStats
    from ._compat.iteration import AnyIterable
    from .batch.map import AsyncBatch
    from .block import AsyncBlock
    from .host.progress import Progress
    from .lifecycle.session_pool import AsyncSessionPool
    from .lifecycle.warm_sessions import Hook
    from .net.routes import Verify
    from .storage.contexts import AsyncContextService

ItemT = TypeVar("ItemT")
ValueT = TypeVar("ValueT")

ARRIVAL_LIMIT = 300.0
"""Seconds that `create` waits for the data of a session's contexts, unless it has a time-out."""


class AsyncAGB(Closable, BlockHint):
    r"""A client of the AGB API.

    One client serves any number of sessions and callers at a time; its connections are opened when first needed,
    kept, and shared. Close it with ``async with`` or `aclose`.

    Args:
        api_key: the API key; without it ``AGB_API_KEY`` from the environment or from ``./.env``.
        cfg: endpoint and time-out; without it ``AGB_ENDPOINT`` and ``AGB_TIMEOUT_MS`` from there, else the cloud
            and 60 seconds.
        timeout: seconds that a call may take in all, in place of the configured time-out.
        http_client: a client with httpx's interface (httpx or httpx2), used for all requests and never closed.
        transport: a transport with httpx's interface (httpx or httpx2), used for all requests and never closed.
        limits: how much the client may take at a time; without it `Limits()`.
        proxy: the URL of a proxy: ``http://``, ``https://``, ``socks5://`` (this machine looks up host names) or
            ``socks5h://`` (the proxy does), with user name and password if needed; ``""`` for none. Without it
            ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` of the environment.
        verify: which certificates are trusted: True for the usual ones, the path of a file or directory of others, an
            `ssl.SSLContext`; False for all of them, which is unsafe.
        hidden_labels: whether new sessions get labels of the SDK's own beside yours, by which they are found again when
            an answer is lost or a program is killed; see docs/reference/wire-differences.md.
        on_request: called before each request, with a `RequestEvent`, to which it may add headers; what it raises ends
            the call. See docs/guides/tracing.md.
        on_response: called at the end of each request, with a `ResponseEvent`.
        on_retry: called for each further attempt, with a `RetryEvent`.

    Attributes:
        api_key: the API key in use.
        config: endpoint and time-out in use, as a `Config`.
        endpoint: the endpoint in use.
        timeout_ms: the time-out of a call in use, in milliseconds.
        settings: these settings, with the source of each value.
        client: what calls are sent through.
        context: the service of persistent contexts.

    Raises:
        ValueError: no API key, or an endpoint, time-out, proxy or path of certificates that cannot be used.
        TypeError: an argument is of a wrong type, or excluded by ``http_client`` or ``transport``.
        ImportError: a SOCKS proxy without ``agb[socks]``.

    Example:
        >>> async with AsyncAGB() as client:
        ...     async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
        ...         result = await session.code.run("print('hello')", "python")
        ...         print(result.logs.stdout)
        ['hello\n']
    """

    def __init__(
        self,
        api_key: str = "",
        cfg: Config | None = None,
        *,
        timeout: float | None = None,
        http_client: Any = None,
        transport: Any = None,
        limits: Limits | None = None,
        proxy: str | None = None,
        verify: Verify = True,
        hidden_labels: bool = True,
        on_request: Callable[[RequestEvent], object] | None = None,
        on_response: Callable[[ResponseEvent], object] | None = None,
        on_retry: Callable[[RetryEvent], object] | None = None,
    ) -> None:
        self._hidden_labels = HiddenLabels(hidden_labels)
        self.settings = settings(api_key, cfg)
        self.api_key = self.settings.api_key.value
        self.endpoint = self.settings.endpoint.value
        self.timeout_ms = self.settings.timeout_ms.value
        self.config = cfg if cfg is not None else Config(self.endpoint, self.timeout_ms)
        self.client = AsyncAPI(
            self.settings,
            timeout=timeout,
            http_client=http_client,
            transport=transport,
            limits=limits,
            proxy=proxy,
            verify=verify,
            hooks=checked_hooks(on_request=on_request, on_response=on_response, on_retry=on_retry),
        )
        self._context: AsyncContextService | None = None
        self._limiter = AsyncCreateLimiter(self.client.limits, partial(is_gone, self.client))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self.client.endpoint}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"an {type(self).__name__} holds an API key and connections and is not pickled or copied; "
            "make one where it is needed"
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await shielded(self.aclose)

    async def aclose(self) -> None:
        """Close the connections of all event loops; may be called twice, from any event loop.

        Calls under way are finished, and live output ends. Further calls of the client, its sessions and iterators fail
        at once.
        """
        await self.client.aclose()

    @property
    def context(self) -> AsyncContextService:
        """The service of persistent contexts; loaded when first used."""
        if self._context is None:
            from .storage.contexts import AsyncContextService

            self._context = AsyncContextService(self)
        return self._context

    @property
    def uses_hidden_labels(self) -> bool:
        """Whether new sessions get hidden labels: unless they are switched off, or the service has refused them."""
        return self._hidden_labels.are_used

    # --- create --------------------------------------------------------------------------------------------------

    async def create(
        self,
        params: CreateSessionParams | None = None,
        *,
        wait_for_contexts: bool = True,
        timeout: float | None = None,
        owner: Owner | None = None,
    ) -> SessionSuccess[AsyncSession] | SessionFailure:
        """Create a session, and wait for the data of its contexts.

        If the caller is cancelled, the session is deleted, also when the service is still creating it.

        If the answer is lost (a broken connection, a late answer), the session is looked up by a hidden label. It is
        the result if there is time left, and is deleted otherwise. This may take a second more than ``timeout``; if
        the session is not found, or not gone by then, the error says how to delete it: ``agb gc --create ...``, with
        the nonce that is ``error.extra["create"]``.

        Args:
            params: what to create it from; without an image the result is a failure. The object is not changed.
            wait_for_contexts: whether to wait until the data of ``context_syncs`` and ``browser_context`` is in the
                session; otherwise ``session.context.info()`` returns the progress.
            timeout: seconds for all of it; without it the creation has the client's time-out, and the data 300
                seconds more.
            owner: what the session belongs to, by which `reap` and ``agb gc --owner`` find it when its program is gone.

        Returns:
            The session as ``session``, or why there is none. If data of a context is missing, because its download
            failed or has not ended in time, the result is a success with the session, and ``error_message`` and
            ``error`` say what is missing; ``context_status`` has all downloads. Never raises for a failed call.

        Example:
            >>> result = await client.create(CreateSessionParams(image_id="agb-code-space-1"))
            >>> session = result.raise_for_error().session
            >>> deleted = await session.delete()
            >>> deleted.success
            True

        API: POST /mcp/createSession.
        """
        try:
            params = arguments.check_create_params(params)
        except ValueError as error:
            return SessionResult.failed(SessionError(str(error)))
        arguments.check_owner(owner)
        from .lifecycle.creation import AsyncCreation

        creation = AsyncCreation(self.client, self._limiter, self.attach, params, owner, self._hidden_labels)
        syncs = params.all_context_syncs() if wait_for_contexts else []
        deadline = self.client.deadline(timeout)
        try:
            data, request_id = await creation.run(deadline)
        except AGBError as error:
            return SessionResult.failed(error)
        session = session_from_data(self, data, creation.labels)
        if not syncs:
            return SessionResult.of(session, request_id)
        limit = Deadline(ARRIVAL_LIMIT) if timeout is None else deadline
        status, missing = await creation.wait_for_contexts(data, syncs, limit)
        message = str(missing) if missing else ""
        result = SessionResult.of(session, request_id)
        return evolve(result, error_message=message, error=missing, context_status=status)

    def session(
        self,
        params: CreateSessionParams,
        *,
        wait_for_contexts: bool = True,
        timeout: float | None = None,
        owner: Owner | None = None,
    ) -> AsyncBlock[AsyncSession]:
        """Create a session for the time of a ``with`` block, and delete it when the block is left.

        It is deleted also when the block is left by an exception or by cancellation, in several attempts within 30
        seconds. The error of a failed deletion is raised, or added as a note to the exception of the block. A forked
        child leaves the block without deleting the session of its parent.

        Args:
            params: what to create it from.
            wait_for_contexts: as for `create`; if data is missing, the error is raised and the block is not entered.
            timeout: seconds for creating it, as for `create`.
            owner: what the session belongs to, as for `create`.

        Raises:
            SessionError: the session could not be created, data of a context is missing, or the session could not be
                deleted.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = await session.command.execute("echo hello")
            ...     print(result.stdout, end="")
            hello
        """
        from .block import AsyncBlock

        block = self._session(params, wait_for_contexts=wait_for_contexts, timeout=timeout, owner=owner)
        return AsyncBlock("client.session(params)", "session", block)

    @asynccontextmanager
    async def _session(
        self, params: CreateSessionParams, *, wait_for_contexts: bool, timeout: float | None, owner: Owner | None
    ) -> AsyncIterator[AsyncSession]:
        created = await self.create(params, wait_for_contexts=wait_for_contexts, timeout=timeout, owner=owner)
        session = created.raise_for_error().session
        assert session is not None  # a success has one
        process = BlockProcess()
        try:
            if created.error is not None:
                raise created.error
            yield session
        except BaseException as error:
            if not process.is_current:
                raise
            left_behind = await self._delete_at_exit(session)
            if left_behind is not None:
                error.add_note(f"and session {session.session_id} was not deleted: {left_behind}")
                if not isinstance(error, Exception):  # the notes of a cancellation are not shown
                    with suppress(RuntimeWarning):  # as an error, it must not replace the cancellation
                        warn_left_behind(session.session_id, left_behind)
            raise
        left_behind = await self._delete_at_exit(session) if process.is_current else None
        if left_behind is not None:
            raise left_behind

    async def _delete_at_exit(self, session: AsyncSession) -> AGBError | None:
        """Delete the session of a block that is left, also of a closed client; return why it may still exist."""

        async def delete() -> AGBError | None:
            async with self.client.clean_up():
                return await delete_surely(session)

        async def report(error: AGBError | None) -> None:
            if error is not None:
                warn_left_behind(session.session_id, error)

        return await run_to_completion(delete, report)

    # --- many ----------------------------------------------------------------------------------------------------

    def map(
        self,
        function: Callable[[AsyncSession, ItemT], Awaitable[ValueT]],
        items: AnyIterable[ItemT],
        *,
        params: CreateSessionParams | None = None,
        concurrency: int = 10,
        ordered: bool = False,
        pool: AsyncSessionPool[AsyncSession] | bool = False,
        timeout: float | None = None,
        attempts: int = 1,
        retries: int | None = None,
        retry_on: RetryOn = (),
        buffer: int | None = None,
        progress: Progress = None,
        journal: str | PathLike[str] | None = None,
        key: Callable[[ItemT], str] | None = None,
        redo_failed: bool = False,
        name: str | None = None,
        executor: Executor | Callable[[], Executor] | None = None,
        chunk_size: int | None = None,
        chunks: int | None = None,
        chunk_timeout: float | None = None,
        send_key: bool = False,
        warm_browser: bool | BrowserOption = False,
    ) -> AsyncBatch[ItemT, ValueT]:
        """Apply a function to many items, each in a session, many at a time.

        See docs/guides/batches.md for journals and further attempts, and docs/guides/executors.md for executors.

        Args:
            function: called with a session and an item; what it returns is the item's value, what it raises the item's
                error. A result with ``success=False`` is a value; ``raise_for_error()`` makes it an error.
            items: any iterable, also an endless one: at most ``concurrency + buffer`` items are taken beyond those
                whose outcomes were fetched. Its own error is raised after the outcomes of the items before.
            params: what sessions are created from; not with a pool, which has its own.
            concurrency: how many items are worked on at the same time.
            ordered: whether outcomes are in the order of the items; otherwise in the order in which items end.
            pool: False for a session per item; True for sessions that are used until an item fails; or a pool of
                warm sessions, which was entered already.
            timeout: seconds that the function may take for one attempt, without creating and deleting the session.
            attempts: how often an item is tried, each time in a new session: after the end of its session, and after
                errors of the service or the connection. ``retry_on`` adds other errors.
            retries: how many further attempts the whole batch may have; None for no limit.
            retry_on: a class of exceptions, several in a tuple, or a function of an exception that returns whether to
                try again; `ItemTimeoutError` for items that took too long.
            buffer: how many outcomes may wait to be fetched before no more items begin; without it ``concurrency``.
            progress: a function of (items_done, items_in_all), called for each outcome, or True for a bar (with
                ``agb[progress]``); items_in_all is None if ``items`` has no length.
            journal: a file that records what was done, from which an interrupted or killed run is resumed. Values that
                JSON cannot hold are pickled in it, so use only journals that you trust.
            key: returns the unique name of an item in the journal. Without it that is its number and a digest of it,
                and the items must be the same, in the same order, in each run.
            redo_failed: whether items that failed in an earlier run are done again.
            name: the name of the batch: in the journal, above the bar, and to find its sessions by.
            executor: a `concurrent.futures.Executor` whose workers do the items in chunks, each with a client of its
                own, or a function that makes one, which is called again when a lost worker has broken it. The function,
                the items, values and errors are pickled.
            chunk_size: how many items are sent together; without it a few, and more if they take little time.
            chunks: how many chunks are in progress at a time; without it one per worker of the executor, or 4.
            chunk_timeout: seconds after which the worker of a chunk counts as lost.
            send_key: whether the API key is sent to the workers; otherwise they read their own ``AGB_API_KEY``.
            warm_browser: True, or an option: the function finds the session's browser started with it, and the start is
                not a part of ``timeout``. A pool of warm sessions has its own argument of this name.

        Returns:
            A batch, to be entered by ``async with`` and then iterated over, with an `Outcome` for each item. When the
            block is left, by its end, ``break``, an error or a cancellation, all work is ended and all sessions are
            deleted; one that cannot be deleted is reported by a `RuntimeWarning`.

        In the synchronous flavour a function without time left has its session deleted, so that its calls fail; a
        thread that does not end within 5 seconds of that is left alone, and the error says so.

        Raises:
            ValueError, TypeError: an argument that cannot be used.
            JournalError: when entered, the journal belongs to another batch, is in use, or cannot be read.

        Example:
            >>> async def square(session, number):
            ...     result = await session.command.execute(f"expr {number} '*' {number}")
            ...     return int(result.raise_for_error().stdout)
            >>> params = CreateSessionParams(image_id="agb-code-space-1")
            >>> async with client.map(square, [2, 3, 4], params=params, ordered=True) as outcomes:
            ...     async for outcome in outcomes:
            ...         print(outcome.item, outcome.value)
            2 4
            3 9
            4 16
        """
        from .batch.start import start_batch  # not needed by most programs

        return start_batch(
            self,
            function,
            items,
            params=params,
            concurrency=concurrency,
            ordered=ordered,
            pool=pool,
            timeout=timeout,
            attempts=attempts,
            retries=retries,
            retry_on=retry_on,
            buffer=buffer,
            progress=progress,
            journal=journal,
            key=key,
            redo_failed=redo_failed,
            name=name,
            executor=executor,
            chunk_size=chunk_size,
            chunks=chunks,
            chunk_timeout=chunk_timeout,
            send_key=send_key,
            warm_browser=warm_browser,
        )

    # --- find ----------------------------------------------------------------------------------------------------

    async def get(
        self, session_id: str, *, timeout: float | None = None
    ) -> SessionSuccess[AsyncSession] | SessionFailure:
        """Find a session by its id.

        Returns:
            The session as ``session``, or why there is none. Never raises for a failed call.

        API: POST /mcp/getSession.

        Example:
            >>> found = await client.get("s-nowhere")
            >>> found.success
            False
        """
        try:
            arguments.check_session_id(session_id)
        except ValueError as error:
            return SessionResult.failed(SessionError(str(error)))
        found = await self.get_session(session_id, timeout=timeout)
        if not found:
            message = str(found.error).replace("Could not", "Failed to", 1)  # programs for 0.12 look for these words
            return evolve(SessionResult.failed(found.error), error_message=message)
        return SessionResult.of(session_from_data(self, found.data), found.request_id)

    async def get_session(
        self, session_id: str, *, timeout: float | None = None
    ) -> GetSessionSuccess | GetSessionFailure:
        """Return the connection data of a session by its id. Never raises for a failed call.

        API: POST /mcp/getSession.
        """
        return await self.client.result(ops.get_session(session_id), GetSessionResult, timeout=timeout)

    def attach(self, ref: SessionRef | str) -> AsyncSession:
        """Return a session object for a reference, or for an id, without any I/O.

        The session is not looked up; its tools are called through the API, and the address of its streams is requested
        when the first stream is opened.

        Raises:
            ValueError: the reference is for another endpoint than this client's.

        Example:
            >>> from agb import SessionRef
            >>> client.attach(SessionRef("s-1", str(client.endpoint))).session_id
            's-1'
        """
        if isinstance(ref, str):
            ref = SessionRef(ref, str(self.client.endpoint))
        if not isinstance(ref, SessionRef):
            raise TypeError(f"ref is a SessionRef or the id of a session, not {type(ref).__name__}")
        if Endpoint.parse(ref.endpoint) != self.client.endpoint:
            raise ValueError(
                f"session {ref.session_id} lives at {ref.endpoint}, and this client is for {self.client.endpoint}"
            )
        if not ref.session_id.strip():
            raise ValueError("the session id is empty")
        session = AsyncSession(self, ref.session_id)
        session.needs_addresses = True
        return session

    # --- list ----------------------------------------------------------------------------------------------------

    async def list(
        self,
        labels: Mapping[str, str] | None = None,
        page: int | None = None,
        limit: int | None = None,
        *,
        timeout: float | None = None,
    ) -> SessionListResult:
        """Return one page of the ids of active sessions.

        Page N costs N requests, because pages can only be requested in order; `iterate` costs one request per page.

        Args:
            labels: all of these must match; without them, every session is listed.
            page: which page, from 1.
            limit: how many ids a page holds, 10 unless given.
            timeout: seconds for all of it.

        Returns:
            The ids, ``next_token`` (``""`` on the last page) and ``total_count`` of all pages. Never raises for a
            failed call.

        API: GET /sdk/ListSession.
        """
        try:
            arguments.check_session_list(labels, page, limit)
        except ValueError as error:
            return SessionListResult.failed(SessionError(str(error)))
        size = 10 if limit is None else limit
        number, token = 1, ""
        deadline = self.client.deadline(timeout)
        while True:
            call = ops.list_sessions(labels, size, token)
            result = await self.client.result(call, SessionListResult, deadline=deadline)
            if not result.success or number == (page or 1):
                return result
            if not result.next_token:
                why = f"Cannot reach page {page}: No more pages available, page {number} is the last one"
                absent = SessionError(why, kind=ErrorKind.NOT_FOUND, request_id=result.request_id, sent=Sent.YES)
                return evolve(SessionListResult.failed(absent), total_count=result.total_count)
            number, token = number + 1, result.next_token

    def iterate(
        self, labels: Mapping[str, str] | None = None, limit: int = 50, *, timeout: float | None = None
    ) -> AsyncSessionIterator:
        """Iterate over all active sessions whose labels match; a page is requested when the caller reaches it.

        Args:
            labels: all of these must match; without them, every session is listed.
            limit: how many sessions are requested at a time.
            timeout: seconds for each page.

        Returns:
            An iterator of sessions, made as by `attach`. It raises `SessionError` when a page cannot be read.

        Example:
            >>> async for session in client.iterate({"project": "demo"}):
            ...     await session.delete()
        """
        arguments.check_session_list(labels, None, limit)
        listing = ops.session_listing(dict(labels or {}), limit)
        return AsyncSessionIterator(self.client, listing, timeout, self.attach)

    # --- delete --------------------------------------------------------------------------------------------------

    async def delete(
        self,
        session: AsyncSession,
        sync_context: bool = False,
        *,
        on_sync_failure: Literal["delete", "keep"] = "delete",
        timeout: float | None = None,
    ) -> DeleteResult:
        """Delete a session; the same as ``session.delete()``.

        Raises:
            TypeError: ``session`` is not a session.
        """
        if not isinstance(session, AsyncSession):
            raise TypeError(f"session is a {AsyncSession.__name__}, not {type(session).__name__}")
        return await session.delete(sync_context, on_sync_failure=on_sync_failure, timeout=timeout)

    def pool(
        self,
        params: CreateSessionParams,
        *,
        min: int = 0,
        max: int = 10,
        prepare: Hook[AsyncSession] | None = None,
        reset: Hook[AsyncSession] | None = None,
        check: Hook[AsyncSession] | None = None,
        max_uses: int | None = None,
        max_age: float | None = None,
        idle: float | None = 60.0,
        timeout: float | None = None,
        drain: float = CLEANUP_LIMIT,
        warm_browser: bool | BrowserOption = False,
        name: str | None = None,
    ) -> AsyncSessionPool[AsyncSession]:
        """Return a pool of warm sessions, which creates sessions ahead inside its ``with`` block.

        Args:
            params: what its sessions are created from.
            min: how many sessions are kept ready, also when none is requested.
            max: how many there may be.
            prepare: called with each new session, before it is lent for the first time.
            reset: called with a session that was given back, before it is lent again; if it raises, the session is
                deleted and replaced. Without it a session is lent as its last user has left it.
            check: called with a session before it is lent; if it raises or returns False, the session is replaced.
                Independent of it, the status of a session that was idle for 5 seconds is requested.
            max_uses: how often a session is lent until it is replaced.
            max_age: seconds after which a session is not lent again, but replaced.
            idle: seconds after which an idle session is deleted if there are more than ``min``; None for never. Until
                then it is kept alive.
            timeout: seconds that creating a session, or waiting for one, may take; the client's time-out unless given.
            drain: seconds for which leaving the block waits for borrowed sessions.
            warm_browser: True, or an option: the browser of each session is started with it before the session is
                lent, and again if it has ended meanwhile. It has the profile and the pages that its last user has left.
            name: a name that stays the same from run to run: when the pool is entered, sessions are deleted that a
                killed run on this machine has left behind.

        Raises:
            TypeError, ValueError: an argument is of the wrong type or size.

        Example:
            >>> params = CreateSessionParams(image_id="agb-code-space-1")
            >>> async with client.pool(params, min=1, max=2) as pool:
            ...     async with pool.session() as session:
            ...         result = await session.command.execute("echo hello")
            ...         print(result.stdout, end="")
            hello
        """
        from .lifecycle.session_pool import AsyncSessionPool

        option = arguments.check_warm_browser(warm_browser)

        async def start_browser(session: AsyncSession) -> None:
            await session.browser.start(option, timeout=timeout)

        return AsyncSessionPool(
            self,
            params,
            is_live=self._limiter.is_live,
            min=min,
            max=max,
            prepare=prepare,
            reset=reset,
            check=check,
            max_uses=max_uses,
            max_age=max_age,
            idle=idle,
            timeout=timeout,
            drain=drain,
            start_browser=None if option is None else start_browser,
            name=name,
        )

    # --- sessions that are left behind, and stats ----------------------------------------------------------------

    async def reap(
        self,
        owner: Owner | str,
        *,
        even_if_alive: bool = False,
        older_than: float | None = None,
        timeout: float | None = None,
    ) -> Reaped:
        """Delete the sessions that an owner, such as a pool, a map or a run of a framework, has left behind.

        A session whose owner process still runs on this machine is kept. ``agb gc`` does the same from the command
        line.

        Args:
            owner: an `Owner`, with a part only the sessions of this part; or the name of one, such as
                ``"pool:nightly"`` for ``client.pool(..., name="nightly")``. A ``*`` at the end of a name stands for
                anything: ``"inspect:*"``. The service compares whole labels, so the labels of all sessions are then
                read.
            even_if_alive: whether to delete those too whose owner process still runs.
            older_than: only those that were created so many seconds ago, or earlier.
            timeout: seconds for each call.

        Returns:
            The sessions that were deleted, that were kept, and that could not be deleted.

        Raises:
            SessionError: the sessions could not be listed.
            TypeError, ValueError: ``owner`` or ``older_than`` cannot be used.

        Example:
            >>> reaped = await client.reap("pool:nightly")
            >>> reaped.deleted
            []
        """
        from .lifecycle.reaper import delete, older, owned

        selection = ownership.owned_by(owner)
        age = None if older_than is None else arguments.check_age(older_than)
        found = older(await owned(self, selection, timeout), age)
        return await delete(self, found, even_if_alive=even_if_alive, timeout=timeout)

    def stats(self) -> ClientStats:
        """Return what the client is doing: its connections, its creations, and what holds them up.

        Example:
            >>> client.stats().held_up_by
            ''
        """
        from ..stats import ClientStats

        return ClientStats(self.client.connections(), self._limiter.stats())


class AsyncSessionIterator(AsyncPager[AsyncSession]):
    """The sessions that `AsyncAGB.iterate` finds, one after the other."""
