"""Sessions as the sandboxes of a `SandboxAgent`: a client that creates them, and what one does for the Agents SDK."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit
from uuid import uuid4

from agents.sandbox.errors import (
    ExecTimeoutError,
    ExecTransportError,
    ExposedPortUnavailableError,
    WorkspaceArchiveReadError,
    WorkspaceArchiveWriteError,
    WorkspaceReadNotFoundError,
    WorkspaceStartError,
    WorkspaceWriteTypeError,
)
from agents.sandbox.manifest import Manifest
from agents.sandbox.session import SandboxSession, SandboxSessionState
from agents.sandbox.session.base_sandbox_session import BaseSandboxSession
from agents.sandbox.session.runtime_helpers import RESOLVE_WORKSPACE_PATH_HELPER, RuntimeHelperScript
from agents.sandbox.session.sandbox_client import BaseSandboxClient, BaseSandboxClientOptions
from agents.sandbox.snapshot import SnapshotBase, SnapshotSpec, resolve_snapshot
from agents.sandbox.types import ExecResult, ExposedPortEndpoint, User
from agents.sandbox.util.tar_utils import UnsafeTarMemberError, validate_tar_bytes
from pydantic import Field

from ..._async._compat.cancellation import shielded
from ..._async.client import AsyncAGB
from ..._async.lifecycle.deletion import delete_surely
from ..._async.session import AsyncSession
from ...exceptions import AGBError, ErrorKind
from ...owned import Owner
from ...session_params import CreateSessionParams
from ..agent_session import IMAGE
from ..sandbox import Sandbox
from .tools import KIND

OUTPUT_LIMIT = 64 << 20
"""Bytes of each output of a command; one that exceeds them is an error."""
WORKSPACE = "workspace"
"""The directory of agents below the home of a session, where the manifest names no other root."""


class AGBSandboxClientOptions(BaseSandboxClientOptions):
    """What the sessions of agents are created from.

    Args:
        image_id: the image.
        policy_id: a policy of the account, if any.
        labels: labels of the session, beside those by which it is found again.
        idle_release_timeout: seconds without activity after which the service releases the session.
        exposed_ports: ports for which an agent may request a URL, 30100 to 30199.
    """

    type: Literal["agb"] = "agb"
    image_id: str = IMAGE
    policy_id: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    idle_release_timeout: int | None = None
    exposed_ports: tuple[int, ...] = ()


class AGBSandboxSessionState(SandboxSessionState):
    """What is stored of a sandbox, so that a later run can continue in it: the id of its session, and its options."""

    type: Literal["agb"] = "agb"
    sandbox_id: str
    options: AGBSandboxClientOptions = Field(default_factory=AGBSandboxClientOptions)


class AGBSandboxSession(BaseSandboxSession):
    """A session as the sandbox of an agent; `AGBSandboxClient` makes it."""

    state: AGBSandboxSessionState

    def __init__(self, state: AGBSandboxSessionState, session: AsyncSession) -> None:
        self.state = state
        self._session: AsyncSession | None = session
        self._sandbox = Sandbox(session, output_limit=OUTPUT_LIMIT)

    # --- programs ------------------------------------------------------------------------------------------------

    async def _exec_internal(self, *command: str | Path, timeout: float | None = None) -> ExecResult:
        words = [str(word) for word in command]
        env = await self.state.manifest.environment.resolve()
        try:
            outcome = await self._sandbox.exec(words, env=env, timeout=timeout)
        except AGBError as error:
            raise self._failed(command, str(error), error) from error
        if outcome.timed_out:
            raise ExecTimeoutError(command=command, timeout_s=timeout)
        if outcome.truncated:
            raise self._failed(command, f"the output has more than {OUTPUT_LIMIT} bytes", None)
        return ExecResult(stdout=outcome.stdout, stderr=outcome.stderr, exit_code=outcome.exit_code)

    def _failed(self, command: tuple[str | Path, ...], why: str, error: AGBError | None) -> ExecTransportError:
        context: dict[str, object] = {"backend": "agb", "reason": error.kind.value if error else "output limit"}
        retryable = error is not None and error.retryable
        return ExecTransportError(command=command, context=context, cause=error, message=why, retryable=retryable)

    async def _resolve_exposed_port(self, port: int) -> ExposedPortEndpoint:
        reason = "backend_unavailable"
        unavailable = partial(ExposedPortUnavailableError, port=port, exposed_ports=self.state.exposed_ports)
        try:
            link = (await self._sandbox.session.get_link(port=port)).raise_for_error().data
        except AGBError as error:
            raise unavailable(reason=reason, context={"backend": "agb"}, cause=error) from error
        parts = urlsplit(link)
        if parts.hostname is None or parts.path not in ("", "/"):
            raise unavailable(reason=reason, context={"backend": "agb", "detail": "the URL of the port has a path"})
        tls = parts.scheme in ("https", "wss")
        return ExposedPortEndpoint(parts.hostname, parts.port or (443 if tls else 80), tls, parts.query)

    # --- files ---------------------------------------------------------------------------------------------------

    def _runtime_helpers(self) -> tuple[RuntimeHelperScript, ...]:
        return (RESOLVE_WORKSPACE_PATH_HELPER,)

    async def _validate_path_access(self, path: Path | str, *, for_write: bool = False) -> Path:
        allowed: Path = await self._validate_remote_path_access(path, for_write=for_write)
        return allowed

    async def read(self, path: Path, *, user: str | User | None = None) -> io.IOBase:
        """Return the contents of a file.

        Raises:
            WorkspaceReadNotFoundError: there is no such file.
            WorkspaceArchiveReadError: it cannot be read.
        """
        allowed = await (self._check_read_with_exec(path, user=user) if user else self._validate_path_access(path))
        return io.BytesIO(await self._bytes(path, allowed))

    async def _read_bounded(self, path: Path, *, max_bytes: int) -> bytes:
        return await self._bytes(path, await self._validate_path_access(path), max_bytes)

    async def _bytes(self, path: Path, allowed: Path, limit: int | None = None) -> bytes:
        try:
            return await self._sandbox.read(allowed.as_posix(), limit=limit)
        except AGBError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                raise WorkspaceReadNotFoundError(path=path, cause=error) from error
            raise WorkspaceArchiveReadError(path=path, cause=error, retryable=error.retryable) from error

    async def write(self, path: Path, data: io.IOBase, *, user: str | User | None = None) -> None:
        """Write a file.

        Raises:
            WorkspaceWriteTypeError: ``data`` holds neither bytes nor text.
            WorkspaceArchiveWriteError: the file cannot be written.
        """
        if user:
            await self._check_write_with_exec(path, user=user)
        content: Any = data.read()
        if not isinstance(content, bytes | bytearray | str):
            raise WorkspaceWriteTypeError(path=path, actual_type=type(content).__name__)
        allowed = await self._validate_path_access(path, for_write=True)
        await self._store(allowed, content if isinstance(content, str) else bytes(content))

    async def _store(self, path: Path, content: bytes | str) -> None:
        try:
            await self._sandbox.write(path.as_posix(), content)
        except AGBError as error:
            raise WorkspaceArchiveWriteError(path=path, cause=error, retryable=error.retryable) from error

    # --- the workspace -------------------------------------------------------------------------------------------

    async def _prepare_backend_workspace(self) -> None:
        root = self._workspace_root_path()
        made = await self._exec_internal("mkdir", "-p", "--", root)
        if not made.ok():
            raise WorkspaceStartError(path=root, message=made.stderr.decode("utf-8", "replace").strip())
        self._sandbox = Sandbox(self._sandbox.session, cwd=root.as_posix(), output_limit=OUTPUT_LIMIT)

    async def persist_workspace(self) -> io.IOBase:
        """Return the workspace as a tar archive.

        Raises:
            WorkspaceArchiveReadError: it could not be made or read.
        """
        root, archive = self._workspace_root_path(), self._archive()
        skipped = sorted(path.as_posix().strip("/") for path in self._persist_workspace_skip_relpaths())
        excluded = [f"--exclude=./{path}" for path in skipped if path not in ("", ".")]
        try:
            made = await self._exec_internal("tar", *excluded, "-C", root, "-cf", archive, ".")
            if not made.ok():
                raise WorkspaceArchiveReadError(path=root, context={"output": made.stderr.decode("utf-8", "replace")})
            return io.BytesIO(await self._bytes(root, archive))
        finally:
            await self._exec_internal("rm", "-f", "--", archive)

    async def hydrate_workspace(self, data: io.IOBase) -> None:
        """Unpack a tar archive into the workspace.

        Raises:
            WorkspaceArchiveWriteError: the archive leads out of the workspace, or could not be unpacked.
        """
        root, archive = self._workspace_root_path(), self._archive()
        content: Any = data.read()
        try:
            validate_tar_bytes(content, allow_external_symlink_targets=False)
        except UnsafeTarMemberError as error:
            raise WorkspaceArchiveWriteError(path=root, context={"member": error.member}, cause=error) from error
        try:
            await self._store(archive, content)
            unpacked = await self._exec_internal("tar", "-C", root, "-xf", archive)
            if not unpacked.ok():
                why = unpacked.stderr.decode("utf-8", "replace")
                raise WorkspaceArchiveWriteError(path=root, context={"output": why})
        finally:
            await self._exec_internal("rm", "-f", "--", archive)

    def _archive(self) -> Path:
        return Path(f"/tmp/agb-{self.state.session_id.hex}.tar")  # a path in the session

    # --- the session ---------------------------------------------------------------------------------------------

    async def running(self) -> bool:
        """Return whether the session exists."""
        return self._session is not None and (await self._session.info()).success

    async def _shutdown_backend(self) -> None:
        """Delete the session, in several attempts, also if the run is cancelled.

        Raises:
            AGBError: it may still exist; ``agb gc --owner`` deletes it later.
        """
        session, self._session = self._session, None
        error = None if session is None else await shielded(partial(delete_surely, session))
        if error is not None:
            raise error


class AGBSandboxClient(BaseSandboxClient[AGBSandboxClientOptions]):
    """Creates sessions for agents: ``RunConfig(sandbox=SandboxRunConfig(client=AGBSandboxClient()))``.

    A run has a session of its own, which is deleted at its end, also if it is cancelled.

    Args:
        agb: the client, whose limits hold for creations, and which stays the caller's; without it, one for the settings
            of the environment, which `close` closes.

    Example:
        >>> from agb.integrations.openai_agents import AGBSandboxClient
        >>> async with AGBSandboxClient() as client, await client.create() as sandbox:
        ...     print((await sandbox.exec("printf hello")).stdout)
        b'hello'
    """

    backend_id = "agb"
    supports_default_options = True

    def __init__(self, agb: AsyncAGB | None = None) -> None:
        self._agb = AsyncAGB() if agb is None else agb
        self._is_own = agb is None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the client, unless it is the caller's."""
        if self._is_own:
            await self._agb.aclose()

    async def create(
        self,
        *,
        snapshot: SnapshotSpec | SnapshotBase | None = None,
        manifest: Manifest | None = None,
        options: AGBSandboxClientOptions | None = None,
    ) -> SandboxSession:
        """Create a session.

        Args:
            snapshot: what its workspace is restored from, and stored in at the end.
            manifest: the files and variables of its workspace; without it, the directory ``workspace`` of the home.
            options: what it is created from.

        Raises:
            AGBError: it could not be created.
        """
        options = options or AGBSandboxClientOptions()
        if manifest is not None:
            self._validate_manifest_for_create(manifest)
        session_id = uuid4()
        state = AGBSandboxSessionState(
            session_id=session_id,
            sandbox_id="",
            snapshot=resolve_snapshot(snapshot, str(session_id)),
            manifest=manifest or Manifest(),
            options=options,
            exposed_ports=options.exposed_ports,
        )
        session = await self._created(state)
        if manifest is None:
            try:
                home = (await Sandbox(session).exec("pwd -P")).stdout.decode("utf-8", "surrogateescape")
                state.manifest = Manifest(root=f"{home.strip()}/{WORKSPACE}")
            except BaseException:
                await shielded(partial(delete_surely, session))
                raise
        return self._wrap_session(AGBSandboxSession(state, session))

    async def _created(self, state: AGBSandboxSessionState) -> AsyncSession:
        options = state.options
        params = CreateSessionParams(
            labels=options.labels,
            image_id=options.image_id,
            policy_id=options.policy_id,
            idle_release_timeout=options.idle_release_timeout,
        )
        created = await self._agb.create(params, owner=Owner.from_ids(KIND, state.session_id))
        session = created.raise_for_error().session
        assert session is not None  # a success has one
        state.sandbox_id = session.session_id
        return session

    async def resume(self, state: SandboxSessionState) -> SandboxSession:
        """Return the sandbox of a state; if its session is gone, another is created and restored from the snapshot.

        Raises:
            AGBError: there was no answer, or the session could not be created.
        """
        if not isinstance(state, AGBSandboxSessionState):
            raise TypeError(f"the state is that of a session of AGB, not {type(state).__name__}")
        state.assert_path_grants_rebound()
        found = await self._agb.get(state.sandbox_id)
        is_gone = found.error is not None and found.error.kind is ErrorKind.NOT_FOUND
        if is_gone:
            session = await self._created(state)
            state.workspace_root_ready = False
        else:
            kept = found.raise_for_error().session
            assert kept is not None  # a success has one
            session = kept
        inner = AGBSandboxSession(state, session)
        inner._set_start_state_preserved(not is_gone)
        return self._wrap_session(inner)

    async def delete(self, session: SandboxSession) -> SandboxSession:
        """Delete a session; one that is gone is no error.

        Raises:
            AGBError: it may still exist.
        """
        await session._inner.shutdown()
        return session

    def deserialize_session_state(self, payload: dict[str, object]) -> SandboxSessionState:
        """Return a state that was stored."""
        return self._deserialize_session_state_payload(payload, AGBSandboxSessionState)
