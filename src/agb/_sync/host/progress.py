# Generated from src/agb/_async/host/progress.py by tools/unasync.py. Do not edit.
"""Progress reports: the caller's function, or a bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._compat.loop import call
from .notebook_bar import NotebookBar, in_notebook

Progress = Callable[[int, int | None], Any] | bool | None
"""A function called with the amount done and the total (None if not known); True for a bar; None for neither.

Transfers count bytes, batches items.
"""


class ProgressReport:
    """Reports progress to the caller, as a context manager; the bar is drawn at each report."""

    def __init__(self, progress: Progress, what: str, unit: str = "bytes") -> None:
        self._function: Callable[[int, int | None], Any] | None = None
        self._bar: Any = None
        self._task: Any = None
        self.done = 0
        if progress is True:
            self._bar = _bar(unit)
            self._task = self._bar.add_task(what, total=None)
        elif callable(progress):
            self._function = progress
        elif progress is not None and progress is not False:
            raise TypeError(
                f"progress is a function of ({unit}_done, {unit}_in_all), or True for a bar, "
                f"not {type(progress).__name__}"
            )

    def __enter__(self) -> ProgressReport:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *raised: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def add(self, count: int, total: int | None = None) -> None:
        """Report that ``count`` more are done, of ``total`` if that is known."""
        self.done += count
        if total is not None:
            total = max(total, self.done)  # a file may grow while it is read
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, total=total, refresh=True)
        elif self._function is not None:
            call(self._function, self.done, total)


def _bar(unit: str) -> Any:
    if in_notebook():
        return NotebookBar(unit)
    try:
        from rich import progress as shown  # pyright: ignore[reportMissingImports] - an extra
        from rich.console import Console  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            "progress=True draws its bar with rich, which is not installed: pip install 'agb[progress]', "
            f"or pass a function of ({unit}_done, {unit}_in_all)"
        ) from error
    amount: tuple[Any, ...] = (shown.DownloadColumn(), shown.TransferSpeedColumn())
    if unit != "bytes":
        amount = (shown.MofNCompleteColumn(), shown.TimeElapsedColumn())
    columns = (shown.TextColumn("{task.description}"), shown.BarColumn(), *amount)
    # Without auto_refresh rich starts no thread; to stderr, since stdout is the program's own.
    return shown.Progress(*columns, console=Console(stderr=True), auto_refresh=False)
