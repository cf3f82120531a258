"""The environment of Harbor: a session of AGB, with the task's Dockerfile carried out in it."""

# pyright: reportMissingImports=false
from __future__ import annotations

import fnmatch
import os
import posixpath
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from harbor.environments.base import BaseEnvironment, EnvironmentPath, ExecResult, SandboxBuildFailedError
from harbor.environments.capabilities import EnvironmentCapabilities, EnvironmentResourceCapabilities
from harbor.environments.definition import require_agent_environment_definition
from harbor.environments.options import EnvironmentOptions
from pydantic import Field

from ... import CreateSessionParams
from ..._async._compat.cancellation import shielded
from ..._async.lifecycle.deletion import delete_surely
from ..._async.session import AsyncSession
from ...context_sync import ContextSync, DownloadPolicy, SyncPolicy, UploadPolicy
from ...exceptions import ErrorKind
from ...owned import Owner
from ..archives import CannotMakeDirectory, make_directories, send
from ..clients import settings_for, shared_client
from ..sandbox import Sandbox
from . import dockerfile as dockerfiles
from .build import Build
from .dockerfile import Plan
from .files import fetch, fetch_directory

NAME: Final = "agb"
_ALWAYS: Final = ("logs", "tests", "solution", "installed-agent", "runtime")
"""Directories in / that Harbor and its agents use in every environment."""
_SYSTEM: Final = {
    "bin",
    "boot",
    "dev",
    "etc",
    "home",
    "lib",
    "lib64",
    "proc",
    "run",
    "sbin",
    "sys",
    "tmp",
    "usr",
    "var",
}
"""Directories in / that every image has."""
_ROOT: Final = ("root", "0")


class AGBOptions(EnvironmentOptions):
    """The options of the environment: ``--ek NAME=VALUE`` on Harbor's command line."""

    image_id: str | dict[str, str] | None = Field(
        default=None,
        description="The AGB image for all tasks, or a mapping from patterns of Docker images to AGB images.",
    )
    dockerfile: bool = Field(
        default=True,
        description="Whether RUN and COPY of the Dockerfile are carried out; false if the AGB image has their results.",
    )
    directories: list[str] = Field(
        default_factory=list, description="Further directories outside of the home that the task writes to."
    )
    context: str = Field(
        default="agb-harbor",
        description="Name of the empty context that is mounted as directories outside of the home; '' for none, where "
        "the image's user may make directories in /.",
    )
    idle_timeout: int = Field(default=1800, gt=0, description="Seconds without a call after which a session ends.")
    owner: str | None = Field(
        default=None, description="Sessions belong to the owner harbor:<this>; default: the name of the job."
    )
    endpoint: str | None = Field(default=None, description="The service; default: AGB_ENDPOINT, else the cloud.")


class AGBEnvironment(BaseEnvironment):
    """A session of AGB as an environment of Harbor.

    A session is made from an image of AGB, which the option ``image_id`` names, and not from a Docker image. The
    Dockerfile of the task is carried out in it: ``ENV``, ``ARG``, ``WORKDIR``, ``USER``, ``COPY``, ``ADD`` and ``RUN``.
    What has no counterpart in a session is refused when the environment is made. `AGBOptions` has the options.

    API: POST /mcp/createSession, and the tools ``shell``, ``read_file`` and ``write_file``.
    """

    options_model = AGBOptions
    options: AGBOptions

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._build: Build | None = None
        self._plan = Plan("")
        self._image = ""
        super().__init__(*args, **kwargs)

    # --- what it is ----------------------------------------------------------------------------------------------

    @staticmethod
    def type() -> str:
        """Return the name by which Harbor shows this kind of environment."""
        return NAME

    @property
    def capabilities(self) -> EnvironmentCapabilities:
        """None of Harbor's optional features: devices, network policies, mounts, services."""
        return EnvironmentCapabilities()

    @classmethod
    def resource_capabilities(cls) -> EnvironmentResourceCapabilities | None:
        """Return that processors and memory can be neither limited nor reserved."""
        return EnvironmentResourceCapabilities()

    @classmethod
    def preflight(cls, kwargs: dict[str, Any] | None = None) -> None:
        """Check the options, and that there is an API key.

        Raises:
            ValueError: an option is invalid.
            SystemExit: there is no API key, or a setting cannot be used.
        """
        super().preflight(kwargs)
        try:
            settings_for((kwargs or {}).get("endpoint"))
        except ValueError as error:
            raise SystemExit(str(error)) from None

    def _validate_definition(self) -> None:
        docker_image = self.task_env_config.docker_image
        require_agent_environment_definition(self.environment_dir, docker_image=docker_image)
        if (self.environment_dir / "docker-compose.yaml").exists():
            raise ValueError(f"{self.environment_name}: a session cannot run the services of docker-compose.yaml")
        if self._host_mounts:
            raise ValueError("a session cannot mount directories of this machine (mounts)")
        self._plan = self._read_dockerfile({})
        self._image = self._image_for([name for name in (docker_image, self._plan.image) if name])

    def _read_dockerfile(self, env: dict[str, str]) -> Plan:
        path = self.environment_dir / "Dockerfile"
        return dockerfiles.read(path, env) if path.exists() else Plan("")

    def _image_for(self, docker_images: Sequence[str]) -> str:
        """Return the AGB image that stands for the Docker images of a task, one of ``FROM`` and of ``docker_image``."""
        chosen = self.options.image_id
        if isinstance(chosen, str) and chosen:
            return chosen
        for name in docker_images:
            for pattern, image in chosen.items() if isinstance(chosen, dict) else ():
                if fnmatch.fnmatchcase(name, pattern):
                    return image
        raise ValueError(
            f"no AGB image for the Docker image {' or '.join(docker_images)}: sessions are not made from Docker images;"
            " name the AGB image that stands for it, with --ek image_id=agb-code-space-1 or with "
            f'--ek \'image_id={{"{docker_images[0]}": "agb-code-space-1"}}\''
        )

    # --- start and stop ------------------------------------------------------------------------------------------

    async def start(self, force_build: bool) -> None:
        """Create the session and carry out the Dockerfile in it; it is deleted if that fails or is cancelled.

        Args:
            force_build: has no effect, since nothing of an earlier build is kept.

        Raises:
            SandboxBuildFailedError: a step of the Dockerfile failed; the message has its output.
            SessionError: the session could not be created.
        """
        del force_build
        if self._build is not None:
            raise RuntimeError("the environment was started before")
        sandbox = Sandbox(await self._create())
        try:
            await self._prepare(sandbox)
        except BaseException:
            self._build = self._build or Build(sandbox, self._image, frozenset(), self.logger)
            await self.stop(delete=True)
            raise

    async def stop(self, delete: bool) -> None:
        """Delete the session, in several attempts, or leave it to its idle time.

        Raises:
            AGBError: the session may still exist; ``agb gc --owner`` deletes it later.
        """
        build, self._build = self._build, None
        if build is None:
            return
        session = build.sandbox.session
        if not delete:
            self.logger.info(f"Session {session.session_id} stays; it ends after {self.options.idle_timeout} s idle")
            return
        error = await shielded(partial(delete_surely, session))
        if error is not None:
            raise error

    async def _create(self) -> AsyncSession:
        client = shared_client(self.options.endpoint)
        job = self.options.owner or self.trial_paths.trial_dir.parent.name
        owner = Owner.from_ids("harbor", job, self.session_id)
        params = CreateSessionParams(
            image_id=self._image,
            idle_release_timeout=self.options.idle_timeout,
            labels={"harbor-task": self.environment_name, "harbor-session": self.session_id},
        )
        if self.options.context:
            found = await client.context.get(self.options.context, create=True)
            context = found.raise_for_error().context
            unused = SyncPolicy(UploadPolicy(auto_upload=False), DownloadPolicy(auto_download=False))
            params.context_syncs = [ContextSync(context.id, place, unused) for place in self._mounts_in_root()]
        return (await client.create(params, owner=owner, wait_for_contexts=False)).raise_for_error().session

    def _mounts_in_root(self) -> list[str]:
        """Return the directories in / of all that the task uses; the image's user cannot make them there."""
        if not self.options.context:
            return []
        config = self.task_env_config
        used = [*self._mount_targets(writable_only=True), *self._plan.directories, *self.options.directories]
        used += [path for path in (config.workdir, config.skills_dir) if path]
        tops = dict.fromkeys([*_ALWAYS, *(path.split("/")[1] for path in used if path.startswith("/"))])
        return [f"/{top}" for top in tops if top and top not in _SYSTEM]

    async def _prepare(self, sandbox: Sandbox) -> None:
        found = await sandbox.exec(["sh", "-c", "id -u && id -un && exec env -0"])
        uid, name, variables = found.stdout.decode("utf-8", "replace").split("\n", 2)
        pairs = (pair.partition("=") for pair in variables.split("\0"))
        self._plan = self._read_dockerfile({key: value for key, _, value in pairs if key})
        self._build = Build(sandbox, self._image, frozenset({uid, name, *_ROOT}), self.logger)
        await self._build.run(self._plan, only_directories=not self.options.dockerfile)
        wanted = [*self.options.directories, *self._mount_targets(writable_only=True), *filter(None, [self._cwd])]
        try:
            await make_directories(sandbox, wanted)
        except CannotMakeDirectory as error:
            raise SandboxBuildFailedError(f"in a session of the image {self._image}: {error}") from None
        await self._upload_environment_dir_after_start()

    # --- commands ------------------------------------------------------------------------------------------------

    @property
    def _cwd(self) -> str | None:
        return self.task_env_config.workdir or self._plan.cwd

    def _open(self) -> Build:
        if self._build is None:
            raise RuntimeError("the environment is not started")
        return self._build

    async def exec(
        self,
        command: str,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        timeout_sec: int | None = None,
        user: str | int | None = None,
    ) -> ExecResult:
        """Run a command to its end; the base class explains the arguments.

        Returns:
            The outcome. If the time limit ended the command, the code is 124, and the output is that until then.

        Raises:
            CommandError: it could not be run: no such directory, no such user, no answer.
        """
        build, chosen = self._open(), self._resolve_user(user)
        outcome = await build.sandbox.exec(
            command,
            cwd=cwd or self._cwd,
            env={**self._plan.env, **(self._merge_env(env) or {})},
            timeout=timeout_sec,
            user=build.user(self._plan.user if chosen is None else chosen),
        )
        stdout, stderr = (data.decode("utf-8", "replace") for data in (outcome.stdout, outcome.stderr))
        if outcome.truncated:
            self.logger.warning(f"The output of a command was cut: {command[:200]}")
        if outcome.timed_out:
            stderr += f"\nCommand timed out after {timeout_sec} seconds"
        if (callback := self._output_callback()) is not None:
            if stdout:
                await callback(stdout, "stdout")
            if stderr:
                await callback(stderr, "stderr")
        return ExecResult(stdout=stdout, stderr=stderr, return_code=outcome.exit_code)

    async def reset_dirs(
        self,
        *,
        remove_dirs: Sequence[EnvironmentPath],
        create_dirs: Sequence[EnvironmentPath],
        chmod_dirs: Sequence[EnvironmentPath] | None = None,
    ) -> ExecResult:
        """Remove and make directories; those that are mounts cannot be removed, and are emptied."""
        mounts = self._mounts_in_root()
        emptied = [path for path in remove_dirs if str(path) in mounts]
        result = await self.empty_dirs(emptied, chmod=False)
        if result is not None and result.return_code:
            return result
        removed = [path for path in remove_dirs if path not in emptied]
        return await super().reset_dirs(remove_dirs=removed, create_dirs=create_dirs, chmod_dirs=chmod_dirs)

    async def attach(self) -> None:
        """Replace this process by a shell in the session, which is deleted when the shell ends."""
        session_id = self._open().sandbox.session.session_id
        if self.options.endpoint:
            os.environ["AGB_ENDPOINT"] = self.options.endpoint
        script = '"$0" -m agb shell "$1"; exec "$0" -m agb rm --yes "$1"'
        os.execv("/bin/sh", ["sh", "-c", script, sys.executable, session_id])  # noqa: S606 - nothing returns here

    # --- files ---------------------------------------------------------------------------------------------------

    async def upload_file(self, source_path: Path | str, target_path: str) -> None:
        """Copy a file into the session, with its permission to be executed; missing directories are made.

        Raises:
            FileError: it could not be read or written.
        """
        sandbox, source = self._open().sandbox, Path(source_path)
        result = await sandbox.session.file.write_stream(target_path, source)
        if result.error is not None and result.error.kind is ErrorKind.NOT_FOUND and source.is_file():
            await make_directories(sandbox, [posixpath.dirname(target_path)])
            result = await sandbox.session.file.write_stream(target_path, source)
        result.raise_for_error()
        if source.stat().st_mode & 0o111:
            await sandbox.exec(["chmod", "+x", "--", target_path])

    async def upload_dir(self, source_dir: Path | str, target_dir: str) -> None:
        """Copy the contents of a directory into one of the session, with links, permissions and empty directories.

        Raises:
            NotADirectoryError: there is no such directory on this machine.
            RuntimeError: the contents could not be unpacked in the session.
        """
        if not Path(source_dir).is_dir():
            raise NotADirectoryError(str(source_dir))
        await send(self._open().sandbox, [(Path(source_dir), ".")], target_dir)

    async def download_file(self, source_path: str, target_path: Path | str) -> None:
        """Copy a file of the session to this machine; missing directories are made.

        Raises:
            FileError: it could not be read.
        """
        target = Path(target_path)
        target.parent.mkdir(parents=True, exist_ok=True)
        await fetch(self._open().sandbox, source_path, target)

    async def download_dir(self, source_dir: str, target_dir: Path | str) -> None:
        """Copy the contents of a directory of the session into one of this machine.

        Links that lead out of it are left out.

        Raises:
            RuntimeError: the directory could not be packed in the session.
        """
        await fetch_directory(self._open().sandbox, source_dir, Path(target_dir), self.logger)
