"""Cancelled while code runs: the execution is stopped, other streams on the socket go on, and no frame is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from threading import Event
from typing import Any

import anyio
import anyio.to_thread
import pytest

from agb import AsyncAGB, AsyncSession, Config, Stdout
from agb._async.net import websocket_connection as websocket
from tests.servers import STOP_SECONDS
from tests.websocket_server import Talk, WebSocketService, until_cancelled, websocket_service

SECONDS = 60
"""Seconds to wait for an event that must happen; a test that waits so long has failed."""


def session_of(service: WebSocketService) -> AsyncSession:
    session = AsyncSession(AsyncAGB("ako-key", Config("http://127.0.0.1:9", 60_000)), "s-1")
    session.ws_url, session.token = service.url, "tok"
    return session


async def until(event: Event) -> None:
    assert await anyio.to_thread.run_sync(event.wait, SECONDS)


@pytest.mark.anyio
async def test_a_cancelled_scope_stops_the_execution() -> None:
    with websocket_service(until_cancelled) as service:
        session = session_of(service)
        events = session.code.stream("x", "python")
        with anyio.CancelScope() as scope:
            async with events:
                async for event in events:
                    assert event == Stdout("running\n")
                    scope.cancel()
        assert events.result().error_message == "the execution was stopped before its end"
        assert scope.cancelled_caught
        assert service.methods == ["run_code", "cancel"]
        await session.agb.aclose()


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_native_cancellation_stops_the_execution(how: str) -> None:
    running = Event()

    def script(talk: Talk) -> None:
        running.set()
        until_cancelled(talk)

    async def expire_while_running(call: Coroutine[Any, Any, object]) -> None:
        async def expire() -> None:
            await until(running)
            limit.reschedule(0)

        async with asyncio.timeout(None) as limit:
            task = asyncio.ensure_future(expire())
            await call
        await task

    async def main() -> None:
        session = session_of(service)
        call = session.code.run("x", "python", stream_beta=True)
        if how == "timeout":
            with pytest.raises(TimeoutError):
                await expire_while_running(call)
        else:
            task = asyncio.ensure_future(call)
            await until(running)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert service.methods == ["run_code", "cancel"]
        assert len(service.sockets) == 1
        await session.agb.aclose()

    with websocket_service(script) as service:
        asyncio.run(main())


@pytest.mark.anyio
async def test_a_cancelled_reader_hands_over() -> None:
    """The first caller reads for both; when it is cancelled the second reads on, and has lost nothing."""
    go_on = Event()

    def script(talk: Talk) -> None:
        if talk.params["code"] == "reader":
            return until_cancelled(talk)
        talk.stdout("a")
        go_on.wait(SECONDS)
        for n in range(100):
            talk.stdout(f"{n}")
        return talk.end()

    with websocket_service(script) as service:
        session = session_of(service)
        reads = anyio.Event()
        result = None

        async def read(scope: anyio.CancelScope) -> None:
            with scope:
                async with session.code.stream("reader", "python") as events:
                    async for _ in events:
                        reads.set()

        async def other() -> None:
            nonlocal result
            result = await session.code.run("other", "python", stream_beta=True)

        scope = anyio.CancelScope()
        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read, scope)
                await reads.wait()
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(other)
                while len(service.received) < 2:
                    await anyio.wait_all_tasks_blocked()
                scope.cancel()
                go_on.set()
        assert result is not None
        assert result.success
        assert result.logs.stdout == ["a", *map(str, range(100))]
        assert len(service.sockets) == 1
        await session.agb.aclose()


@pytest.mark.anyio
async def test_waiting_with_time_outs_loses_nothing() -> None:
    """A caller may stop waiting for an event and wait again."""

    def script(talk: Talk) -> None:
        for n in range(30):
            talk.stdout(f"{n}")
            talk.service.over.wait(0.005)
        talk.end()

    with websocket_service(script) as service:
        session = session_of(service)
        got = []
        async with session.code.stream("x", "python") as events:
            over = False
            while not over:
                with anyio.move_on_after(0.002):
                    try:
                        event = await events.__anext__()
                    except StopAsyncIteration:
                        over = True
                    else:
                        got.append(event)
        assert got[:-1] == [Stdout(f"{n}") for n in range(30)]
        assert service.methods == ["run_code"]
        await session.agb.aclose()


@pytest.mark.parametrize("iterations", range(24))
def test_cancelled_in_any_iteration_of_the_loop(iterations: int) -> None:
    """A cancellation at any point stops the execution: the service got no request, or a cancel, or lost the socket."""

    async def main() -> None:
        session = session_of(service)
        task = asyncio.ensure_future(session.code.run("x", "python", stream_beta=True))
        for _ in range(iterations):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        other = await session.code.run("next", "python", stream_beta=True)
        assert other.success
        await session.agb.aclose()

    def script(talk: Talk) -> None:
        if talk.params["code"] == "next":
            return talk.end()
        return until_cancelled(talk)

    with websocket_service(script) as service:
        asyncio.run(main())
        started = service.methods.count("run_code") - 1
        assert started == service.methods.count("cancel")


def test_one_session_in_several_event_loops() -> None:
    with websocket_service(lambda talk: talk.end()) as service:
        session = session_of(service)

        async def main() -> None:
            for _ in range(2):
                assert (await session.code.run("x", "python", stream_beta=True)).success

        asyncio.run(main())
        assert service.closed.wait(STOP_SECONDS)
        asyncio.run(main())
        assert len(service.sockets) == 2
        asyncio.run(session.agb.aclose())


@pytest.mark.anyio
async def test_clean_up_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "CANCEL_SECONDS", 0.1)
    with websocket_service(until_cancelled) as service:
        service.knows_cancel = False
        session = session_of(service)
        with anyio.CancelScope() as scope:
            await session.code.run("x", "python", stream_beta=True, on_stdout=lambda text: scope.cancel())
        assert scope.cancelled_caught
        await until(service.closed)
        await session.agb.aclose()
