"""Says which flavour this is: the synchronous one."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import Any, Final

ASYNC: Final = False


def check_function(function: Any) -> None:
    """Raise `TypeError` unless ``function`` can be called for an item and is not asynchronous."""
    if not callable(function):
        raise TypeError(f"the function is called with a session and an item, and {function!r} cannot be called")
    if iscoroutinefunction(function):
        raise TypeError(f"{function!r} is asynchronous: use agb.AsyncAGB, or a function that is not")
