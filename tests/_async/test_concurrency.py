"""Crews of workers, and the channels between them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from agb._async._compat.cancellation import run_to_completion, shielded
from agb._async._compat.concurrency import TaskGroup
from agb._async._compat.loop import sleep
from agb._async._compat.primitives import ClosedResource, Queue

pytestmark = pytest.mark.anyio

SECONDS = 5
"""For what should be there at once; a test that waits so long has failed."""


async def waiting(channel: Queue[Any], count: int) -> None:
    """Return once so many wait at a channel."""
    while channel.waiting_getters < count:
        await sleep(0)


# --- crews -------------------------------------------------------------------------------------------------------


async def test_leaving_waits_for_all() -> None:
    done: list[int] = []
    start: Queue[int] = Queue()

    async def work() -> None:
        done.append(await start.get(SECONDS))

    async with TaskGroup() as crew:
        for number in range(5):
            crew.start(work)
            await start.put(number)
    assert sorted(done) == [0, 1, 2, 3, 4]
    assert not crew.is_cancelled


async def test_workers_start_workers() -> None:
    done: list[int] = []

    async def work(crew: TaskGroup, left: int) -> None:
        if left:
            crew.start(work, crew, left - 1)
        done.append(left)

    async with TaskGroup() as crew:
        crew.start(work, crew, 50)
    assert len(done) == 51


async def test_first_error_is_raised_and_the_others_are_stopped() -> None:
    never: Queue[int] = Queue()
    ended: list[str] = []

    async def wait() -> None:
        try:
            await never.get()
        finally:
            ended.append("waiter")

    async def fail() -> None:
        await waiting(never, 3)
        raise LookupError("first")

    async def block() -> None:
        async with TaskGroup() as crew:
            for _ in range(2):
                crew.start(wait)
            crew.start(fail)
            await never.get(SECONDS)
            pytest.fail("the block was not stopped")

    with pytest.raises(LookupError, match="first"):
        await block()
    assert ended == ["waiter", "waiter"]


async def test_error_of_the_block_stops_the_workers_and_is_raised_as_it_is() -> None:
    never: Queue[int] = Queue()
    crew = TaskGroup()

    async def block() -> None:
        async with crew:
            crew.start(never.get)
            raise LookupError("of the block")

    with pytest.raises(LookupError, match="of the block"):
        await block()
    assert crew.is_cancelled
    assert never.waiting_getters == 0


async def test_cancelled_crew_raises_nothing() -> None:
    never: Queue[int] = Queue()
    async with TaskGroup() as crew:
        for _ in range(3):
            crew.start(never.get)
        await waiting(never, 3)
        crew.cancel()
    async with TaskGroup() as crew:
        crew.start(never.get)
        crew.cancel()
        await never.get()
        pytest.fail("the block was not stopped")
    assert never.waiting_getters == 0


async def test_cancelled_sleep() -> None:
    begun: Queue[int] = Queue()

    async def work() -> None:
        begun.offer(1)
        await sleep(1000)  # waits on purpose: for the cancellation

    async with TaskGroup() as crew:
        crew.start(work)
        await begun.get(SECONDS)
        crew.cancel()


async def test_inner_crew_ends_with_the_outer() -> None:
    never: Queue[int] = Queue()
    ended: list[str] = []

    async def work() -> None:
        async with TaskGroup() as inner:
            inner.start(never.get)
            await never.get()
            ended.append("waited")
        ended.append("went on")

    async with TaskGroup() as outer:
        outer.start(work)
        await waiting(never, 2)
        outer.cancel()
    assert ended == []


async def test_cancelled_inner_crew_leaves_the_outer_alone() -> None:
    never: Queue[int] = Queue()
    async with TaskGroup() as outer:
        async with TaskGroup() as inner:
            inner.cancel()
            await never.get()
        await sleep(0)
        assert not outer.is_cancelled


async def test_clean_up_is_not_cancelled() -> None:
    begun: Queue[int] = Queue()
    goes_on: Queue[str] = Queue()
    done: list[str] = []

    async def clean_up() -> None:
        begun.offer(1)
        done.append(await goes_on.get(SECONDS))

    async def work() -> None:
        await shielded(clean_up)
        await sleep(0)
        done.append("heard nothing")

    async with TaskGroup() as crew:
        crew.start(work)
        await begun.get(SECONDS)
        crew.cancel()
        goes_on.offer("cleaned up")
    assert done == ["cleaned up"]


async def test_what_is_finished_in_a_cancelled_crew_is_undone() -> None:
    begun: Queue[int] = Queue()
    goes_on: Queue[str] = Queue()
    undone: list[str] = []

    async def make() -> str:
        begun.offer(1)
        return await goes_on.get(SECONDS)

    async def compensate(made: str) -> None:
        await sleep(0)
        undone.append(made)

    async def work() -> None:
        await run_to_completion(make, compensate)
        pytest.fail("the caller was not cancelled")

    async with TaskGroup() as crew:
        crew.start(work)
        await begun.get(SECONDS)
        crew.cancel()
        goes_on.offer("made")
    assert undone == ["made"]


# --- channels ----------------------------------------------------------------------------------------------------


async def test_first_in_first_out() -> None:
    channel: Queue[int] = Queue()
    for number in range(5):
        await channel.put(number)
    assert len(channel) == 5
    assert [await channel.get() for _ in range(5)] == [0, 1, 2, 3, 4]


async def in_turn(begin: Callable[[int], Callable[[], Awaitable[object]]], counted: Callable[[], int]) -> TaskGroup:
    """Start five workers, each when the one before waits."""
    crew = TaskGroup()
    await crew.__aenter__()
    for number in range(5):
        crew.start(begin(number))
        while counted() <= number:
            await sleep(0)
    return crew


async def test_who_waits_longest_gets_it_first() -> None:
    channel: Queue[int] = Queue()
    got: dict[int, int] = {}

    async def take(number: int) -> None:
        got[number] = await channel.get(SECONDS)

    crew = await in_turn(lambda number: partial(take, number), lambda: channel.waiting_getters)
    for number in range(5):
        assert channel.offer(number)
    assert len(channel) == 0
    await crew.__aexit__(None, None, None)
    assert got == {number: number for number in range(5)}


@pytest.mark.parametrize("size", [0, 1, 2])
async def test_putting_waits_for_room_in_order(size: int) -> None:
    channel: Queue[int] = Queue(size)

    async def give(number: int) -> None:
        await channel.put(number, SECONDS)

    crew = await in_turn(lambda number: partial(give, number), lambda: len(channel) + channel.waiting_putters)
    assert len(channel) == size
    assert not channel.offer(9)
    assert [await channel.get(SECONDS) for _ in range(5)] == [0, 1, 2, 3, 4]
    await crew.__aexit__(None, None, None)
    assert len(channel) == channel.waiting_putters == 0


async def test_limits_in_seconds() -> None:
    channel: Queue[int] = Queue(1)
    with pytest.raises(TimeoutError):
        await channel.get(0.001)
    await channel.put(1)
    with pytest.raises(TimeoutError):
        await channel.put(2, 0.001)
    assert await channel.get() == 1
    with pytest.raises(TimeoutError):
        await channel.get(0)
    assert channel.waiting_getters == channel.waiting_putters == len(channel) == 0


async def test_closing_tells_who_waits_and_keeps_what_is_in() -> None:
    told: list[str] = []

    async def take(channel: Queue[int]) -> None:
        with pytest.raises(ClosedResource):
            await channel.get(SECONDS)
        told.append("taker")

    async def give(channel: Queue[int]) -> None:
        with pytest.raises(ClosedResource):
            await channel.put(2, SECONDS)
        told.append("giver")

    empty: Queue[int] = Queue()
    full: Queue[int] = Queue(1)
    await full.put(1)
    async with TaskGroup() as crew:
        crew.start(take, empty)
        crew.start(give, full)
        while not (empty.waiting_getters and full.waiting_putters):
            await sleep(0)
        empty.close()
        full.close()
    assert sorted(told) == ["giver", "taker"]
    with pytest.raises(ClosedResource):
        full.offer(3)
    with pytest.raises(ClosedResource):
        await full.put(3)
    assert await full.get() == 1
    with pytest.raises(ClosedResource):
        await full.get()


async def test_nothing_is_lost_to_a_worker_that_is_cancelled() -> None:
    """However the cancellation and the hand-over fall together: what was put is taken, or still there."""
    for steps in range(20):
        channel: Queue[int] = Queue()
        taken: list[int] = []

        async def take(channel: Queue[int] = channel, taken: list[int] = taken) -> None:
            taken.append(await channel.get(SECONDS))

        async with TaskGroup() as crew:
            crew.start(take)
            for _ in range(steps):
                await sleep(0)
            channel.offer(1)
            crew.cancel()
        assert len(taken) + len(channel) == 1
        assert channel.waiting_getters == 0


async def test_many_hands() -> None:
    """A thousand things through a narrow channel, each once."""
    channel: Queue[int] = Queue(3)
    taken: list[int] = []

    async def give(start: int) -> None:
        for number in range(start, start + 100):
            await channel.put(number, SECONDS)

    async def take() -> None:
        taken.extend([await channel.get(SECONDS) for _ in range(100)])

    async with TaskGroup() as crew:
        for start in range(0, 1000, 100):
            crew.start(give, start)
            crew.start(take)
    assert sorted(taken) == list(range(1000))
