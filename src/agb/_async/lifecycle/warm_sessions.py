"""The sessions of a pool: created ahead, reset, checked, kept alive, replaced, and deleted at the end."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic

from attrs import define, frozen

from ..._ops import sessions as ops
from ..._ops.arguments import check_count
from ..._wire.deadline import Deadline, check_timeout
from ...exceptions import ErrorKind
from .._compat.cancellation import shielded
from .._compat.concurrency import TaskGroup, gather
from .._compat.loop import call
from .._compat.primitives import ClosedResource, Queue, ThreadSafeEvent
from . import reaper
from .deletion import delete_surely
from .protocols import AsyncSessionClient, SessionT

if TYPE_CHECKING:
    from ...owned import Owner
    from ...session_params import CreateSessionParams

Hook = Callable[[SessionT], Any]
"""Called with a session; may be a coroutine function in the asynchronous flavour."""

USUAL_IDLE = 300.0
"""Seconds after which the service releases an idle session, unless the session's parameters say otherwise."""
TRUSTED = 5.0
"""Seconds after it was known to be alive in which a session is lent without asking for its status."""
FIRST_PAUSE = 0.5
"""Seconds without creating a session ahead after a failure; doubled by each further one in a row."""
LONGEST_PAUSE = 60.0


@frozen
class PoolOptions(Generic[SessionT]):
    """The arguments of a pool, checked; `AsyncAGB.pool` explains them."""

    params: CreateSessionParams
    min: int
    max: int
    prepare: Hook[SessionT] | None
    reset: Hook[SessionT] | None
    check: Hook[SessionT] | None
    max_uses: int | None
    max_age: float | None
    idle: float | None
    timeout: float | None
    drain: float
    start_browser: Hook[SessionT] | None
    """Starts the browser of a session, or makes sure that it runs; None if browsers are not kept ready."""

    def __attrs_post_init__(self) -> None:
        check_count("min", self.min, 0)
        check_count("max", self.max)
        if self.max_uses is not None:
            check_count("max_uses", self.max_uses)
        if self.min > self.max:
            raise ValueError(f"min is at most max, and {self.min} is more than {self.max}")
        for name in ("max_age", "idle", "timeout", "drain"):
            check_timeout(getattr(self, name), name)
        for name in ("prepare", "reset", "check"):
            hook = getattr(self, name)
            if hook is not None and not callable(hook):
                raise TypeError(f"{name} is a function of a session, not {type(hook).__name__}")


@define(eq=False)
class Warm(Generic[SessionT]):
    """A session of the pool."""

    session: SessionT
    created: float
    alive: float
    """When it was last known to be alive."""
    used: float
    """When it was last given back."""
    uses: int = 0

    def is_worn(self, options: PoolOptions[SessionT], now: float) -> bool:
        """Return whether it has reached its number of uses or its age."""
        if options.max_uses is not None and self.uses >= options.max_uses:
            return True
        return options.max_age is not None and now - self.created >= options.max_age


@define(eq=False)
class _Failure:
    """Queued for a waiting caller in place of a session that could not be created."""

    error: Exception


class AsyncWarmSessions(Generic[SessionT]):
    """The stock of a pool, and the workers that fill it.

    Invariants:

    - A session is in ``_all`` from its creation until it is known to be gone. The end of the pool deletes what is in
      ``_all``, so no session is left behind silently, whichever worker was cancelled at which point.
    - At any time a session has one holder: a worker that prepares, resets, checks or deletes it, the queue of sessions
      that are ready, or the caller that borrowed it. Only its holder passes it on.
    - ``len(_all) + _creating`` never exceeds ``max``: both are changed under the lock, and a creation is counted before
      its worker starts. A session that is being deleted counts until it is gone.
    - For each waiting caller beyond the sessions that are ready, a session is being created, as far as ``max`` allows.
      If its creation fails, one waiting caller gets the error, instead of waiting for its deadline. Sessions that no
      caller waits for (``min``) are created again after a pause only, which grows with each failure.

    Attributes:
        clock: returns the time.
        last_error: the last failure of a creation, a hook or a deletion.
        created, discarded, failed: how many sessions were created and deleted, and how many could not be created.
    """

    def __init__(
        self,
        agb: AsyncSessionClient[SessionT],
        owner: Owner,
        options: PoolOptions[SessionT],
        is_live: Callable[[str], bool],
    ) -> None:
        self._agb, self._owner, self._options, self._is_live = agb, owner, options, is_live
        self._keep_alive_every = (options.params.idle_release_timeout or USUAL_IDLE) / 3
        self.clock = time.monotonic
        self._lock = Lock()  # never held while waiting
        self._all: dict[str, Warm[SessionT]] = {}
        self._ready: Queue[Warm[SessionT] | _Failure] = Queue()
        self._creating = self._failures = 0
        self.created = self.discarded = self.failed = 0
        self._retry_at = 0.0
        self.last_error: Exception | None = None
        self._group: TaskGroup | None = None
        self._wake_up: ThreadSafeEvent | None = None
        self.is_closed = False

    @property
    def idle(self) -> int:
        """How many sessions are ready."""
        return len(self._ready)

    @property
    def creating(self) -> int:
        """How many sessions are being created."""
        return self._creating

    @property
    def waiting(self) -> int:
        """How many callers wait for a session."""
        return self._ready.waiting_getters

    # --- start and end -------------------------------------------------------------------------------------------

    def start(self, group: TaskGroup) -> None:
        """Start the workers."""
        self._group, self._wake_up = group, ThreadSafeEvent()
        self._create_missing()
        group.start(self._maintain)

    def close(self) -> None:
        """Stop lending sessions."""
        self.is_closed = True
        self._ready.close()

    async def delete_all(self) -> None:
        """Delete every session; warn about those that are left behind."""
        rest = list(self._all.values())
        for begin in range(0, len(rest), reaper.AT_A_TIME):
            await gather([partial(self._discard, warm) for warm in rest[begin : begin + reaper.AT_A_TIME]])
        for session_id in self._all:
            warnings.warn(f"session {session_id} was left behind: {self.last_error}", RuntimeWarning, stacklevel=2)

    # --- lending -------------------------------------------------------------------------------------------------

    async def get(self, seconds: float) -> Warm[SessionT]:
        """Return the session that has been ready longest, or the next one.

        Raises:
            TimeoutError: there is none in time.
            ClosedResource: the pool is closed.
            Exception: the session that was to be returned could not be created or prepared.
        """
        if self.is_closed:  # the sessions in the queue are being deleted
            raise ClosedResource
        # A creation is started only when its caller counts as waiting: the error of one that fails at once is
        # raised to a waiting caller, and each waiting caller beyond those has a creation started.
        item = await self._ready.get(seconds, self._create_wanted)
        if isinstance(item, _Failure):
            raise item.error
        return item

    async def is_good(self, warm: Warm[SessionT], deadline: Deadline) -> bool:
        """Return whether a session may be lent: it is alive, and the user's check accepts it."""
        if warm.is_worn(self._options, self.clock()):
            return False
        if self.clock() - warm.alive > TRUSTED:
            status = await warm.session.get_status(timeout=max(0.001, deadline.left()))
            if status.error is not None or ops.is_gone(status.status, None):
                return False
            warm.alive = self.clock()
        if self._options.check is not None:
            try:
                return await call(self._options.check, warm.session) is not False
            except Exception as error:  # the stats report it, and the session is not lent
                self.last_error = error
                return False
        return True

    def start_refreshing(self, warm: Warm[SessionT]) -> None:
        """Make a session that was given back ready for the next caller, in a worker if there is anything to do.

        Without, it is ready at once: a caller that comes next must not find the pool empty, and have one more created.
        """
        if self.is_closed or self._group is None:
            return
        has_hooks = self._options.reset is not None or self._options.start_browser is not None
        if not has_hooks and self._is_usable(warm):
            self._offer_again(warm)
        else:
            self._group.start(self._refresh, warm)

    def start_replacing(self, warm: Warm[SessionT]) -> None:
        """Delete a session, and create another one if one is wanted, in a worker."""
        if not self.is_closed and self._group is not None:
            self._group.start(self._replace, warm)

    # --- creating ------------------------------------------------------------------------------------------------

    def _create_wanted(self) -> None:
        """Start as many creations as callers wait for."""
        with self._lock:
            lack = self._ready.waiting_getters - len(self._ready) - self._creating
            count = max(0, min(lack, self._options.max - len(self._all) - self._creating))
            self._creating += count
        self._start_creating(count)

    def _create_missing(self) -> None:
        """Start the creations that callers wait for, and those up to the least number of sessions."""
        self._create_wanted()
        with self._lock:
            count = max(0, self._options.min - len(self._all) - self._creating)
            if self.clock() < self._retry_at:
                count = 0
            self._creating += count
        self._start_creating(count)

    def _start_creating(self, count: int) -> None:
        if self._group is None or self.is_closed:
            return
        for _ in range(count):
            self._group.start(self._create)

    async def _create(self) -> None:
        """Create a session and queue it for the caller that has waited longest."""
        warm = None
        options = self._options
        try:
            made = await self._agb.create(options.params, timeout=options.timeout, owner=self._owner)
            session = made.raise_for_error().session
            assert session is not None  # a success has one
            now = self.clock()
            warm = Warm(session, now, now, now)
            with self._lock:
                self._all[session.session_id] = warm
                self.created += 1
            if made.error is not None:  # data of a context is missing
                raise made.error
            if options.start_browser is not None:
                await call(options.start_browser, session)
            if options.prepare is not None:
                await call(options.prepare, session)
        except Exception as error:  # raised to a waiting caller
            self._no_longer_creating()
            await self._creation_failed(error, warm)
            return
        except BaseException:
            self._no_longer_creating()
            raise
        self._no_longer_creating()
        self._failures, self._retry_at = 0, 0.0
        warm.alive = warm.used = self.clock()
        self._offer(warm)

    def _no_longer_creating(self) -> None:
        with self._lock:
            self._creating -= 1

    async def _creation_failed(self, error: Exception, warm: Warm[SessionT] | None) -> None:
        with self._lock:
            self.failed += 1
            self._failures += 1
            self.last_error = error
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures - 1, 30))
        self._retry_at = self.clock() + pause
        if self._ready.waiting_getters:
            self._offer(_Failure(error))
        if warm is not None:
            await self._discard(warm)
        self._create_missing()
        self.wake()

    def _offer(self, item: Warm[SessionT] | _Failure) -> None:
        try:
            self._ready.offer(item)
        except ClosedResource:  # the session is deleted at the end
            return

    # --- after use -----------------------------------------------------------------------------------------------

    async def _refresh(self, warm: Warm[SessionT]) -> None:
        if not self._is_usable(warm):
            await self._replace(warm)
            return
        try:
            if self._options.reset is not None:
                await call(self._options.reset, warm.session)
            if self._options.start_browser is not None:  # its user may have stopped it, or a page may have crashed it
                await call(self._options.start_browser, warm.session)
        except Exception as error:  # the stats report it, and the session is not lent again
            self.last_error = error
            await self._replace(warm)
            return
        self._offer_again(warm)

    def _is_usable(self, warm: Warm[SessionT]) -> bool:
        return not warm.is_worn(self._options, self.clock()) and self._is_live(warm.session.session_id)

    def _offer_again(self, warm: Warm[SessionT]) -> None:
        warm.used = self.clock()
        self._offer(warm)

    async def _replace(self, warm: Warm[SessionT]) -> None:
        await self._discard(warm)
        self._create_missing()

    async def _discard(self, warm: Warm[SessionT]) -> None:
        """Delete a session; if that fails, it is tried again when the pool is closed."""
        error = await shielded(partial(delete_surely, warm.session))
        if error is not None:
            self.last_error = error
            return
        with self._lock:
            self.discarded += self._all.pop(warm.session.session_id, None) is not None

    # --- maintenance ---------------------------------------------------------------------------------------------

    async def _maintain(self) -> None:
        """Keep idle sessions alive, delete those that are not needed, and create those that are missing."""
        assert self._wake_up is not None  # the workers were started
        while True:
            for _ in range(len(self._ready)):
                try:
                    warm = await self._ready.get(0)
                except TimeoutError:
                    break
                if isinstance(warm, _Failure):
                    continue
                if await self._is_kept(warm):
                    self._offer(warm)
                else:
                    await self._discard(warm)
            self._create_missing()
            await self._wake_up.wait(self._until_next_round())

    def _until_next_round(self) -> float:
        options, now = self._options, self.clock()
        times = [self._keep_alive_every / 2]
        times += [options.idle / 2] if options.idle is not None else []
        times += [self._retry_at - now] if self._retry_at > now else []
        times += [options.max_age / 2] if options.max_age is not None and options.min else []
        return max(0.01, min(times))

    async def _is_kept(self, warm: Warm[SessionT]) -> bool:
        """Return whether an idle session stays, and keep it from being released by the service."""
        options, now = self._options, self.clock()
        if warm.is_worn(options, now):
            return False
        if options.idle is not None and now - warm.used > options.idle and len(self._all) > options.min:
            return False
        if now - warm.alive >= self._keep_alive_every / 2:
            error = (await warm.session.keep_alive()).error
            if error is not None:
                self.last_error = error
                return error.kind is not ErrorKind.NOT_FOUND
            warm.alive = self.clock()
        return True

    def wake(self) -> None:
        """Start the next round of maintenance now."""
        if self._wake_up is not None:
            self._wake_up.set()
