"""What ``client.session()``, ``session.browser.page()`` and the like return: an object for the time of a block."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

from ._compat.flavour import WITH, BlockHint

T = TypeVar("T")


class AsyncBlock(BlockHint, Generic[T]):
    """An object for the time of a block; there is none before the block is entered.

    Args:
        call: what was written to get this block, for texts.
        what: what the object is, for texts.
        manager: what is entered.
    """

    def __init__(self, call: str, what: str, manager: AbstractAsyncContextManager[T]) -> None:
        self._call = call
        self._what = what
        self._manager = manager

    def __repr__(self) -> str:
        return f"<{self._call}, to be used as: {WITH} {self._call} as {self._what}>"

    if not TYPE_CHECKING:  # a type checker knows which attributes there are

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            raise AttributeError(
                f"{self._call} has no {name!r}; the {self._what} is in the block: {WITH} {self._call} as {self._what}",
                name=name,
                obj=self,
            )

    async def __aenter__(self) -> T:
        return await self._manager.__aenter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._manager.__aexit__(exc_type, exc, traceback)
