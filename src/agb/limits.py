"""Limits: how many connections, creations and sessions a client may use, and the state of its connections."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen
from attrs.validators import optional

ANSWER_BYTES = 64 * 1024 * 1024
"""Bytes of an answer that are received and decoded by default."""
_SHARE = 3 / 4
_MOST = 5000
_USUAL_DESCRIPTORS = 1024


def _default_connections() -> int:
    """Return three quarters of the files that this process may open: the rest is for files and other connections."""
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit
    except ImportError:  # Windows
        return int(_USUAL_DESCRIPTORS * _SHARE)
    allowed, _ = getrlimit(RLIMIT_NOFILE)
    return _MOST if allowed == RLIM_INFINITY else max(1, min(_MOST, int(allowed * _SHARE)))


def _at_least(least: int) -> Any:
    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{attribute.name} is a whole number, not {value!r}")
        if value < least:
            raise ValueError(f"{attribute.name} is a number >= {least}, not {value}")

    return check


def _above_zero(_: object, attribute: Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{attribute.name} is a number, not {value!r}")
    if not 0 < value < float("inf"):
        raise ValueError(f"{attribute.name} is a number above zero, not {value!r}")


@frozen
class Limits:
    """The limits of a client.

    Args:
        connections: how many connections may be open at a time, for each event loop, or for the process in the
            synchronous flavour. Further calls wait in a queue, first in, first out. Up- and downloads use three
            quarters of them at most, so that calls are not held up, and the WebSockets of sessions are not counted.
            Without it three quarters of the files the process may open (``ulimit -n``), 5,000 at most: 768 where that
            is the usual 1,024.
        waiting: how many calls may wait for a connection, and how many creations may wait; further ones fail at once.

        creates_per_second: how many sessions are created per second at most, on average; None for no limit. In
            any case creations slow down when the service asks for it, and speed up again step by step.
        create_burst: how many may be created at once after a period without any; for ``creates_per_second`` only.
        sessions: how many sessions made by this client may be alive at a time; None for no limit. A creation beyond
            that waits for one to end.
        answer_bytes: how many bytes an answer of the API may have, received and decoded, and a message of a session's
            live output; without it 64 MiB. A larger one is an error of the kind ``TOO_LARGE``. Files that are
            transferred are not limited.

    Raises:
        TypeError, ValueError: a limit is not a number, or too small.

    Example:
        >>> from agb import Limits
        >>> Limits(connections=100).connections
        100
    """

    connections: int = field(factory=_default_connections, validator=_at_least(1), kw_only=True)
    waiting: int = field(default=100_000, validator=_at_least(0), kw_only=True)
    creates_per_second: float | None = field(default=None, validator=optional(_above_zero), kw_only=True)
    create_burst: int = field(default=1, validator=_at_least(1), kw_only=True)
    sessions: int | None = field(default=None, validator=optional(_at_least(1)), kw_only=True)
    answer_bytes: int = field(default=ANSWER_BYTES, validator=_at_least(1024), kw_only=True)


@frozen
class PoolStats:
    """The connections of a client at one moment.

    Attributes:
        open: those that are open, or being opened.
        idle: the open connections that are kept for the next call.
        in_use: the other open connections.
        waiting: how many callers wait for a connection.
        opened: how many were opened so far.
        longest_wait: the longest time that a caller has waited for a connection so far, in seconds.
    """

    open: int
    idle: int
    in_use: int
    waiting: int
    opened: int
    longest_wait: float
