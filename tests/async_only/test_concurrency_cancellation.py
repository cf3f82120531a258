"""Task groups and queues under asyncio's own cancellation: no worker continues, no item is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from agb._async._compat.concurrency import TaskGroup
from agb._async._compat.primitives import Queue

pytestmark = pytest.mark.asyncio


async def test_cancelled_block_cancels_its_workers() -> None:
    never: Queue[int] = Queue()

    async def block() -> None:
        async with TaskGroup() as group:
            for _ in range(3):
                group.start(never.get)
            await never.get()

    task = asyncio.ensure_future(block())
    while never.waiting_getters < 4:
        await asyncio.sleep(0)
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert never.waiting_getters == 0


async def test_cancellation_while_leaving_cancels_the_workers() -> None:
    never: Queue[int] = Queue()

    async def block() -> None:
        async with TaskGroup() as group:
            group.start(never.get)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(block(), 0.01)
    assert never.waiting_getters == 0


async def test_task_is_not_cancelled_after_a_cancelled_group() -> None:
    never: Queue[int] = Queue()

    async def block() -> str:
        async with TaskGroup() as group:
            group.start(never.get)
            group.cancel()
            await never.get()
        await asyncio.sleep(0)
        return "continued"

    assert await asyncio.create_task(block()) == "continued"


@pytest.mark.parametrize("kind", ["queue", "memory object stream"])
async def test_item_is_assigned_to_a_getter_and_the_getter_cancelled_at_once(kind: str) -> None:
    """This is why there is a queue of our own: the item stays in it, and anyio's stream loses the item."""
    send, receive = anyio.create_memory_object_stream[int](10)
    queue: Queue[int] = Queue()
    with send, receive:
        put, get = (queue.offer, queue.get) if kind == "queue" else (send.send_nowait, receive.receive)
        getter = asyncio.ensure_future(get())
        while not queue.waiting_getters and not receive.statistics().tasks_waiting_receive:
            await asyncio.sleep(0)
        put(1)
        getter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await getter
        left = len(queue) if kind == "queue" else receive.statistics().current_buffer_used
    assert left == (1 if kind == "queue" else 0)


async def test_cancelled_getter_loses_no_item() -> None:
    for steps in range(6):
        queue: Queue[int] = Queue()
        first = asyncio.ensure_future(queue.get())
        second = asyncio.ensure_future(queue.get())
        while queue.waiting_getters < 2:
            await asyncio.sleep(0)
        if steps % 2:
            queue.offer(1)
        for _ in range(steps // 2):
            await asyncio.sleep(0)
        first.cancel()
        if not steps % 2:
            queue.offer(1)
        done: list[Any] = list(await asyncio.gather(first, return_exceptions=True))
        if done != [1]:
            assert await second == 1
        second.cancel()
        await asyncio.wait([second])
        assert queue.waiting_getters == len(queue) == 0
