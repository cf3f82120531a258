# Generated from tests/_async/test_concurrency.py by tools/unasync.py. Do not edit.
"""Crews of workers, and the channels between them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from agb._sync._compat.cancellation import run_to_completion, shielded
from agb._sync._compat.concurrency import TaskGroup
from agb._sync._compat.loop import sleep
from agb._sync._compat.primitives import ClosedResource, Queue

SECONDS = 5
"""For what should be there at once; a test that waits so long has failed."""


def waiting(channel: Queue[Any], count: int) -> None:
    """Return once so many wait at a channel."""
    while channel.waiting_getters < count:
        sleep(0)


# --- crews -------------------------------------------------------------------------------------------------------


def test_leaving_waits_for_all() -> None:
    done: list[int] = []
    start: Queue[int] = Queue()

    def work() -> None:
        done.append(start.get(SECONDS))

    with TaskGroup() as crew:
        for number in range(5):
            crew.start(work)
            start.put(number)
    assert sorted(done) == [0, 1, 2, 3, 4]
    assert not crew.is_cancelled


def test_workers_start_workers() -> None:
    done: list[int] = []

    def work(crew: TaskGroup, left: int) -> None:
        if left:
            crew.start(work, crew, left - 1)
        done.append(left)

    with TaskGroup() as crew:
        crew.start(work, crew, 50)
    assert len(done) == 51


def test_first_error_is_raised_and_the_others_are_stopped() -> None:
    never: Queue[int] = Queue()
    ended: list[str] = []

    def wait() -> None:
        try:
            never.get()
        finally:
            ended.append("waiter")

    def fail() -> None:
        waiting(never, 3)
        raise LookupError("first")

    def block() -> None:
        with TaskGroup() as crew:
            for _ in range(2):
                crew.start(wait)
            crew.start(fail)
            never.get(SECONDS)
            pytest.fail("the block was not stopped")

    with pytest.raises(LookupError, match="first"):
        block()
    assert ended == ["waiter", "waiter"]


def test_error_of_the_block_stops_the_workers_and_is_raised_as_it_is() -> None:
    never: Queue[int] = Queue()
    crew = TaskGroup()

    def block() -> None:
        with crew:
            crew.start(never.get)
            raise LookupError("of the block")

    with pytest.raises(LookupError, match="of the block"):
        block()
    assert crew.is_cancelled
    assert never.waiting_getters == 0


def test_cancelled_crew_raises_nothing() -> None:
    never: Queue[int] = Queue()
    with TaskGroup() as crew:
        for _ in range(3):
            crew.start(never.get)
        waiting(never, 3)
        crew.cancel()
    with TaskGroup() as crew:
        crew.start(never.get)
        crew.cancel()
        never.get()
        pytest.fail("the block was not stopped")
    assert never.waiting_getters == 0


def test_cancelled_sleep() -> None:
    begun: Queue[int] = Queue()

    def work() -> None:
        begun.offer(1)
        sleep(1000)  # waits on purpose: for the cancellation

    with TaskGroup() as crew:
        crew.start(work)
        begun.get(SECONDS)
        crew.cancel()


def test_inner_crew_ends_with_the_outer() -> None:
    never: Queue[int] = Queue()
    ended: list[str] = []

    def work() -> None:
        with TaskGroup() as inner:
            inner.start(never.get)
            never.get()
            ended.append("waited")
        ended.append("went on")

    with TaskGroup() as outer:
        outer.start(work)
        waiting(never, 2)
        outer.cancel()
    assert ended == []


def test_cancelled_inner_crew_leaves_the_outer_alone() -> None:
    never: Queue[int] = Queue()
    with TaskGroup() as outer:
        with TaskGroup() as inner:
            inner.cancel()
            never.get()
        sleep(0)
        assert not outer.is_cancelled


def test_clean_up_is_not_cancelled() -> None:
    begun: Queue[int] = Queue()
    goes_on: Queue[str] = Queue()
    done: list[str] = []

    def clean_up() -> None:
        begun.offer(1)
        done.append(goes_on.get(SECONDS))

    def work() -> None:
        shielded(clean_up)
        sleep(0)
        done.append("heard nothing")

    with TaskGroup() as crew:
        crew.start(work)
        begun.get(SECONDS)
        crew.cancel()
        goes_on.offer("cleaned up")
    assert done == ["cleaned up"]


def test_what_is_finished_in_a_cancelled_crew_is_undone() -> None:
    begun: Queue[int] = Queue()
    goes_on: Queue[str] = Queue()
    undone: list[str] = []

    def make() -> str:
        begun.offer(1)
        return goes_on.get(SECONDS)

    def compensate(made: str) -> None:
        sleep(0)
        undone.append(made)

    def work() -> None:
        run_to_completion(make, compensate)
        pytest.fail("the caller was not cancelled")

    with TaskGroup() as crew:
        crew.start(work)
        begun.get(SECONDS)
        crew.cancel()
        goes_on.offer("made")
    assert undone == ["made"]


# --- channels ----------------------------------------------------------------------------------------------------


def test_first_in_first_out() -> None:
    channel: Queue[int] = Queue()
    for number in range(5):
        channel.put(number)
    assert len(channel) == 5
    assert [channel.get() for _ in range(5)] == [0, 1, 2, 3, 4]


def in_turn(begin: Callable[[int], Callable[[], object]], counted: Callable[[], int]) -> TaskGroup:
    """Start five workers, each when the one before waits."""
    crew = TaskGroup()
    crew.__enter__()
    for number in range(5):
        crew.start(begin(number))
        while counted() <= number:
            sleep(0)
    return crew


def test_who_waits_longest_gets_it_first() -> None:
    channel: Queue[int] = Queue()
    got: dict[int, int] = {}

    def take(number: int) -> None:
        got[number] = channel.get(SECONDS)

    crew = in_turn(lambda number: partial(take, number), lambda: channel.waiting_getters)
    for number in range(5):
        assert channel.offer(number)
    assert len(channel) == 0
    crew.__exit__(None, None, None)
    assert got == {number: number for number in range(5)}


@pytest.mark.parametrize("size", [0, 1, 2])
def test_putting_waits_for_room_in_order(size: int) -> None:
    channel: Queue[int] = Queue(size)

    def give(number: int) -> None:
        channel.put(number, SECONDS)

    crew = in_turn(lambda number: partial(give, number), lambda: len(channel) + channel.waiting_putters)
    assert len(channel) == size
    assert not channel.offer(9)
    assert [channel.get(SECONDS) for _ in range(5)] == [0, 1, 2, 3, 4]
    crew.__exit__(None, None, None)
    assert len(channel) == channel.waiting_putters == 0


def test_limits_in_seconds() -> None:
    channel: Queue[int] = Queue(1)
    with pytest.raises(TimeoutError):
        channel.get(0.001)
    channel.put(1)
    with pytest.raises(TimeoutError):
        channel.put(2, 0.001)
    assert channel.get() == 1
    with pytest.raises(TimeoutError):
        channel.get(0)
    assert channel.waiting_getters == channel.waiting_putters == len(channel) == 0


def test_closing_tells_who_waits_and_keeps_what_is_in() -> None:
    told: list[str] = []

    def take(channel: Queue[int]) -> None:
        with pytest.raises(ClosedResource):
            channel.get(SECONDS)
        told.append("taker")

    def give(channel: Queue[int]) -> None:
        with pytest.raises(ClosedResource):
            channel.put(2, SECONDS)
        told.append("giver")

    empty: Queue[int] = Queue()
    full: Queue[int] = Queue(1)
    full.put(1)
    with TaskGroup() as crew:
        crew.start(take, empty)
        crew.start(give, full)
        while not (empty.waiting_getters and full.waiting_putters):
            sleep(0)
        empty.close()
        full.close()
    assert sorted(told) == ["giver", "taker"]
    with pytest.raises(ClosedResource):
        full.offer(3)
    with pytest.raises(ClosedResource):
        full.put(3)
    assert full.get() == 1
    with pytest.raises(ClosedResource):
        full.get()


def test_nothing_is_lost_to_a_worker_that_is_cancelled() -> None:
    """However the cancellation and the hand-over fall together: what was put is taken, or still there."""
    for steps in range(20):
        channel: Queue[int] = Queue()
        taken: list[int] = []

        def take(channel: Queue[int] = channel, taken: list[int] = taken) -> None:
            taken.append(channel.get(SECONDS))

        with TaskGroup() as crew:
            crew.start(take)
            for _ in range(steps):
                sleep(0)
            channel.offer(1)
            crew.cancel()
        assert len(taken) + len(channel) == 1
        assert channel.waiting_getters == 0


def test_many_hands() -> None:
    """A thousand things through a narrow channel, each once."""
    channel: Queue[int] = Queue(3)
    taken: list[int] = []

    def give(start: int) -> None:
        for number in range(start, start + 100):
            channel.put(number, SECONDS)

    def take() -> None:
        taken.extend([channel.get(SECONDS) for _ in range(100)])

    with TaskGroup() as crew:
        for start in range(0, 1000, 100):
            crew.start(give, start)
            crew.start(take)
    assert sorted(taken) == list(range(1000))
