"""What the tools of an agent return to its model: text of a bounded length, and pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

from attrs import field, frozen

from .._wire.reply import SESSION_NOT_FOUND, TOOL_SESSION_NOT_FOUND
from ..exceptions import AGBError, ErrorKind
from ..results.code import EnhancedCodeExecutionResult
from ..results.sandbox import ExecOutcome

TEXT_LIMIT: Final = 30_000
"""Characters of an answer."""
PICTURE_LIMIT: Final = 3_500_000
"""Bytes of the pictures of one answer; in base64 they are less than the 5 MB that models accept."""
LONGEST_LINE: Final = 500
"""Characters of a line that a search returns."""
LONGEST_CHARACTER: Final = 4
"""Bytes of a character in UTF-8."""

OF_CREATION: Final = "of_creation"
"""What is in ``extra`` of an error if there is no session because of it."""
_GONE = {SESSION_NOT_FOUND, TOOL_SESSION_NOT_FOUND}
_FOR_MODEL = {kind for kind in ErrorKind if kind.is_refusal}
_FOR_MODEL -= {ErrorKind.BAD_CREDENTIALS, ErrorKind.RATE_LIMITED}
_FOR_MODEL |= {ErrorKind.PROGRAM_FAILED, ErrorKind.TIMED_OUT, ErrorKind.TOO_LARGE}


@frozen
class Picture:
    """A picture that code has shown.

    Attributes:
        data: its bytes.
        mime_type: ``"image/png"`` or ``"image/jpeg"``.
    """

    data: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    mime_type: str

    @property
    def url(self) -> str:
        """The picture as a ``data:`` URL."""
        return f"data:{self.mime_type};base64,{base64.b64encode(self.data).decode()}"


@frozen
class ToolAnswer:
    """The answer of a tool: its text, and pictures."""

    text: str
    pictures: tuple[Picture, ...] = ()

    def __str__(self) -> str:
        return self.text


def is_for_model(error: Exception) -> bool:
    """Return whether a model can do something about an error: it concerns a file, a program or an argument.

    The others end the run of an agent: the service does not answer, or the session is gone or could not be created.
    """
    if isinstance(error, AGBError):
        return error.kind in _FOR_MODEL and error.code not in _GONE and not error.extra.get(OF_CREATION)
    return isinstance(error, ValueError | TypeError)


def shortened(text: str, limit: int) -> str:
    """Return a text without its middle if it is longer than a limit; the end of an output has the error."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit // 2], text[len(text) - (limit - limit // 2) :]
    return f"{head}\n[... {len(text) - limit} of {len(text)} characters are left out here ...]\n{tail}"


def joined(*parts: str) -> str:
    """Return texts as lines below each other, without empty ones."""
    return "\n".join(part.removesuffix("\n") for part in parts if part)


def of_lines(lines: Sequence[str], limit: int, what: str) -> str:
    """Return as many lines as fit into an answer, and how many there are if some do not."""
    size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > limit and number:
            return joined(*lines[:number], f"[{number} of {len(lines)} {what}; narrow the search to see the others]")
    return joined(*lines) or f"[no {what}]"


def of_outcome(outcome: ExecOutcome, limit: int, timeout: float) -> str:
    """Return the output of a command; each stream gets half of the limit, or what the other one does not need."""
    stdout, stderr = (data.decode("utf-8", "replace") for data in (outcome.stdout, outcome.stderr))
    room = max(limit // 2, limit - len(stderr))
    stdout = shortened(stdout, room)
    stderr = shortened(stderr, max(limit // 2, limit - len(stdout)))
    notes = []
    if outcome.truncated:
        notes.append("[the output is too long, and its end is lost: write it to a file]")
    if outcome.timed_out:
        notes.append(f"[ended after {timeout:g} seconds, its time limit, with all that it had started]")
    elif outcome.exit_code or not (stdout or stderr):
        notes.append(f"[exit code {outcome.exit_code}]")
    return joined(stdout, f"[stderr]\n{stderr}" if stderr else "", *notes)


def of_run(result: EnhancedCodeExecutionResult, limit: int) -> ToolAnswer:
    """Return the output of code, with what it raised as text.

    Raises:
        ExecutionError: the code was not run.
    """
    error = result.error
    if error is not None and error.kind not in (ErrorKind.PROGRAM_FAILED, ErrorKind.TIMED_OUT):
        raise error
    stderr = "".join(result.logs.stderr)
    parts = ["".join(result.logs.stdout), f"[stderr]\n{stderr}" if stderr else ""]
    pictures: list[Picture] = []
    left = PICTURE_LIMIT
    for item in result.results:
        shown = item.png or item.jpeg
        if not shown:
            parts.append(item.text or item.markdown or item.html or item.latex or "")
            continue
        data = base64.b64decode(shown)
        if len(data) <= left:
            left -= len(data)
            pictures.append(Picture(data, "image/png" if item.png else "image/jpeg"))
        else:
            parts.append(f"[a picture of {len(data)} bytes is left out: save it to a file]")
    if error is not None:
        parts.append(getattr(error, "traceback", "") or str(error))
    if result.truncated:
        parts.append("[the output is longer than the limit of the service, and a part of it is lost]")
    text = shortened(joined(*parts), limit) or ("[a picture]" if pictures else "[no output]")
    return ToolAnswer(text, tuple(pictures))


def of_file(data: bytes, offset: int, limit: int) -> str:
    """Return the text of a part of a file, of which one byte more than ``limit`` was read.

    Raises:
        ValueError: it is no text in UTF-8.
    """
    part, is_all = data[:limit], len(data) <= limit
    try:
        text = part.decode("utf-8")
    except UnicodeDecodeError as error:
        if is_all or error.start < len(part) - LONGEST_CHARACTER + 1 or error.reason != "unexpected end of data":
            raise ValueError(f"it is no text in UTF-8 (byte {offset + error.start} is wrong)") from error
        part = part[: error.start]
        text = part.decode("utf-8")
    if is_all:
        return text or ("[the file ends before this offset]" if offset else "[the file is empty]")
    return f"{text}\n[the file goes on: read on with offset={offset + len(part)}]"


def as_text(name: str) -> str:
    """Return a name as text: bytes that are not UTF-8 become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
