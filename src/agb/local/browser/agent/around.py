"""What the steps of an instruction have in common: the values of variables, and how pages are looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from attrs import frozen

_VARIABLE: Final = re.compile(r"%([A-Za-z_][\w-]*)%")


class StepFailed(Exception):
    """A step could not be done; the message is the reason."""


@frozen
class Variables:
    """Values that stand in an instruction as ``%name%``. They go into the page and into no text."""

    values: Mapping[str, str]

    def check(self, text: str) -> None:
        """Raise `StepFailed` if a text names a variable that is not among them."""
        unknown = [name for name in _VARIABLE.findall(text) if name not in self.values]
        if self.values and unknown:
            raise StepFailed(f"there is no variable %{unknown[0]}%; given are {', '.join(sorted(self.values))}")

    def fill(self, text: str) -> str:
        """Return a text with the values in it."""
        return _VARIABLE.sub(lambda found: self.values.get(found[1], found[0]), text)

    def hide(self, text: str) -> str:
        """Return a text from outside without the values."""
        for name, value in sorted(self.values.items(), key=lambda item: -len(item[1])):
            text = text.replace(value, f"%{name}%") if value else text
        return text


@frozen
class Surroundings:
    """What the steps of an instruction have in common."""

    variables: Variables = Variables({})
    iframes: bool = False
    settle_seconds: float = 1.0


def reason(error: BaseException) -> str:
    """Return the reason in an error of Playwright: its first line, without the names of its methods."""
    first = str(error).partition("\n")[0]
    return re.sub(r"^(?:\w+\.\w+: )?(?:Error: )?", "", first).strip() or type(error).__name__
