"""Cancellation at every step of a call: no connection is left half used or lost, and every waiting caller is served.

The steps of a call are counted: each time that it gives way to the event loop is one. Then it is cancelled at the
first, the second, and so on, until it comes to its end before its cancellation.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import ssl
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from linecache import getline
from pathlib import Path
from types import FrameType
from typing import Any, Self

import anyio
import anyio.lowlevel
import httpx
import pytest

from agb import AGB, AsyncAGB, AsyncPoolTransport, Config, Limits
from agb._async.net.slots import ConnectionSlots
from agb.config import Endpoint
from tests.bucket import CONTEXT, Bucket, bucket
from tests.pools import pool_of
from tests.proxies import proxying
from tests.servers import Gate, Scripted, scripted, value

SECONDS = 60
LINK = value({"url": "http://127.0.0.1/link"})
CERTIFICATE = Path(__file__).with_name("localhost.pem")
MOST_STEPS = 3000
STRIDE = 1 if "AGB_CANCELLATION_STEPS" in os.environ else 4
"""Every fourth line is interrupted by default, and every line with ``nox -s cancellation``."""


@pytest.fixture
def tls() -> ssl.SSLContext:
    """What a server needs to be localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def client(server: Scripted, *, secure: bool = False, **more: Any) -> AsyncAGB:
    endpoint = f"https://localhost:{server.port}" if secure else server.endpoint
    more.setdefault("limits", Limits(connections=2))
    return AsyncAGB("ako-key", Config(endpoint, 10_000), verify=CERTIFICATE if secure else True, **more)


# --- a cancellation at a step ------------------------------------------------------------------------------------

Work = Callable[[], Awaitable[object]]


class _Steps:
    """An awaitable that runs another, and calls something when that has given way so many times."""

    def __init__(self, work: Work, number: int, then: Callable[[], object]) -> None:
        self.work, self.number, self.then = work, number, then
        self.count = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        running: Any = self.work().__await__()
        given: Any = None
        failure: BaseException | None = None
        while True:
            try:
                waits_for = running.send(given) if failure is None else running.throw(failure)
            except StopIteration as end:
                return end.value
            self.count += 1
            if self.count == self.number:
                self.then()
            given, failure = None, None
            try:
                given = yield waits_for
            except BaseException as error:  # thrown into the wrapped coroutine
                failure = error


async def by_cancel(work: Work, step: int) -> bool:
    """Cancel natively at a step; return whether the work came to its end before."""
    task: Any = None

    async def run() -> None:
        await _Steps(work, step, lambda: task.cancel())

    task = asyncio.ensure_future(run())
    await asyncio.wait([task], timeout=SECONDS)
    assert task.done()
    if not task.cancelled():
        task.result()
    return not task.cancelled()


async def by_scope(work: Work, step: int) -> bool:
    """Cancel by a scope at a step; return whether the work came to its end before."""
    with anyio.fail_after(SECONDS), anyio.CancelScope() as scope:
        await _Steps(work, step, scope.cancel)
        return True
    assert scope.cancelled_caught
    return False


Cancelled = Callable[[Work, int], Awaitable[bool]]


async def at_every_step(agb: AsyncAGB, cancelled: Cancelled, work: Work, *, pace: int = 1) -> int:
    """Cancel work at each of its steps, look at the pool each time, and return how many there were."""
    for step in range(1, MOST_STEPS, pace):
        is_over = await cancelled(work, step)
        stats = pool_of(agb).stats()
        assert (stats.in_use, stats.waiting) == (0, 0), f"cancelled at step {step}: {stats}"
        if is_over:
            return step
    pytest.fail("it has no end")


async def still_works(agb: AsyncAGB) -> None:
    opened = pool_of(agb).stats().opened
    for _ in range(10):
        assert (await agb.attach("s-1").get_link()).data == "http://127.0.0.1/link"
    stats = pool_of(agb).stats()
    assert (stats.in_use, stats.waiting) == (0, 0)
    assert stats.opened <= opened + 1


def whole(server: Scripted) -> None:
    """No connection carried half a request that another followed."""
    assert all(request.method in ("GET", "POST", "PUT", "CONNECT") for request in server.requests)
    assert all(request.path.startswith("/") for request in server.requests)


async def calls(agb: AsyncAGB) -> None:
    """A call, and one with a body."""
    await agb.attach("s-1").get_link()
    await agb.attach("s-1").call_mcp_tool("shell", {"command": "x" * 1000})


NATIVE = [pytest.param("asyncio", by_cancel, id="native")]
SCOPES = [pytest.param("asyncio", by_scope, id="scope"), pytest.param("trio", by_scope, id="trio")]
WAYS = pytest.mark.parametrize(("backend", "cancelled"), NATIVE + SCOPES)


def run(backend: str, main: Callable[[], Awaitable[object]]) -> None:
    anyio.run(main, backend=backend)
    gc.collect()  # so that what was not closed shows in the test that did not close it


@WAYS
@pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
def test_calls(backend: str, cancelled: Cancelled, is_warm: bool) -> None:
    async def main() -> None:
        async with client(server) as agb:

            async def work() -> None:
                if not is_warm:
                    await pool_of(agb)._close_idle()
                await calls(agb)

            if is_warm:
                await still_works(agb)
            steps = await at_every_step(agb, cancelled, work)
            assert steps > 2
            await still_works(agb)

    with scripted(LINK) as server:
        run(backend, main)
        whole(server)


@WAYS
@pytest.mark.parametrize("way", ["tls", "http tunnel", "socks", "forwarded", "tls in tls"])
def test_connecting(backend: str, cancelled: Cancelled, way: str, tls: ssl.SSLContext) -> None:
    async def main() -> None:
        proxy_url = "" if way == "tls" else proxy.url("me:pass" if proxy.users else "")
        async with client(server, secure=is_secure, proxy=proxy_url, **more) as agb:

            async def work() -> None:
                await pool_of(agb)._close_idle()
                await agb.attach("s-1").get_link()

            steps = await at_every_step(agb, cancelled, work)
            assert steps > 2
            await still_works(agb)

    is_secure = way != "forwarded"
    scheme = {"socks": "socks5", "tls in tls": "https"}.get(way, "http")
    more: dict[str, Any] = {}
    with (
        scripted(LINK, tls=tls if is_secure else None) as server,
        proxying(scheme, tls=tls if scheme == "https" else None, users={"me": "pass"}) as proxy,
    ):
        run(backend, main)
        whole(server)


@WAYS
def test_connect_that_is_not_answered(backend: str, cancelled: Cancelled) -> None:
    """Cancelled in the middle of it, when the proxy has the request and says nothing."""

    async def main() -> None:
        async with client(server, secure=True, proxy=proxy.url()) as agb:
            async with anyio.create_task_group() as group:
                group.start_soon(agb.attach("s-1").get_link)
                assert await anyio.to_thread.run_sync(gate.asked.wait, SECONDS)
                assert pool_of(agb).stats().in_use == 1
                group.cancel_scope.cancel()
            assert pool_of(agb).stats().open == 0
            gate.open()

    del cancelled
    gate = Gate()
    with scripted(LINK) as server, proxying(gate=gate) as proxy:
        run(backend, main)


@WAYS
def test_transfers(backend: str, cancelled: Cancelled, tmp_path: Path) -> None:
    local = tmp_path / "large"
    local.write_bytes(bytes(range(256)) * 8000)

    async def main() -> None:
        async with client(store.server, limits=Limits(connections=3)) as agb:

            async def work() -> None:
                await agb.context.upload(CONTEXT, local, "/tmp/large")
                await agb.context.download(CONTEXT, "/tmp/large", tmp_path / "back")

            await at_every_step(agb, cancelled, work)
            assert (await agb.context.upload(CONTEXT, local, "/tmp/large")).success
            assert (await agb.context.download(CONTEXT, "/tmp/large", tmp_path / "back")).success

    store: Bucket
    with bucket() as store:
        run(backend, main)
        assert store.files["/tmp/large"] == local.read_bytes()
    assert (tmp_path / "back").read_bytes() == local.read_bytes()


class _Pieces:
    """A body of three pieces; a generator that is left in the middle would be its owner's to close."""

    def __init__(self) -> None:
        self.left = 3

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return b"x" * 1000


@WAYS
def test_transport_of_httpx(backend: str, cancelled: Cancelled) -> None:
    async def main() -> None:
        transport = AsyncPoolTransport(limits=Limits(connections=1))
        async with httpx.AsyncClient(transport=transport) as http:

            async def work() -> None:
                answer = await http.post(
                    f"{server.endpoint}/link", content=_Pieces(), headers={"Content-Length": "3000"}
                )
                assert answer.json()["data"] == {"url": "http://127.0.0.1/link"}

            for step in range(1, MOST_STEPS):
                is_over = await cancelled(work, step)
                stats = transport.pool.stats()
                assert (stats.in_use, stats.waiting) == (0, 0), f"cancelled at step {step}: {stats}"
                if is_over:
                    break
            await work()

    with scripted(LINK) as server:
        run(backend, main)
        whole(server)


# --- those who wait ----------------------------------------------------------------------------------------------


@WAYS
def test_waiting(backend: str, cancelled: Cancelled) -> None:
    """Cancelled while in line, at the moment of admission, and after it."""

    async def main() -> None:
        async with client(server, limits=Limits(connections=1)) as agb:

            async def work() -> None:
                async with anyio.create_task_group() as group:
                    for _ in range(3):
                        group.start_soon(agb.attach("s-1").get_link)

            await at_every_step(agb, cancelled, work)
            await still_works(agb)

    with scripted(LINK) as server:
        run(backend, main)
        whole(server)


@pytest.mark.asyncio
@pytest.mark.parametrize("is_first", [True, False])
async def test_cancelled_in_the_moment_of_admission(is_first: bool) -> None:
    """The slot that was handed over goes to the next request in the queue."""
    gate = Gate()
    with scripted(gate.before(LINK)) as server:
        async with client(server, limits=Limits(connections=1)) as agb:
            pool = pool_of(agb)
            tasks = [asyncio.ensure_future(agb.attach(f"s-{number}").get_link()) for number in range(5)]
            while pool.stats().waiting < 4:
                await asyncio.sleep(0)
            hand_over = ConnectionSlots._hand_over

            def hand_over_and_cancel(self: ConnectionSlots, slot: Any) -> None:
                if is_first:
                    tasks[1].cancel()
                hand_over(self, slot)
                tasks[1].cancel()

            pool._slots._hand_over = hand_over_and_cancel.__get__(pool._slots)
            gate.open()
            await asyncio.wait(tasks, timeout=SECONDS)
            assert [task.cancelled() for task in tasks] == [False, True, False, False, False]
            assert (pool.stats().in_use, pool.stats().waiting) == (0, 0)
            await still_works(agb)


@pytest.mark.asyncio
async def test_thousands_of_waiting_callers() -> None:
    """All but a few are cancelled; the others are served in their order."""
    count, kept = 4_000, 20
    gate = Gate()
    came: list[int] = []
    order: list[int] = []
    with scripted(gate.before(LINK)) as server:
        async with client(server, limits=Limits(connections=1)) as agb:
            pool = pool_of(agb)

            async def call(number: int) -> None:
                came.append(number)
                await agb.attach("s-1").get_link(timeout=120)
                order.append(number)

            async with anyio.create_task_group() as stay:
                stay.start_soon(call, 0)
                assert await anyio.to_thread.run_sync(gate.asked.wait, SECONDS)
                async with anyio.create_task_group() as group:
                    for number in range(1, count):
                        (stay if number % (count // kept) == 0 else group).start_soon(call, number)
                    while pool.stats().waiting < count - 1:
                        await anyio.lowlevel.checkpoint()
                    group.cancel_scope.cancel()
                assert pool.stats().waiting == kept - 1
                gate.open()
            assert order == [number for number in came if number in set(order)]
            assert len(order) == kept
            assert server.connections == 1


# --- threads -----------------------------------------------------------------------------------------------------


def test_threads_with_deadlines_that_pass_while_they_wait() -> None:
    """Some give up in the very moment that they are admitted; the place goes on."""
    with scripted(LINK) as server, AGB("ako-key", Config(server.endpoint, 10_000), limits=Limits(connections=2)) as agb:
        failed: list[str] = []

        def work(number: int) -> None:
            for turn in range(30):
                result = agb.attach("s-1").info(timeout=0.001 * ((number + turn) % 7 + 1))
                failed.append(result.error_message)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        stats = pool_of(agb).stats()
        assert (stats.in_use, stats.waiting) == (0, 0)
        assert stats.open <= 2
        assert any("waited for one of 2 connections" in message for message in failed)
        for _ in range(10):
            assert agb.attach("s-1").get_link().success


# --- Ctrl-C ------------------------------------------------------------------------------------------------------

_PATHS = (
    *(f"_sync/net/{name}.py" for name in ("connection", "http", "per_loop", "pool", "slots", "transport", "tunnel")),
    *("httpx/_client.py", "httpx/_transports/default.py"),
)
"""Modules on the path of a call, ours and httpx's."""


class _Interruption:
    """Raises `KeyboardInterrupt` at the n-th line of these modules that is reached, as Ctrl-C may."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        if not frame.f_code.co_filename.endswith(_PATHS):
            return None
        # Leaving a lock is a line to the tracer, but nothing that a signal could come before.
        if event == "line" and self.left and "with self._lock" not in getline(frame.f_code.co_filename, frame.f_lineno):
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
        return self

    def __enter__(self) -> Self:
        sys.settrace(self)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(None)


@pytest.mark.skipif(sys.gettrace() is not None, reason="a debugger or the like has the trace function")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("is_waiting", "is_large"), [(False, False), (True, False), (False, True)], ids=["small", "waiting", "large"]
)
def test_interrupted_at_every_line(is_waiting: bool, is_large: bool) -> None:
    """A socket may be left to the garbage collector; a connection slot, or a waiting request, may not be lost."""
    text = "x" * (200_000 if is_large else 10)  # a large answer is still received when the pool has returned it
    reply = value({"url": "http://127.0.0.1/link", "more": text})

    def work() -> None:
        if is_waiting:  # another origin's connection is idle, and has to make room; and ours, dead by now, is replaced
            agb.client.endpoint = other_endpoint if agb.client.endpoint is endpoint else endpoint
        agb.attach("s-1").get_link(timeout=60)

    with scripted(reply) as server, scripted(reply) as other:
        agb = AGB("ako-key", Config(server.endpoint, 10_000), limits=Limits(connections=1))
        endpoint, other_endpoint = agb.client.endpoint, Endpoint.parse(other.endpoint)
        with agb:
            pool = pool_of(agb)
            work()
            number = 0
            for number in range(1, MOST_STEPS, STRIDE):
                interruption = _Interruption(number)
                try:
                    with interruption:
                        work()
                except KeyboardInterrupt:
                    pass
                if pool.stats().in_use:  # an answer that httpx had not returned yet is in a cycle of frames
                    gc.collect()
                stats = pool.stats()
                assert (stats.in_use, stats.waiting) == (0, 0), f"interrupted at line {number}: {stats}"
                assert stats.open <= 1
                if interruption.left:
                    break
            assert number > 20
            for _ in range(10):
                assert agb.attach("s-1").get_link().success


@pytest.fixture
def _heard() -> Iterator[None]:
    """Let Ctrl-C be heard, which those who run tests may have switched off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heard")
def test_interrupted_while_waiting() -> None:
    gate = Gate()
    heard = threading.Event()
    with scripted(gate.before(LINK)) as server:
        with AGB("ako-key", Config(server.endpoint, 10_000), limits=Limits(connections=1)) as agb:
            pool = pool_of(agb)
            others = [threading.Thread(target=agb.attach(f"s-{number}").get_link) for number in range(3)]
            for count, thread in enumerate(others):
                thread.start()
                while pool.stats().in_use + pool.stats().waiting <= count:
                    time.sleep(0)

            def interrupt() -> None:
                while pool.stats().waiting < 3:
                    time.sleep(0)
                while True:  # a signal that comes just before a lock is waited for is heard when that is over
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                    if heard.wait(0.5):
                        return

            interrupting = threading.Thread(target=interrupt)
            interrupting.start()
            with pytest.raises(KeyboardInterrupt):
                agb.attach("s-4").get_link()
            heard.set()
            interrupting.join()
            assert pool.stats().waiting == 2
            gate.open()
            for thread in others:
                thread.join(SECONDS)
                assert not thread.is_alive()
            assert (pool.stats().in_use, pool.stats().waiting) == (0, 0)
        assert len(server.requests) == 3
