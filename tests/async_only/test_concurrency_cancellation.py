"""Crews and channels under asyncio's own cancellation: nothing goes on or is lost, and the caller is cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agb._async._compat.concurrency import TaskGroup
from agb._async._compat.primitives import Queue

pytestmark = pytest.mark.asyncio


async def test_block_that_is_cancelled_stops_its_workers() -> None:
    never: Queue[int] = Queue()

    async def block() -> None:
        async with TaskGroup() as crew:
            for _ in range(3):
                crew.start(never.get)
            await never.get()

    task = asyncio.ensure_future(block())
    while never.waiting_getters < 4:
        await asyncio.sleep(0)
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert never.waiting_getters == 0


async def test_leaving_that_is_cancelled_stops_the_workers() -> None:
    never: Queue[int] = Queue()

    async def block() -> None:
        async with TaskGroup() as crew:
            crew.start(never.get)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(block(), 0.01)
    assert never.waiting_getters == 0


async def test_task_goes_on_uncancelled_after_a_cancelled_crew() -> None:
    never: Queue[int] = Queue()

    async def block() -> str:
        async with TaskGroup() as crew:
            crew.start(never.get)
            crew.cancel()
            await never.get()
        await asyncio.sleep(0)
        return "went on"

    assert await asyncio.create_task(block()) == "went on"


async def test_nothing_is_lost_to_a_task_that_is_cancelled() -> None:
    for steps in range(6):
        channel: Queue[int] = Queue()
        first = asyncio.ensure_future(channel.get())
        second = asyncio.ensure_future(channel.get())
        while channel.waiting_getters < 2:
            await asyncio.sleep(0)
        if steps % 2:
            channel.offer(1)
        for _ in range(steps // 2):
            await asyncio.sleep(0)
        first.cancel()
        if not steps % 2:
            channel.offer(1)
        done: list[Any] = list(await asyncio.gather(first, return_exceptions=True))
        if done != [1]:
            assert await second == 1
        second.cancel()
        await asyncio.wait([second])
        assert channel.waiting_getters == len(channel) == 0
