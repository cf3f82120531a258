"""Deep Agents: a session as the sandbox of an agent, `AGBSandbox`; the extra is ``agb[deepagents]``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

try:
    from deepagents.backends.protocol import (
        FILE_NOT_FOUND,
        INVALID_PATH,
        IS_DIRECTORY,
        PERMISSION_DENIED,
        ExecuteResponse,
        FileDownloadResponse,
        FileUploadResponse,
    )
    from deepagents.backends.sandbox import BaseSandbox
except ImportError as error:
    why = f"the adapter for Deep Agents needs the extra 'deepagents': pip install 'agb[deepagents]' ({error})"
    raise ImportError(why) from error

from .._async.session import AsyncSession
from .._sync.session import Session
from ..exceptions import AGBError, ErrorKind
from .sandbox import BlockingSandbox, ExecOutcome, Sandbox

if TYPE_CHECKING:
    from .._sync.client import AGB

__all__ = ["AGBSandbox"]

TIMEOUT = 30 * 60
"""Seconds that a command may take, unless the caller sets others."""
_ERRORS: dict[ErrorKind, str] = {
    ErrorKind.NOT_FOUND: FILE_NOT_FOUND,
    ErrorKind.PERMISSION_DENIED: PERMISSION_DENIED,
    ErrorKind.IS_A_DIRECTORY: IS_DIRECTORY,
    ErrorKind.NOT_A_DIRECTORY: INVALID_PATH,
}


class AGBSandbox(BaseSandbox):
    """A session as a sandbox backend of Deep Agents: commands run in it, and its files are the agent's.

    A `Session` serves the synchronous methods directly, and the asynchronous ones in threads. An `AsyncSession` serves
    the asynchronous methods directly; for the synchronous ones a second client with the same key and configuration is
    opened, which `close` closes.

    Args:
        session: the session; it stays the caller's, who deletes it.
        cwd: the directory of commands; without it, that of the session.
        timeout: seconds that a command may take if a call sets no others; 0 for no limit.

    Example:
        >>> from agb.integrations.deepagents import AGBSandbox
        >>> with client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
        ...     sandbox = AGBSandbox(session)
        ...     print(sandbox.execute("echo hello").output, end="")
        hello
    """

    def __init__(self, session: Session | AsyncSession, *, cwd: str | None = None, timeout: float = TIMEOUT) -> None:
        if not isinstance(session, (Session, AsyncSession)):
            raise TypeError(f"session must be a Session or an AsyncSession, not {type(session).__name__}")
        self.session = session
        self._cwd = cwd
        self._timeout = timeout
        self._own_client: AGB | None = None
        self._sandbox = Sandbox(session, cwd=cwd) if isinstance(session, AsyncSession) else None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of session {self.id}>"

    @property
    def id(self) -> str:
        """The session's id."""
        return self.session.session_id

    @cached_property
    def _blocking(self) -> BlockingSandbox:
        session = self.session
        if isinstance(session, AsyncSession):
            from .._sync.client import AGB

            self._own_client = AGB(session.agb.api_key, session.agb.config)
            session = self._own_client.attach(session.ref)
        return BlockingSandbox(session, cwd=self._cwd)

    def close(self) -> None:
        """Close the client that the synchronous methods of an `AsyncSession` have opened; the session stays."""
        if self._own_client is not None:
            self._own_client.close()

    # --- commands ------------------------------------------------------------------------------------------------

    def execute(self, command: str, *, timeout: int | None = None) -> ExecuteResponse:
        """Run a command in the session's shell.

        Args:
            command: the command.
            timeout: seconds after which it is ended, with everything it has started; 0 for no limit.

        Returns:
            Its output, stdout and stderr as they were written; the exit code is 124 after a time-out.

        Raises:
            CommandError: it could not be run.
        """
        limit = self._limit(timeout)
        return _response(self._blocking.exec(_joined(command), timeout=limit), limit)

    async def aexecute(self, command: str, *, timeout: int | None = None) -> ExecuteResponse:
        """Do the same as `execute`; with an `AsyncSession`, a command whose caller is cancelled is ended."""
        if self._sandbox is None:
            return await super().aexecute(command, timeout=timeout)
        limit = self._limit(timeout)
        return _response(await self._sandbox.exec(_joined(command), timeout=limit), limit)

    def _limit(self, timeout: float | None) -> float | None:
        seconds = self._timeout if timeout is None else timeout
        return seconds if seconds > 0 else None

    # --- files ---------------------------------------------------------------------------------------------------

    def upload_files(self, files: list[tuple[str, bytes]]) -> list[FileUploadResponse]:
        """Write files, and the directories above them; one that fails does not stop the others."""
        return _uploaded(files, self._blocking.upload(_absolute(files)))

    async def aupload_files(self, files: list[tuple[str, bytes]]) -> list[FileUploadResponse]:
        """Do the same as `upload_files`."""
        if self._sandbox is None:
            responses: list[FileUploadResponse] = await super().aupload_files(files)
            return responses
        return _uploaded(files, await self._sandbox.upload(_absolute(files)))

    def download_files(self, paths: list[str]) -> list[FileDownloadResponse]:
        """Read files; one that fails does not stop the others."""
        return _downloaded(paths, self._blocking.download([path for path in paths if _is_absolute(path)]))

    async def adownload_files(self, paths: list[str]) -> list[FileDownloadResponse]:
        """Do the same as `download_files`."""
        if self._sandbox is None:
            responses: list[FileDownloadResponse] = await super().adownload_files(paths)
            return responses
        return _downloaded(paths, await self._sandbox.download([path for path in paths if _is_absolute(path)]))


def _joined(command: str) -> str:
    """Return the command with one stream for its output, so that lines keep their order."""
    return f"exec 2>&1\n{command}"


def _response(outcome: ExecOutcome, limit: float | None) -> ExecuteResponse:
    output = outcome.stdout.decode("utf-8", "replace")
    if outcome.timed_out:
        output += "\n" if output and not output.endswith("\n") else ""
        output += f"Command timed out after {limit:g} seconds"
    return ExecuteResponse(output=output, exit_code=outcome.exit_code, truncated=outcome.truncated)


def _is_absolute(path: str) -> bool:
    """Return whether a path is one that Deep Agents allows: absolute, and possible."""
    return path.startswith("/") and "\0" not in path


def _absolute(files: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [(path, data) for path, data in files if _is_absolute(path)]


def _uploaded(files: Sequence[tuple[str, bytes]], results: Sequence[AGBError | None]) -> list[FileUploadResponse]:
    """Return the responses in the order of the files; the results are those of the allowed paths."""
    rest = iter(results)
    responses = []
    for path, _ in files:
        error = next(rest) if _is_absolute(path) else None
        code = INVALID_PATH if not _is_absolute(path) else None if error is None else _code(error)
        responses.append(FileUploadResponse(path=path, error=code))
    return responses


def _downloaded(paths: Sequence[str], results: Sequence[bytes | AGBError]) -> list[FileDownloadResponse]:
    """Return the responses in the order of the paths; the results are those of the allowed paths."""
    rest = iter(results)
    responses = []
    for path in paths:
        result = next(rest) if _is_absolute(path) else None
        if isinstance(result, bytes):
            responses.append(FileDownloadResponse(path=path, content=result))
        else:
            responses.append(FileDownloadResponse(path=path, error=INVALID_PATH if result is None else _code(result)))
    return responses


def _code(error: AGBError) -> str:
    """Return the word of Deep Agents for an error, or its text where there is none."""
    return _ERRORS.get(error.kind, str(error))
