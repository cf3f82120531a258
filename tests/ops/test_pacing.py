"""Pacing: limits hold whatever happens, refusals slow down once, and success wins the speed back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agb._ops.pacing import FIRST_PAUSE, LONGEST_PAUSE, SLOWEST, Pace

rates = st.none() | st.floats(0.2, 500)
steps = st.lists(
    st.tuples(
        st.floats(0, 3),
        st.sampled_from(["begin", "succeed", "refuse", "refuse for a while"]),
        st.floats(0, 20),
    ),
    max_size=60,
)


def begin_when_possible(pace: Pace, now: float) -> float:
    while (wait := pace.wait(now)) > 0:
        now += max(wait, 1e-6)
    pace.begin(now)
    return now


@example(1.0, 1, [(0.0, "begin", 0.0), (0.0, "refuse", 0.0), (0.0, "begin", 0.0)])
@given(rates, st.integers(1, 20), steps)
def test_limits_hold_whatever_happens(limit: float | None, burst: int, steps: list[tuple[float, str, float]]) -> None:
    pace = Pace(limit, burst)
    now = 100.0
    begun, pauses = [0.0], [0.0]
    for passed, what, seconds in steps:
        now += passed
        match what:
            case "begin":
                now = begin_when_possible(pace, now)
                begun.append(now)
                assert all(now >= end for end in pauses)
            case "succeed":
                pace.succeeded(begun[-1])
            case _:
                pace.refused(begun[-1], now, seconds if what == "refuse for a while" else None)
                pause = pace.paused_until - now
                assert pace.wait(now) >= pause - 1e-9 if limit else pace.wait(now) == pytest.approx(pause)
                pauses.append(pace.paused_until)
        assert pace.rate is None or pace.rate >= min(SLOWEST, limit or SLOWEST)
        assert limit is None or (pace.rate is not None and pace.rate <= limit)
    for start, since in enumerate(begun[1:], 1):
        for count, until in enumerate(begun[start:], 1):
            assert limit is None or count <= burst + limit * (until - since) + 1e-3


def test_burst_comes_back_after_a_rest() -> None:
    pace = Pace(2, 3)
    now = 50.0
    for _ in range(3):
        assert pace.wait(now) == 0
        pace.begin(now)
    assert pace.wait(now) == pytest.approx(0.5)
    for _ in range(3):
        assert pace.wait(now + 10) == 0
        pace.begin(now + 10)
    assert pace.wait(now + 10) > 0


def test_refusals_of_one_burst_halve_the_rate_once() -> None:
    pace = Pace(100, 100)
    for _ in range(100):
        pace.begin(10.0)
    for _ in range(40):
        pace.refused(10.0, 10.5, None)
    assert pace.rate == 50
    assert pace.paused_until == 10.5 + FIRST_PAUSE
    begun = begin_when_possible(pace, 11.0)
    pace.refused(begun, 11.5, None)
    assert pace.rate is not None
    assert pace.rate < 50
    assert pace.paused_until == 11.5 + 2 * FIRST_PAUSE


def test_longest_retry_after_is_obeyed() -> None:
    pace = Pace()
    pace.begin(1.0)
    pace.refused(1.0, 2.0, 30.0)
    pace.refused(1.0, 3.0, 5.0)
    pace.refused(1.0, 4.0, None)
    assert pace.wait(4.0) == 28.0


def test_pause_has_an_end() -> None:
    pace = Pace()
    now = 0.0
    for _ in range(50):
        now = begin_when_possible(pace, now)
        pace.refused(now, now, None)
    assert pace.paused_until == now + LONGEST_PAUSE
    assert pace.rate == SLOWEST


def test_after_a_pause_creations_begin_one_by_one() -> None:
    """No herd: however many wait, they do not all begin when the pause is over."""
    pace = Pace()
    for _ in range(200):
        pace.begin(10.0)
    pace.refused(10.0, 10.0, 5.0)
    now = 10.0
    begun = [now := begin_when_possible(pace, now) for _ in range(100)]
    assert begun[0] == pytest.approx(15.0)
    assert pace.rate == 100
    assert max(sum(start <= other < start + 0.1 for other in begun) for start in begun) <= 12


@pytest.mark.parametrize("limit", [None, 40.0])
def test_speed_is_won_back_step_by_step(limit: float | None) -> None:
    pace = Pace(limit, 10)
    now = 10.0
    for _ in range(20):
        now = begin_when_possible(pace, now)
    pace.refused(now, now, None)
    rates = []
    since = now
    while pace.is_slowed:
        begun = begin_when_possible(pace, now)
        assert pace.rate is not None
        rates.append(pace.rate)
        now = max(now, begun)
        pace.succeeded(begun)
    assert pace.rate == limit
    assert rates == sorted(rates)
    assert max(b / a for a, b in pairwise(rates)) < 1.2
    assert 5 < now - since < 60
