"""Retries: which failures deserve another try, and when."""

from __future__ import annotations

from attrs import frozen

from ..exceptions import AGBError, ErrorKind, Sent

_PASSING = frozenset({502, 503, 504})
"""Statuses of a service, or of a proxy before it, that will soon be back."""


def may_try_again(repeatable: bool, error: AGBError) -> bool:
    """Return whether the same call may be made again: safe, since we know what was sent, and likely to help."""
    if error.extra.get("permanent"):  # such as a certificate nobody trusts
        return False
    if error.kind is ErrorKind.RATE_LIMITED:
        return True  # refused before anything was done
    if error.kind in (ErrorKind.UNREACHABLE, ErrorKind.TIMED_OUT) and error.sent is Sent.NO:
        return True
    if error.kind is ErrorKind.UNREACHABLE:
        return repeatable
    return repeatable and (error.http_status in _PASSING or error.kind is ErrorKind.TIMED_OUT)


def asks_to_slow_down(error: AGBError) -> bool:
    """Return whether the service refused, before anything was done, because it has too much to do."""
    return error.kind is ErrorKind.RATE_LIMITED or (error.http_status == 503 and error.sent is Sent.YES)


@frozen
class RetryPolicy:
    """How often and how fast: exponential back-off with full jitter above a floor, never past the deadline."""

    attempts: int = 3
    """Tries in all, the first included."""
    first_delay: float = 0.1
    factor: float = 3.0
    max_delay: float = 5.0

    def delay(self, error: AGBError, attempt: int, left: float, random: float) -> float | None:
        """Return the seconds to wait before the next try, or None to give up.

        ``attempt`` counts from 1, ``left`` is what the deadline leaves, ``random`` lies in [0, 1).
        """
        if attempt >= self.attempts or not error.retryable or error.extra.get("busy"):  # that is: refused by ourselves
            return None
        ceiling = min(self.max_delay, self.first_delay * self.factor ** (attempt - 1))
        wait = ceiling * (0.5 + random / 2)
        if error.retry_after is not None:
            wait = max(error.retry_after, wait)
        return wait if wait < left else None
