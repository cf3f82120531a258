"""What differs between the flavours, in the asynchronous one; ``_sync/_compat.py`` has the same names.

anyio and asyncio are imported by the functions that use them, so that importing the package stays cheap.
"""

from __future__ import annotations

import sys
from collections import OrderedDict, deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

T = TypeVar("T")

ASYNC: Final = True
Things = AsyncIterable[T] | Iterable[T]
"""Things one after the other, as a caller has them."""
Chunks = AsyncIterable[bytes] | Iterable[bytes]
"""Bytes piece by piece, as a caller has them."""

BYTE_STREAM = "AsyncByteStream"
"""What httpx calls the body of an answer that is received piece by piece."""

CLEANUP_LIMIT = 30.0
"""Seconds that a clean-up may take; the caller's own deadline is usually over by then."""


async def sleep(seconds: float) -> None:
    """Wait; always for a time that a deadline has capped."""
    import anyio

    await anyio.sleep(seconds)


def current_loop() -> object:
    """Return the running event loop, to which connections belong."""
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        if "trio" not in sys.modules:
            raise RuntimeError("no event loop is running; use agb.AGB in code that is not asynchronous") from None
    from trio.lowlevel import current_trio_token

    return current_trio_token()


def is_over(loop: Any) -> bool:
    """Return whether an event loop that `current_loop` gave has ended."""
    if hasattr(loop, "is_closed"):
        return bool(loop.is_closed())
    from trio import RunFinishedError

    try:
        loop.run_sync_soon(int)  # trio's token has no other way to tell
    except RunFinishedError:
        return True
    return False


def check_client(client: Any) -> None:
    """Raise `TypeError` unless ``client`` has the interface of httpx's asynchronous client."""
    from inspect import iscoroutinefunction

    if not (hasattr(client, "build_request") and iscoroutinefunction(getattr(client, "send", None))):
        raise TypeError(f"http_client is an httpx.AsyncClient (or httpx2's), not {type(client).__qualname__}")


def check_transport(transport: Any) -> None:
    """Raise `TypeError` unless ``transport`` is one of httpx's asynchronous transports, or of httpx2's."""
    if not (hasattr(transport, "handle_async_request") and _library_of(transport)):
        raise TypeError(f"transport is an httpx.AsyncBaseTransport (or httpx2's), not {type(transport).__qualname__}")


def client_over(transport: Any) -> Any:
    """Return a client of its own library around a transport; it adds nothing of the environment."""
    return sys.modules[_library_of(transport)].AsyncClient(transport=transport, trust_env=False)


def _library_of(transport: Any) -> str:
    bases = [base for base in type(transport).__mro__ if base.__name__ == "AsyncBaseTransport"]
    names = [base.__module__.partition(".")[0] for base in bases]
    return next((name for name in names if name in ("httpx", "httpx2")), "")


def check_function(function: Any) -> None:
    """Raise `TypeError` unless ``function`` can be called for an item; one that is not asynchronous will do too."""
    if not callable(function):
        raise TypeError(f"the function is called with a session and an item, and {function!r} cannot be called")


def close_when_dropped(owner: object, pools: object) -> None:
    """Do nothing: connections of an event loop can only be closed in it, by whoever runs it."""
    del owner, pools


async def checkpoint() -> None:
    """Raise the cancellation if the caller is in a scope that is cancelled already."""
    from anyio.lowlevel import checkpoint_if_cancelled

    await checkpoint_if_cancelled()


async def finish(function: Callable[[], Awaitable[T]], if_cancelled: Callable[[T], Awaitable[object]]) -> T:
    """Run ``function`` to its end whatever happens to the caller, and return what it gives.

    If the caller is cancelled meanwhile, or was before, ``if_cancelled`` gets the result, runs to its end too, and the
    cancellation goes on; should one of the two raise, that is the cancellation's cause. (Where only a scope is
    cancelled, an error of ``function`` itself is raised, and the cancellation comes with the caller's next wait.)
    """
    from anyio import get_cancelled_exc_class
    from anyio.lowlevel import checkpoint_if_cancelled

    result, cancelled = await _to_the_end(function)
    try:
        if cancelled is not None:
            raise cancelled
        await checkpoint_if_cancelled()
    except get_cancelled_exc_class() as cancellation:
        try:
            await _to_the_end(lambda: if_cancelled(result))
        except Exception as error:
            raise cancellation from error
        raise
    return result


async def shielded(function: Callable[[], Awaitable[T]]) -> T:
    """Run a clean-up to its end, with cancellation held back until then."""
    result, cancelled = await _to_the_end(function)
    if cancelled is not None:
        raise cancelled
    return result


async def _to_the_end(function: Callable[[], Awaitable[T]]) -> tuple[T, BaseException | None]:
    """Run ``function`` under a shield; return its result and the cancellation that came meanwhile, if any.

    anyio's shield holds back anyio's cancellation only. A native ``task.cancel()``, as ``asyncio.wait_for`` makes it,
    goes straight to the running task; so on asyncio the function runs in a task of its own, which is awaited.
    """
    import asyncio

    from anyio import CancelScope

    with CancelScope(shield=True):
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # trio, where the shield is enough
            return await function(), None
        return await _in_own_task(function)
    raise AssertionError("a shielded scope is left by its result or by an error")


async def _in_own_task(function: Callable[[], Awaitable[T]]) -> tuple[T, BaseException | None]:
    """Run ``function`` in a task of its own and wait for its end, however often the waiting is cancelled."""
    import asyncio

    cancelled: asyncio.CancelledError | None = None
    task = asyncio.ensure_future(_awaited(function))
    # asyncio.run ends by cancelling every task it can see; this one is awaited by another that it does see. The
    # function is meant for event loops of one's own (docs: "Extending"); a test holds us to what it does.
    asyncio._unregister_task(task)
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None and task.exception() is not None:
        raise cancelled from task.exception()
    return task.result(), cancelled


async def _awaited(function: Callable[[], Awaitable[T]]) -> T:
    return await function()


async def call(handler: Callable[..., Any], *args: Any) -> Any:
    """Call a user's callback, and await what it returns if that can be awaited."""
    from inspect import isawaitable

    result = handler(*args)
    return await result if isawaitable(result) else result


def at_once(function: Callable[[], Awaitable[object]]) -> None:
    """Do nothing: an attribute cannot wait for what it needs."""
    del function


async def afterwards(function: Callable[[], Awaitable[T]], meanwhile: T) -> T:
    """Run what a user's callback waits for; there are no tasks in the background, so its caller waits as well."""
    del meanwhile
    return await function()


async def gather(functions: Sequence[Callable[[], Awaitable[T]]], stop: Callable[[], object] | None = None) -> list[T]:
    """Run functions at the same time; return what they give, in their order, or raise what the first of them raised.

    All of them have ended when this returns. ``stop`` is for the synchronous flavour: here a caller that is cancelled
    takes them along.
    """
    del stop
    from functools import partial

    from anyio import create_task_group

    if len(functions) == 1:
        return [await functions[0]()]
    given: dict[int, T] = {}
    failed: dict[int, Exception] = {}

    async def run(number: int, function: Callable[[], Awaitable[T]]) -> None:
        try:
            given[number] = await function()
        except Exception as error:  # noqa: BLE001 - raised below, when all have ended
            failed[number] = error

    async with create_task_group() as tasks:
        for number, function in enumerate(functions):
            tasks.start_soon(partial(run, number, function))
    if failed:
        raise failed[min(failed)]
    return [given[number] for number in range(len(functions))]


async def in_thread(function: Callable[[], T]) -> T:
    """Run what works on files of this machine where it does not hold up the event loop."""
    from anyio.to_thread import run_sync

    return await run_sync(function)


def from_thread(function: Callable[[], Awaitable[T]]) -> T:
    """Run ``function`` on the event loop, called from what `in_thread` runs."""
    from anyio.from_thread import run

    return run(_awaited, function)


def each(things: AsyncIterable[T] | Iterable[T]) -> AsyncIterator[T]:
    """Return an iterator over either kind of iterable."""
    return things.__aiter__() if isinstance(things, AsyncIterable) else _Each(iter(things))


class _Each(Generic[T]):
    """An ordinary iterator, iterated over asynchronously."""

    def __init__(self, things: Iterator[T]) -> None:
        self.things = things

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return next(self.things)
        except StopIteration:
            raise StopAsyncIteration from None


def from_any_thread(function: Callable[[], object]) -> Callable[[], None]:
    """Return what has ``function`` called on this event loop, and may be called by any thread, also when it is over."""
    loop: Any = current_loop()
    soon = loop.call_soon_threadsafe if hasattr(loop, "call_soon_threadsafe") else loop.run_sync_soon

    def call_it() -> None:
        with suppress(RuntimeError):  # the loop is over, and so is whoever waited
            soon(function)

    return call_it


def apart(function: Callable[[], Awaitable[T]]) -> T:
    """Run ``function`` on an event loop of its own in a thread of its own, and return what it gives.

    For code that is not asynchronous, and may be called by a thread in which a loop runs.
    """
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal("asyncio") as portal:
        return portal.call(function)


async def let_go(iterator: AsyncIterator[Any]) -> None:
    """Close an iterator that `each` gave, if it is a generator's; one that is left half-way would hold what it has."""
    from types import AsyncGeneratorType, GeneratorType

    if isinstance(iterator, AsyncGeneratorType):
        await iterator.aclose()
    elif isinstance(iterator, _Each) and isinstance(iterator.things, GeneratorType):
        iterator.things.close()


class Overdue(Exception):  # noqa: N818 - it says how something stands
    """A function did not return in time."""

    def __init__(self, is_abandoned: bool = False) -> None:
        super().__init__()
        self.is_abandoned = is_abandoned
        """Whether it goes on; only a thread can."""


class Hand:
    """Runs a user's functions, one after the other, each for a limited time; who has a hand closes it."""

    async def run(
        self, function: Callable[[], Awaitable[T]], seconds: float | None, stop: Callable[[], Awaitable[object]]
    ) -> T:
        """Run a function, and return what it gives; it is cancelled when the time is over.

        ``stop`` is for the synchronous flavour, where nothing can be cancelled.

        Raises:
            Overdue: it did not return within so many seconds.
        """
        del stop
        if seconds is None:
            return await function()
        from anyio import move_on_after

        with move_on_after(seconds):
            return await function()
        raise Overdue

    def close(self) -> None:
        """Do nothing; in the synchronous flavour there is a thread."""


def is_stray(error: BaseException) -> bool:
    """Return whether this is a cancellation, but not of the task that caught it: of something that it waited for."""
    import asyncio

    if not isinstance(error, asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    return task is not None and not task.cancelling()


class Lock:
    """Held by one at a time, and waited for no longer than the caller can."""

    def __init__(self) -> None:
        self._lock: Any = None

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[bool]:
        """Hold the lock for the time of a block; tells whether it came within so many seconds."""
        import anyio

        lock = self._lock = self._lock or anyio.Lock()
        try:
            lock.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(seconds) as limit:
                await lock.acquire()
            if limit.cancelled_caught:
                yield False
                return
        try:
            yield True
        finally:
            lock.release()


class Signal:
    """Wakes the one who waits for it; set in advance, it lets the next one who waits pass."""

    def __init__(self) -> None:
        self._event: Any = None
        self._is_set = False

    def set(self) -> None:
        """Wake the one who waits, or the next who will."""
        self._is_set = True
        if self._event is not None:
            self._event.set()

    async def wait(self, seconds: float) -> None:
        """Return when the signal is set, or after so many seconds."""
        import anyio

        if not self._is_set:
            self._event = anyio.Event()
            try:
                with anyio.move_on_after(seconds):
                    await self._event.wait()
            finally:
                self._event = None
        self._is_set = False


class Bell:
    """Wakes the one who waits for it; may be rung from any event loop or thread."""

    def __init__(self) -> None:
        from anyio import Event

        self._loop = current_loop()
        self._event = Event()

    def ring(self) -> None:
        """Wake the one who waits, or the next time that it waits."""
        try:
            is_here = current_loop() is self._loop
        except RuntimeError:  # a thread without an event loop
            is_here = False
        if is_here:
            self._event.set()
        else:
            _soon(self._loop, lambda: self._event.set())

    async def wait(self, seconds: float) -> None:
        """Return when the bell was rung, or after so many seconds."""
        from anyio import Event, move_on_after

        with move_on_after(seconds):
            await self._event.wait()
        if self._event.is_set():
            self._event = Event()


def _soon(loop: Any, function: Callable[[], object]) -> None:
    """Have another event loop call a function; one that is over does not."""
    if is_over(loop):
        return
    if hasattr(loop, "call_soon_threadsafe"):
        loop.call_soon_threadsafe(function)
    else:
        loop.run_sync_soon(function)


class Crew:
    """Workers that run while a ``with`` block lasts, as tasks here and as threads in the synchronous flavour.

    Leaving the block waits for all of them. When one raises, the others and the block are cancelled, and the first
    error is what leaving raises, never a group; what the block itself raised goes before it. A block that is left by
    an error or a cancellation cancels them. It is entered and left by the same task.
    """

    def __init__(self) -> None:
        self._group: Any = None
        self._error: BaseException | None = None
        self.is_cancelled = False
        """Whether the workers were told to stop."""

    async def __aenter__(self) -> Self:
        from anyio import create_task_group

        self._group = create_task_group()
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if exc is not None:
            self.cancel()
        if isinstance(exc, Exception):  # the group would wrap it
            exc_type = exc = traceback = None
            await self._group.__aexit__(None, None, None)
            return False
        is_over = bool(await self._group.__aexit__(exc_type, exc, traceback))
        if self._error is not None and (exc is None or is_over):
            raise self._error
        return is_over

    def start(self, function: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Start a worker; may be called by the block and by the workers."""
        self._group.start_soon(self._run, function, args)

    def cancel(self) -> None:
        """Tell all workers, and the block, to stop; leaving the block then raises nothing on that account."""
        self.is_cancelled = True
        self._group.cancel_scope.cancel()

    async def _run(self, function: Callable[..., Awaitable[object]], args: tuple[Any, ...]) -> None:
        from anyio import get_cancelled_exc_class

        try:
            await function(*args)
        except get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001 - raised where the block is left
            self._error = self._error or error
            self.cancel()


class Closed(Exception):  # noqa: N818 - it says how something stands
    """Nothing comes out of a channel any more, or nothing goes in."""


class Channel(Generic[T]):
    """Hands things from some workers to others: first in, first out, each to the one that has waited longest.

    With a ``size``, putting waits while so many are in it; a size of 0 hands over from hand to hand. All of it is
    O(1), a wait that is given up too. Nothing that was put is lost to a worker that is cancelled while it waits: the
    next one gets it. A put that is cancelled while it waits may have been done by then.
    """

    def __init__(self, size: int | None = None) -> None:
        self._size = size
        self._items: deque[T] = deque()
        self._takers: OrderedDict[int, _Wait] = OrderedDict()
        self._givers: OrderedDict[int, _Wait] = OrderedDict()
        self.is_closed = False

    def __len__(self) -> int:
        """Return how many things are in it, not counting what waits for room."""
        return len(self._items)

    @property
    def takers(self) -> int:
        """How many wait for something."""
        return len(self._takers)

    @property
    def givers(self) -> int:
        """How many wait for room."""
        return len(self._givers)

    def offer(self, item: T) -> bool:
        """Put something in if that needs no waiting; tells whether it did.

        Raises:
            Closed: the channel is closed.
        """
        if self.is_closed:
            raise Closed
        if self._takers:
            self._takers.popitem(last=False)[1].give(item)
        elif self._size is None or len(self._items) < self._size:
            self._items.append(item)
        else:
            return False
        return True

    async def put(self, item: T, seconds: float | None = None) -> None:
        """Put something in, and wait for room if there is none.

        Raises:
            TimeoutError: there was no room within so many seconds.
            Closed: the channel is closed.
        """
        if self.offer(item):
            return
        wait = _Wait(item)
        self._givers[id(wait)] = wait
        try:
            await wait.until_over(seconds)
        finally:
            self._givers.pop(id(wait), None)
        if not wait.is_over:
            raise TimeoutError
        if wait.is_closed:
            raise Closed

    async def get(self, seconds: float | None = None) -> T:
        """Take what was put in first, and wait for it if there is nothing.

        Raises:
            TimeoutError: nothing came within so many seconds.
            Closed: the channel is closed, and nothing is left in it.
        """
        if self._items or self._givers:
            return self._take()
        if self.is_closed:
            raise Closed
        wait = _Wait()
        self._takers[id(wait)] = wait
        try:
            await wait.until_over(seconds)
        except BaseException:
            if wait.is_over and not wait.is_closed:
                self._give_back(wait.item)
            raise
        finally:
            self._takers.pop(id(wait), None)
        if not wait.is_over:
            raise TimeoutError
        if wait.is_closed:
            raise Closed
        item: T = wait.item
        return item

    def close(self) -> None:
        """Let nothing more in; what is in can be taken, and who waits in vain is told."""
        self.is_closed = True
        for waits in (self._takers, self._givers):
            while waits:
                waits.popitem(last=False)[1].close()

    def _take(self) -> T:
        if self._givers:
            wait = self._givers.popitem(last=False)[1]
            self._items.append(wait.item)
            wait.give(wait.item)
        return self._items.popleft()

    def _give_back(self, item: T) -> None:
        if self._takers:
            self._takers.popitem(last=False)[1].give(item)
        else:
            self._items.appendleft(item)


class _Wait:
    """One wait at a channel."""

    __slots__ = ("_event", "is_closed", "is_over", "item")

    def __init__(self, item: Any = None) -> None:
        from anyio import Event

        self._event = Event()
        self.item = item
        self.is_over = self.is_closed = False

    def give(self, item: Any) -> None:
        self.item, self.is_over = item, True
        self._event.set()

    def close(self) -> None:
        self.is_over = self.is_closed = True
        self._event.set()

    async def until_over(self, seconds: float | None) -> None:
        from anyio import move_on_after

        if seconds is None:
            await self._event.wait()
            return
        with move_on_after(seconds):
            await self._event.wait()
