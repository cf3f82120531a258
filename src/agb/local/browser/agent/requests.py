"""What calls of a browser agent are given, and how they are refused."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final, Literal

from attrs import field, frozen

SECONDS: Final = 140.0
"""How long an instruction may take unless its caller says otherwise; clients of 0.12 wait for 150."""
OBSERVE_SECONDS: Final = 55.0
"""How long `observe` may take; clients of 0.12 wait for 60."""
SETTLE_MS: Final = 1000


END: Final[ContextVar[float]] = ContextVar("agent_end", default=float("inf"))
"""When the call under way must have ended, on the event loop's clock."""


class AgentRefused(Exception):
    """The agent cannot do what it was asked to do; the message says why."""


@frozen
class PageChoice:
    """Which page a call is for, and how it is looked at."""

    page_id: str = ""
    context_id: int = 0
    iframes: bool = False
    settle_ms: int = SETTLE_MS
    vision: bool = False


@frozen
class Picture:
    """How a screenshot is taken."""

    full_page: bool = True
    kind: Literal["png", "jpeg"] = "png"
    quality: int = 80
    """Of a JPEG."""
    clip: Mapping[str, float] | None = None
    timeout_ms: float = 60_000


@frozen
class Instruction:
    """What `act`, `observe` and `extract` are given."""

    text: str
    choice: PageChoice = PageChoice()
    variables: Mapping[str, str] = field(factory=dict, repr=False)
    seconds: float = SECONDS
    selector: str = ""
    schema: str = ""


@frozen
class Acted:
    """The end of an instruction: what was done, and why it went no further, if it did not."""

    steps: tuple[str, ...]
    failure: str = ""

    @property
    def lines(self) -> list[str]:
        """The steps, and the failure as the last of them."""
        return [*self.steps, *([self.failure] if self.failure else [])]


class Progress:
    """The steps done so far: what is reported when a time limit ends the rest."""

    def __init__(self) -> None:
        self.steps: list[str] = []
