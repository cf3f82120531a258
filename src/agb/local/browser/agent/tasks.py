"""Tasks: instructions that run while their caller asks, from time to time, whether they are done."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Coroutine
from typing import Any, Final

MOST_RUNNING: Final = 32
MOST_KEPT: Final = 200
"""How many finished tasks are kept for their callers; the oldest are dropped first."""


class TooManyTasks(Exception):
    """As many tasks run as may run at a time."""


class NoTask(Exception):
    """There is no such task: it never was, or was dropped, or ended with the browser."""


class Tasks:
    """The tasks of one session."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._numbers = itertools.count(1)

    def begin(self, work: Coroutine[Any, Any, Any]) -> str:
        """Begin a task and return its id. Raises `TooManyTasks`."""
        running = sum(not task.done() for task in self._tasks.values())
        if running >= MOST_RUNNING:
            work.close()
            raise TooManyTasks(f"{running} tasks run already; wait until one is done, or cancel it")
        finished = [task_id for task_id, task in self._tasks.items() if task.done()]
        for task_id in finished[: max(0, len(finished) - MOST_KEPT + 1)]:
            del self._tasks[task_id]
        task_id = f"task-{next(self._numbers)}-{secrets.token_hex(8)}"
        self._tasks[task_id] = asyncio.create_task(work)
        return task_id

    def result(self, task_id: str) -> tuple[bool, Any]:
        """Return whether a task is done, and its result.

        Raises `NoTask`, what the task has raised, or ``CancelledError`` if it was cancelled.
        """
        task = self._find(task_id)
        return (True, task.result()) if task.done() else (False, None)

    async def cancel(self, task_id: str) -> None:
        """Cancel a task and return when it has ended. Raises `NoTask`."""
        task = self._find(task_id)
        task.cancel()
        await asyncio.wait({task})

    async def close(self) -> None:
        """Cancel all tasks, and return when they have ended; their callers are answered that they were."""
        running = {task for task in self._tasks.values() if not task.done()}
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    def _find(self, task_id: str) -> asyncio.Task[Any]:
        if task_id not in self._tasks:
            raise NoTask(f"there is no task {task_id[:100]!r}; tasks are kept as long as the session")
        return self._tasks[task_id]
