"""What the agent of a session's browser is asked for, and what it answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, Self, TypeVar

from attrs import define, field, frozen

from ._wire.secrets import shown
from .exceptions import AGBError, BrowserError

T = TypeVar("T")


@define
class ActOptions:
    """What is to be done on a page.

    Attributes:
        action: the instruction in plain English.
        timeoutMS: milliseconds the action may take; 150 seconds unless given.
        iframes: whether elements in frames are found too.
        dom_settle_timeout_ms: milliseconds until a page that keeps changing counts as settled.
        variables: values that stand in the action as ``%name%``, such as passwords; no text shows them.
        use_vision: whether the service may look at a picture of the page.

    Example:
        >>> from agb import ActOptions
        >>> ActOptions("type %password% into the Password field", variables={"password": "secret"})
        ActOptions(action='type %password% into the Password field', timeoutMS=None, iframes=None, \
dom_settle_timeout_ms=None, use_vision=None)
    """

    action: str
    timeoutMS: int | None = None
    iframes: bool | None = None
    dom_settle_timeout_ms: int | None = None
    variables: dict[str, str] | None = field(default=None, repr=False)
    use_vision: bool | None = None


def _shown_steps(steps: Iterable[str]) -> tuple[str, ...]:
    return tuple(shown(step) for step in steps)


@frozen
class ActResult:
    """How an action has ended; true if it was done.

    Attributes:
        success: whether all of it was done.
        message: what was done, as 0.12 has it: a text of the service, or a list as JSON.
        steps: what was done, a sentence for each step, if the service reports steps; of a failure the last one is the
            reason.
        error: the reason of a failure as an error.
    """

    success: bool
    message: str = field(converter=shown)
    steps: tuple[str, ...] = field(default=(), kw_only=True, converter=_shown_steps)
    error: AGBError | None = field(default=None, kw_only=True, eq=False, repr=False)

    def __bool__(self) -> bool:
        return self.success

    def raise_for_error(self) -> ActResult:
        """Return this result if it is a success, otherwise raise its ``error``."""
        if self.success:
            return self
        raise self.error or BrowserError(self.message)


@define
class ObserveOptions:
    """Which elements of a page are looked for.

    Attributes:
        instruction: a description in plain English.
        iframes: whether elements in frames are found too.
        dom_settle_timeout_ms: milliseconds until a page that keeps changing counts as settled.
        use_vision: whether the service may look at a picture of the page.
    """

    instruction: str
    iframes: bool | None = None
    dom_settle_timeout_ms: int | None = None
    use_vision: bool | None = None


@define
class ObserveResult:
    """An element, and what can be done with it; `act` does it.

    Attributes:
        selector: by which Playwright's ``page.locator`` finds the element.
        description: what it is.
        method: what can be done, such as ``"click"``.
        arguments: of the method.
    """

    selector: str
    description: str
    method: str
    arguments: dict[str, Any]


@define
class ExtractOptions(Generic[T]):
    """What is to be read from a page.

    Attributes:
        instruction: a description in plain English.
        schema: the class of the answer: a pydantic model, an attrs class, a dataclass or a ``TypedDict``; or a JSON
            Schema as a dict, for an answer of dicts and lists.
        use_text_extract: whether the service reads the text of the page instead of its structure.
        selector: the part of the page that is read, as a Playwright selector.
        iframe: whether what is in frames is read too.
        dom_settle_timeout_ms: milliseconds until a page that keeps changing counts as settled.
        use_vision: whether the service may look at a picture of the page.
    """

    instruction: str
    schema: type[T] | Mapping[str, Any]
    use_text_extract: bool | None = None
    selector: str | None = None
    iframe: bool | None = None
    dom_settle_timeout_ms: int | None = None
    use_vision: bool | None = None


class _Outcome(tuple[bool, T]):
    """A pair of 0.12, ``(success, value)``, which also knows the reason of a failure; true if it is a success."""

    error: AGBError | None
    """The reason of a failure."""

    def __new__(cls, value: T, error: AGBError | None = None) -> Self:
        """Return the outcome with a value; with an error it is a failure."""
        made = super().__new__(cls, (error is None, value))
        made.error = error
        return made

    def __bool__(self) -> bool:
        return self.success

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self[1], self.error

    @property
    def success(self) -> bool:
        """Whether the page was looked at, or there is a value."""
        return bool(self[0])

    def _value(self) -> Any:
        """Return the value; of a failure its error is raised."""
        if self.error is not None:
            raise self.error
        return self[1]


class ObserveOutcome(_Outcome[list[ObserveResult]]):
    """The pair of 0.12, ``(success, elements)``, with the reason of a failure; true if it is a success."""

    @property
    def elements(self) -> list[ObserveResult]:
        """The elements, of which there may be none; of a failure its error is raised."""
        found: list[ObserveResult] = self._value()
        return found


class ExtractOutcome(_Outcome[T | None], Generic[T]):
    """The pair of 0.12, ``(success, value)``, with the reason of a failure; true if it is a success."""

    @property
    def value(self) -> T:
        """The value; of a failure its error is raised."""
        found: T = self._value()
        return found
