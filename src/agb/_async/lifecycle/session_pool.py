"""A pool of warm sessions: lends sessions that are ready before they are requested."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Generic, NoReturn, Self

from ..._ops import ownership
from ..._wire.deadline import Deadline
from ...exceptions import ErrorKind, SessionError
from ...owned import Owner
from ...stats import SessionPoolStats
from .._compat.cancellation import CLEANUP_LIMIT, shielded
from .._compat.concurrency import TaskGroup
from .._compat.flavour import BlockHint, Closable
from .._compat.loop import sleep
from .._compat.primitives import ClosedResource, ThreadSafeEvent
from ..block import AsyncBlock
from . import reaper
from .owner_process import BlockProcess
from .protocols import AsyncSessionClient, SessionT
from .warm_sessions import AsyncWarmSessions, Hook, PoolOptions, Warm

if TYPE_CHECKING:
    from ...session_params import CreateSessionParams


FIRST_PAUSE, MAX_PAUSE = 0.1, 5.0
"""Seconds before another session is tried in place of one that may not be lent: after the second one, and at most."""


class AsyncSessionPool(Closable, BlockHint, Generic[SessionT]):
    """Sessions that are ready before they are requested; ``client.pool(...)`` makes one.

    The pool works while its ``with`` block lasts, with workers of its own (tasks, or threads in the synchronous
    flavour): the exception to the rule that this package does nothing in the background. When the block is left, by
    its end, an error or a cancellation, all its sessions are deleted. A forked child leaves the block without doing
    anything, and cannot use the pool.

    Sessions are lent first come, first served; the one that has been idle longest is lent first. A session that is gone
    is replaced, and so is one that has been used often enough or is old enough, or that cannot be reset.

    Attributes:
        owner: the owner that its sessions are labelled with.
        params: what its sessions are created from.
    """

    def __init__(
        self,
        agb: AsyncSessionClient[SessionT],
        params: CreateSessionParams,
        *,
        is_live: Callable[[str], bool],
        min: int = 0,
        max: int = 10,
        prepare: Hook[SessionT] | None = None,
        reset: Hook[SessionT] | None = None,
        check: Hook[SessionT] | None = None,
        max_uses: int | None = None,
        max_age: float | None = None,
        idle: float | None = 60.0,
        timeout: float | None = None,
        drain: float = CLEANUP_LIMIT,
        start_browser: Hook[SessionT] | None = None,
        name: str | None = None,
    ) -> None:
        self._options = PoolOptions(
            params, min, max, prepare, reset, check, max_uses, max_age, idle, timeout, drain, start_browser
        )
        self.owner = Owner("pool", ownership.nameless() if name is None else name)
        self.params = params
        self._is_named = name is not None
        self._agb = agb
        self._sessions = AsyncWarmSessions(agb, self.owner, self._options, is_live)
        self._lock = Lock()  # never held while waiting
        self._lent: dict[str, Warm[SessionT]] = {}
        self._uses = 0
        self._group: TaskGroup | None = None
        self._returned: ThreadSafeEvent | None = None
        self._process = BlockProcess()

    def __repr__(self) -> str:
        stats = self.stats()
        parts = f"{stats.idle} idle, {stats.in_use} in use, {stats.making} being made, {stats.waiting} waiting"
        return f"<{type(self).__name__} {self.owner}: {parts}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"an {type(self).__name__} holds sessions and workers and is not pickled or copied")

    # --- start and end -------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._group is not None or self._sessions.is_closed:
            raise RuntimeError("a pool is entered once; make another one")
        self._process = BlockProcess()
        if self._is_named:
            await self._reap_abandoned()
        self._returned = ThreadSafeEvent()
        group = TaskGroup()
        await group.__aenter__()
        self._group = group
        self._sessions.start(group)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close(wait=exc is None)

    async def aclose(self) -> None:
        """Lend nothing more, wait for the borrowed sessions, and delete all sessions.

        It is called by the task that has entered the pool; leaving the block does the same. A session that is not given
        back within ``drain`` seconds is deleted as well.
        """
        await self._close(wait=True)

    async def _close(self, *, wait: bool) -> None:
        if self._sessions.is_closed or self._group is None or not self._process.is_current:
            return
        self._sessions.close()
        try:
            if wait:
                await self._wait_for_borrowed()
        finally:
            self._group.cancel()
            try:
                await self._group.__aexit__(None, None, None)
            finally:
                await shielded(self._sessions.delete_all)

    async def _wait_for_borrowed(self) -> None:
        deadline = Deadline(self._options.drain)
        assert self._returned is not None  # the pool was entered
        while self._lent and deadline.left() > 0:
            await self._returned.wait(deadline.left())

    async def _reap_abandoned(self) -> None:
        """Delete the sessions of an earlier pool of this name whose process is gone."""
        if not self._agb.uses_hidden_labels:
            return
        found = await reaper.owned(self._agb, ownership.owned_by(self.owner))
        await reaper.delete(self._agb, [session for session in found if session.has_maker is False])

    # --- lending -------------------------------------------------------------------------------------------------

    def session(self, *, timeout: float | None = None) -> AsyncBlock[SessionT]:
        """Borrow a session for the time of a block.

        Args:
            timeout: seconds to wait for one; the pool's ``timeout``, else the client's, unless given.

        Raises:
            SessionError: there was none in time, the pool is closed, or a session could not be created. An exception of
                ``prepare`` is raised as it is.
        """
        return AsyncBlock("pool.session()", "session", self._session(timeout))

    @asynccontextmanager
    async def _session(self, timeout: float | None) -> AsyncIterator[SessionT]:
        session = await self.acquire(timeout=timeout)
        try:
            yield session
        finally:
            self.release(session)

    async def acquire(self, *, timeout: float | None = None) -> SessionT:
        """Borrow a session, to be given back by `release`; the block of `session` is the safe way.

        Raises:
            SessionError: as `session`.
        """
        if self._group is None:
            raise RuntimeError("a pool is used inside its block: with client.pool(...) as pool")
        self._process.check(f"the pool {self.owner}")
        deadline = self._agb.client.deadline(timeout or self._options.timeout)
        pause = 0.0
        while True:
            warm = await self._next(deadline)
            self._lent[warm.session.session_id] = warm
            try:
                if await self._sessions.is_good(warm, deadline):
                    return warm.session
            except BaseException:
                self._take_back(warm, is_used=False)
                raise
            with self._lock:
                del self._lent[warm.session.session_id]
            self._sessions.start_replacing(warm)
            await sleep(min(pause, deadline.left()))  # a check that accepts no session must not create endlessly
            pause = min(MAX_PAUSE, max(FIRST_PAUSE, pause * 2))

    async def _next(self, deadline: Deadline) -> Warm[SessionT]:
        try:
            return await self._sessions.get(deadline.left())
        except TimeoutError:
            raise self._too_late(deadline) from None
        except ClosedResource:
            raise SessionError(f"no session to borrow: the pool {self.owner} is closed") from None

    def release(self, session: SessionT, *, discard: bool = False) -> None:
        """Give a session back; returns at once, and the pool resets the session.

        Args:
            session: one that was borrowed, and not given back yet.
            discard: whether it is not to be lent again.

        Raises:
            ValueError: it was not borrowed from this pool.
        """
        if not self._process.is_current:
            return  # the parent has the session
        warm = self._lent.get(session.session_id)
        if warm is None or warm.session is not session:
            raise ValueError(f"session {session.session_id} is not one that is borrowed from this pool now")
        self._take_back(warm, discard=discard)

    def _take_back(self, warm: Warm[SessionT], *, is_used: bool = True, discard: bool = False) -> None:
        with self._lock:
            del self._lent[warm.session.session_id]
            warm.uses += is_used
            self._uses += is_used
        if discard:
            self._sessions.start_replacing(warm)
        else:
            self._sessions.start_refreshing(warm)
        if self._returned is not None:
            self._returned.set()

    def _too_late(self, deadline: Deadline) -> SessionError:
        stats = self.stats()
        why = f"{stats.in_use} of {self._options.max} are in use, {stats.making} are being made"
        creations = self._agb.stats().creations.held_up_by
        return SessionError(
            f"no session of the pool {self.owner} was free {deadline.description}: "
            f"{why}, {stats.waiting} others wait"
            + (f"; creations are held up: {creations}" if creations else "")
            + (f"; the last failure was: {stats.last_error}" if stats.last_error is not None else ""),
            kind=ErrorKind.TIMED_OUT,
            retryable=True,
        )

    def stats(self) -> SessionPoolStats:
        """Return the state of the pool."""
        sessions = self._sessions
        return SessionPoolStats(
            idle=sessions.idle,
            in_use=len(self._lent),
            making=sessions.creating,
            waiting=sessions.waiting,
            made=sessions.created,
            discarded=sessions.discarded,
            failed=sessions.failed,
            uses=self._uses,
            last_error=sessions.last_error,
        )
