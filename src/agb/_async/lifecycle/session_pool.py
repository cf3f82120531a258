"""A pool of warm sessions: made ahead, lent, cleaned, kept alive, replaced, and all deleted at the end."""

from __future__ import annotations

import time
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from attrs import define

from ..._ops import ownership
from ..._ops import sessions as ops
from ..._wire.deadline import Deadline, check_timeout
from ...exceptions import ErrorKind, SessionError
from ...stats import SessionPoolStats
from .._compat.cancellation import CLEANUP_LIMIT, shielded
from .._compat.concurrency import TaskGroup, gather
from .._compat.loop import call
from .._compat.primitives import ClosedResource, Queue, ThreadSafeEvent
from . import reaper

if TYPE_CHECKING:
    from ...session_params import CreateSessionParams
    from ..client import AsyncAGB
    from ..session import AsyncSession

Hook = Callable[["AsyncSession"], Any]
"""Gets a session; may wait."""

USUAL_IDLE = 300.0
"""Seconds after which the service releases an idle session, unless the session's parameters say otherwise."""
TRUSTED = 5.0
"""Seconds for which a session that was seen alive is lent without another look."""
FIRST_PAUSE = 0.5
"""Seconds without making a session ahead after a failure; twice as many after each further one."""
LONGEST_PAUSE = 60.0


@define(eq=False)
class _Warm:
    """A session of the pool."""

    session: AsyncSession
    made: float
    seen: float
    """When it was known to be alive last."""
    used: float
    """When it was given back last."""
    uses: int = 0


@define(eq=False)
class _Failure:
    """Handed to one who waits, in place of a session that could not be made."""

    error: Exception


class AsyncSessionPool:
    """Sessions that are ready before they are asked for; ``agb.pool(...)`` makes one.

    The pool works while its ``with`` block lasts, by workers of its own (tasks, or threads in the synchronous flavour):
    that is the exception to the rule that this package does nothing in the background. When the block is left, however
    it is left, all its sessions are deleted.

    Sessions are lent first come, first served; the one that has rested longest goes first. A session that is gone is
    replaced, and so is one that has been used or has lived for long enough, or that cannot be reset.
    """

    def __init__(
        self,
        agb: AsyncAGB,
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
    ) -> None:
        _check_sizes(min, max, max_uses)
        for what, seconds in (("max_age", max_age), ("idle", idle), ("timeout", timeout), ("drain", drain)):
            check_timeout(seconds, what)
        for what, hook in (("prepare", prepare), ("reset", reset), ("check", check)):
            if hook is not None and not callable(hook):
                raise TypeError(f"{what} is a function of a session, not {type(hook).__name__}")
        self.owner = ownership.Owner("pool", ownership.nameless() if name is None else name)
        self._is_named = name is not None
        self._agb, self._params = agb, params
        self._min, self._max = min, max
        self._prepare, self._reset, self._check = prepare, reset, check
        self._max_uses, self._max_age, self._idle = max_uses, max_age, idle
        self._timeout, self._drain = timeout, drain
        self._keep_every = (params.idle_release_timeout or USUAL_IDLE) / 3
        self._clock = time.monotonic
        self._lock = Lock()  # never held across a wait
        self._all: dict[str, _Warm] = {}
        self._lent: dict[str, _Warm] = {}
        self._ready: Queue[_Warm | _Failure] = Queue()
        self._making = self._made = self._discarded = self._uses = self._failed = self._failures = 0
        self._retry_at = 0.0
        self._last_error: Exception | None = None
        self._crew: TaskGroup | None = None
        self._bell: ThreadSafeEvent | None = None
        self._returned: ThreadSafeEvent | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        told = self.stats()
        parts = f"{told.idle} idle, {told.in_use} in use, {told.making} being made, {told.waiting} waiting"
        return f"<{type(self).__name__} {self.owner}: {parts}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"an {type(self).__name__} holds sessions and workers and is not pickled or copied")

    # --- its life ------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._crew is not None or self._is_closed:
            raise RuntimeError("a pool is entered once; make another one")
        if self._is_named:
            await self._reap_the_dead()
        self._bell, self._returned = ThreadSafeEvent(), ThreadSafeEvent()
        crew = TaskGroup()
        await crew.__aenter__()
        self._crew = crew
        self._make_what_is_wanted()
        crew.start(self._keep)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close(wait=exc is None)

    async def aclose(self) -> None:
        """Lend nothing more, wait for what is lent, and delete all sessions.

        It is called by the task that has entered the pool; leaving the block does the same. What is not given back
        within ``drain`` seconds is deleted as well.
        """
        await self._close(wait=True)

    async def _close(self, *, wait: bool) -> None:
        if self._is_closed or self._crew is None:
            return
        self._is_closed = True
        self._ready.close()
        try:
            if wait:
                await self._wait_for_the_lent()
        finally:
            self._crew.cancel()
            try:
                await self._crew.__aexit__(None, None, None)
            finally:
                await shielded(self._delete_all)

    async def _wait_for_the_lent(self) -> None:
        deadline = Deadline(self._drain)
        assert self._returned is not None  # noqa: S101 - the pool was entered
        while self._lent and deadline.left() > 0:
            await self._returned.wait(deadline.left())

    async def _delete_all(self) -> None:
        """Delete every session that there is; report those that are left."""
        rest = list(self._all.values())
        for begin in range(0, len(rest), reaper.AT_A_TIME):
            await gather([partial(self._discard, warm) for warm in rest[begin : begin + reaper.AT_A_TIME]])
        for session_id in self._all:
            warnings.warn(f"session {session_id} was left behind: {self._last_error}", RuntimeWarning, stacklevel=2)

    async def _reap_the_dead(self) -> None:
        """Delete what an earlier run of this name has left; not what another one that runs elsewhere uses."""
        found = await reaper.owned(self._agb, {ownership.OWNER: self.owner.label})
        await reaper.delete(self._agb, [session for session in found if session.has_maker is False])

    # --- lending -------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def session(self, *, timeout: float | None = None) -> AsyncIterator[AsyncSession]:
        """Borrow a session for the time of a block.

        Args:
            timeout: seconds to wait for one; the pool's ``timeout``, else the client's, unless given.

        Raises:
            SessionError: there was none in time, the pool is closed, or a session could not be made. What ``prepare``
                raises comes through as it is.
        """
        session = await self.acquire(timeout=timeout)
        try:
            yield session
        finally:
            self.release(session)

    async def acquire(self, *, timeout: float | None = None) -> AsyncSession:
        """Borrow a session, to be given back by `release`; the block of `session` is the safe way.

        Raises:
            SessionError: as `session`.
        """
        if self._crew is None:
            raise RuntimeError("a pool is used inside its block: with agb.pool(...) as pool")
        deadline = self._agb.client.deadline(timeout or self._timeout)
        while True:
            warm = await self._next(deadline)
            self._lent[warm.session.session_id] = warm
            try:
                if await self._is_good(warm, deadline):
                    return warm.session
            except BaseException:
                self._take_back(warm, is_used=False)
                raise
            with self._lock:
                del self._lent[warm.session.session_id]
            if not self._is_closed:
                self._crew.start(self._replace, warm)

    async def _next(self, deadline: Deadline) -> _Warm:
        """Return the session that has rested longest, or the next one that is there."""
        self._wanted(1)
        try:
            if self._is_closed:  # what is in the channel is being deleted
                raise ClosedResource
            handed = await self._ready.get(deadline.left())
        except TimeoutError:
            raise self._too_late(deadline) from None
        except ClosedResource:
            raise SessionError(f"no session to borrow: the pool {self.owner} is closed") from None
        if isinstance(handed, _Failure):
            raise handed.error
        return handed

    def release(self, session: AsyncSession, *, discard: bool = False) -> None:
        """Give a session back; returns at once, and the pool resets it.

        Args:
            session: one that was borrowed, and not given back yet.
            discard: whether it is not to be lent again.

        Raises:
            ValueError: it was not borrowed from this pool.
        """
        warm = self._lent.get(session.session_id)
        if warm is None or warm.session is not session:
            raise ValueError(f"session {session.session_id} is not one that is borrowed from this pool now")
        self._take_back(warm, discard=discard)

    def _take_back(self, warm: _Warm, *, is_used: bool = True, discard: bool = False) -> None:
        with self._lock:
            del self._lent[warm.session.session_id]
            warm.uses += is_used
            self._uses += is_used
        if not self._is_closed and self._crew is not None:
            self._crew.start(self._replace if discard else self._refresh, warm)
        if self._returned is not None:
            self._returned.set()

    def _too_late(self, deadline: Deadline) -> SessionError:
        told = self.stats()
        why = f"{told.in_use} of {self._max} are in use, {told.making} are being made, {told.waiting} others wait"
        creations = self._agb.stats().creations.held_up_by
        last = f"; the last failure was: {self._last_error}" if self._last_error is not None else ""
        return SessionError(
            f"no session of the pool {self.owner} was free {deadline.description}: {why}"
            + (f"; creations are held up: {creations}" if creations else "")
            + last,
            kind=ErrorKind.TIMED_OUT,
            retryable=True,
        )

    # --- what the workers do -------------------------------------------------------------------------------------

    def _wanted(self, more: int = 0) -> None:
        """Have so many sessions made as are waited for; those made ahead are the keeper's business."""
        with self._lock:
            lack = self._ready.waiting_getters + more - len(self._ready) - self._making
            count = max(0, min(lack, self._max - len(self._all) - self._making))
            self._making += count
        self._start_making(count)

    def _make_what_is_wanted(self) -> None:
        """Have sessions made, for those who wait and so that there are as many as there should be at least."""
        self._wanted()
        with self._lock:
            count = max(0, self._min - len(self._all) - self._making)
            if self._clock() < self._retry_at:
                count = 0
            self._making += count
        self._start_making(count)

    def _start_making(self, count: int) -> None:
        if self._crew is None or self._is_closed:
            return
        for _ in range(count):
            self._crew.start(self._make)

    async def _make(self) -> None:
        """Make a session, and lend it to the first who waits."""
        warm = None
        try:
            result = (await self._agb.create(self._params, timeout=self._timeout, owner=self.owner)).raise_for_error()
            assert result.session is not None  # noqa: S101 - a success has one
            now = self._clock()
            warm = _Warm(result.session, now, now, now)
            with self._lock:
                self._all[warm.session.session_id] = warm
                self._made += 1
            if result.error is not None:  # data of a context is missing
                raise result.error
            if self._prepare is not None:
                await call(self._prepare, warm.session)
        except Exception as error:  # noqa: BLE001 - told to who waits
            self._no_longer_making()
            await self._failed_to_make(error, warm)
            return
        except BaseException:
            self._no_longer_making()
            raise
        self._no_longer_making()
        self._failures, self._retry_at = 0, 0.0
        warm.seen = warm.used = self._clock()
        self._offer(warm)

    def _no_longer_making(self) -> None:
        with self._lock:
            self._making -= 1

    async def _failed_to_make(self, error: Exception, warm: _Warm | None) -> None:
        with self._lock:
            self._failed += 1
            self._failures += 1
            self._last_error = error
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures - 1, 30))
        self._retry_at = self._clock() + pause
        if self._ready.waiting_getters:
            self._offer(_Failure(error))
        if warm is not None:
            await self._discard(warm)
        self._make_what_is_wanted()
        self._wake()

    def _offer(self, handed: _Warm | _Failure) -> None:
        try:
            self._ready.offer(handed)
        except ClosedResource:  # what is there is deleted at the end
            return

    async def _refresh(self, warm: _Warm) -> None:
        """Make a session that was given back ready for the next, or replace it."""
        if self._is_worn(warm) or ops.is_gone(warm.session._state, None):
            await self._replace(warm)
            return
        if self._reset is not None:
            try:
                await call(self._reset, warm.session)
            except Exception as error:  # noqa: BLE001 - it is told by the stats, and the session is not lent again
                self._last_error = error
                await self._replace(warm)
                return
        warm.used = self._clock()
        self._offer(warm)

    def _is_worn(self, warm: _Warm) -> bool:
        if self._max_uses is not None and warm.uses >= self._max_uses:
            return True
        return self._max_age is not None and self._clock() - warm.made >= self._max_age

    async def _is_good(self, warm: _Warm, deadline: Deadline) -> bool:
        """Return whether a session may be lent: it is there, and the user's check has nothing against it."""
        if self._is_worn(warm):
            return False
        if self._clock() - warm.seen > TRUSTED:
            status = await warm.session.get_status(timeout=max(0.001, deadline.left()))
            if status.error is not None or ops.is_gone(status.status, None):
                return False
            warm.seen = self._clock()
        if self._check is not None:
            try:
                return await call(self._check, warm.session) is not False
            except Exception as error:  # noqa: BLE001 - it is told by the stats, and the session is not lent
                self._last_error = error
                return False
        return True

    async def _replace(self, warm: _Warm) -> None:
        await self._discard(warm)
        self._make_what_is_wanted()

    async def _discard(self, warm: _Warm) -> None:
        """Delete a session; it counts until it is gone. What fails is tried again when the pool is closed."""
        error = await shielded(partial(self._agb._delete_by_id, warm.session.session_id))
        if error is not None:
            self._last_error = error
            return
        warm.session._state = "FINISH"
        with self._lock:
            self._discarded += self._all.pop(warm.session.session_id, None) is not None

    async def _keep(self) -> None:
        """Keep idle sessions alive, let those go that nobody needs, and make those that should be there."""
        assert self._bell is not None  # noqa: S101 - the pool was entered
        while True:
            for _ in range(len(self._ready)):
                try:
                    warm = await self._ready.get(0)
                except TimeoutError:
                    break
                if isinstance(warm, _Failure):
                    continue
                if await self._is_worth_keeping(warm):
                    self._offer(warm)
                else:
                    await self._discard(warm)
            self._make_what_is_wanted()
            await self._bell.wait(self._until_next_round())

    def _until_next_round(self) -> float:
        now = self._clock()
        times = [self._keep_every / 2, *([self._idle / 2] if self._idle is not None else [])]
        times += [self._retry_at - now] if self._retry_at > now else []
        times += [self._max_age / 2] if self._max_age is not None and self._min else []
        return max(0.01, min(times))

    async def _is_worth_keeping(self, warm: _Warm) -> bool:
        """Return whether an idle session stays, and keep it from being released by the service."""
        now = self._clock()
        if self._is_worn(warm):
            return False
        if self._idle is not None and now - warm.used > self._idle and len(self._all) > self._min:
            return False
        if now - warm.seen >= self._keep_every / 2:
            error = (await warm.session.keep_alive()).error
            if error is not None:
                self._last_error = error
                return error.kind is not ErrorKind.NOT_FOUND
            warm.seen = self._clock()
        return True

    def _wake(self) -> None:
        if self._bell is not None:
            self._bell.set()

    # --- what it tells -------------------------------------------------------------------------------------------

    def stats(self) -> SessionPoolStats:
        """Return how the pool stands."""
        return SessionPoolStats(
            idle=len(self._ready),
            in_use=len(self._lent),
            making=self._making,
            waiting=self._ready.waiting_getters,
            made=self._made,
            discarded=self._discarded,
            failed=self._failed,
            uses=self._uses,
            last_error=self._last_error,
        )


def _check_sizes(least: object, most: object, max_uses: object) -> None:
    sizes: tuple[tuple[str, object, int], ...] = (("min", least, 0), ("max", most, 1), ("max_uses", max_uses, 1))
    for name, value, smallest in sizes:
        if value is None and name == "max_uses":
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} is a whole number, not {value!r}")
        if value < smallest:
            raise ValueError(f"{name} is a number >= {smallest}, not {value}")
    if isinstance(least, int) and isinstance(most, int) and least > most:
        raise ValueError(f"min is at most max, and {least} is more than {most}")
