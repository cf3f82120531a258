# Generated from src/agb/_async/code.py by tools/unasync.py. Do not edit.
"""Code in a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._ops.tools.code import language_refused, run_code
from ..exceptions import AGBError, ErrorKind, SessionError
from ..results import EnhancedCodeExecutionResult

if TYPE_CHECKING:
    from .session import Session


class Code:
    """Runs code in a session; available as ``session.code``."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def run(
        self,
        code: str,
        language: str,
        timeout_s: float = 60,
        stream_beta: bool = False,
        on_stdout: Callable[[str], Any] | None = None,
        on_stderr: Callable[[str], Any] | None = None,
        on_error: Callable[[Any], Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> EnhancedCodeExecutionResult:
        """Run code and return what it printed, displayed and returned; variables are kept for the next run.

        Args:
            code: the source; in Python it is a notebook cell, the value of its last expression is the main result.
            language: ``python``, ``javascript``, ``java`` or ``r``; also ``py``, ``python3``, ``js``, ``node``,
                ``nodejs``.
            timeout_s: seconds after which the code is stopped.
            stream_beta: live output, not offered by this version: the result says so.
            on_stdout: called with each piece of output, when streaming.
            on_stderr: called with each piece of error output, when streaming.
            on_error: called with an error, when streaming.
            timeout: seconds for the whole call; without it, the client's time-out on top of ``timeout_s``.

        Returns:
            A success if the code ran to its end without raising; else ``error`` has name, value and traceback.
            An unsupported language is a result too.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     result = session.code.run("6 * 7", "python")
            ...     print(result.result)
            42

        Source: data-plane.md 2.1.
        """
        refused = language_refused(language)
        if stream_beta and not refused:
            refused = "streaming is not offered by this version of agb: call run without stream_beta"
        if refused:
            error = SessionError(refused, kind=ErrorKind.REFUSED, session_id=self.session.session_id)
            return EnhancedCodeExecutionResult.failed(error)
        del on_stdout, on_stderr, on_error  # heard when streaming alone, as in 0.12
        call = run_code(code, language, timeout_s, session_id=self.session.session_id)
        try:
            return self.session._tool(call, timeout=timeout)
        except AGBError as error:
            return EnhancedCodeExecutionResult.failed(error)
