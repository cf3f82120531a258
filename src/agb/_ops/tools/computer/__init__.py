"""The tools of a desktop: what their calls have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from operator import index
from typing import Any, TypeVar

from ...._wire.shape import Shape
from ...._wire.toolcall import ToolCall, ToolReply
from ....exceptions import AGBError, ErrorKind, Sent, SessionError
from ....results.base import BoolResult
from ...arguments import is_text
from .. import tool_failure

T = TypeVar("T")


def desktop_call(
    name: str,
    args: Mapping[str, Any],
    read: Callable[[ToolReply], T],
    session_id: str,
    description: str,
    *,
    error: type[AGBError] = SessionError,
    repeatable: bool = False,
    seconds: float = 0.0,
    shape: Shape | None = None,
) -> ToolCall[T]:
    """Return the call of a tool; ``read`` returns the value for the answer of one that has not failed."""

    def checked(reply: ToolReply) -> T:
        if reply.is_error:
            raise tool_failure(name, reply, session_id, error, description)
        return read(reply)

    return ToolCall(name, args, checked, seconds, repeatable, error, description, shape)


def action(
    name: str,
    args: Mapping[str, Any],
    session_id: str,
    description: str,
    *,
    error: type[AGBError] = SessionError,
    repeatable: bool = False,
    seconds: float = 0.0,
) -> ToolCall[BoolResult]:
    """Return the call of a tool that does something and answers with true or false.

    A tool that answers false has not done it. 0.12 reports this as a success with ``data=True``; here it is a failure
    with ``data=False``. Any other text is a success, as in 0.12, since services may say what they have done.
    """

    def read(reply: ToolReply) -> BoolResult:
        if (reply.text or "").strip().lower() != "false":
            return BoolResult(reply.request_id, True, True)
        refusal = error(
            f"Could not {description}: the desktop did not do it, and gave no reason",
            kind=ErrorKind.REFUSED,
            request_id=reply.request_id,
            session_id=session_id,
            sent=Sent.YES,
            tool=name,
        )
        return BoolResult(reply.request_id, False, False, str(refusal), error=refusal)

    return desktop_call(name, args, read, session_id, description, error=error, repeatable=repeatable, seconds=seconds)


def parsed(reply: ToolReply, shape: Shape, session_id: str, failure: str, error: type[AGBError] = SessionError) -> Any:
    """Return the JSON of an answer in the shape that the tool promises; ``failure`` begins the text of the error."""
    try:
        return shape.read(json.loads(reply.text or ""), "the answer")
    except (ValueError, RecursionError) as why:
        raise invalid_answer(f"{failure}: {why}", reply, session_id, error) from why


def invalid_answer(text: str, reply: ToolReply, session_id: str, error: type[AGBError] = SessionError) -> AGBError:
    """Return the error of a tool whose answer is not what it promises."""
    return error(text, kind=ErrorKind.INVALID_ANSWER, request_id=reply.request_id, session_id=session_id, sent=Sent.YES)


# --- arguments ---------------------------------------------------------------------------------------------------


def check_number(name: str, value: object, what: str, least: int = 1, most: int | None = None) -> int:
    """Return a whole number, such as one of numpy, as an int.

    Raises:
        TypeError, ValueError: it is not one, or not within the limits; the text says ``what`` it is.
    """
    try:
        number = index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        more = "; round it" if isinstance(value, float) else ""
        raise TypeError(f"{name} is {what}, a whole number, not {value!r}{more}")
    if number < least or (most is not None and number > most):
        limits = f"from {least} to {most:,}" if most is not None else f">= {least}"
        raise ValueError(f"{name} is {what}, a number {limits}, not {number}")
    return number


def check_flag(name: str, value: object) -> bool:
    """Return True or False; raise ``TypeError`` for anything else."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False, not {value!r}")
    return value


def check_line(name: str, value: object, example: str, *, is_needed: bool = True) -> str:
    """Return a text that can be an argument of a program; raise ``TypeError`` or ``ValueError`` if it cannot."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is a string such as {example!r}, not {type(value).__name__}")
    if is_needed and not value.strip():
        raise ValueError(f"{name} is empty; an example is {example!r}")
    if "\0" in value:
        raise ValueError(f"{name} contains the character NUL, which no program can be given: {value!r}")
    if not is_text(value):
        raise ValueError(f"{name} contains half a surrogate pair, which UTF-8 cannot encode: {value!r}")
    return value
