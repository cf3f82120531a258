"""The table of the benchmarks: each figure beside the other's, their ratio, and whether the goal is met."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure. The goal is for the ratio to the other's figure, or for ours where there is no other."""

    what: str
    ours: float
    unit: str
    against: str = ""
    theirs: float | None = None
    goal: float | None = None

    @property
    def judged(self) -> float:
        """The value that the goal is for."""
        return self.ours if self.theirs is None else self.ours / self.theirs

    def cells(self) -> tuple[str, ...]:
        """Return the texts of the row."""
        met = "" if self.goal is None else "yes" if self.judged <= self.goal else "NO"
        ratio = "" if self.theirs is None else _ratio(self.judged)
        goal = "" if self.goal is None else f"<= {self._measured(self.goal) if self.theirs is None else _ratio(self.goal)}"
        theirs = "" if self.theirs is None else self._measured(self.theirs)
        return self.what, self._measured(self.ours), self.against, theirs, ratio, goal, met

    def _measured(self, value: float) -> str:
        text = f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:#.3g}"
        return f"{text} {self.unit}".rstrip()


def _ratio(value: float) -> str:
    return f"{value:.2f}x" if value > 0.25 else f"1/{1 / value:.3g}"


_HEAD = ("what", "ours", "against", "theirs", "ratio", "goal", "met")
_TO_THE_RIGHT = {1, 3, 4, 5}


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table in text."""
    lines = [_HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number in _TO_THE_RIGHT else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
