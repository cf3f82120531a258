"""How a run of code ended: the field ``reason`` beside the name and the text of its error.

A program can give its exceptions any name and any text, so a reason is never read from those where this field is
there. The local runtime sends it; a service that does not is not known to send anything in its place.
"""

from __future__ import annotations

from enum import StrEnum

from ..exceptions import ErrorKind


class EndReason(StrEnum):
    """Why code did not end well."""

    EXCEPTION = "exception"
    """The code raised it."""
    TIMEOUT = "timeout"
    """The code was ended by its time limit."""
    CANCELLED = "cancelled"
    """A caller requested its end."""
    KERNEL_DIED = "kernel died"
    """The interpreter ended while the code ran."""
    NOT_STARTED = "not started"
    """There was no interpreter to run it."""


_KINDS = {
    EndReason.TIMEOUT.value: ErrorKind.TIMED_OUT,
    EndReason.CANCELLED.value: ErrorKind.REFUSED,
    EndReason.NOT_STARTED.value: ErrorKind.REFUSED,
}


def kind_of_end(reason: object) -> ErrorKind:
    """Return the kind of the error for a reason, also for one that is not known."""
    return _KINDS.get(reason, ErrorKind.PROGRAM_FAILED) if isinstance(reason, str) else ErrorKind.PROGRAM_FAILED
