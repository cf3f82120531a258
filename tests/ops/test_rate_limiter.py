"""The AIMD rate limiter: limits always hold, an overload lowers the rate once, and successes raise it again."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agb._ops.rate_limiter import FIRST_PAUSE, LONGEST_PAUSE, SLOWEST, AIMDRateLimiter

rates = st.none() | st.floats(0.2, 500)
steps = st.lists(
    st.tuples(
        st.floats(0, 3),
        st.sampled_from(["begin", "succeed", "refuse", "refuse for a while"]),
        st.floats(0, 20),
    ),
    max_size=60,
)


def begin_when_possible(limiter: AIMDRateLimiter, now: float) -> float:
    while (wait := limiter.wait(now)) > 0:
        now += max(wait, 1e-6)
    limiter.begin(now)
    return now


@example(1.0, 1, [(0.0, "begin", 0.0), (0.0, "refuse", 0.0), (0.0, "begin", 0.0)])
@given(rates, st.integers(1, 20), steps)
def test_limits_always_hold(limit: float | None, burst: int, steps: list[tuple[float, str, float]]) -> None:
    limiter = AIMDRateLimiter(limit, burst)
    now = 100.0
    begun, pauses = [0.0], [0.0]
    for passed, what, seconds in steps:
        now += passed
        match what:
            case "begin":
                now = begin_when_possible(limiter, now)
                begun.append(now)
                assert all(now >= end for end in pauses)
            case "succeed":
                limiter.succeeded(begun[-1])
            case _:
                limiter.refused(begun[-1], now, seconds if what == "refuse for a while" else None)
                pause = limiter.paused_until - now
                assert limiter.wait(now) >= pause - 1e-9 if limit else limiter.wait(now) == pytest.approx(pause)
                pauses.append(limiter.paused_until)
        assert limiter.rate is None or limiter.rate >= min(SLOWEST, limit or SLOWEST)
        assert limit is None or (limiter.rate is not None and limiter.rate <= limit)
    for start, since in enumerate(begun[1:], 1):
        for count, until in enumerate(begun[start:], 1):
            assert limit is None or count <= burst + limit * (until - since) + 1e-3


def test_burst_is_allowed_again_after_a_period_without_creations() -> None:
    limiter = AIMDRateLimiter(2, 3)
    now = 50.0
    for _ in range(3):
        assert limiter.wait(now) == 0
        limiter.begin(now)
    assert limiter.wait(now) == pytest.approx(0.5)
    for _ in range(3):
        assert limiter.wait(now + 10) == 0
        limiter.begin(now + 10)
    assert limiter.wait(now + 10) > 0


def test_refusals_of_one_burst_halve_the_rate_once() -> None:
    limiter = AIMDRateLimiter(100, 100)
    for _ in range(100):
        limiter.begin(10.0)
    for _ in range(40):
        limiter.refused(10.0, 10.5, None)
    assert limiter.rate == 50
    assert limiter.paused_until == 10.5 + FIRST_PAUSE
    begun = begin_when_possible(limiter, 11.0)
    limiter.refused(begun, 11.5, None)
    assert limiter.rate is not None
    assert limiter.rate < 50
    assert limiter.paused_until == 11.5 + 2 * FIRST_PAUSE


def test_longest_retry_after_is_obeyed() -> None:
    limiter = AIMDRateLimiter()
    limiter.begin(1.0)
    limiter.refused(1.0, 2.0, 30.0)
    limiter.refused(1.0, 3.0, 5.0)
    limiter.refused(1.0, 4.0, None)
    assert limiter.wait(4.0) == 28.0


def test_short_retry_after_does_not_shorten_the_pause() -> None:
    limiter = AIMDRateLimiter()
    now = 0.0
    pauses = []
    for _ in range(4):
        now = begin_when_possible(limiter, now)
        limiter.refused(now, now, 0.0)
        pauses.append(limiter.paused_until - now)
    assert pauses == [FIRST_PAUSE * factor for factor in (1, 2, 4, 8)]


def test_pause_has_a_maximum() -> None:
    limiter = AIMDRateLimiter()
    now = 0.0
    for _ in range(50):
        now = begin_when_possible(limiter, now)
        limiter.refused(now, now, None)
    assert limiter.paused_until == now + LONGEST_PAUSE
    assert limiter.rate == SLOWEST


def test_creations_begin_one_by_one_after_a_pause() -> None:
    """However many callers wait, they do not all begin when the pause ends."""
    limiter = AIMDRateLimiter()
    for _ in range(200):
        limiter.begin(10.0)
    limiter.refused(10.0, 10.0, 5.0)
    now = 10.0
    begun = [now := begin_when_possible(limiter, now) for _ in range(100)]
    assert begun[0] == pytest.approx(15.0)
    assert limiter.rate == 100
    assert max(sum(start <= other < start + 0.1 for other in begun) for start in begun) <= 12


@pytest.mark.parametrize("limit", [None, 40.0])
def test_successes_raise_the_rate_step_by_step(limit: float | None) -> None:
    limiter = AIMDRateLimiter(limit, 10)
    now = 10.0
    for _ in range(20):
        now = begin_when_possible(limiter, now)
    limiter.refused(now, now, None)
    rates = []
    since = now
    while limiter.is_lowered:
        begun = begin_when_possible(limiter, now)
        assert limiter.rate is not None
        rates.append(limiter.rate)
        now = max(now, begun)
        limiter.succeeded(begun)
    assert limiter.rate == limit
    assert rates == sorted(rates)
    assert max(b / a for a, b in pairwise(rates)) < 1.2
    assert 5 < now - since < 60
