"""What differs between the flavours, in the synchronous one; ``_async/_compat.py`` has the same names."""

from __future__ import annotations

from collections.abc import Callable
from time import sleep
from typing import Any, TypeVar

__all__ = ["CLEANUP_LIMIT", "call", "current_loop", "finish", "shielded", "sleep"]

T = TypeVar("T")

CLEANUP_LIMIT = 30.0
"""Seconds that a clean-up may take; the caller's own deadline is usually over by then."""


def current_loop() -> object:
    """Return the same object everywhere: connections belong to the process, and every thread may use them."""
    return current_loop


def finish(function: Callable[[], T], undo: Callable[[T], object]) -> T:
    """Run ``function``; a thread is not cancelled, so there is never anything to undo."""
    del undo
    return function()


def shielded(function: Callable[[], T]) -> T:
    """Run a clean-up; a thread is not cancelled, so there is nothing to hold back."""
    return function()


def call(handler: Callable[..., Any], *args: Any) -> Any:
    """Call a user's callback."""
    return handler(*args)
