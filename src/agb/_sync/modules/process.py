# Generated from src/agb/_async/modules/process.py by tools/unasync.py. Do not edit.
"""Processes: programs that run in a session for as long as they need, whoever is looking."""

from __future__ import annotations

from codecs import getincrementaldecoder
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..._ops.tools import process as ops
from ..._wire.deadline import Deadline, check_timeout
from ..._wire.toolcall import ToolCall
from ...events import Stderr, Stdout
from ...exceptions import AGBError, CommandError, ErrorKind
from ...results.base import OperationResult
from ...results.commands import CommandResult
from .._compat.cancellation import CLEANUP_LIMIT, shielded
from .._compat.loop import sleep

if TYPE_CHECKING:
    from ..session import Session

LOOK = 10.0
"""Seconds that one look waits in the session at most; well below what the API's route allows a call."""
PAUSES = (0.01, 0.1)
"""Seconds between two looks at a process that always has something to say: the first, and the longest."""


class Process:
    r"""A program that runs in a session; `start` and `attach` of ``session.command`` give it.

    It runs detached: neither the time limit of a command nor the end of this program ends it. Leaving a ``with`` block
    ends it, if it still runs, and removes what it left behind in the session; so does `cleanup`.

    Attributes:
        session: the session.
        process_id: the id for `attach`, in this program or another.
        pid: its process id, and process group, in the session's operating system.

    Example:
        >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
        ...     with session.command.start("echo one; sleep 0.1; echo two") as process:
        ...         with process.stream() as output:
        ...             for event in output:
        ...                 print(event)
        ...         print(process.poll())
        Stdout(text='one\n')
        Stdout(text='two\n')
        0
    """

    def __init__(self, session: Session, process_id: str, pid: int) -> None:
        self.session = session
        self.process_id = process_id
        self.pid = pid
        self._result: CommandResult | None = None

    def __repr__(self) -> str:
        state = "" if self._result is None else f", exit_code={self._result.exit_code}"
        return f"<{type(self).__name__} {self.process_id!r}, pid={self.pid}{state}>"

    # --- output --------------------------------------------------------------------------------------------------

    def stream(self, *, stdout: int = 0, stderr: int = 0, timeout: float | None = None) -> ProcessOutput:
        r"""Return the output as it grows, from its beginning: an iterator of `Stdout` and `Stderr`.

        Args:
            stdout: the byte to begin with, such as the ``stdout`` of an earlier stream.
            stderr: likewise for the error output.
            timeout: seconds after which the iterator raises, if the process has not ended by then; the process goes on.

        Returns:
            A context manager that gives the iterator, which ends when the process has ended and all is read. Bytes that
            are no UTF-8 become U+FFFD; a character is never split.

        Raises:
            CommandError: by the iterator: the time is over, or the process cannot be reached (any more).
            ValueError, TypeError: an argument cannot be used.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     process = session.command.start("echo out; echo err >&2")
            ...     with process.stream() as output:
            ...         print(sorted([repr(event) for event in output]))
            ["Stderr(text='err\\n')", "Stdout(text='out\\n')"]
        """
        return ProcessOutput(self, stdout, stderr, timeout)

    def poll(self) -> int | None:
        """Return the exit code, None if the process still runs.

        A process that was ended by a signal has 128 plus the signal's number, as shells tell it: 137 after SIGKILL.

        Raises:
            AGBError: that cannot be told; `CommandError` of the kind not found if the process was cleaned up.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     with session.command.start("sleep 60") as process:
            ...         print(process.poll())
            None
        """
        if self._result is not None:
            return self._result.exit_code
        return self._checked(self._look(chunk=0)).exit_code

    def wait(self, timeout: float | None = None, *, output: bool = True, keep: bool = False) -> CommandResult:
        """Wait until the process has ended; return its exit code and what it has written.

        Then nothing more can be learned from the session, so what the process left there is removed; asking again gives
        the same result.

        Args:
            timeout: seconds to wait; without it, as long as it takes.
            output: whether to fetch what it has written; False spares that if it was streamed already.
            keep: leave everything in the session, for others that look at the process.

        Returns:
            A success if the exit code is 0; it is 128 plus the signal's number after a signal. If the time is over, a
            failure of the kind timed out, without exit code, with the output so far; the process goes on.
            Never raises for a failed call.

        Raises:
            ValueError, TypeError: the time cannot be used.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     process = session.command.start(["sh", "-c", "echo done; exit 3"])
            ...     result = process.wait(timeout=30)
            ...     print(result.exit_code, result.stdout, end="")
            3 done

        Source: data-plane.md 2.2.
        """
        check_timeout(timeout)
        if self._result is not None:
            return self._result
        try:
            look = self._end(timeout)
            stdout, stderr = self._outputs() if output else ("", "")
            result = self._as_result(look, timeout, stdout, stderr)
        except AGBError as error:
            return CommandResult.failed(error)
        if look.is_running:
            return result
        self._result = result
        if not keep:
            self.cleanup()  # if it fails, the directory goes with the session at the latest
        return result

    def _end(self, timeout: float | None) -> ops.Look:
        """Return the first look that finds the process ended, or the one at the end of the time."""
        deadline = Deadline(float("inf") if timeout is None else timeout)
        while True:
            look = self._look(chunk=0, wait=min(LOOK, deadline.left()), for_output=False)
            if not look.is_running or deadline.left() <= 0:
                return look

    def _outputs(self) -> tuple[str, str]:
        """Return all output there is now."""
        stdout, stderr = bytearray(), bytearray()
        while True:
            look = self._look(len(stdout), len(stderr))
            stdout += look.stdout
            stderr += look.stderr
            if look.is_all or not (look.stdout or look.stderr):
                return stdout.decode("utf-8", "replace"), stderr.decode("utf-8", "replace")

    def _as_result(self, look: ops.Look, timeout: float | None, stdout: str, stderr: str) -> CommandResult:
        why, is_timeout = "", False
        if look.is_running:
            why, is_timeout = (
                f"the process {self.process_id} still runs after {timeout:g} s; wait again, or kill it",
                True,
            )
        elif look.exit_code is None:
            why = _LOST
        elif look.has_expired:
            why, is_timeout = "the process was ended when its time was over", True
        return CommandResult.of_exit(
            stdout,
            stderr,
            look.exit_code,
            request_id="",
            session_id=self.session.session_id,
            why=why,
            is_timeout=is_timeout,
        )

    def _look(
        self,
        stdout: int = 0,
        stderr: int = 0,
        *,
        wait: float = 0.0,
        for_output: bool = True,
        chunk: int = ops.CHUNK,
    ) -> ops.Look:
        call = ops.look(
            self.process_id,
            stdout,
            stderr,
            wait=wait,
            for_output=for_output,
            chunk=chunk,
            session_id=self.session.session_id,
        )
        return self.session._tool(call)

    def _checked(self, look: ops.Look) -> ops.Look:
        if not look.is_running and look.exit_code is None:
            raise CommandError(_LOST, session_id=self.session.session_id)
        return look

    # --- input ---------------------------------------------------------------------------------------------------

    def write(self, data: str | bytes, *, timeout: float | None = None) -> OperationResult:
        """Give the process something to read on its standard input.

        Args:
            data: text, which goes as UTF-8, or any bytes.
            timeout: seconds that the process may take to read all but the last 64 KiB; without it, the client's.

        Returns:
            Success with the number of bytes as ``data``. A failure if the process has ended, has closed its input, does
            not read, or was started without ``stdin=True``; ``data`` is then the number of bytes surely written.

        Raises:
            ValueError, TypeError: an argument cannot be used; nothing was sent.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     with session.command.start(["tr", "a-z", "A-Z"], stdin=True) as process:
            ...         print((process.write("hello")).data)
            ...         print((process.close_stdin()).success)
            ...         print((process.wait()).stdout)
            5
            True
            HELLO
        """
        check_timeout(timeout)
        if not isinstance(data, (str, bytes, bytearray, memoryview)):
            raise TypeError(f"what a process reads is text or bytes, not {type(data).__name__}")
        content = data.encode("utf-8") if isinstance(data, str) else bytes(data)
        seconds = self.session._transport.timeout if timeout is None else timeout
        deadline = Deadline(seconds)
        for start in range(0, len(content), ops.PIECE):
            piece = content[start : start + ops.PIECE]
            call = ops.write(
                self.process_id, piece, wait=max(deadline.left(), 0.05), session_id=self.session.session_id
            )
            try:
                self._done(self.session._tool(call))
            except AGBError as error:
                if error.kind is ErrorKind.TIMED_OUT:
                    error = _not_read(self, seconds, start)
                return OperationResult(error.request_id, False, start, str(error), error=error)
        return OperationResult("", True, len(content))

    def close_stdin(self) -> OperationResult:
        """Let the process come to the end of its input, when it has read what was written; closing twice is fine.

        Returns:
            Success, also if the process has ended. Never raises for a failed call.
        """
        return self._tell(ops.close_stdin(self.process_id, session_id=self.session.session_id))

    # --- signals and the end -------------------------------------------------------------------------------------

    def signal(self, signal: int | str) -> OperationResult:
        """Send a signal to the process and its children, which are one process group.

        Args:
            signal: a name such as ``"INT"`` or ``"SIGINT"``, a number, or a member of `signal.Signals`.

        Returns:
            Success with True as ``data``; False if the process has ended, and nothing was sent.

        Raises:
            ValueError, TypeError: this is no signal.

        Example:
            >>> with agb.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     process = session.command.start("sleep 60")
            ...     print((process.signal("INT")).data)
            ...     print((process.wait()).exit_code)
            True
            130
        """
        return self._tell(ops.send_signal(self.process_id, signal, session_id=self.session.session_id))

    def terminate(self) -> OperationResult:
        """Ask the process and its children to end (SIGTERM); they may not heed it."""
        return self.signal("TERM")

    def kill(self) -> OperationResult:
        """End the process and its children at once (SIGKILL)."""
        return self.signal("KILL")

    def cleanup(self) -> OperationResult:
        """End the process if it still runs, and remove what it left in the session's directory of processes.

        Returns:
            Success, also if there was nothing to do, or if the session is gone. Never raises for a failed call.
        """
        call = ops.clean_up(self.process_id, session_id=self.session.session_id)
        try:
            self.session._tool(call, timeout=CLEANUP_LIMIT)
        except AGBError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                return OperationResult.failed(error)
        return OperationResult("", True, True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        left_behind = shielded(self.cleanup).error
        if left_behind is None:
            return
        if error is None:
            raise left_behind
        error.add_note(f"and process {self.process_id} was not cleaned up: {left_behind}")

    def _tell(self, call: ToolCall[str]) -> OperationResult:
        try:
            word = self.session._tool(call)
            if word != "ended":
                self._done(word)
        except AGBError as error:
            return OperationResult.failed(error)
        return OperationResult("", True, word == "done")

    def _done(self, word: str) -> None:
        if word != "done":
            raise CommandError(_REFUSALS.get(word, word), session_id=self.session.session_id)


class ProcessOutput:
    """The output of a process as it grows; `Process.stream` gives it.

    Attributes:
        stdout, stderr: how many bytes of each have been read; a later `stream` can go on from there.
    """

    def __init__(self, process: Process, stdout: int, stderr: int, timeout: float | None) -> None:
        for name, offset in (("stdout", stdout), ("stderr", stderr)):
            if isinstance(offset, bool) or not isinstance(offset, int):
                raise TypeError(f"{name} is a number of bytes, not {offset!r}")
            if offset < 0:
                raise ValueError(f"{name} is a number of bytes from the beginning, not {offset}")
        check_timeout(timeout)
        self.stdout = stdout
        self.stderr = stderr
        self._process = process
        self._deadline = Deadline(float("inf") if timeout is None else timeout)
        self._decoders = [getincrementaldecoder("utf-8")("replace") for _ in range(2)]
        self._ready: list[Stdout | Stderr] = []
        self._pause = 0.0
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop reading; the process is not concerned."""
        self._is_over = True
        self._ready.clear()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Stdout | Stderr:
        while not self._ready:
            if self._is_over:
                raise StopIteration
            self._read()
        return self._ready.pop(0)

    def _read(self) -> None:
        """Look once, waiting in the session for news; make them events."""
        if self._pause:
            sleep(min(self._pause, self._deadline.left()))
        look = self._process._checked(
            self._process._look(self.stdout, self.stderr, wait=min(LOOK, self._deadline.left()))
        )
        self.stdout += len(look.stdout)
        self.stderr += len(look.stderr)
        self._is_over = not look.is_running and look.is_all
        out, err = (
            decoder.decode(data, self._is_over)
            for decoder, data in zip(self._decoders, (look.stdout, look.stderr), strict=True)
        )
        self._ready += [Stdout(out)] if out else []
        self._ready += [Stderr(err)] if err else []
        if look.is_running and not self._ready and self._deadline.left() <= 0:
            raise _out_of_time(self._process, self._deadline)
        # Whoever writes all the time is read in gulps: a look costs the session more than a few bytes are worth.
        trickles = look.is_running and look.is_all and bool(look.stdout or look.stderr)
        self._pause = min(max(self._pause * 1.5, PAUSES[0]), PAUSES[1]) if trickles else 0.0


_LOST = (
    "the process has ended, and its exit code is not known: its supervisor was killed, by the session's lack of memory "
    "or by someone"
)
_REFUSALS = {
    "no-input": "the process was started without an input to write to; start it with stdin=True",
    "ended": "the process has ended and reads no more",
    "closed": "the input of the process is closed",
    "not-read": "the process has closed its input and reads no more",
}


def _not_read(process: Process, seconds: float, written: int) -> CommandError:
    return CommandError(
        f"the process did not read its input within {seconds:g} s; {written} bytes were written, and of those "
        "after them perhaps some",
        kind=ErrorKind.TIMED_OUT,
        session_id=process.session.session_id,
    )


def _out_of_time(process: Process, deadline: Deadline) -> CommandError:
    return CommandError(
        f"the process {process.process_id} still runs after {deadline.seconds:g} s; it goes on, and can be streamed "
        "again",
        kind=ErrorKind.TIMED_OUT,
        session_id=process.session.session_id,
    )
