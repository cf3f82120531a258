"""The session of a run of an agent: one that the caller passes on, or one that is created when it is first needed."""

from __future__ import annotations

from functools import partial
from types import TracebackType
from typing import Self

import anyio

from .._async._compat.cancellation import shielded
from .._async.client import AsyncAGB
from .._async.lifecycle.deletion import delete_surely
from .._async.session import AsyncSession
from .._ops.tool_texts import OF_CREATION
from ..exceptions import AGBError, SessionError
from ..owned import Owner
from ..session_params import CreateSessionParams
from .sandbox import Sandbox

IMAGE = "agb-code-space-1"
"""The image of sessions for which no parameters were passed."""


class AgentSession:
    """The session of a run, which is created when it is first needed, and deleted at the end of the block.

    Tools of one answer of a model run at the same time; the lock lets one of them create the session. If the one that
    creates it is cancelled, `create` deletes what it has made, and the next one creates another.

    Args:
        owner: what the session belongs to, by which ``agb gc --owner`` finds it if the program is killed.
        session: a session that stays the caller's: it is used as it is, and not deleted.
        params: what a session is created from; without it, the image ``agb-code-space-1``.
        agb: the client, which stays the caller's; without it, one for the settings of the environment.
        cwd: the directory of programs, and the one relative paths start at; without it, that of the session.
        user: the user of programs, where the image has several.

    Raises:
        TypeError: ``session`` comes with ``params`` or ``agb``, which are for creating one.
    """

    def __init__(
        self,
        owner: Owner,
        *,
        session: AsyncSession | None = None,
        params: CreateSessionParams | None = None,
        agb: AsyncAGB | None = None,
        cwd: str | None = None,
        user: str | None = None,
    ) -> None:
        check_arguments(session, params, agb)
        self._cwd, self._user = cwd, user
        self.owner = owner
        self._given = session
        self._params = params or CreateSessionParams(image_id=IMAGE)
        self._agb = agb
        self._own_client: AsyncAGB | None = None
        self._session: AsyncSession | None = None
        self._lock = anyio.Lock()

    async def get(self) -> AsyncSession:
        """Return the session; the first call creates it.

        Raises:
            AGBError: it could not be created; also if there is no API key, or a setting of the environment is invalid.
        """
        if self._given is not None:
            return self._given
        async with self._lock:
            if self._session is None:
                try:
                    self._session = await self._create()
                except AGBError as error:
                    error.extra[OF_CREATION] = True
                    raise
            return self._session

    async def _create(self) -> AsyncSession:
        if self._agb is None and self._own_client is None:
            try:
                self._own_client = AsyncAGB()
            except ValueError as error:
                raise SessionError(str(error)) from error
        client = self._agb or self._own_client
        assert client is not None
        created = (await client.create(self._params, owner=self.owner)).raise_for_error()
        session = created.session
        assert session is not None  # a success has one
        if created.error is not None:  # data of a context is missing
            await shielded(partial(delete_surely, session))
            raise created.error
        return session

    async def sandbox(self) -> Sandbox:
        """Return the facade of the session; the first call creates the session.

        Raises:
            AGBError: it could not be created; also if there is no API key, or a setting of the environment is invalid.
        """
        return Sandbox(await self.get(), cwd=self._cwd, user=self._user)

    async def aclose(self) -> None:
        """Delete the session if it was created here, in several attempts, also if the caller is cancelled.

        Raises:
            AGBError: it may still exist; ``agb gc --owner`` deletes it later.
        """
        session, self._session = self._session, None
        client, self._own_client = self._own_client, None
        try:
            error = None if session is None else await shielded(partial(delete_surely, session))
        finally:
            if client is not None:
                await shielded(client.aclose)
        if error is not None:
            raise error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def check_arguments(session: AsyncSession | None, params: CreateSessionParams | None, agb: AsyncAGB | None) -> None:
    """Raise `TypeError` unless there is either a session, or what one is created from."""
    if session is not None and (params is not None or agb is not None):
        raise TypeError("session is used as it is: params and agb are for creating one")
