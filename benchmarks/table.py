"""The table of the benchmarks: each figure beside the other's, their ratio, and whether the goal is met."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One figure, beside another or alone. The goal is for the ratio, or for our figure if it stands alone."""

    what: str
    unit: str
    ours: float
    against: str = ""
    theirs: float | None = None
    ratio: float | None = None
    goal: float | None = None

    def cells(self) -> tuple[str, ...]:
        """Return the texts of the row."""
        judged = self.ours if self.ratio is None else self.ratio
        met = "" if self.goal is None else "yes" if judged <= self.goal else "NO"
        goal = _with_unit(self.goal, self.unit) if self.ratio is None else _as_ratio(self.goal)
        return (
            self.what,
            _with_unit(self.ours, self.unit),
            self.against,
            _with_unit(self.theirs, self.unit),
            _as_ratio(self.ratio),
            f"<= {goal}" if goal else "",
            met,
        )


def compared(
    what: str, unit: str, ours: Sequence[float], against: str, theirs: Sequence[float], goal: float | None
) -> Row:
    """Return the row of two figures, each given for every round.

    The ratio is the median of the rounds' own ratios: what slows the machine for a while slows both.
    """
    ratio = median(our / their for our, their in zip(ours, theirs, strict=True))
    return Row(what, unit, median(ours), against, median(theirs), ratio, goal)


def _with_unit(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:.0f} {unit}" if value >= 100 or value == int(value) else f"{value:#.3g} {unit}"


def _as_ratio(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}x" if value > 0.25 else f"1/{1 / value:.3g}"


_HEAD = ("what", "ours", "against", "theirs", "ratio", "goal", "met")
_TO_THE_RIGHT = {"ours", "theirs", "ratio", "goal"}


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table in text."""
    lines = [_HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    columns = list(zip(_HEAD, widths, strict=True))
    return "\n".join(
        "  ".join(
            cell.rjust(width) if name in _TO_THE_RIGHT else cell.ljust(width)
            for cell, (name, width) in zip(line, columns, strict=True)
        ).rstrip()
        for line in lines
    )
