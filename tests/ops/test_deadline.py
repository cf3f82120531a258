"""Deadlines: what is left for a step, and what an error says of it."""

from __future__ import annotations

import pytest

from agb._wire.deadline import Deadline, IdleTimeout
from agb._wire.retry import poll_pause


class Time:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_part_is_limited_by_its_own_seconds_and_by_the_whole() -> None:
    time = Time()
    whole = Deadline(10, time)
    time.now += 4
    assert (whole.part(2).left(), whole.part(7).left(), whole.part().left()) == (2, 6, 6)
    assert whole.part(2).description == "within 2 s"
    assert whole.part(7).description == whole.part().part().description == "within 10 s"


def test_part_after_the_end_has_the_rest_of_the_grace() -> None:
    time = Time()
    whole = Deadline(2, time)
    time.now += 2.25
    assert whole.part(5, grace=0.5).left() == 0.25
    time.now += 1
    assert whole.part(5, grace=0.5).left() == pytest.approx(0.001)


def test_error_says_how_long_it_took_if_that_was_much_longer() -> None:
    time = Time()
    whole = Deadline(2, time)
    rest = whole.part()
    time.now += 2.9
    assert whole.description == rest.description == "within 2 s"
    time.now += 2.1
    assert whole.description == rest.description == "within 2 s (5.0 s have passed)"
    assert IdleTimeout(1, 2, time).description == "for 1 s"
    assert "passed" not in IdleTimeout(1, None, time).description


def test_polls_become_rarer_whatever_the_interval() -> None:
    pause, pauses = 0.02, []
    for _ in range(20):
        pauses.append(poll_pause(pause, 0.0))
        pause *= 1.5
    assert pauses == sorted(pauses)
    assert sum(pauses) > 10
    assert poll_pause(5.0, 1.5) == 1.5
    assert poll_pause(0.1, 1.5) == 0.1
