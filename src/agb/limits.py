"""Limits: how much of the machine and of the service a client may take, and what is taken of it now."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen

_SHARE = 3 / 4
_MOST = 5000
_USUAL_DESCRIPTORS = 1024


def _default_connections() -> int:
    """Return three quarters of the files that this process may open: the rest is for files and others' connections."""
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


@frozen
class Limits:
    """How much a client may take.

    Args:
        connections: how many connections may be open at a time, for each event loop, or for the process in the
            synchronous flavour. A call beyond that waits for one; those who wait are served in the order they came.
            Up- and downloads take three quarters of them at most, so that calls get through, and the WebSockets of
            sessions are not counted. Without it three quarters of the files the process may open (``ulimit -n``),
            5,000 at most: 768 where that is the usual 1,024.
        waiting: how many may wait; whoever comes then is refused at once.

    Raises:
        TypeError, ValueError: a limit is not a whole number, or too small.

    Example:
        >>> from agb import Limits
        >>> Limits(connections=100).connections
        100
    """

    connections: int = field(factory=_default_connections, validator=_at_least(1), kw_only=True)
    waiting: int = field(default=100_000, validator=_at_least(0), kw_only=True)


@frozen
class PoolStats:
    """The connections of a client to where it is asked for, at one moment.

    Attributes:
        open: those that are open, or being opened.
        idle: those of them that are kept for the next call.
        in_use: those of them that are not.
        waiting: how many callers wait for one.
        opened: how many were opened so far.
        longest_wait: the longest time that a caller has waited for one so far, in seconds.
    """

    open: int
    idle: int
    in_use: int
    waiting: int
    opened: int
    longest_wait: float
