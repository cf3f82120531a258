"""The sandbox of Inspect: a session for each sample.

The samples of an evaluation share a `_Run`: a client, and the table of its sessions. `task_init` makes it, and the last
`task_cleanup` ends it. Invariant: a session is in the table from the moment at which `create` returns it until it is
deleted, with no point of cancellation in between. So `task_cleanup`, which Inspect shields, deletes what an interrupted
sample has not; a creation that is cancelled deletes its session itself.
"""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

import anyio
import click
from inspect_ai.log._samples import sample_active
from inspect_ai.util import (
    ExecResult,
    OutputLimitExceededError,
    SandboxConnection,
    SandboxEnvironment,
    SandboxEnvironmentLimits,
    SandboxUnavailableError,
    SandboxUserUnsupportedError,
    sandboxenv,
)
from pydantic import BaseModel

from ..._async.client import AsyncAGB
from ..._async.lifecycle import reaper
from ..._async.lifecycle.deletion import delete_surely, warn_left_behind
from ..._ops import ownership
from ..._wire.reply import SESSION_NOT_FOUND, TOOL_SESSION_NOT_FOUND
from ...exceptions import AGBError, ErrorKind
from ...limits import Limits
from ...owned import Owner
from ..sandbox import Sandbox
from .config import CONFIG_FILES, AGBSandboxConfig, SessionOptions, file_key, options_in_use, read_config

if TYPE_CHECKING:
    from ..._async.session import AsyncSession

KIND = "inspect"
"""The kind of owner of all sessions that are created here."""
_START = 'mkdir -p -- "$1" && cd -- "$1" && pwd -P'
"""Creates the working directory, and prints its absolute path."""
_CANNOT_EXECUTE = 126
"""The exit code for a program that exists and cannot be executed."""
_GONE = {SESSION_NOT_FOUND, TOOL_SESSION_NOT_FOUND}
_NO_ANSWER = {ErrorKind.UNREACHABLE, ErrorKind.UNAVAILABLE, ErrorKind.INVALID_ANSWER}
_OS_ERRORS: dict[ErrorKind, tuple[type[OSError], int]] = {
    ErrorKind.NOT_FOUND: (FileNotFoundError, errno.ENOENT),
    ErrorKind.PERMISSION_DENIED: (PermissionError, errno.EACCES),
    ErrorKind.IS_A_DIRECTORY: (IsADirectoryError, errno.EISDIR),
    ErrorKind.NOT_A_DIRECTORY: (NotADirectoryError, errno.ENOTDIR),
}


class _Run:
    """What the samples of an evaluation share: the client, and the sessions that were not deleted yet.

    Where the number of sessions is limited and a sample has several, samples create theirs one after the other. So no
    two samples wait for each other's sessions: the one that creates waits for samples that have all of theirs.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.client = AsyncAGB(limits=limits)
        self.users = 0
        self.name = ownership.nameless()
        self.files: set[str] = set()
        self._creating = anyio.Lock()
        self.sessions: dict[str, AsyncSession] = {}

    async def create(self, config: AGBSandboxConfig, owner: Owner, created: list[str]) -> dict[str, SandboxEnvironment]:
        """Create the sessions of a sample; their ids are added to ``created`` in any case."""
        if len(config.all) == 1 or config.max_sessions is None:
            return {name: await self._create(one, owner, created) for name, one in config.all.items()}
        async with self._creating:
            return {name: await self._create(one, owner, created) for name, one in config.all.items()}

    async def _create(self, options: SessionOptions, owner: Owner, created: list[str]) -> AGBSandboxEnvironment:
        """Create a session and its working directory."""
        made = await self.client.create(options.params, timeout=options.create_timeout, owner=owner)
        session = made.raise_for_error().session
        assert session is not None  # a success has one
        self.sessions[session.session_id] = session
        created.append(session.session_id)
        if made.error is not None:  # data of a context is missing
            raise made.error
        start = await Sandbox(session).exec(["sh", "-c", _START, "sh", options.cwd or "."])
        if start.exit_code != 0:
            why = start.stderr.decode("utf-8", "replace").strip()
            raise RuntimeError(f"the working directory {options.cwd or '~'} cannot be used: {why}")
        return AGBSandboxEnvironment(self, session, start.stdout.decode("utf-8", "surrogateescape").removesuffix("\n"))

    async def delete(self, session_ids: Iterable[str]) -> None:
        """Delete sessions; one that cannot be deleted is reported by a warning, and tried again at the end."""
        async with anyio.create_task_group() as group:
            for session_id in list(session_ids):
                group.start_soon(self._delete, session_id)

    async def _delete(self, session_id: str) -> None:
        session = self.sessions.get(session_id)
        if session is None:
            return
        error = await delete_surely(session)
        if error is None:
            self.sessions.pop(session_id, None)
        else:
            warn_left_behind(session_id, error)

    async def close_if_unused(self) -> None:
        """Close the client after the last sample of the last task."""
        if self.users <= 0 and not self.sessions:
            await self.close()

    async def close(self) -> None:
        """Close the client."""
        if _runs.get(self.limits) is self:
            del _runs[self.limits]
        for file in self.files:
            options_in_use.pop(file, None)
        await self.client.aclose()


_runs: dict[Limits, _Run] = {}


def _run_for(limits: Limits) -> _Run:
    run = _runs.get(limits)
    if run is None:
        run = _runs[limits] = _Run(limits)
    return run


@sandboxenv(name="agb")
class AGBSandboxEnvironment(SandboxEnvironment):
    """A session, as Inspect uses it. Inspect makes it; ``sandbox("name")`` returns it in solvers and tools."""

    def __init__(self, run: _Run, session: AsyncSession, cwd: str) -> None:
        super().__init__()
        self.session = session
        self._run = run
        self._sandbox = Sandbox(session, cwd=cwd)

    # --- the life of sessions ------------------------------------------------------------------------------------

    @classmethod
    def config_files(cls) -> list[str]:
        """Return the names of files beside a task whose options are used if it has none."""
        return CONFIG_FILES

    @classmethod
    def config_deserialize(cls, config: dict[str, Any]) -> BaseModel:
        """Return the options that a log holds."""
        return AGBSandboxConfig(**config)

    @classmethod
    async def task_init(cls, task_name: str, config: BaseModel | str | None) -> None:
        """Make the client, which needs an API key.

        Raises:
            ValueError: there is no API key, or an option cannot be used.
        """
        del task_name
        options = read_config(config)
        run = _run_for(options.limits)
        run.users += 1
        if isinstance(config, str):
            run.files.add(file_key(config))
            options_in_use[file_key(config)] = options

    @classmethod
    async def sample_init(
        cls, task_name: str, config: BaseModel | str | None, metadata: dict[str, str]
    ) -> dict[str, SandboxEnvironment]:
        """Create the sessions of a sample.

        Raises:
            SessionError: a session could not be created.
            RuntimeError: a working directory cannot be used.
        """
        options = read_config(config)
        run = _run_for(options.limits)
        owner = _owner(run, task_name, metadata)
        created: list[str] = []
        try:
            return await run.create(options, owner, created)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await run.delete(created)
                await run.close_if_unused()
            raise

    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: BaseModel | str | None,
        environments: Mapping[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        """Delete the sessions of a sample."""
        del task_name, config, interrupted
        ours = [environment.as_type(AGBSandboxEnvironment) for environment in environments.values()]
        for run in {one._run for one in ours}:
            await run.delete(one.session.session_id for one in ours if one._run is run)
            await run.close_if_unused()

    @classmethod
    async def task_cleanup(cls, task_name: str, config: BaseModel | str | None, cleanup: bool) -> None:
        """Delete the sessions that are left, or with ``--no-sandbox-cleanup`` print how to find them."""
        del task_name
        run = _runs.get(read_config(config).limits)
        if run is None:
            return
        run.users -= 1
        if run.users > 0:
            return
        if cleanup:
            await run.delete(run.sessions)
        elif run.sessions:
            click.echo("\nThese sessions were kept; `agb shell` opens one, `inspect sandbox cleanup agb` deletes them:")
            for session_id in run.sessions:
                click.echo(f"  {session_id}")
        await run.close()

    @classmethod
    async def cli_cleanup(cls, id: str | None) -> None:
        """Delete what evaluations have left: of one run, one session, or all.

        Args:
            id: the id of a run or of a session. Without it the sessions of all evaluations whose process has ended on
                this machine; others may still run, and are printed.
        """
        async with AsyncAGB() as client:
            owner = f"{KIND}:*" if id is None else Owner.from_ids(KIND, id)
            found = await reaper.owned(client, ownership.owned_by(owner))
            if id is not None and not found:
                (await client.attach(id).delete()).raise_for_error()
                click.echo(f"deleted {id}")
                return
            doomed = [one for one in found if id is not None or one.has_maker is False]
            reaped = await reaper.delete(client, doomed)
            kept = [one for one in found if one not in doomed] + reaped.kept
        for one in reaped.deleted:
            click.echo(f"deleted {one.session_id} ({one.owner} {one.part})")
        for one in kept:
            state = "its process still runs" if one.has_maker else "its process may run on another machine"
            click.echo(f"kept {one.session_id} ({one.owner} {one.part}): {state}")
        for one, why in reaped.failed:
            click.echo(f"not deleted: {one.session_id}: {why}")

    # --- what tools do -------------------------------------------------------------------------------------------

    async def exec(
        self,
        cmd: list[str],
        input: str | bytes | None = None,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        timeout: int | None = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> ExecResult[str]:
        """Run a program; see Inspect. A program that has timed out is not run again, since it may not be repeatable.

        Raises:
            TimeoutError: it took longer than ``timeout``; its output until then is ``truncated_output``.
            OutputLimitExceededError: an output is longer than Inspect's limit.
            PermissionError: the program cannot be executed.
            FileNotFoundError, NotADirectoryError: there is no such working directory.
            SandboxUserUnsupportedError: programs cannot run as this user.
            SandboxUnavailableError: the session is gone, or does not answer.
        """
        del timeout_retry, concurrency
        limit = SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE
        try:
            outcome = await self._sandbox.exec(
                cmd,
                cwd=cwd,
                env=env,
                stdin=input,
                user=user,
                timeout=timeout,
                output_limit=limit,
            )
        except AGBError as error:
            if "user" in error.extra:
                raise SandboxUserUnsupportedError(str(error)) from error
            _raise_os_error(error, cwd or ".")
        stdout, stderr = (text.decode("utf-8", "replace") for text in (outcome.stdout, outcome.stderr))
        if outcome.timed_out:
            timed_out = TimeoutError(f"Command timed out after {timeout} seconds")
            timed_out.truncated_output = stdout + stderr  # type: ignore[attr-defined]  # where Inspect looks for it
            raise timed_out
        if outcome.truncated:
            raise OutputLimitExceededError(SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE_STR, stdout + stderr)
        if outcome.exit_code == _CANNOT_EXECUTE and not stdout and "permission denied" in stderr.lower():
            raise PermissionError(errno.EACCES, stderr.strip(), cmd[0])
        return ExecResult(outcome.exit_code == 0, outcome.exit_code, stdout, stderr)

    async def write_file(self, file: str, contents: str | bytes) -> None:
        """Write a file, and create the directories above it that are missing.

        Raises:
            PermissionError, IsADirectoryError, NotADirectoryError, TimeoutError: it cannot be written.
            SandboxUnavailableError: the session is gone, or does not answer.
        """
        try:
            await self._sandbox.write(file, contents)
        except AGBError as error:
            _raise_os_error(error, file)

    @overload
    async def read_file(self, file: str, text: Literal[True] = True) -> str: ...

    @overload
    async def read_file(self, file: str, text: Literal[False]) -> bytes: ...

    async def read_file(self, file: str, text: bool = True) -> str | bytes:
        """Return the contents of a file.

        Raises:
            FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, TimeoutError: it cannot be read.
            UnicodeDecodeError: it is not UTF-8, and ``text`` is True.
            OutputLimitExceededError: it is larger than Inspect's limit.
            SandboxUnavailableError: the session is gone, or does not answer.
        """
        limit = SandboxEnvironmentLimits.MAX_READ_FILE_SIZE
        try:
            contents = await self._sandbox.read(file, limit=limit + 1)
        except AGBError as error:
            _raise_os_error(error, file)
        if len(contents) > limit:
            raise OutputLimitExceededError(SandboxEnvironmentLimits.MAX_READ_FILE_SIZE_STR, None)
        return contents.decode("utf-8") if text else contents

    async def connection(self, *, user: str | None = None) -> SandboxConnection:
        """Return how a person opens a shell in the session: ``agb shell``.

        Raises:
            ConnectionError: the session was deleted.
            NotImplementedError: ``user`` is given.
        """
        session_id = self.session.session_id
        if user is not None:
            raise NotImplementedError("`agb shell` runs as the user of the session")
        if session_id not in self._run.sessions:
            raise ConnectionError(f"session {session_id} was deleted")
        command = shlex.join(["agb", "shell", session_id, "--cwd", self._sandbox.cwd or "."])
        return SandboxConnection(type="agb", command=command, container=session_id)

    def default_polling_interval(self) -> float:
        """Return the seconds between two looks at a program that runs in the background."""
        return 0.5


def _owner(run: _Run, task_name: str, metadata: Mapping[str, Any]) -> Owner:
    """Return the owner of a sample's sessions: the run, and as its part the task, the sample and the epoch."""
    active = sample_active()
    sample_id = metadata.get("__sample_id__", "-")
    if active is None:  # without an evaluation around it
        return Owner.from_ids(KIND, run.name, task_name, sample_id)
    return Owner.from_ids(KIND, active.run_id or active.eval_id, task_name, sample_id, active.epoch)


def _raise_os_error(error: AGBError, path: str) -> NoReturn:
    """Raise the operating system's error of a path in the session, or what Inspect expects of a lost session."""
    if error.code in _GONE or error.kind in _NO_ANSWER:
        raise SandboxUnavailableError(str(error)) from error
    if error.kind is ErrorKind.TIMED_OUT:
        raise TimeoutError(str(error)) from error
    if error.kind in _OS_ERRORS:
        kind, number = _OS_ERRORS[error.kind]
        raise kind(number, os.strerror(number), path) from error
    raise error
