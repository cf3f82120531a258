# Generated from src/agb/_async/host/notebook_bar.py by tools/unasync.py. Do not edit.
"""A progress bar in a notebook: a widget where ipywidgets is installed, else HTML that is replaced at each report."""

from __future__ import annotations

import sys
from html import escape
from typing import Any


def in_notebook() -> bool:
    """Return whether this program is the kernel of a notebook."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and getattr(shell, "kernel", None) is not None


class NotebookBar:
    """A bar with the methods of rich's `Progress` that a report uses."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._what = ""
        self._widget: Any = None
        self._text: Any = None
        self._shown: Any = None

    def add_task(self, what: str, total: int | None = None) -> int:
        """Set what the bar is of; there is one task."""
        del total
        self._what = what
        return 0

    def start(self) -> None:
        """Show the bar."""
        from IPython.display import display  # pyright: ignore[reportMissingImports] - a notebook has it

        try:
            import ipywidgets  # pyright: ignore[reportMissingImports] - an extra of notebooks
        except ImportError:
            self._shown = display({"text/html": self._html(0, None)}, raw=True, display_id=True)
            return
        self._widget = ipywidgets.IntProgress(0, 0, 1)
        self._text = ipywidgets.Label()
        display(ipywidgets.HBox([ipywidgets.Label(self._what), self._widget, self._text]))

    def update(self, task: int, *, completed: int, total: int | None, refresh: bool) -> None:
        """Show how much is done."""
        del task, refresh
        if self._widget is not None:
            self._widget.max = max(1, total or completed)
            self._widget.value = completed
            self._text.value = self._amount(completed, total)
        elif self._shown is not None:
            self._shown.update({"text/html": self._html(completed, total)}, raw=True)

    def stop(self) -> None:
        """Leave the bar as it is."""

    def _amount(self, done: int, total: int | None) -> str:
        return f"{done:,} {self._unit}" if total is None else f"{done:,} of {total:,} {self._unit}"

    def _html(self, done: int, total: int | None) -> str:
        value = "" if total is None else f' value="{done}" max="{max(1, total)}"'
        return f"<div>{escape(self._what)} <progress{value}></progress> {self._amount(done, total)}</div>"
