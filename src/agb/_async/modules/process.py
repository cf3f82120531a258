"""Processes: programs that run in a session for as long as they need, observed or not.

A process belongs to the session, not to a connection or a call. Each method makes one short call of the tool ``shell``,
whose script works on the process's directory in the session (``agb._ops.tools.process`` describes it). So any number of
callers can observe one process, in several programs; a lost answer costs nothing, since an observation is repeatable
and says itself from which byte it reads; and the end of a caller does not concern the process.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..._ops.tools import process as ops
from ..._wire.deadline import Deadline, check_timeout
from ..._wire.toolcall import ToolCall
from ...exceptions import AGBError, CommandError, ErrorKind
from ...results.base import OperationResult
from ...results.commands import CommandResult
from .._compat.cancellation import CLEANUP_LIMIT, shielded
from .._compat.flavour import BlockHint
from .._compat.primitives import Lock
from .process_output import LONGEST_WAIT, LOST, AsyncProcessOutput, checked, observe
from .tools import run_tool

if TYPE_CHECKING:
    from .protocols import AsyncSessionAccess


class AsyncProcess(BlockHint):
    r"""A program that runs in a session; returned by `start` and `attach` of ``session.command``.

    It runs detached: neither the time limit of a command nor the end of this program ends it. Leaving a ``with`` block
    ends it, if it still runs, and removes its files in the session; so does `cleanup`.

    Attributes:
        session: the session.
        process_id: the id for `attach`, in this program or another.
        pid: its process id, and process group, in the session's operating system.

    Example:
        >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
        ...     async with await session.command.start("echo one; sleep 1; echo two") as process:
        ...         async with process.stream() as output:
        ...             async for event in output:
        ...                 print(event.text, end="")
        ...         print(await process.poll())
        one
        two
        0
    """

    def __init__(self, session: AsyncSessionAccess, process_id: str, pid: int) -> None:
        self.session = session
        self.process_id = process_id
        self.pid = pid
        self._result: CommandResult | None = None
        self._writing = Lock()

    def __repr__(self) -> str:
        state = "" if self._result is None else f", exit_code={self._result.exit_code}"
        return f"<{type(self).__name__} {self.process_id!r}, pid={self.pid}{state}>"

    # --- output --------------------------------------------------------------------------------------------------

    def stream(self, *, stdout: int = 0, stderr: int = 0, timeout: float | None = None) -> AsyncProcessOutput:
        r"""Return the output as it grows, from its beginning: an iterator of `Stdout` and `Stderr`.

        Args:
            stdout: the byte to begin with, such as the ``stdout`` of an earlier stream.
            stderr: likewise for the error output.
            timeout: seconds after which the iterator raises, if the process has not ended by then; the process goes on.

        Returns:
            A context manager and iterator, which ends when the process has ended and all output was read. Bytes that
            are not UTF-8 become U+FFFD; a character is never split.

        Raises:
            CommandError: by the iterator: the time is over, or the process cannot be reached (any more).
            ValueError, TypeError: an argument is invalid.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     process = await session.command.start("echo out; echo err >&2")
            ...     async with process.stream() as output:
            ...         print(sorted([repr(event) async for event in output]))
            ["Stderr(text='err\\n')", "Stdout(text='out\\n')"]
        """
        return AsyncProcessOutput(self, stdout, stderr, timeout)

    async def poll(self) -> int | None:
        """Return the exit code, None if the process still runs.

        After a signal it is 128 plus the signal's number, as in a shell: 137 after SIGKILL.

        Raises:
            AGBError: the exit code is lost, or there was no valid answer; `CommandError` of the kind not found if the
                process was cleaned up.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     async with await session.command.start("sleep 60") as process:
            ...         print(await process.poll())
            None
        """
        if self._result is not None:
            return self._result.exit_code
        return checked(await observe(self, chunk=0), self).exit_code

    async def wait(self, timeout: float | None = None, *, output: bool = True, keep: bool = False) -> CommandResult:
        """Wait until the process has ended; return its exit code and its output.

        The result is complete then, so the files of the process in the session are removed; calling `wait` again
        returns the same result.

        Args:
            timeout: seconds to wait; without it, as long as it takes.
            output: whether to fetch the output; False if it was streamed already.
            keep: do not remove the files of the process, for others that observe it.

        Returns:
            A success if the exit code is 0; it is 128 plus the signal's number after a signal. If the time is over, a
            failure of the kind timed out, without exit code, with the output so far; the process goes on.
            Never raises for a failed call.

        Raises:
            ValueError, TypeError: the time is invalid.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     process = await session.command.start(["sh", "-c", "echo done; exit 3"])
            ...     result = await process.wait(timeout=30)
            ...     print(result.exit_code, result.stdout, end="")
            3 done

        API: the tool ``shell``.
        """
        check_timeout(timeout)
        if self._result is not None:
            return self._result
        try:
            state = await self._end(timeout)
            stdout, stderr = await self._outputs() if output else ("", "")
            result = self._as_result(state, timeout, stdout, stderr)
        except AGBError as error:
            return CommandResult.failed(error)
        if state.is_running:
            return result
        self._result = result
        if not keep:
            await self.cleanup()  # if it fails, the directory goes with the session at the latest
        return result

    async def _end(self, timeout: float | None) -> ops.ProcessState:
        """Return the first observation of the ended process, or the one at the end of the time."""
        deadline = Deadline(float("inf") if timeout is None else timeout)
        while True:
            state = await observe(self, chunk=0, wait=min(LONGEST_WAIT, deadline.left()), for_output=False)
            if not state.is_running or deadline.left() <= 0:
                return state

    async def _outputs(self) -> tuple[str, str]:
        """Return all output that was written until now."""
        stdout, stderr = bytearray(), bytearray()
        while True:
            state = await observe(self, len(stdout), len(stderr))
            stdout += state.stdout
            stderr += state.stderr
            if state.is_complete or not (state.stdout or state.stderr):
                return stdout.decode("utf-8", "replace"), stderr.decode("utf-8", "replace")

    def _as_result(self, state: ops.ProcessState, timeout: float | None, stdout: str, stderr: str) -> CommandResult:
        reason = ""
        if state.is_running:
            reason = f"the process {self.process_id} still runs after {timeout:g} s; wait again, or kill it"
        elif state.exit_code is None:
            reason = LOST
        elif state.has_expired:
            reason = "the process was ended by its time limit"
        return CommandResult.of_exit(
            stdout,
            stderr,
            state.exit_code,
            request_id="",
            session_id=self.session.session_id,
            why=reason,
            is_timeout=state.is_running or (state.has_expired and state.exit_code is not None),
        )

    # --- input ---------------------------------------------------------------------------------------------------

    async def write(self, data: str | bytes, *, timeout: float | None = None) -> OperationResult:
        """Write to the standard input of the process.

        Each call arrives whole: those of other tasks and threads wait until it is done.

        Args:
            data: text, which is written as UTF-8, or any bytes.
            timeout: seconds that the process may take to read all but the last 64 KiB; without it, the client's.

        Returns:
            Success with the number of bytes as ``data``. A failure if the process has ended, has closed its input, does
            not read, or was started without ``stdin=True``; ``data`` is then the number of bytes certainly written.

        Raises:
            ValueError, TypeError: an argument is invalid; nothing was sent.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     async with await session.command.start(["tr", "a-z", "A-Z"], stdin=True) as process:
            ...         print((await process.write("hello")).data)
            ...         print((await process.close_stdin()).success)
            ...         print((await process.wait()).stdout)
            5
            True
            HELLO
        """
        check_timeout(timeout)
        if not isinstance(data, (str, bytes, bytearray, memoryview)):
            raise TypeError(f"data must be text or bytes, not {type(data).__name__}")
        content = data.encode("utf-8") if isinstance(data, str) else bytes(data)
        seconds = self.session.get_client().timeout if timeout is None else timeout
        deadline = Deadline(seconds)
        async with self._writing.within(seconds) as is_acquired:
            if not is_acquired:
                error = self._not_read(seconds, 0)
                return OperationResult("", False, 0, str(error), error=error)
            return await self._write(content, deadline)

    async def _write(self, content: bytes, deadline: Deadline) -> OperationResult:
        for start in range(0, len(content), ops.PIECE):
            piece = content[start : start + ops.PIECE]
            call = ops.write(
                self.process_id, piece, wait=max(deadline.left(), 0.05), session_id=self.session.session_id
            )
            try:
                self._check(await run_tool(self.session, call))
            except AGBError as error:
                if error.kind is ErrorKind.TIMED_OUT:
                    error = self._not_read(deadline.seconds, start)
                return OperationResult(error.request_id, False, start, str(error), error=error)
        return OperationResult("", True, len(content))

    async def close_stdin(self) -> OperationResult:
        """Close the standard input: the process reads what was written, and then the end; closing twice is allowed.

        Returns:
            Success, also if the process has ended. Never raises for a failed call.
        """
        return await self._request(ops.close_stdin(self.process_id, session_id=self.session.session_id))

    # --- signals and the end -------------------------------------------------------------------------------------

    async def signal(self, signal: int | str) -> OperationResult:
        """Send a signal to the process and its children, which are one process group.

        Args:
            signal: a name such as ``"INT"`` or ``"SIGINT"``, a number, or a member of `signal.Signals`.

        Returns:
            Success with True as ``data``; False if the process has ended, and nothing was sent.

        Raises:
            ValueError, TypeError: the signal is invalid.

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     process = await session.command.start("sleep 60")
            ...     print((await process.signal("INT")).data)
            ...     print((await process.wait()).exit_code)
            True
            130
        """
        return await self._request(ops.send_signal(self.process_id, signal, session_id=self.session.session_id))

    async def terminate(self) -> OperationResult:
        """Ask the process and its children to end (SIGTERM); they may ignore it."""
        return await self.signal("TERM")

    async def kill(self) -> OperationResult:
        """End the process and its children immediately (SIGKILL)."""
        return await self.signal("KILL")

    async def cleanup(self) -> OperationResult:
        """End the process and its children if it still runs, and remove its files in the session.

        Returns:
            Success, also if there was nothing to do, or if the session is gone. Never raises for a failed call.
        """
        call = ops.clean_up(self.process_id, session_id=self.session.session_id)
        try:
            await run_tool(self.session, call, timeout=CLEANUP_LIMIT)
        except AGBError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                return OperationResult.failed(error)
        return OperationResult("", True, True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        left_behind = (await shielded(self.cleanup)).error
        if left_behind is None:
            return
        if error is None:
            raise left_behind
        error.add_note(f"and process {self.process_id} was not cleaned up: {left_behind}")

    async def _request(self, call: ToolCall[str]) -> OperationResult:
        try:
            status = await run_tool(self.session, call)
            if status != "ended":
                self._check(status)
        except AGBError as error:
            return OperationResult.failed(error)
        return OperationResult("", True, status == "done")

    def _check(self, status: str) -> None:
        """Raise `CommandError` unless a script reported that it did what it was asked to do."""
        if status != "done":
            raise CommandError(_REFUSALS.get(status, status), session_id=self.session.session_id)

    def _not_read(self, seconds: float, written: int) -> CommandError:
        return CommandError(
            f"the process did not read its input within {seconds:g} s; {written} bytes were written, and perhaps some "
            "of those after them",
            kind=ErrorKind.TIMED_OUT,
            session_id=self.session.session_id,
        )


_REFUSALS = {
    "no-input": "the process was started without an input to write to; start it with stdin=True",
    "ended": "the process has ended and reads no more",
    "closed": "the input of the process is closed",
    "not-read": "the process has closed its input and reads no more",
}
