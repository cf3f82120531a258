# Generated from tests/_async/test_concurrency.py by tools/unasync.py. Do not edit.
"""Task groups, and the queues between their workers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from agb._sync._compat.cancellation import run_to_completion, shielded
from agb._sync._compat.concurrency import TaskGroup, gather
from agb._sync._compat.loop import sleep
from agb._sync._compat.primitives import ClosedResource, Lock, Queue

SECONDS = 60
"""For events that should happen at once; a test that waits so long has failed."""


def waiting(queue: Queue[Any], count: int) -> None:
    """Return once so many getters wait at a queue."""
    while queue.waiting_getters < count:
        sleep(0)


# --- getters that start what they wait for ---------------------------------------------------------------------------


def test_getter_counts_as_waiting_before_it_starts_what_it_waits_for() -> None:
    queue: Queue[str] = Queue()
    counted: list[int] = []

    def work() -> None:
        counted.append(queue.waiting_getters)
        queue.offer("done at once")

    assert queue.get(SECONDS, work) == "done at once"
    queue.offer("there already")
    assert queue.get(SECONDS, work) == "there already"
    assert counted == [1]


def test_getter_whose_work_cannot_start_waits_no_more() -> None:
    queue: Queue[str] = Queue()

    def work() -> None:
        raise LookupError("not started")

    with pytest.raises(LookupError, match="not started"):
        queue.get(SECONDS, work)
    assert queue.waiting_getters == 0


# --- task groups -----------------------------------------------------------------------------------------------------


def test_leaving_the_block_waits_for_all_workers() -> None:
    done: list[int] = []
    start: Queue[int] = Queue()

    def work() -> None:
        done.append(start.get(SECONDS))

    with TaskGroup() as group:
        for number in range(5):
            group.start(work)
            start.put(number)
    assert sorted(done) == [0, 1, 2, 3, 4]
    assert not group.is_cancelled


def test_workers_start_workers() -> None:
    done: list[int] = []

    def work(group: TaskGroup, left: int) -> None:
        if left:
            group.start(work, group, left - 1)
        done.append(left)

    with TaskGroup() as group:
        group.start(work, group, 50)
    assert len(done) == 51


def test_first_error_is_raised_and_the_others_are_cancelled() -> None:
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
        with TaskGroup() as group:
            for _ in range(2):
                group.start(wait)
            group.start(fail)
            never.get(SECONDS)
            pytest.fail("the block was not cancelled")

    with pytest.raises(LookupError, match="first"):
        block()
    assert ended == ["waiter", "waiter"]


def test_error_of_the_block_cancels_the_workers_and_is_raised_unchanged() -> None:
    never: Queue[int] = Queue()
    group = TaskGroup()

    def block() -> None:
        with group:
            group.start(never.get)
            raise LookupError("of the block")

    with pytest.raises(LookupError, match="of the block"):
        block()
    assert group.is_cancelled
    assert never.waiting_getters == 0


def test_leaving_a_cancelled_group_raises_nothing() -> None:
    never: Queue[int] = Queue()
    with TaskGroup() as group:
        for _ in range(3):
            group.start(never.get)
        waiting(never, 3)
        group.cancel()
    with TaskGroup() as group:
        group.start(never.get)
        group.cancel()
        never.get()
        pytest.fail("the block was not cancelled")
    assert never.waiting_getters == 0


def test_cancellation_interrupts_sleep() -> None:
    begun: Queue[int] = Queue()

    def work() -> None:
        begun.offer(1)
        sleep(1000)  # waits on purpose: for the cancellation

    with TaskGroup() as group:
        group.start(work)
        begun.get(SECONDS)
        group.cancel()


def test_cancellation_includes_inner_groups() -> None:
    never: Queue[int] = Queue()
    ended: list[str] = []

    def work() -> None:
        with TaskGroup() as inner:
            inner.start(never.get)
            never.get()
            ended.append("waited")
        ended.append("continued")

    with TaskGroup() as outer:
        outer.start(work)
        waiting(never, 2)
        outer.cancel()
    assert ended == []


def test_cancellation_of_an_inner_group_does_not_affect_the_outer() -> None:
    never: Queue[int] = Queue()
    with TaskGroup() as outer:
        with TaskGroup() as inner:
            inner.cancel()
            never.get()
        sleep(0)
        assert not outer.is_cancelled


def test_shielded_function_runs_to_its_end() -> None:
    begun: Queue[int] = Queue()
    proceed: Queue[str] = Queue()
    done: list[str] = []

    def clean_up() -> None:
        begun.offer(1)
        done.append(proceed.get(SECONDS))

    def work() -> None:
        shielded(clean_up)
        sleep(0)
        done.append("not cancelled")

    with TaskGroup() as group:
        group.start(work)
        begun.get(SECONDS)
        group.cancel()
        proceed.offer("cleaned up")
    assert done == ["cleaned up"]


def test_result_of_a_cancelled_caller_is_compensated() -> None:
    begun: Queue[int] = Queue()
    proceed: Queue[str] = Queue()
    compensated: list[str] = []

    def make() -> str:
        begun.offer(1)
        return proceed.get(SECONDS)

    def compensate(made: str) -> None:
        sleep(0)
        compensated.append(made)

    def work() -> None:
        run_to_completion(make, compensate)
        pytest.fail("the caller was not cancelled")

    with TaskGroup() as group:
        group.start(work)
        begun.get(SECONDS)
        group.cancel()
        proceed.offer("made")
    assert compensated == ["made"]


# --- queues ----------------------------------------------------------------------------------------------------------


def test_first_in_first_out() -> None:
    queue: Queue[int] = Queue()
    for number in range(5):
        queue.put(number)
    assert len(queue) == 5
    assert [queue.get() for _ in range(5)] == [0, 1, 2, 3, 4]


def one_by_one(begin: Callable[[int], Callable[[], object]], counted: Callable[[], int]) -> TaskGroup:
    """Start five workers, each when the one before it waits."""
    group = TaskGroup()
    group.__enter__()
    for number in range(5):
        group.start(begin(number))
        while counted() <= number:
            sleep(0)
    return group


def test_getter_that_has_waited_longest_is_served_first() -> None:
    queue: Queue[int] = Queue()
    got: dict[int, int] = {}

    def take(number: int) -> None:
        got[number] = queue.get(SECONDS)

    group = one_by_one(lambda number: partial(take, number), lambda: queue.waiting_getters)
    for number in range(5):
        assert queue.offer(number)
    assert len(queue) == 0
    group.__exit__(None, None, None)
    assert got == {number: number for number in range(5)}


@pytest.mark.parametrize("size", [0, 1, 2])
def test_putters_wait_for_room_in_order(size: int) -> None:
    queue: Queue[int] = Queue(size)

    def put(number: int) -> None:
        queue.put(number, SECONDS)

    group = one_by_one(lambda number: partial(put, number), lambda: len(queue) + queue.waiting_putters)
    assert len(queue) == size
    assert not queue.offer(9)
    assert [queue.get(SECONDS) for _ in range(5)] == [0, 1, 2, 3, 4]
    group.__exit__(None, None, None)
    assert len(queue) == queue.waiting_putters == 0


def test_time_limits() -> None:
    queue: Queue[int] = Queue(1)
    with pytest.raises(TimeoutError):
        queue.get(0.001)
    queue.put(1)
    with pytest.raises(TimeoutError):
        queue.put(2, 0.001)
    assert queue.get() == 1
    with pytest.raises(TimeoutError):
        queue.get(0)
    assert queue.waiting_getters == queue.waiting_putters == len(queue) == 0


def test_closing_wakes_all_waiters_and_keeps_the_items() -> None:
    woken: list[str] = []

    def take(queue: Queue[int]) -> None:
        with pytest.raises(ClosedResource):
            queue.get(SECONDS)
        woken.append("getter")

    def put(queue: Queue[int]) -> None:
        with pytest.raises(ClosedResource):
            queue.put(2, SECONDS)
        woken.append("putter")

    empty: Queue[int] = Queue()
    full: Queue[int] = Queue(1)
    full.put(1)
    with TaskGroup() as group:
        group.start(take, empty)
        group.start(put, full)
        while not (empty.waiting_getters and full.waiting_putters):
            sleep(0)
        empty.close()
        full.close()
    assert sorted(woken) == ["getter", "putter"]
    with pytest.raises(ClosedResource):
        full.offer(3)
    with pytest.raises(ClosedResource):
        full.put(3)
    assert full.get() == 1
    with pytest.raises(ClosedResource):
        full.get()


def test_cancelled_getter_loses_no_item() -> None:
    """Wherever the cancellation falls: the item was received, or it is still in the queue."""
    for steps in range(20):
        queue: Queue[int] = Queue()
        taken: list[int] = []

        def take(queue: Queue[int] = queue, taken: list[int] = taken) -> None:
            taken.append(queue.get(SECONDS))

        with TaskGroup() as group:
            group.start(take)
            for _ in range(steps):
                sleep(0)
            queue.offer(1)
            group.cancel()
        assert len(taken) + len(queue) == 1
        assert queue.waiting_getters == 0


def test_lock_is_acquired_within_a_time_limit() -> None:
    """Neither library's lock has a context manager with a time limit; that is why there is a class around it."""
    lock = Lock()
    held: list[bool] = []

    def hold(seconds: float | None) -> None:
        with lock.within(seconds) as is_held:
            held.append(is_held)

    with TaskGroup() as group, lock.within():
        group.start(hold, 0.001)
        while not held:
            sleep(0.001)  # waits on purpose: until the other worker gives up
    hold(SECONDS)
    hold(None)
    assert held == [False, True, True]


def test_gather_waits_for_all_before_it_raises() -> None:
    """`asyncio.gather` would leave the others running, and a task group would cancel them."""
    proceed: Queue[int] = Queue()
    ended: list[str] = []

    def fail() -> None:
        proceed.offer(1)
        raise LookupError("first")

    def work() -> None:
        proceed.get(SECONDS)
        sleep(0)
        ended.append("worker")

    with pytest.raises(LookupError, match="first"):
        gather([fail, work])
    assert ended == ["worker"]


def test_many_putters_and_getters() -> None:
    """A thousand items through a short queue, each once."""
    queue: Queue[int] = Queue(3)
    taken: list[int] = []

    def put(start: int) -> None:
        for number in range(start, start + 100):
            queue.put(number, SECONDS)

    def take() -> None:
        taken.extend([queue.get(SECONDS) for _ in range(100)])

    with TaskGroup() as group:
        for start in range(0, 1000, 100):
            group.start(put, start)
            group.start(take)
    assert sorted(taken) == list(range(1000))
