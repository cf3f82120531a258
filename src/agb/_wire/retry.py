"""Retries: which failures are retried, and after which delay."""

from __future__ import annotations

from attrs import frozen

from ..exceptions import AGBError, ErrorKind, Sent

_TRANSIENT = frozenset({502, 503, 504})
"""Statuses of a service, or of a proxy in front of it, that is unavailable for a short time."""


def may_try_again(repeatable: bool, error: AGBError) -> bool:
    """Return whether a retry of the call is safe, judged by what was sent, and may succeed."""
    if error.extra.get("permanent"):  # such as a certificate that is not trusted
        return False
    if error.kind is ErrorKind.RATE_LIMITED:
        return True  # refused before anything was done
    if error.kind in (ErrorKind.UNREACHABLE, ErrorKind.TIMED_OUT) and error.sent is Sent.NO:
        return True
    if error.kind in (ErrorKind.UNREACHABLE, ErrorKind.UNAVAILABLE):
        return repeatable
    if error.kind is ErrorKind.TOO_LARGE:  # the next one would be as large
        return False
    return repeatable and (error.http_status in _TRANSIENT or error.kind is ErrorKind.TIMED_OUT)


def asks_to_slow_down(error: AGBError) -> bool:
    """Return whether the service refused the call, before it did anything, because of its load."""
    return error.kind is ErrorKind.RATE_LIMITED or (error.http_status == 503 and error.sent is Sent.YES)


def poll_pause(pause: float, interval: float) -> float:
    """Return the seconds to wait before the next poll: ``pause``, which the caller lets grow, or less.

    It is the caller's interval at most, but an eighth of the pause at least: polls every millisecond become rarer too.
    """
    return min(pause, max(interval, pause / 8))


@frozen
class RetryPolicy:
    """Attempts and delays: exponential back-off with jitter in its upper half, inside the deadline."""

    attempts: int = 3
    """Attempts, including the first."""
    first_delay: float = 0.1
    factor: float = 3.0
    max_delay: float = 5.0

    def delay(self, error: AGBError, attempt: int, left: float, random: float) -> float | None:
        """Return the seconds to wait before the next attempt, or None to give up.

        ``attempt`` counts from 1, ``left`` is the time until the deadline, ``random`` is in [0, 1).
        """
        if attempt >= self.attempts or not error.retryable or error.extra.get("busy"):  # "busy": refused by this client
            return None
        ceiling = min(self.max_delay, self.first_delay * self.factor ** (attempt - 1))
        wait = ceiling * (0.5 + random / 2)
        if error.retry_after is not None:
            wait = max(error.retry_after, wait)
        return wait if wait < left else None
