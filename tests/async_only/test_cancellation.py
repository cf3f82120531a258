"""Cancellation: however and whenever it comes, no session is left behind and no connection is half used."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from agb import AsyncAGB, AsyncSession, Config, CreateSessionParams, ErrorKind, SessionError
from agb._async._compat.primitives import ThreadSafeEvent
from tests.servers import (
    CREATE,
    LINK,
    RELEASE,
    STATUS,
    Conversation,
    Gate,
    Scripted,
    Sessions,
    answer,
    cut,
    envelope,
    refuse,
    scripted,
    value,
)

IMAGE = CreateSessionParams(image_id="agb-code-space-1")
SECONDS = 60
"""For what should be there at once; a test that waits so long has failed."""


class Service:
    """A scripted service of sessions, and what was asked of it."""

    def __init__(self, sessions: Sessions, server: Scripted) -> None:
        self.sessions = sessions
        self.server = server

    def client(self, timeout_ms: int = 10_000) -> AsyncAGB:
        return AsyncAGB("ako-key", Config(self.server.endpoint, timeout_ms))

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.server.requests]


@pytest.fixture
def service() -> Iterator[Service]:
    sessions = Sessions()
    with scripted(sessions) as server:
        try:
            yield Service(sessions, server)
        finally:
            for gate in sessions.gates.values():
                gate.open()
    gc.collect()  # so that what was not closed shows in the test that did not close it


async def asked(gate: Gate) -> None:
    """Wait until a request has come to the gate."""
    assert await anyio.to_thread.run_sync(gate.asked.wait, SECONDS)


async def still_usable(agb: AsyncAGB) -> None:
    """Assert that answers are those to the questions."""
    for _ in range(2):
        assert (await agb.attach("s-1").get_link(timeout=SECONDS)).data == "http://127.0.0.1/link"


# --- create, natively cancelled ----------------------------------------------------------------------------------

Work = Callable[[], Awaitable[object]]
Cancelled = Callable[[Work, Gate], Awaitable[None]]
"""Runs the work, has it cancelled while the gate holds it, opens the gate, and checks that the caller was cancelled."""


async def by_cancel(work: Work, gate: Gate) -> None:
    task = asyncio.ensure_future(work())
    await asked(gate)
    task.cancel("enough")
    await asyncio.sleep(0)
    gate.open()
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await task
    assert task.cancelled()


async def by_cancelling_again_and_again(work: Work, gate: Gate) -> None:
    task = asyncio.ensure_future(work())
    await asked(gate)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    gate.open()
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    assert task.cancelled()


async def by_wait_for(work: Work, gate: Gate) -> None:
    task = asyncio.ensure_future(work())
    await asked(gate)

    async def open_late() -> None:
        while not task.cancelling():
            await asyncio.sleep(0)
        gate.open()

    late = asyncio.ensure_future(open_late())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(task, 0.01)
    await late


async def by_timeout(work: Work, gate: Gate) -> None:
    async def open_late() -> None:
        await asked(gate)
        limit.reschedule(asyncio.get_running_loop().time())
        while not limit.expired():
            await asyncio.sleep(0)
        gate.open()

    late = asyncio.ensure_future(open_late())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SECONDS) as limit:
            await work()
    await late


async def by_a_failing_sibling(work: Work, gate: Gate) -> None:
    async def fail() -> None:
        await asked(gate)
        asyncio.get_running_loop().call_soon(gate.open)
        raise LookupError

    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await work()
    assert caught.group_contains(LookupError)


async def by_a_scope(work: Work, gate: Gate) -> None:
    async def cancel() -> None:
        await asked(gate)
        scope.cancel()
        await anyio.sleep(0)
        gate.open()

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(cancel)
        with scope:
            await work()
    assert scope.cancelled_caught


NATIVELY = [by_cancel, by_cancelling_again_and_again, by_wait_for, by_timeout, by_a_failing_sibling]


async def create_is_undone(service: Service, cancelled: Cancelled) -> None:
    gate = service.sessions.gate(CREATE)
    async with service.client() as agb:
        await cancelled(lambda: agb.create(IMAGE), gate)
        assert service.sessions.made == 1
        assert not service.sessions.alive
        assert service.paths.count(RELEASE) == 1
        await still_usable(agb)
    assert service.server.connections == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("cancelled", NATIVELY)
async def test_cancelled_create_deletes_what_it_made(service: Service, cancelled: Cancelled) -> None:
    await create_is_undone(service, cancelled)


@pytest.mark.anyio
async def test_create_in_a_cancelled_scope_deletes_what_it_made(service: Service) -> None:
    await create_is_undone(service, by_a_scope)


async def entering_is_undone(service: Service, cancelled: Cancelled) -> None:
    gate = service.sessions.gate(CREATE)

    async def work() -> None:
        async with agb.session(IMAGE):
            pytest.fail("the block was entered")

    async with service.client() as agb:
        await cancelled(work, gate)
        assert service.sessions.made == 1
        assert not service.sessions.alive
        await still_usable(agb)


@pytest.mark.asyncio
@pytest.mark.parametrize("cancelled", NATIVELY)
async def test_session_whose_creation_is_cancelled_is_not_entered(service: Service, cancelled: Cancelled) -> None:
    await entering_is_undone(service, cancelled)


@pytest.mark.anyio
async def test_session_whose_creation_is_cancelled_by_a_scope_is_not_entered(service: Service) -> None:
    await entering_is_undone(service, by_a_scope)


async def cancelled_create(service: Service, agb: AsyncAGB) -> None:
    """Cancel a create while its answer is held, open the gate, and see that it is cancelled."""
    gate = service.sessions.gate(CREATE)
    task = asyncio.ensure_future(agb.create(IMAGE))
    await asked(gate)
    task.cancel()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.asyncio
async def test_create_that_is_refused_after_the_cancellation(service: Service) -> None:
    service.sessions.instead[CREATE] = refuse("Quota", "no more")
    async with service.client() as agb:
        await cancelled_create(service, agb)
        assert service.paths == [CREATE]
        await still_usable(agb)


async def no_pause(seconds: float) -> None:
    del seconds
    await anyio.lowlevel.checkpoint()


@pytest.mark.asyncio
@pytest.mark.parametrize("action", [cut(), answer(b"<html>"), answer(b"", 504)], ids=["cut", "html", "proxy"])
async def test_session_of_a_cancelled_create_whose_answer_is_lost_is_deleted(service: Service, action: Any) -> None:
    service.sessions.answers[CREATE] = action
    async with service.client() as agb:
        await cancelled_create(service, agb)
        assert service.sessions.made == 1
        assert not service.sessions.alive
        await still_usable(agb)


@pytest.mark.asyncio
async def test_session_that_may_exist_after_a_cancelled_create_is_reported(service: Service) -> None:
    service.sessions.instead[CREATE] = cut()
    async with service.client() as agb:
        agb.client._sleep = no_pause
        with pytest.warns(RuntimeWarning, match=r"no session of it was there 5 s later; .* `agb gc --create \w+`"):
            await cancelled_create(service, agb)
        assert service.paths.count(CREATE) == 1
        await still_usable(agb)


@pytest.mark.asyncio
async def test_deletion_that_fails_after_a_cancelled_create_is_reported(service: Service) -> None:
    service.sessions.instead[RELEASE] = refuse("Busy", "try tomorrow")
    async with service.client() as agb:
        with pytest.warns(RuntimeWarning, match=r"session s-1 was left behind: .*try tomorrow"):
            await cancelled_create(service, agb)
        await still_usable(agb)


@pytest.mark.asyncio
async def test_cancellation_is_not_lost_where_warnings_are_errors(service: Service) -> None:
    service.sessions.instead[RELEASE] = refuse("Busy", "try tomorrow")
    async with service.client() as agb:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await cancelled_create(service, agb)


@pytest.mark.asyncio
async def test_cancelled_create_of_a_closed_client_deletes_what_it_made(service: Service) -> None:
    gate = service.sessions.gate(CREATE)
    agb = service.client()
    task = asyncio.ensure_future(agb.create(IMAGE))
    assert await asyncio.to_thread(gate.asked.wait, SECONDS)
    closing = asyncio.ensure_future(agb.aclose())
    await asyncio.sleep(0)
    task.cancel()
    gate.open()
    await asyncio.wait([task, closing])
    assert service.sessions.made == 1
    assert not service.sessions.alive
    result = await agb.list()
    assert "closed" in result.error_message


@pytest.mark.asyncio
async def test_many_cancelled_creates(service: Service) -> None:
    gate = service.sessions.gate(CREATE)
    count = 20
    async with service.client() as agb:
        tasks = [asyncio.ensure_future(agb.create(IMAGE)) for _ in range(count)]
        while service.sessions.made < count:
            await anyio.lowlevel.checkpoint()
        for task in tasks:
            task.cancel()
        gate.open()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in done)
        assert not service.sessions.alive
        await still_usable(agb)
    assert service.server.connections == count


def test_create_goes_to_its_end_when_its_loop_is_ended(service: Service) -> None:
    """At its end ``asyncio.run`` cancels every task there is, those that shield a creation too."""
    gate = service.sessions.gate(CREATE)
    background: list[asyncio.Task[Any]] = []

    async def work() -> None:
        async with service.client() as agb:
            await agb.create(IMAGE)

    async def main() -> None:
        background.append(asyncio.create_task(work()))
        await asked(gate)
        asyncio.get_running_loop().call_later(0.02, gate.open)

    asyncio.run(main())
    assert background[0].cancelled()
    assert service.sessions.made == 1
    assert not service.sessions.alive


# --- create, before anything is sent -----------------------------------------------------------------------------


@pytest.mark.anyio
async def test_create_in_a_scope_that_is_cancelled_already_sends_nothing(service: Service) -> None:
    async with service.client() as agb:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await agb.create(IMAGE)
        assert scope.cancelled_caught
    assert service.paths == []


@pytest.mark.asyncio
async def test_create_that_pauses_between_two_tries_ends_at_once(service: Service) -> None:
    """Nothing is under way at the service then, so there is nothing to wait for."""
    service.sessions.instead[CREATE] = refuse("Throttled", "slow down", 429, {"Retry-After": "1"})
    pausing = asyncio.Event()

    async with service.client() as agb:
        wait = agb._limiter._wait

        async def pause(event: ThreadSafeEvent, seconds: float) -> None:
            pausing.set()
            await wait(event, seconds)

        agb._limiter._wait = pause
        task = asyncio.ensure_future(agb.create(IMAGE))
        await asyncio.wait_for(pausing.wait(), SECONDS)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert service.paths == [CREATE]


# --- inside the block --------------------------------------------------------------------------------------------


async def block_is_undone(service: Service, cancelled: Cancelled) -> None:
    gate = service.sessions.gate(LINK)
    entered: list[AsyncSession] = []

    async def work() -> None:
        async with agb.session(IMAGE) as session:
            entered.append(session)
            assert service.sessions.alive == {session.session_id}
            await session.get_link()
            pytest.fail("the call was not cancelled")

    async with service.client() as agb:
        await cancelled(work, gate)
        assert entered
        assert service.paths.count(RELEASE) == 1
        assert not service.sessions.alive
        await still_usable(agb)


@pytest.mark.asyncio
@pytest.mark.parametrize("cancelled", NATIVELY)
async def test_cancelled_block_deletes_its_session(service: Service, cancelled: Cancelled) -> None:
    await block_is_undone(service, cancelled)


@pytest.mark.anyio
async def test_block_in_a_cancelled_scope_deletes_its_session(service: Service) -> None:
    await block_is_undone(service, by_a_scope)


async def leaving_is_finished(service: Service, cancelled: Cancelled) -> None:
    gate = service.sessions.gate(RELEASE)

    async def work() -> None:
        async with agb.session(IMAGE):
            pass
        await anyio.lowlevel.checkpoint()  # where a scope's cancellation, held back, is delivered

    async with service.client() as agb:
        await cancelled(work, gate)
        assert service.sessions.made == 1
        assert not service.sessions.alive
        await still_usable(agb)
    assert service.server.connections == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("cancelled", NATIVELY)
async def test_deletion_at_the_end_of_a_block_is_finished(service: Service, cancelled: Cancelled) -> None:
    await leaving_is_finished(service, cancelled)


@pytest.mark.anyio
async def test_deletion_at_the_end_of_a_block_is_finished_in_a_cancelled_scope(service: Service) -> None:
    await leaving_is_finished(service, by_a_scope)


@pytest.mark.asyncio
@pytest.mark.parametrize("fails", [False, True], ids=["block ends", "block raises"])
async def test_deletion_that_fails_while_it_is_cancelled_is_reported(service: Service, fails: bool) -> None:
    gate = service.sessions.gate(RELEASE)
    service.sessions.instead[RELEASE] = refuse("Busy", "try tomorrow")

    async def work() -> None:
        async with agb.session(IMAGE):
            if fails:
                raise LookupError

    async with service.client() as agb:
        with pytest.warns(RuntimeWarning, match=r"session s-1 was left behind: .*try tomorrow"):
            await by_cancel(work, gate)


@pytest.mark.anyio
async def test_deletion_that_fails_is_added_to_what_the_block_raised(service: Service) -> None:
    service.sessions.instead[RELEASE] = refuse("Busy", "try tomorrow")
    async with service.client() as agb:
        with pytest.raises(LookupError) as caught:
            async with agb.session(IMAGE):
                raise LookupError
    assert "try tomorrow" in str(caught.value.__notes__)


@pytest.mark.anyio
async def test_deletion_that_fails_is_raised(service: Service) -> None:
    service.sessions.instead[RELEASE] = refuse("Busy", "try tomorrow")
    async with service.client() as agb:
        with pytest.raises(SessionError, match="try tomorrow"):
            async with agb.session(IMAGE):
                pass


# --- an explicit delete ------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [RELEASE, STATUS])
async def test_cancelled_delete_ends_at_once_and_can_be_repeated(service: Service, path: str) -> None:
    gate = service.sessions.gate(path)
    async with service.client() as agb:
        session = (await agb.create(IMAGE)).raise_for_error().session
        assert session is not None
        task = asyncio.ensure_future(session.delete())
        await asked(gate)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, SECONDS)
        gate.open()
        repeated = await session.delete()
        assert repeated.success or (repeated.error is not None and repeated.error.kind is ErrorKind.NOT_FOUND)
        assert not service.sessions.alive
        await still_usable(agb)
    assert service.server.connections == 2  # the connection with the unread answer is not used again


# --- any call ----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 2", b'HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{"success": t'])
async def test_connection_of_a_cancelled_call_is_not_used_again(sent: bytes) -> None:
    """Its answer, half read or not at all, would be taken for the next one's."""
    gate = Gate()
    late = value({"url": "http://of.the.cancelled.call"})

    def half(talk: Any) -> None:
        talk.sock.sendall(sent)
        gate.hold(talk)
        with suppress(OSError):  # the client has hung up
            late(talk)

    good = value({"url": "http://127.0.0.1/link"})
    with scripted(good, half, good) as server:
        async with AsyncAGB("ako-key", Config(server.endpoint, 10_000)) as agb:
            session = agb.attach("s-1")
            assert (await session.get_link()).success
            async with anyio.create_task_group() as group:
                group.start_soon(session.get_link)
                await asked(gate)
                group.cancel_scope.cancel()
            gate.open()
            await still_usable(agb)
        assert server.connections == 2
    gc.collect()


@pytest.mark.anyio
async def test_cancelled_call_ends_at_once(service: Service) -> None:
    gate = service.sessions.gate(LINK)
    async with service.client() as agb, anyio.create_task_group() as group:
        group.start_soon(agb.attach("s-1").get_link)
        await asked(gate)
        with anyio.fail_after(SECONDS):
            group.cancel_scope.cancel()
    assert not gate.opened.is_set()


def page_of_one(talk: Conversation) -> None:
    """Answer with the session whose number the token is, and the number after it."""
    token = dict(parse_qsl(talk.request.target.partition("?")[2])).get("nextToken", "1")
    answer(envelope([{"sessionId": f"s-{token}"}], nextToken=str(int(token) + 1), count=9))(talk)


@pytest.mark.asyncio
async def test_cancelled_iteration_goes_on_where_it_was(service: Service) -> None:
    path = "/sdk/ListSession"
    service.sessions.instead[path] = page_of_one
    async with service.client() as agb:
        sessions = agb.iterate()
        assert (await anext(sessions)).session_id == "s-1"
        gate = service.sessions.gate(path)
        task = asyncio.ensure_future(anext(sessions))
        await asked(gate)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.open()
        assert (await anext(sessions)).session_id == "s-2"
        assert (await anext(sessions)).session_id == "s-3"


# --- at every step -----------------------------------------------------------------------------------------------


async def life(agb: AsyncAGB) -> None:
    async with agb.session(IMAGE) as session:
        await session.get_link()


STEPS = [*range(12), *range(12, 60, 4), *range(60, 400, 40)]


@pytest.mark.asyncio
async def test_cancelled_natively_at_any_step(service: Service) -> None:
    """The steps are those of the event loop; how many a session's life takes depends on the machine."""
    async with service.client() as agb:
        for steps in STEPS:
            task = asyncio.ensure_future(life(agb))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task], timeout=SECONDS)
            assert task.done()
            assert task.cancelled() or task.exception() is None
            assert not service.sessions.alive, f"cancelled after {steps} steps"
        await still_usable(agb)
    assert service.paths.count(RELEASE) == service.sessions.made


@pytest.mark.anyio
async def test_cancelled_by_a_scope_at_any_step(service: Service) -> None:
    async with service.client() as agb:
        for steps in STEPS:
            async with anyio.create_task_group() as group:
                group.start_soon(life, agb)
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
            assert not service.sessions.alive, f"cancelled after {steps} steps"
        await still_usable(agb)
    assert service.paths.count(RELEASE) == service.sessions.made


@pytest.mark.asyncio
async def test_cancelled_from_another_thread(service: Service) -> None:
    gate = service.sessions.gate(CREATE)
    loop = asyncio.get_running_loop()

    def elsewhere() -> bool:
        future = asyncio.run_coroutine_threadsafe(agb.create(IMAGE), loop)
        gate.asked.wait(SECONDS)
        future.cancel()
        gate.open()
        return future.cancelled()

    async with service.client() as agb:
        assert await asyncio.to_thread(elsewhere)
        while service.sessions.alive:  # the caller does not wait for the end, but there is one
            await asyncio.sleep(0)
        await still_usable(agb)
