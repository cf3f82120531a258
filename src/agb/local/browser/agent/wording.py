"""What instructions to observe and to extract begin with, before they come to the matter."""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen


@frozen
class Wording:
    """The words of one kind of instruction."""

    verbs: re.Pattern[str]
    everything: re.Pattern[str]
    """Words that mean the whole page."""

    def begins(self, instruction: str) -> bool:
        """Return whether an instruction begins with one of the verbs."""
        return self.verbs.match(instruction.strip()) is not None

    def strip(self, instruction: str) -> str:
        """Return an instruction without its verb; "" if it means everything."""
        text = self.verbs.sub("", instruction.strip(), count=1).strip(" .!?:")
        return "" if self.everything.fullmatch(text) else text


OBSERVING: Final = Wording(
    re.compile(
        r"(?:please\s+)?(?:find|locate|identify|list|show(?: me)?|get|observe|look for|search for|"
        r"return|describe|detect)"
        r"(?:\s+(?:out|me))?\b\s*",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?:(?:all|every|each|any|the)\s+)*(?:(?:of\s+)?(?:the\s+)?)?(?:(?:interactive|clickable|available|possible|"
        r"actionable|visible)\s+)*(?:page|elements?|actions?|controls?|everything|what(?: i| one)? can (?:i |be )?"
        r"(?:do|done|click(?:ed)?))?(?:\s+(?:on|of|in)\s+(?:the|this)\s+page)?",
        re.IGNORECASE,
    ),
)
