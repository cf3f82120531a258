"""The output of a process as it grows, and the observations that it is read by."""

from __future__ import annotations

from codecs import getincrementaldecoder
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..._ops.tools import process as ops
from ..._wire.deadline import Deadline, check_timeout
from ...events import Stderr, Stdout
from ...exceptions import CommandError, ErrorKind
from .._compat.flavour import BlockHint, IterationHint
from .._compat.loop import sleep
from .._compat.primitives import Lock
from .tools import run_tool

if TYPE_CHECKING:
    from .process import AsyncProcess

LONGEST_WAIT = 10.0
"""Seconds that one observation waits in the session at most; well below the time limit of a call on the API's route."""
PAUSES = (0.01, 0.1)
"""Seconds between two observations of a process that writes all the time: the first, and the longest."""

LOST = (
    "the process has ended, and its exit code is not known: its supervisor was killed, by a signal or because the "
    "session ran out of memory"
)


async def observe(
    process: AsyncProcess,
    stdout: int = 0,
    stderr: int = 0,
    *,
    wait: float = 0.0,
    for_output: bool = True,
    chunk: int = ops.CHUNK,
) -> ops.ProcessState:
    """Return the state of a process and its output from the given bytes on; see the tool call for the arguments."""
    session = process.session
    call = ops.observe(
        process.process_id,
        stdout,
        stderr,
        wait=wait,
        for_output=for_output,
        chunk=chunk,
        session_id=session.session_id,
    )
    return await run_tool(session, call)


def checked(state: ops.ProcessState, process: AsyncProcess) -> ops.ProcessState:
    """Return a state whose exit code is known if the process has ended; otherwise raise `CommandError`."""
    if not state.is_running and state.exit_code is None:
        raise CommandError(LOST, session_id=process.session.session_id)
    return state


class AsyncProcessOutput(BlockHint, IterationHint):
    """The output of a process as it grows; returned by `AsyncProcess.stream`.

    No output is lost or read twice. The iterator ends when the process has ended and all output was read.

    Attributes:
        stdout: how many bytes of it have been read; a later `stream` can go on from there.
        stderr: the same of the standard error.
    """

    # Each observation asks for the bytes after those that were read, so none is lost or read twice, whatever happens to
    # a call. One observation waits in the session until there is output. A process that writes small pieces all the
    # time would end each wait immediately; so after an observation that returned all there was, the next one is made
    # after a pause that grows to 0.1 s, and one that returned nothing, or not all, resets the pause. The first
    # observation after the deadline is the last: its output is returned, and then the time-out is raised.

    def __init__(self, process: AsyncProcess, stdout: int, stderr: int, timeout: float | None) -> None:
        for name, offset in (("stdout", stdout), ("stderr", stderr)):
            if isinstance(offset, bool) or not isinstance(offset, int):
                raise TypeError(f"{name} must be a number of bytes, not {offset!r}")
            if offset < 0:
                raise ValueError(f"{name} must be a number of bytes from the beginning, not {offset}")
        check_timeout(timeout)
        self.stdout = stdout
        self.stderr = stderr
        self._process = process
        self._deadline = Deadline(float("inf") if timeout is None else timeout)
        self._decoders = [getincrementaldecoder("utf-8")("replace") for _ in range(2)]
        self._ready: list[Stdout | Stderr] = []
        self._pause = 0.0
        self._is_over = False
        self._is_out_of_time = False
        self._reading = Lock()

    def __repr__(self) -> str:
        read = f"{self.stdout} bytes of stdout and {self.stderr} of stderr read"
        return f"<{type(self).__name__} of {self._process!r}, {read}{', over' if self._is_over else ''}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop reading; the process goes on."""
        self._is_over = True
        self._ready.clear()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Stdout | Stderr:
        # Two observations at the same time would begin at the same byte, and return the same output twice.
        async with self._reading.within():
            while not self._ready:
                if self._is_over:
                    raise StopAsyncIteration
                self._ready += self._events(await self._read())
            return self._ready.pop(0)

    async def read_bytes(self) -> tuple[bytes, bytes] | None:
        r"""Return the next bytes of stdout and stderr as they are, None at the end; for output that is no text.

        An iteration of the same object continues behind them.

        Raises:
            CommandError: the time is over, or the process cannot be reached (any more).

        Example:
            >>> async with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
            ...     async with await session.command.start("printf '\\377\\376'") as process:
            ...         received = b""
            ...         async with process.stream() as output:
            ...             while (pieces := await output.read_bytes()) is not None:
            ...                 received += pieces[0]
            ...         print(received)
            b'\xff\xfe'
        """
        async with self._reading.within():
            return None if self._is_over else await self._read()

    def _events(self, pieces: tuple[bytes, bytes]) -> list[Stdout | Stderr]:
        out, err = (decoder.decode(data, self._is_over) for decoder, data in zip(self._decoders, pieces, strict=True))
        return [*([Stdout(out)] if out else []), *([Stderr(err)] if err else [])]

    async def _read(self) -> tuple[bytes, bytes]:
        """Observe the process once, waiting in the session for output, and return the bytes of both outputs."""
        if self._is_out_of_time:
            raise self._timed_out()
        if self._pause:
            await sleep(min(self._pause, self._deadline.left()))
        wait = min(LONGEST_WAIT, self._deadline.left())
        state = checked(await observe(self._process, self.stdout, self.stderr, wait=wait), self._process)
        self.stdout += len(state.stdout)
        self.stderr += len(state.stderr)
        self._is_over = not state.is_running and state.is_complete
        self._is_out_of_time = state.is_running and self._deadline.left() <= 0
        writes_all_the_time = state.is_running and state.is_complete and bool(state.stdout or state.stderr)
        self._pause = min(max(self._pause * 1.5, PAUSES[0]), PAUSES[1]) if writes_all_the_time else 0.0
        return state.stdout, state.stderr

    def _timed_out(self) -> CommandError:
        return CommandError(
            f"the process {self._process.process_id} still runs after {self._deadline.seconds:g} s; "
            "it goes on, and can be streamed again",
            kind=ErrorKind.TIMED_OUT,
            session_id=self._process.session.session_id,
        )
