"""What differs between the flavours, in the synchronous one; ``_async/_compat.py`` has the same names."""

from __future__ import annotations

from collections.abc import Callable
from time import sleep
from typing import Any, TypeVar

__all__ = [
    "CLEANUP_LIMIT",
    "call",
    "checkpoint",
    "current_loop",
    "finish",
    "is_over",
    "shielded",
    "sleep",
]

T = TypeVar("T")

CLEANUP_LIMIT = 30.0
"""Seconds that a clean-up may take; the caller's own deadline is usually over by then."""


def checkpoint() -> None:
    """Do nothing: a thread is not cancelled."""


def current_loop() -> object:
    """Return the same object everywhere: connections belong to the process, and every thread may use them."""
    return current_loop


def is_over(loop: object) -> bool:
    """Return False: what `current_loop` gives lives as long as the process."""
    del loop
    return False


def finish(function: Callable[[], T], if_cancelled: Callable[[T], object]) -> T:
    """Run ``function``; a thread is not cancelled, so there is nothing else to do."""
    del if_cancelled
    return function()


def shielded(function: Callable[[], T]) -> T:
    """Run a clean-up; a thread is not cancelled, so there is nothing to hold back."""
    return function()


def call(handler: Callable[..., Any], *args: Any) -> Any:
    """Call a user's callback."""
    return handler(*args)
