"""The deployment of SWE-ReX: a session of AGB for the time between its start and its stop."""

# pyright: reportMissingImports=false
from __future__ import annotations

import logging
import warnings
from functools import partial

from swerex.deployment.abstract import AbstractDeployment
from swerex.deployment.hooks.abstract import CombinedDeploymentHook, DeploymentHook
from swerex.exceptions import DeploymentNotStartedError, DeploymentStartupError
from swerex.runtime.abstract import IsAliveResponse
from swerex.utils.log import get_logger

from ... import AsyncAGB, CreateSessionParams
from ..._async._compat.cancellation import shielded
from ..._async.lifecycle.deletion import delete_surely
from ..._async.session import AsyncSession
from ..._ops.ownership import nameless
from ...exceptions import AGBError
from ...owned import Owner
from ..clients import shared_client
from ..sandbox import Sandbox
from .runtime import AGBRuntime


class AGBDeployment(AbstractDeployment):
    r"""A session of AGB as a deployment of SWE-ReX.

    Args:
        params: what the session is created from.
        agb: the client, which stays the caller's; default: one for ``AGB_API_KEY`` and ``AGB_ENDPOINT``.
        owner: sessions have the owner ``swerex:<owner>``, by which ``agb gc`` finds them; default: a random name.
        logger: where the deployment reports what it does.

    Example:
        >>> from swerex.runtime.abstract import Command
        >>> from agb.integrations.swerex import AGBDeployment
        >>> deployment = AGBDeployment(CreateSessionParams(image_id="agb-code-space-1"))
        >>> await deployment.start()
        >>> response = await deployment.runtime.execute(Command(command=["echo", "hello"]))
        >>> response.stdout
        'hello\n'
        >>> await deployment.stop()
    """

    def __init__(
        self,
        params: CreateSessionParams,
        *,
        agb: AsyncAGB | None = None,
        owner: str | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        self.logger = logger or get_logger("rex-deploy")
        self._params = params
        self._owner = Owner("swerex", nameless() if owner is None else owner)
        self._agb = shared_client() if agb is None else agb
        self._hooks = CombinedDeploymentHook()
        self._session: AsyncSession | None = None
        self._runtime: AGBRuntime | None = None

    def __del__(self) -> None:
        """Report a session that was not stopped; it ends when it has been idle for its time."""
        if getattr(self, "_session", None) is not None:
            warnings.warn(f"a deployment of SWE-ReX was not stopped: {self._session}", ResourceWarning, stacklevel=2)

    def add_hook(self, hook: DeploymentHook) -> None:
        """Add a hook, which is called with a message at each step of the start."""
        self._hooks.add_hook(hook)

    async def is_alive(self, *, timeout: float | None = None) -> IsAliveResponse:
        """Return whether the session runs.

        Raises:
            DeploymentNotStartedError: the deployment was not started, or was stopped.
        """
        return await self.runtime.is_alive(timeout=timeout)

    async def start(self) -> None:
        """Create the session.

        Raises:
            DeploymentStartupError: it could not be created, or the deployment was started before.
        """
        if self._session is not None:
            raise DeploymentStartupError("the deployment was started before")
        self._hooks.on_custom_step("Creating a session")
        created = await self._agb.create(self._params, owner=self._owner)
        try:
            session = created.raise_for_error().session
        except AGBError as error:
            raise DeploymentStartupError(str(error)) from error
        self._session, self._runtime = session, AGBRuntime(Sandbox(session), logger=self.logger)
        self.logger.info(f"The runtime is session {session.session_id}")

    async def stop(self) -> None:
        """Delete the session, in several attempts; without one, nothing happens.

        Raises:
            AGBError: the session may still exist; ``agb gc --owner`` deletes it later.
        """
        session, self._session, self._runtime = self._session, None, None
        error = None if session is None else await shielded(partial(delete_surely, session))
        if error is not None:
            raise error

    @property
    def runtime(self) -> AGBRuntime:
        """The runtime in the session.

        Raises:
            DeploymentNotStartedError: the deployment was not started, or was stopped.
        """
        if self._runtime is None:
            raise DeploymentNotStartedError
        return self._runtime
