"""Events of code that runs, as ``session.code.stream`` returns them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from .exceptions import ExecutionError
from .results.code import ExecutionResult


@frozen
class Stdout:
    """A piece of output, of any length; no character is ever split between two."""

    text: str


@frozen
class Stderr:
    """A piece of error output."""

    text: str


@frozen
class Result:
    """A display of the code, or the value of its last expression."""

    result: ExecutionResult


@frozen
class Error:
    """The code raised; `Finished` follows. ``payload`` is the service's description, unchanged."""

    error: ExecutionError
    payload: Mapping[str, Any] = field(factory=dict, kw_only=True, eq=False, repr=False)


@frozen
class Finished:
    """The end, always the last event: the kernel's counter, seconds, and ``error`` if the code failed."""

    execution_count: int | None = None
    execution_time: float = 0.0
    success: bool = True
    error: ExecutionError | None = None


CodeEvent = Stdout | Stderr | Result | Error | Finished
"""Any of the events."""
