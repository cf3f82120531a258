"""The errors of an executor of sandboxes."""

from __future__ import annotations

import pickle
from concurrent.futures import BrokenExecutor
from typing import TYPE_CHECKING, Any

from .._ops.tools import remote_call as ops
from ..exceptions import AGBError, ErrorKind, ExecutionError, Sent
from .pickling import interpreter_names, python_version

if TYPE_CHECKING:
    from .._sync.session import Session
    from .arguments import Results


class BrokenSandbox(ExecutionError, BrokenExecutor):
    """The process or the session of a function ended before the function did.

    It concerns this function only; the executor continues with a new session. ``submit`` raises it too when no session
    of the executor can run anything, as with the wrong Python version.

    Attributes:
        exit_code: of the process, 128 plus the signal's number after a signal (137 is typical of a lack of memory);
            None if it is not known.
    """

    def __init__(self, name: str = "", *args: Any, exit_code: int | None = None, **kwargs: Any) -> None:
        super().__init__(name, *args, **kwargs)
        self.exit_code = exit_code


class WrongPython(BrokenSandbox):
    """No session of this executor has an interpreter that can run its functions."""

    def __init__(self, found: ops.Interpreter | None, python: str | None, session: Session) -> None:
        image = f"the image {session.image_id}" if session.image_id else "the session"
        if found is None:
            why = f"{image} has no Python by the name {' or '.join(interpreter_names(python).split())}"
        else:
            why = f"{image} has {found.version} ({found.executable}), and this program runs on {python_version()}"
        super().__init__(
            f"{why}: functions are sent as bytecode, which only the same version can load. Use an image with "
            f"{python_version()}, name its interpreter with python='...', or run this program on that of the session",
            session_id=session.session_id,
        )


def unusable(why: AGBError) -> BrokenSandbox:
    """Return the error of a call when no session can run anything."""
    return BrokenSandbox(str(why), session_id=why.session_id)


def ended_early() -> BrokenSandbox:
    """Return the error of a call that was cut off by the end of its executor."""
    return BrokenSandbox("the executor was shut down before the function ended")


def exception_of(answer: ops.Answer, form: Results, session_id: str) -> Exception:
    """Return the exception of a function: itself if it was sent and may be unpickled, otherwise an `ExecutionError`."""
    if answer.is_pickled and form == "pickle":
        try:
            error = pickle.loads(answer.content)
        except Exception as why:  # added as a note
            note = f"the exception itself cannot be unpickled here: {type(why).__name__}: {why}"
        else:
            if isinstance(error, Exception):
                return error
            note = f"a {type(error).__name__} arrived in place of the exception"
    else:
        note = ""
    described = ExecutionError(
        answer.name, answer.value, answer.traceback, kind=ErrorKind.PROGRAM_FAILED, session_id=session_id, sent=Sent.YES
    )
    if note:
        described.add_note(note)
    return described


def annotate(error: BaseException, stdout: str, stderr: str, session_id: str) -> None:
    """Add the output of a function to its exception as notes, since a traceback may be all that is shown."""
    for name, text in (("output", stdout), ("error output", stderr)):
        if text.strip():
            short = text if len(text) <= 2000 else f"...{text[-2000:]}"
            error.add_note(f"its {name} in session {session_id}:\n{short.rstrip()}")
    if isinstance(error, ModuleNotFoundError) or (
        isinstance(error, ExecutionError) and error.name == "ModuleNotFoundError"
    ):
        error.add_note("modules that the session lacks can be installed by prepare=, or sent with by_value=[...]")
