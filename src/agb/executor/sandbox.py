"""A session that runs functions, one at a time."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from attrs import frozen

from .._ops.tools import process as processes
from .._ops.tools import remote_call as ops
from .._sync.modules.process import Process
from .._sync.modules.process_output import LONGEST_WAIT, observe
from .._sync.session import Session
from ..exceptions import AGBError, ErrorKind, ExecutionError, Sent
from .errors import BrokenSandbox, WrongPython, annotate
from .pickling import PROGRAM, interpreter_names, python_version, session_files

T = TypeVar("T")

MAX_INLINE_CALL = 32 * 1024
"""Bytes of a pickled call that is sent with the start of its process; a larger one is sent before, as a file."""
SETUP_MS = 60_000
"""Milliseconds that a session may take to unpack its files."""


class SandboxFuture(Future[T]):
    r"""The future that `SandboxExecutor.submit` returns; once done it also has the output of the function.

    Attributes:
        stdout: the output, its first 256 KiB; ``""`` until it is done.
        stderr: the standard error, likewise.
        session_id: the session it ran in, ``""`` until it runs.

    Example:
        >>> from agb import CreateSessionParams, SandboxExecutor
        >>> with SandboxExecutor(CreateSessionParams(image_id="agb-code-space-1")) as executor:
        ...     future = executor.submit(print, "hello")
        >>> future.stdout
        'hello\n'
    """

    def __init__(self) -> None:
        super().__init__()
        self.stdout = ""
        self.stderr = ""
        self.session_id = ""


@frozen(eq=False)
class Call(Generic[T]):
    """A submitted call: its future, its pickle, and the mark that identifies its answer."""

    future: SandboxFuture[T]
    pickled: bytes
    mark: str


@frozen
class FinishedCall:
    """What a process left that ran a function to its end."""

    answer: ops.Answer
    stdout: str
    stderr: str
    file: str
    """The file of the answer, ``""`` if it was in the output."""


class Sandbox:
    """A session that can run functions, one at a time."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._executable = ""
        self._directory = ""

    def set_up(self, python: str | None) -> None:
        """Find the interpreter and send its files; raise `WrongPython` if there is none that can run the functions."""
        command, envs = ops.setup(python_version(), interpreter_names(python), session_files())
        output = self.session.command.execute(command, SETUP_MS, envs=envs, check=True).stdout
        try:
            found = ops.read_setup(output)
        except ValueError:
            raise BrokenSandbox(f"the session's Python did not answer as expected: {output[:200]!r}") from None
        if found is None or not found.directory:
            raise WrongPython(found, python, self.session)
        self._executable, self._directory = found.executable, found.directory

    def start(
        self, call: Call[Any], form: str, timeout: float | None, cwd: str | None, envs: Mapping[str, str]
    ) -> Process:
        """Start the process of a call."""
        variables = dict(envs)
        if len(call.pickled) <= MAX_INLINE_CALL:
            variables[ops.CALL] = b64encode(call.pickled).decode("ascii")
        else:
            self.session.file.write(self._path(f"{call.mark}.call"), call.pickled).raise_for_error()
        command = [self._executable, self._path(PROGRAM.name), call.mark, form, str(processes.CHUNK)]
        return self.session.command.start(command, cwd=cwd, envs=variables, timeout=timeout)

    def wait(self, process: Process, call: Call[Any]) -> FinishedCall:
        """Wait for the end of a call; raise `BrokenSandbox` or, if its time was over, `ExecutionError`."""
        try:
            state = observe(process, chunk=processes.CHUNK, wait=LONGEST_WAIT, for_output=False)
            while state.is_running:
                state = observe(process, chunk=0, wait=LONGEST_WAIT, for_output=False)
                if not state.is_running:
                    state = observe(process, chunk=processes.CHUNK)
            stdout, answer = ops.split_output(state.stdout, call.mark)
            file = ""
            if answer is None and state.exit_code == 0:
                file = self._path(f"{call.mark}.answer")
                answer = self._content(file)
            if answer is not None:
                return FinishedCall(ops.read_answer(answer), _text(stdout), _text(state.stderr), file)
        except (AGBError, ValueError) as error:
            why = f"the session {self.session.session_id} was lost while the function ran, or its answer was: {error}"
            kind = error.kind if isinstance(error, AGBError) else ErrorKind.INVALID_ANSWER
            raise BrokenSandbox(why, kind=kind, session_id=self.session.session_id) from error
        call.future.stdout, call.future.stderr = _text(stdout), _text(state.stderr)
        raise self._error_without_answer(state, call)

    def _error_without_answer(self, state: processes.ProcessState, call: Call[Any]) -> ExecutionError:
        """Return the error of a call whose process ended without an answer."""
        lost: ExecutionError
        if state.has_expired:
            why = f"the function was ended when its time was over, in session {self.session.session_id}"
            lost = ExecutionError(why, kind=ErrorKind.TIMED_OUT, session_id=self.session.session_id)
        else:
            code = state.exit_code
            lost = BrokenSandbox(
                f"the function's process ended before the function did, {_describe(code)}",
                exit_code=code,
                kind=ErrorKind.PROGRAM_FAILED,
                session_id=self.session.session_id,
                sent=Sent.YES,
            )
        annotate(lost, call.future.stdout, call.future.stderr, self.session.session_id)
        return lost

    def _content(self, path: str) -> bytes | None:
        """Return the bytes of a file, None if there is no such file."""
        read = self.session.file.read(path, format="bytes")
        if read.error is not None and read.error.kind is ErrorKind.NOT_FOUND:
            return None
        return read.raise_for_error().content

    def tidy(self, process: Process, finished: FinishedCall) -> None:
        """Remove the files of a call; if that fails, they are deleted with the session."""
        process.cleanup()
        if finished.file:
            self.session.file.remove(finished.file)

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}"


def _describe(exit_code: int | None) -> str:
    if exit_code is None:
        return "and its exit code is unknown"
    by_signal = f", as by signal {exit_code - 128}" if 128 < exit_code < 128 + 65 else ""
    memory = "; a lack of memory looks like this" if exit_code == 128 + 9 else ""
    return f"with exit code {exit_code}{by_signal}{memory}"


def _text(output: bytes) -> str:
    return output.decode("utf-8", "replace")
