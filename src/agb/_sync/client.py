# Generated from src/agb/_async/client.py by tools/unasync.py. Do not edit.
"""The client: creates sessions, finds them, lists them, and lets them go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, TypeVar

from attrs import evolve

from .._ops import ownership
from .._ops import sessions as ops
from .._ops.ownership import Owner
from .._ops.session_params import check_session_params
from .._wire.deadline import Deadline
from ..config import Config, Endpoint, settings
from ..exceptions import AGBError, ErrorKind, Sent, SessionError
from ..limits import Limits
from ..refs import SessionRef
from ..results.base import DeleteResult
from ..results.sessions import GetSessionData, GetSessionResult, SessionListResult, SessionResult
from ._compat.cancellation import CLEANUP_LIMIT, run_to_completion, shielded
from .api import API
from .lifecycle.create_limiter import CreateLimiter
from .lifecycle.creation import Creation
from .lifecycle.left_behind import deletion_error, warn_if_left_behind, warn_left_behind
from .session import Session

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from os import PathLike

    from ..outcomes import RetryOn
    from ..owned import Reaped
    from ..session_params import CreateSessionParams
    from ..stats import ClientStats
    from ._compat.iteration import AnyIterable
    from .batch.map import Batch
    from .host.progress import Progress
    from .lifecycle.session_pool import Hook, SessionPool
    from .net.pool import Verify
    from .storage.contexts import ContextService

ItemT = TypeVar("ItemT")
ValueT = TypeVar("ValueT")

ARRIVAL_LIMIT = 300.0
"""Seconds that `create` waits for the data of a session's contexts."""


class AGB:
    r"""A client of the AGB API.

    One client serves any number of sessions and callers at a time; its connections are opened when first needed,
    kept, and shared. Close it with ``with`` or `close`.

    Args:
        api_key: the API key; without it ``AGB_API_KEY`` from the environment or from ``./.env``.
        cfg: endpoint and time-out; without it ``AGB_ENDPOINT`` and ``AGB_TIMEOUT_MS`` from there, else the cloud
            and 60 seconds.
        timeout: seconds that a call may take in all, in place of the one configured.
        http_client: a client of your own with httpx's interface (httpx or httpx2) to send everything through; it is
            never closed by this package.
        transport: a transport of your own with httpx's interface (httpx or httpx2), used in place of this package's
            connections; never closed by it either.
        limits: how much the client may take at a time; without it `Limits()`.
        proxy: the URL of a proxy: ``http://``, ``https://``, ``socks5://`` (this machine looks hosts up) or
            ``socks5h://`` (the proxy does), with user name and password if it wants them; ``""`` for none. Without it
            ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` of the environment.
        verify: which certificates are trusted: True for the usual ones, the path of a file or directory of others, an
            `ssl.SSLContext`; False for any, which lets others read and change everything.

    Attributes:
        api_key, config, endpoint, timeout_ms: what is in force.
        settings: the same, with the source of each value.
        client: what calls are sent through.
        context: the service of persistent contexts.

    Raises:
        ValueError: no API key, or an endpoint, time-out, proxy or path of certificates that cannot be used.
        TypeError: something is of a wrong type, or does not go with a client or transport of your own.
        ImportError: a SOCKS proxy without ``agb[socks]``.

    Example:
        >>> with AGB() as agb:
        ...     with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
        ...         result = session.code.run("print('hello')", "python")
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
    ) -> None:
        self.settings = settings(api_key, cfg)
        self.api_key = self.settings.api_key.value
        self.endpoint = self.settings.endpoint.value
        self.timeout_ms = self.settings.timeout_ms.value
        self.config = cfg if cfg is not None else Config(self.endpoint, self.timeout_ms)
        self.client = API(
            self.settings,
            timeout=timeout,
            http_client=http_client,
            transport=transport,
            limits=limits,
            proxy=proxy,
            verify=verify,
        )
        self._governor = CreateLimiter(self.client.limits, self._is_gone)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} for {self.client.endpoint}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"an {type(self).__name__} holds an API key and connections and is not pickled or copied; "
            "make one where it is needed"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        shielded(self.close)

    def close(self) -> None:
        """Close the connections of this event loop; may be called twice, and a later call opens new ones."""
        self.client.close()

    @cached_property
    def context(self) -> ContextService:
        """The service of persistent contexts; loaded when first used."""
        from .storage.contexts import ContextService

        return ContextService(self)

    # --- create --------------------------------------------------------------------------------------------------

    def create(
        self,
        params: CreateSessionParams | None = None,
        *,
        wait_for_contexts: bool = True,
        timeout: float | None = None,
        owner: Owner | None = None,
    ) -> SessionResult[Session]:
        """Create a session, and wait for the data of its contexts.

        If the caller is cancelled while the service is at it, the answer is awaited and the session deleted; it is
        deleted as well when the caller is cancelled while the data is on its way.

        If the request was sent and its answer lost (a broken connection, an answer that came too late), the session
        is looked for by a label that every session gets for this, hidden among its own. What is found is the result
        if there is time left, and is deleted otherwise. Looking may take 6 seconds more than ``timeout``; if nothing
        is found, the error tells how to delete what may still come.

        Args:
            params: what to create it from; without an image the result is a failure. The object is not changed.
            wait_for_contexts: whether to wait until the data of ``context_syncs`` and ``browser_context`` is in the
                session; otherwise ``session.context.info()`` tells how far it is.
            timeout: seconds for all of it; without it the creation has the client's time-out, and the data 300
                seconds more.
            owner: what the session belongs to; for pools and maps, which find theirs by it.

        Returns:
            The session as ``session``, or why there is none. If data of a context is missing, because its download
            failed or has not ended in time, the session is there and the result is a success, with what is missing in
            ``error_message`` and ``error``; ``context_status`` has all downloads. Never raises for a failed call.

        Example:
            >>> result = agb.create(CreateSessionParams(image_id="agb-code-space-1"))
            >>> session = result.raise_for_error().session
            >>> deleted = session.delete()
            >>> deleted.success
            True

        Source: control-plane.md 2.1 and 3.2.
        """
        try:
            params = check_session_params(params)
        except ValueError as refused:
            return SessionResult.failed(SessionError(str(refused)))
        creation = Creation(self.client, self._governor, params, owner, self._discard, self._delete_by_id)
        syncs = params.all_context_syncs() if wait_for_contexts else []
        deadline = self.client.deadline(timeout)
        try:
            data, request_id = creation.run(deadline)
        except AGBError as error:
            return SessionResult.failed(error)
        session = Session._from_data(self, data)
        session._hidden_labels = creation.labels
        if not syncs:
            return SessionResult(request_id, True, session=session)
        try:
            status, missing = session.context._arrival(syncs, Deadline(ARRIVAL_LIMIT) if timeout is None else deadline)
        except BaseException as gone:  # cancelled or interrupted: nobody will ever know of the session
            try:
                shielded(partial(self._discard, data))
            except Exception as error:
                raise gone from error
            raise
        message = str(missing) if missing else ""
        return SessionResult(request_id, True, message, session, error=missing, context_status=status)

    def _discard(self, created: GetSessionData) -> None:
        """Delete a session whose creator is gone."""
        session = Session._from_data(self, created)
        warn_if_left_behind(_delete_surely(session), session.session_id)

    def _is_gone(self, session_id: str) -> bool:
        """Return whether the service says that a session is gone."""
        status = Session(self, session_id).get_status()
        return ops.is_gone(status.status, status.error)

    def _delete_by_id(self, session_id: str) -> AGBError | None:
        """Delete a session of which nothing but the id is known; return what went wrong, if anything."""
        return deletion_error(_delete_surely(Session(self, session_id)))

    @contextmanager
    def session(
        self, params: CreateSessionParams, *, wait_for_contexts: bool = True, timeout: float | None = None
    ) -> Iterator[Session]:
        """Create a session for the time of a ``with`` block, and delete it when the block is left.

        It is deleted also when the block is left by an exception or by cancellation. A deletion that fails is
        raised; if the block raised already, it is added to that exception as a note.

        Args:
            params: what to create it from.
            wait_for_contexts: as for `create`; data that is missing is raised here, since there is no result that
                could tell, and the block is not entered.
            timeout: seconds for creating it, as for `create`.

        Raises:
            SessionError: the session could not be created, data of a context is missing, or the session could not be
                deleted.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = session.command.execute("echo hello")
            ...     print(result.stdout, end="")
            hello
        """
        created = self.create(params, wait_for_contexts=wait_for_contexts, timeout=timeout)
        session = created.raise_for_error().session
        assert session is not None  # noqa: S101 - a success has one
        try:
            if created.error is not None:
                raise created.error
            yield session
        except BaseException as error:
            left_behind = self._leave(session)
            if left_behind is not None:
                error.add_note(f"and session {session.session_id} was not deleted: {left_behind}")
                if not isinstance(error, Exception):  # nobody reads the notes of a cancellation
                    with suppress(RuntimeWarning):  # made an error, it must not take the cancellation's place
                        warn_left_behind(session.session_id, left_behind)
            raise
        left_behind = self._leave(session)
        if left_behind is not None:
            raise left_behind

    def _leave(self, session: Session) -> AGBError | None:
        """Delete the session of a block that is left; return what went wrong, if anything."""

        def delete() -> DeleteResult:
            return session.delete(timeout=CLEANUP_LIMIT)

        def tell(result: DeleteResult) -> None:
            warn_if_left_behind(result, session.session_id)

        return deletion_error(run_to_completion(delete, tell))

    # --- many ----------------------------------------------------------------------------------------------------

    def map(
        self,
        function: Callable[[Session, ItemT], ValueT],
        items: AnyIterable[ItemT],
        *,
        params: CreateSessionParams | None = None,
        concurrency: int = 10,
        ordered: bool = False,
        pool: SessionPool | bool = False,
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
    ) -> Batch[ItemT, ValueT]:
        """Apply a function to many items, each in a session, many at a time.

        Args:
            function: called with a session and an item; what it gives is the item's value. What it raises is the
                item's error, and ends nothing else. A result with ``success=False`` is a value like any other:
                ``raise_for_error()`` makes it an error.
            items: any iterable. Items are taken when there is work for them, never more than ``concurrency + buffer``
                beyond those whose outcomes were fetched, so it may be endless. Its own error is raised after the
                outcomes of the items before.
            params: what sessions are created from; not with a pool, which has its own.
            concurrency: how many items are worked on at the same time.
            ordered: whether outcomes come in the order of the items; otherwise as items are done.
            pool: True if a session is used for one item after the other, until one fails, otherwise each item has a
                session of its own; or a pool of warm sessions, as `pool` gives it, whose block is around this one's,
                and from which sessions are borrowed.
            timeout: seconds that the function may take for an item, each time it is tried. Creating and deleting the
                session have limits of their own.
            attempts: how often an item is tried, each time in a new session. Tried again is what failed because the
                session had ended, or by an error of the service or of the way there (unreachable, timed out, rate
                limited, no valid answer), also when the function raised it; what else does is said by ``retry_on``.
            retries: how many attempts beyond the first there may be in the whole batch; None for as many as needed.
            retry_on: a class of exceptions, several in a tuple, or a function that tells of an exception whether the
                item is tried again; `ItemTimeoutError` for items that took too long.
            buffer: how many outcomes may wait to be fetched before no more items are begun, ``concurrency`` unless
                given.
            progress: a function of (items_done, items_in_all), called when an outcome arrives, or True for a bar (with
                ``agb[progress]``); items_in_all is None if ``items`` has no length.
            journal: a file that remembers what was done; see below.
            key: gives the name of an item in the journal, a string that no other item has. Without it that is its
                number and a digest of it, and the items must be the same, in the same order, in each run.
            redo_failed: whether items that failed in an earlier run are done again.
            name: what the batch is called: in the journal, above the bar, and to find its sessions by.
            executor: any `concurrent.futures.Executor`, whose workers do the items in chunks; or a function that makes
                one, which is called again should a lost worker have broken it. See below.
            chunk_size: how many items travel together; without it a few, and more if they take little time.
            chunks: how many chunks are on their way at a time, as many as the executor has workers unless given;
                4 if it does not tell.
            chunk_timeout: seconds after which a chunk's worker is taken for lost.
            send_key: whether the API key travels to the workers; otherwise they read their own ``AGB_API_KEY``.

        Returns:
            A batch, to be entered by ``with`` and then iterated over, which gives an `Outcome` for each item.
            When the block is left, by its end, ``break``, an error or a cancellation, all work is ended and no session
            is left; one that cannot be deleted is told by a `RuntimeWarning`.

        A **journal** has a line for each item that began and for each that ended, on the disk before the function is
        called and before the outcome is given to you. A run with the journal of an earlier one that was interrupted,
        or killed, gives the outcomes of finished items from it (``resumed``), deletes the sessions that were left,
        does the items that were begun and not finished again and says so (``repeated``), and then does the rest.
        Values that JSON cannot hold are pickled, so treat a journal like a program: use only your own. If it cannot be
        written, `JournalError` is raised after the outcomes that were; it has the others as ``unrecorded``.

        With an **executor**, each worker makes a client of its own, for the endpoint and with the time-out of this one,
        and runs its share of ``concurrency``, of the quotas in ``limits`` and of ``retries``. The function, items,
        values and errors are pickled (by cloudpickle, if it is installed), one by one: what does not pickle concerns
        its item only. When a worker is lost its sessions are deleted and its items are done again, apart from others,
        at most twice; ``attempts`` counts that and ``repeated`` says it. When the executor itself is of no use any
        more, the items that were taken have a `WorkerLostError`, which is then raised as well. Outcomes come when their
        chunk is done.

        Threads cannot be cancelled. In the synchronous flavour a function that has no more time, or is interrupted,
        has its session deleted, so that its calls fail; if it does not return within 5 seconds of that, its thread is
        left alone, and the error says so.

        Raises:
            ValueError, TypeError: an argument that cannot be used.
            JournalError: when entered, the journal is another batch's, in use, or cannot be read.

        Example:
            >>> def square(session, number):
            ...     result = session.command.execute(f"expr {number} '*' {number}")
            ...     return int(result.raise_for_error().stdout)
            >>> params = CreateSessionParams(image_id="agb-code-space-1")
            >>> with agb.map(square, [2, 3, 4], params=params, ordered=True) as outcomes:
            ...     for outcome in outcomes:
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
        )

    # --- find ----------------------------------------------------------------------------------------------------

    def get(self, session_id: str, *, timeout: float | None = None) -> SessionResult[Session]:
        """Find a session by its id.

        Returns:
            The session as ``session``, or why there is none. Never raises for a failed call.

        Source: control-plane.md 2.2 and 3.6.
        """
        if not isinstance(session_id, str) or not session_id.strip():
            return SessionResult.failed(SessionError(f"session_id is required: a string, not {session_id!r}"))
        found = self.get_session(session_id, timeout=timeout)
        if found.error is not None or found.data is None:
            error = found.error or SessionError(f"Failed to get session {session_id}: the answer holds no data")
            return SessionResult.failed(error)
        return SessionResult(found.request_id, True, session=Session._from_data(self, found.data))

    def get_session(self, session_id: str, *, timeout: float | None = None) -> GetSessionResult:
        """Return the connection data of a session by its id. Never raises for a failed call.

        Source: control-plane.md 2.2 and 3.6.
        """
        return self.client.result(ops.get_session(session_id), GetSessionResult, timeout=timeout)

    def attach(self, ref: SessionRef | str) -> Session:
        """Return a session object for a reference, or for an id, without any I/O.

        Whether the session is there is not looked at; its tools are called through the API, and the service is asked
        for the address of its streams when the first is opened.

        Raises:
            ValueError: the reference is for another endpoint than this client's.

        Example:
            >>> from agb import SessionRef
            >>> agb.attach(SessionRef("s-1", str(agb.client.endpoint))).session_id
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
        session = Session(self, ref.session_id)
        session._is_bare = True
        return session

    # --- list ----------------------------------------------------------------------------------------------------

    def list(
        self,
        labels: Mapping[str, str] | None = None,
        page: int | None = None,
        limit: int | None = None,
        *,
        timeout: float | None = None,
    ) -> SessionListResult:
        """Return one page of the ids of active sessions.

        Page N costs N requests, since the service can only be asked for the next page; `iterate` costs one a page.

        Args:
            labels: all of these must match; none means every session.
            page: which page, from 1.
            limit: how many ids a page holds, 10 unless given.
            timeout: seconds for each request.

        Returns:
            The ids, ``next_token`` (``""`` on the last page) and ``total_count`` of all pages. Never raises for a
            failed call.

        Source: control-plane.md 2.4 and 3.4.
        """
        if refused := _list_refused(labels, page, limit):
            return SessionListResult.failed(SessionError(refused))
        size = 10 if limit is None else limit
        number, token = 1, ""
        while True:
            call = ops.list_sessions(labels, size, token)
            result = self.client.result(call, SessionListResult, timeout=timeout)
            if not result.success or number == (page or 1):
                return result
            if not result.next_token:
                why = f"Cannot reach page {page}: page {number} is the last one"
                error = SessionError(why, kind=ErrorKind.NOT_FOUND, request_id=result.request_id, sent=Sent.YES)
                return evolve(SessionListResult.failed(error), total_count=result.total_count)
            number, token = number + 1, result.next_token

    def iterate(
        self, labels: Mapping[str, str] | None = None, limit: int = 50, *, timeout: float | None = None
    ) -> SessionIterator:
        """Iterate over all active sessions whose labels match, page by page, asking only when more are wanted.

        Args:
            labels: all of these must match; none means every session.
            limit: how many sessions are asked for at a time.
            timeout: seconds for each request.

        Returns:
            An iterator of sessions, made as by `attach`. It raises `SessionError` when a page cannot be had.

        Example:
            >>> for session in agb.iterate({"project": "demo"}):
            ...     session.delete()
        """
        if refused := _list_refused(labels, None, limit):
            raise ValueError(refused)
        return SessionIterator(self, dict(labels or {}), limit, timeout)

    # --- delete --------------------------------------------------------------------------------------------------

    def delete(
        self,
        session: Session,
        sync_context: bool = False,
        *,
        on_sync_failure: Literal["delete", "keep"] = "delete",
        timeout: float | None = None,
    ) -> DeleteResult:
        """Delete a session; the same as ``session.delete()``.

        Raises:
            TypeError: ``session`` is not a session.
        """
        if not isinstance(session, Session):
            raise TypeError(f"session is a {Session.__name__}, not {type(session).__name__}")
        return session.delete(sync_context, on_sync_failure=on_sync_failure, timeout=timeout)

    def pool(
        self,
        params: CreateSessionParams,
        *,
        min: int = 0,  # noqa: A002 - the words of the domain
        max: int = 10,  # noqa: A002
        prepare: Hook | None = None,
        reset: Hook | None = None,
        check: Hook | None = None,
        max_uses: int | None = None,
        max_age: float | None = None,
        idle: float | None = 60.0,
        timeout: float | None = None,
        drain: float = CLEANUP_LIMIT,
        name: str | None = None,
    ) -> SessionPool:
        """Return a pool of warm sessions, which works and makes sessions ahead inside its ``with`` block.

        Args:
            params: what its sessions are created from.
            min: how many sessions there should be, also when nobody wants one.
            max: how many there may be.
            prepare: called with each new session, before it is lent for the first time.
            reset: called with a session that was given back, before it is lent again; if it raises, the session is
                deleted and replaced. Without it a session is lent as its last user has left it.
            check: called with a session that is about to be lent; if it raises or returns False, the session is
                replaced. Whether the session is there is looked at in any case, if it has rested for 5 seconds.
            max_uses: how often a session is lent until it is replaced.
            max_age: seconds after which a session is not lent again, but replaced.
            idle: seconds after which a session that nobody wants is deleted if there are more than ``min``; None for
                never. Until then it is kept from being released by the service.
            timeout: seconds that creating a session, or waiting for one, may take; the client's time-out unless given.
            drain: seconds for which leaving the block waits for borrowed sessions.
            name: a name that stays the same from run to run: when the pool is entered, what an earlier run on this
                machine has left behind, killed, is deleted.

        Raises:
            TypeError, ValueError: an argument is of the wrong type or size.

        Example:
            >>> params = CreateSessionParams(image_id="agb-code-space-1")
            >>> with agb.pool(params, min=1, max=2) as pool:
            ...     with pool.session() as session:
            ...         result = session.command.execute("echo hello")
            ...         print(result.stdout, end="")
            hello
        """
        from .lifecycle.session_pool import SessionPool

        return SessionPool(
            self,
            params,
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
            name=name,
        )

    # --- what is left and what is going on -----------------------------------------------------------------------

    def reap(self, owner: Owner | str, *, even_if_alive: bool = False, timeout: float | None = None) -> Reaped:
        """Delete the sessions that an owner, such as a pool or a map, has left behind.

        A session whose maker still runs is kept; that can be told of the processes of this machine. ``agb gc`` does
        the same from the command line.

        Args:
            owner: such as ``"pool:nightly"`` for ``agb.pool(..., name="nightly")``.
            even_if_alive: whether to delete those too whose maker still runs.
            timeout: seconds for each call.

        Returns:
            What was deleted, kept, and not to be deleted.

        Raises:
            SessionError: the sessions could not be found out.

        Example:
            >>> reaped = agb.reap("pool:nightly")
            >>> reaped.deleted
            []
        """
        from .lifecycle.reaper import delete, owned

        label = owner if isinstance(owner, str) else owner.label
        found = owned(self, {ownership.OWNER: label}, timeout)
        return delete(self, found, even_if_alive=even_if_alive, timeout=timeout)

    def stats(self) -> ClientStats:
        """Return what the client is doing: its connections, its creations, and what holds them up.

        Example:
            >>> agb.stats().held_up_by
            ''
        """
        from ..stats import ClientStats

        return ClientStats(self.client.connections(), self._governor.stats())


class SessionIterator:
    """The sessions that `AGB.iterate` finds, one after the other."""

    def __init__(self, agb: AGB, labels: dict[str, str], limit: int, timeout: float | None) -> None:
        self._agb = agb
        self._labels, self._limit, self._timeout = labels, limit, timeout
        self._ids: list[str] = []
        self._token: str | None = ""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Session:
        while not self._ids:
            if self._token is None:
                raise StopIteration
            call = ops.list_sessions(self._labels, self._limit, self._token)
            page, request_id = self._agb.client.call(call, timeout=self._timeout)
            if page.next_token and page.next_token == self._token and not page.session_ids:
                why = "Could not list sessions: the service gives the same empty page again and again"
                raise SessionError(why, kind=ErrorKind.INVALID_ANSWER, request_id=request_id, sent=Sent.YES)
            self._ids = page.session_ids[::-1]
            self._token = page.next_token or None
        return self._agb.attach(self._ids.pop())


def _list_refused(labels: Mapping[str, str] | None, page: int | None, limit: int | None) -> str:
    if labels is not None and not isinstance(labels, Mapping):
        return f"labels is a dict of strings to strings, not {type(labels).__name__}"
    for name, value in (("page", page), ("limit", limit)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise TypeError(f"{name} is a whole number, not {value!r}")
    if page is not None and page < 1:
        return f"Cannot reach page {page}: page is a number >= 1"
    if limit is not None and limit < 1:
        return f"limit is a number >= 1, not {limit}"
    return ops.labels_invalid(labels) if labels else ""


def _delete_surely(session: Session) -> DeleteResult:
    """Delete a session that nobody else will; on another connection once more if nothing moved on the first."""
    result = session.delete(timeout=CLEANUP_LIMIT / 2)
    if result.error is not None and result.error.kind is ErrorKind.TIMED_OUT:
        result = session.delete(timeout=CLEANUP_LIMIT / 2)
    return result
