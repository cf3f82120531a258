"""Says which flavour this is: the asynchronous one."""

from __future__ import annotations

from typing import Any, Final

ASYNC: Final = True


def check_function(function: Any) -> None:
    """Raise `TypeError` unless ``function`` can be called for an item; it need not be asynchronous."""
    if not callable(function):
        raise TypeError(f"the function is called with a session and an item, and {function!r} cannot be called")
