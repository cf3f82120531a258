"""What the workers of an executor do in tests: a module of its own, since each worker imports it when it starts."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from attrs import frozen

from agb import AsyncSession, Session


@frozen
class Item:
    """A number, and how it treats its worker."""

    number: int
    kills: str = ""
    """The file that is made when the worker is killed; it is not killed again, unless it is always."""
    always: bool = False


def _kill_if_requested(item: Item) -> None:
    if item.always or (item.kills and not Path(item.kills).exists()):
        Path(item.kills).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def work(session: Session, item: Item) -> tuple[int, int]:
    assert session.get_link().success
    _kill_if_requested(item)
    return item.number * 2, os.getpid()


async def work_async(session: AsyncSession, item: Item) -> tuple[int, int]:
    assert (await session.get_link()).success
    _kill_if_requested(item)
    return item.number * 2, os.getpid()
