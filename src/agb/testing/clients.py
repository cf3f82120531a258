"""The clients of tests: where they connect to, and the sessions that a test leaves behind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field, frozen

from .. import AGB, AsyncAGB, Config
from .._ops.sessions import create_session, has_ended, release_session, release_session_async
from ..session_params import CreateSessionParams
from .observed import AsyncObservedTransport, ObservedTransport, Observer, ReceivedAnswer, SentRequest

if TYPE_CHECKING:
    from ..local.child import LocalServer


@frozen
class Service:
    """The service that tests run on.

    Attributes:
        endpoint: its address; what ``AGB_ENDPOINT`` is set to.
        api_key: the key that it accepts.
        server: the local runtime; None if tests run on another service (``--agb-endpoint``).
    """

    endpoint: str
    api_key: str = field(repr=False)
    server: LocalServer | None = None


@define
class Connection:
    """What the clients of one test connect to, and who looks at their exchanges."""

    service: Service
    endpoint: str
    observers: list[Observer] = field(factory=list)
    creates_sessions: bool = True
    """Whether a session that is created exists: not where all answers are recorded ones."""
    sessions: CreatedSessions = field(init=False, factory=lambda: CreatedSessions())

    @contextmanager
    def client(self) -> Iterator[AGB]:
        """Yield a client."""
        transport = ObservedTransport([self.sessions, *self.observers])
        try:
            with AGB(self.service.api_key, Config(self.endpoint), transport=transport) as client:
                yield client
        finally:
            transport.close()

    @asynccontextmanager
    async def async_client(self) -> AsyncIterator[AsyncAGB]:
        """Yield an asynchronous client."""
        transport = AsyncObservedTransport([self.sessions, *self.observers])
        try:
            async with AsyncAGB(self.service.api_key, Config(self.endpoint), transport=transport) as client:
                yield client
        finally:
            await transport.aclose()

    def check_left_behind(self, fixture: str) -> None:
        """Delete the sessions that the test has left behind, and fail it if there are any."""
        if not (self.creates_sessions and self.sessions.open):
            return
        with AGB(self.service.api_key, Config(self.service.endpoint)) as client:
            left = [session_id for session_id in self.sessions.open if _exists(client, session_id)]
            notes = [_deleted(client, session_id) for session_id in left]
        self.sessions.open.clear()
        if left:
            pytest.fail(
                f"the test left {len(left)} session{'s' if len(left) > 1 else ''} of {fixture} behind: "
                f"{', '.join(notes)}. Delete each one, or create it by `with {fixture}.session(params) as session`, "
                "which does that",
                pytrace=False,
            )


def _exists(client: AGB, session_id: str) -> bool:
    status = client.attach(session_id).get_status()
    return not has_ended(status.status, status.error)


def _deleted(client: AGB, session_id: str) -> str:
    deleted = client.attach(session_id).delete()
    return f"{session_id} (deleted now)" if deleted.success else f"{session_id} ({deleted.error_message})"


class CreatedSessions:
    """An observer that knows which sessions were created and not deleted.

    Attributes:
        open: their ids, in the order of creation.
    """

    def __init__(self) -> None:
        self.open: dict[str, None] = {}

    def wants(self, path: str) -> bool:
        """Return whether the operation creates or deletes a session."""
        return path.endswith((CREATE, *DELETE))

    def before(self, request: SentRequest) -> None:
        """Do nothing."""

    def after(self, request: SentRequest, answer: ReceivedAnswer) -> None:
        """Add the session that was created, or remove the one that was deleted."""
        is_creation = request.path.endswith(CREATE)
        answered = _object(answer.body)
        data = _object(answered.get("data")) if is_creation else _object(request.body)
        session_id = data.get("sessionId")
        if not isinstance(session_id, str) or answered.get("success") is not True:
            return
        if is_creation:
            self.open[session_id] = None
        else:
            self.open.pop(session_id, None)


def _object(value: Any) -> dict[str, Any]:
    """Return an object of JSON, or an empty one: that an answer is invalid, the SDK reports."""
    if isinstance(value, bytes):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    return value if isinstance(value, dict) else {}


CREATE = create_session(CreateSessionParams()).path
DELETE = (release_session("").path, release_session_async("").path)
