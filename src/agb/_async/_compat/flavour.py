"""Says which flavour this is, also to programs that take it for the other one: the asynchronous one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

ASYNC: Final = True
WITH: Final = "async with"
"""How a block is entered, for texts."""


def check_function(function: Any) -> None:
    """Raise `TypeError` unless ``function`` can be called for an item; it need not be asynchronous."""
    if not callable(function):
        raise TypeError(f"the function is called with a session and an item, and {function!r} cannot be called")


class Closable:
    """The name `close` for what closes asynchronously, as files and clients of other libraries have it."""

    if TYPE_CHECKING:

        async def aclose(self) -> None: ...

    async def close(self) -> None:
        """Close; the same as `aclose`."""
        await self.aclose()


class BlockHint:
    """What `with` and `await` say about an object that is used by `async with`."""

    if not TYPE_CHECKING:  # type checkers have better texts for what is missing

        def __enter__(self) -> NoReturn:
            raise TypeError(f"{type(self).__name__} is asynchronous: write 'async with' in place of 'with'")

        def __exit__(self, *_: object) -> None:
            """Do nothing: `with` wants both methods before it calls the first."""

        def __await__(self) -> NoReturn:
            raise TypeError(f"{type(self).__name__} is not awaited: write 'async with'")


class IterationHint:
    """What `for` says about an asynchronous iterator."""

    if not TYPE_CHECKING:

        def __iter__(self) -> NoReturn:
            raise TypeError(f"{type(self).__name__} is asynchronous: write 'async for' in place of 'for'")
