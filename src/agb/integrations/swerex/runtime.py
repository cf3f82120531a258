"""The runtime of SWE-ReX: shells, commands and files of a session."""

# pyright: reportMissingImports=false
from __future__ import annotations

import io
import logging
import posixpath
from pathlib import Path
from typing import Final

from swerex.exceptions import CommandTimeoutError, NonZeroExitCodeError, SessionDoesNotExistError, SessionExistsError
from swerex.runtime.abstract import (
    AbstractRuntime,
    Action,
    BashObservation,
    CloseBashSessionRequest,
    CloseBashSessionResponse,
    CloseResponse,
    Command,
    CommandResponse,
    CreateBashSessionRequest,
    CreateBashSessionResponse,
    IsAliveResponse,
    ReadFileRequest,
    ReadFileResponse,
    UploadRequest,
    UploadResponse,
    WriteFileRequest,
    WriteFileResponse,
)
from swerex.utils.log import get_logger

from ...exceptions import AGBError, ErrorKind
from ..archives import send
from ..sandbox import Sandbox
from .shell import BashShell

_OS_ERRORS: Final[dict[ErrorKind, type[OSError]]] = {
    ErrorKind.NOT_FOUND: FileNotFoundError,
    ErrorKind.PERMISSION_DENIED: PermissionError,
    ErrorKind.IS_A_DIRECTORY: IsADirectoryError,
    ErrorKind.NOT_A_DIRECTORY: NotADirectoryError,
    ErrorKind.EXISTS: FileExistsError,
}
_MERGED: Final = 'exec "$@" 2>&1'


class AGBRuntime(AbstractRuntime):
    """The runtime of a deployment; `AGBDeployment.runtime` returns it.

    Errors of files are those of Python's own functions, such as `FileNotFoundError`, as they are with the runtimes of
    SWE-ReX; others are `AGBError`.
    """

    def __init__(self, sandbox: Sandbox, *, logger: logging.Logger | None = None) -> None:
        self.sandbox = sandbox
        self.logger = logger or get_logger("rex-runtime")
        self._shells: dict[str, BashShell] = {}

    async def is_alive(self, *, timeout: float | None = None) -> IsAliveResponse:
        """Return whether the session runs."""
        result = await self.sandbox.session.get_status(timeout=timeout)
        if not result.success:
            return IsAliveResponse(is_alive=False, message=result.error_message)
        return IsAliveResponse(is_alive=result.status == "RUNNING", message=f"the session is {result.status}")

    # --- shells --------------------------------------------------------------------------------------------------

    async def create_session(self, request: CreateBashSessionRequest) -> CreateBashSessionResponse:
        """Open a shell on a terminal of its own, and source the files of ``startup_source``.

        Raises:
            SessionExistsError: there is one of this name.
            CommandTimeoutError: it has not started in ``startup_timeout`` seconds, or a minute if that is less.
        """
        if request.session in self._shells:
            raise SessionExistsError(f"session {request.session} already exists")
        shell = self._shells[request.session] = BashShell(self.sandbox)
        try:
            output = await shell.start(request.startup_source, request.startup_timeout)
        except BaseException:
            del self._shells[request.session]
            await shell.close()
            raise
        return CreateBashSessionResponse(output=output)

    async def run_in_session(self, action: Action) -> BashObservation:
        """Run a command in a shell, write to its program, or interrupt it.

        If the caller is cancelled, the command is interrupted.

        Raises:
            SessionDoesNotExistError: there is no shell of this name.
            SessionNotInitializedError: the shell has ended.
            BashIncorrectSyntaxError: the command is none; nothing of it was run.
            CommandTimeoutError: it has not ended in time, and goes on.
            NonZeroExitCodeError: it has failed, with ``check="raise"``.
        """
        return await self._shell(action.session).run(action)

    async def close_session(self, request: CloseBashSessionRequest) -> CloseBashSessionResponse:
        """End a shell and what runs in it.

        Raises:
            SessionDoesNotExistError: there is no shell of this name.
        """
        shell = self._shell(request.session)
        del self._shells[request.session]
        await shell.close()
        return CloseBashSessionResponse()

    def _shell(self, name: str) -> BashShell:
        if name not in self._shells:
            raise SessionDoesNotExistError(f"session {name!r} does not exist")
        return self._shells[name]

    # --- commands ------------------------------------------------------------------------------------------------

    async def execute(self, command: Command) -> CommandResponse:
        """Run a command to its end, apart from all shells; the variables of ``env`` are added to the session's.

        Raises:
            CommandTimeoutError: the time is over; the command and what it has started are ended.
            NonZeroExitCodeError: it has failed, with ``check``.
        """
        words = [command.command] if isinstance(command.command, str) else list(command.command)
        if command.shell:
            words = ["sh", "-c", *words]
        if command.merge_output_streams:
            words = ["sh", "-c", _MERGED, "sh", *words]
        outcome = await self.sandbox.exec(words, cwd=command.cwd, env=command.env, timeout=command.timeout)
        if outcome.timed_out:
            raise CommandTimeoutError(f"Timeout ({command.timeout}s) exceeded while running command")
        stdout, stderr = (data.decode(errors="backslashreplace") for data in (outcome.stdout, outcome.stderr))
        if command.check and outcome.exit_code:
            message = (
                f"Command {command.command!r} failed with exit code {outcome.exit_code}. "
                f"Stdout:\n{stdout!r}\nStderr:\n{stderr!r}"
            )
            raise NonZeroExitCodeError(f"{command.error_msg}: {message}" if command.error_msg else message)
        return CommandResponse(stdout=stdout, stderr=stderr, exit_code=outcome.exit_code)

    # --- files ---------------------------------------------------------------------------------------------------

    async def read_file(self, request: ReadFileRequest) -> ReadFileResponse:
        """Return the text of a file, with the line ends of Python's text files.

        Raises:
            OSError: it cannot be read.
            UnicodeDecodeError: it is no text of the encoding.
        """
        try:
            data = await self.sandbox.read(request.path)
        except AGBError as error:
            raise _os_error(error, request.path) from error
        text = io.TextIOWrapper(io.BytesIO(data), encoding=request.encoding or "utf-8", errors=request.errors)
        return ReadFileResponse(content=text.read())

    async def write_file(self, request: WriteFileRequest) -> WriteFileResponse:
        """Write a text into a file as UTF-8, and make the directories above it that are missing.

        Raises:
            OSError: it cannot be written.
        """
        try:
            await self.sandbox.write(request.path, request.content)
        except AGBError as error:
            raise _os_error(error, request.path) from error
        return WriteFileResponse()

    async def upload(self, request: UploadRequest) -> UploadResponse:
        """Copy a file or a directory of this machine to a path of the session, with permissions and links.

        A file whose target is a directory goes into it.

        Raises:
            FileNotFoundError: there is no such file on this machine.
            RuntimeError: it cannot be written.
        """
        source, target = Path(request.source_path), request.target_path
        if source.is_dir():
            await send(self.sandbox, [(source, ".")], target)
        elif not source.exists():
            raise FileNotFoundError(request.source_path)
        elif not (await self.sandbox.exec(["test", "-d", target])).exit_code:
            await send(self.sandbox, [(source, source.name)], target)
        else:
            await send(self.sandbox, [(source, posixpath.basename(target))], posixpath.dirname(target) or ".")
        return UploadResponse()

    async def close(self) -> CloseResponse:
        """End all shells; the session stays."""
        while self._shells:
            await self._shells.popitem()[1].close()
        return CloseResponse()


def _os_error(error: AGBError, path: str) -> Exception:
    kind = _OS_ERRORS.get(error.kind) if error.kind is not None else None
    return error if kind is None else kind(f"{error}: {path!r}")
