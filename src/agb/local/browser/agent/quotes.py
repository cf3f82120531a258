"""Quoted texts and addresses in an instruction, which are masked while its words are read.

A masked text is one "word" of private characters, so no pattern can match inside of what was quoted.
"""

from __future__ import annotations

import re
from typing import Final

_BEGIN, _END = "\ue000", "\ue001"
QUOTED: Final = f"{_BEGIN}\\d+{_END}"
"""The pattern of a masked text."""
_PAIRS: Final = re.compile(
    r'"(?P<a>[^"]*)"|“(?P<b>[^”]*)”|«(?P<c>[^»]*)»|`(?P<d>[^`]*)`|„(?P<e>[^“”]*)[“”]'
    r"|(?<![^\s(\[,:=])'(?P<f>(?:[^']|(?<=\w)'(?=\w))*)'(?!\w)"
    r"|(?<![^\s(\[,:=])\u2018(?P<g>(?:[^\u2019]|(?<=\w)\u2019(?=\w))*)\u2019(?!\w)"
)
_ADDRESS: Final = re.compile(r"\b(?:https?://|file://|about:|data:|chrome://)\S+", re.IGNORECASE)
_MASKED: Final = re.compile(f"{_BEGIN}(\\d+){_END}")


class Quotes:
    """The quoted texts of one instruction; ``text`` is the instruction with each of them masked."""

    def __init__(self, instruction: str) -> None:
        self._kept: list[tuple[str, str]] = []
        plain = instruction.replace(_BEGIN, " ").replace(_END, " ")
        plain = _PAIRS.sub(lambda found: self._mask(found[0], next(t for t in found.groups() if t is not None)), plain)
        self.text = _ADDRESS.sub(self._mask_address, plain)

    def _mask(self, written: str, text: str) -> str:
        self._kept.append((written, text))
        return f"{_BEGIN}{len(self._kept) - 1}{_END}"

    def _mask_address(self, found: re.Match[str]) -> str:
        address = found[0].rstrip(".,;:!?)")
        return self._mask(address, address) + found[0][len(address) :]

    def restore(self, text: str) -> tuple[str, bool]:
        """Return a part of the instruction as it is meant, and whether it was quoted."""
        text = text.strip()
        if (found := _MASKED.fullmatch(text)) is not None:
            return self._kept[int(found[1])][1], True
        return self.written(text), False

    def written(self, text: str) -> str:
        """Return a part of the instruction as it was written."""
        return _MASKED.sub(lambda found: self._kept[int(found[1])][0], text)

    @staticmethod
    def is_mixed(text: str) -> bool:
        """Return whether a part of the instruction has a quoted text and other words."""
        return _MASKED.search(text) is not None and _MASKED.fullmatch(text.strip()) is None
