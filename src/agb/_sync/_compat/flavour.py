"""Says which flavour this is, also to programs that take it for the other one: the synchronous one."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, NoReturn

ASYNC: Final = False
WITH: Final = "with"
"""How a block is entered, for texts."""


def check_function(function: Any) -> None:
    """Raise `TypeError` unless ``function`` can be called for an item and is not asynchronous."""
    if not callable(function):
        raise TypeError(f"the function is called with a session and an item, and {function!r} cannot be called")
    if iscoroutinefunction(function):
        raise TypeError(f"{function!r} is asynchronous: use agb.AsyncAGB, or a function that is not")


class Closable:
    """The base of what has `close`, which has one name in this flavour."""


class BlockHint:
    """What `async with` says about an object that is used by `with`."""

    if not TYPE_CHECKING:  # type checkers have better texts for what is missing

        def __aenter__(self) -> NoReturn:
            raise TypeError(
                f"{type(self).__name__} is synchronous: write 'with' in place of 'async with', or use agb.AsyncAGB"
            )

        def __aexit__(self, *_: object) -> None:
            """Do nothing: `async with` wants both methods before it calls the first."""


class IterationHint:
    """What `async for` says about an ordinary iterator."""

    if not TYPE_CHECKING:

        def __aiter__(self) -> NoReturn:
            raise TypeError(
                f"{type(self).__name__} is synchronous: write 'for' in place of 'async for', or use agb.AsyncAGB"
            )
