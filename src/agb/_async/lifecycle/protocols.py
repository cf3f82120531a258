"""What this package needs of the client and of its sessions, whose classes it does not import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ...results.base import DeleteResult
from ...results.sessions import SessionStatusResult

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    from ...owned import Owner
    from ...results.narrowed import OperationFailure, OperationSuccess, SessionFailure, SessionSuccess
    from ...session_params import CreateSessionParams
    from ...stats import ClientStats
    from ..api import AsyncAPI


class AsyncManagedSession(Protocol):
    """A session that can be watched, kept alive and deleted."""

    @property
    def session_id(self) -> str:
        """The id."""
        ...

    async def get_status(self, *, timeout: float | None = None) -> SessionStatusResult:
        """Return the state."""
        ...

    async def keep_alive(self, *, timeout: float | None = None) -> OperationSuccess[None] | OperationFailure:
        """Restart the idle time."""
        ...

    async def delete(self, *, timeout: float | None = None) -> DeleteResult:
        """Delete the session and wait until it is gone."""
        ...


if TYPE_CHECKING:  # with the default, annotations need not name the class of the sessions; typing has it from 3.13 on
    SessionT = TypeVarWithDefault("SessionT", bound=AsyncManagedSession, default=Any)
else:
    SessionT = TypeVar("SessionT", bound=AsyncManagedSession)


class AsyncSessionClient(Protocol[SessionT]):
    """The client: creates sessions, and returns objects for sessions that exist."""

    @property
    def client(self) -> AsyncAPI:
        """Sends the calls."""
        ...

    @property
    def uses_hidden_labels(self) -> bool:
        """Whether sessions can be found by hidden labels."""
        ...

    async def create(
        self, params: CreateSessionParams, *, timeout: float | None = None, owner: Owner | None = None
    ) -> SessionSuccess[SessionT] | SessionFailure:
        """Create a session."""
        ...

    def attach(self, ref: str, /) -> SessionT:
        """Return an object for the session with this id, without I/O."""
        ...

    def stats(self) -> ClientStats:
        """Return what the client is doing."""
        ...
