"""Conversations and their sessions: who may use which, and when each is released.

A conversation is what a client and the server have in common for a while: the process, over stdio; an MCP session, over
HTTP. It has a current session, which is created when it is first used, and more if the agent creates them. All are
released when the conversation ends, each after its idle time, and the rest when the server ends.

Clients of the protocol 2026-07-28 have no MCP session over HTTP: each request stands alone. They name their session in
each call, by an id that cannot be guessed, and their sessions end by their idle time.
"""

from __future__ import annotations

import math
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup
from attrs import define, field

from ..._async._compat.cancellation import shielded
from ..._async.client import AsyncAGB
from ..._async.lifecycle.deletion import delete_surely, warn_left_behind
from ..._async.session import AsyncSession
from ..._ops.sessions import has_ended
from ...exceptions import AGBError, ErrorKind
from ...session_params import CreateSessionParams
from ..sandbox import Sandbox
from .options import Options

SERVICE_MARGIN = 60
"""Seconds after the idle time at which the service itself releases a session, should this server be killed."""
REMEMBERED = 256
"""Conversations without a session, and released sessions, that are remembered."""


class Refused(Exception):
    """The call cannot be done; the text is for the agent."""


@define(eq=False)
class Conversation:
    """What one client has: its sessions, by their ids, and the current one."""

    is_over: bool = False
    current: HeldSession | None = None
    """The session that was created last, of those that exist."""
    lost: str | None = None
    """Why the session that was the current one is gone, until the agent has been informed."""
    creating: anyio.Lock = field(factory=anyio.Lock)
    """Held while the current session is created, so that calls at the same time share it."""

    @property
    def following(self) -> str:
        """What the next call works in, as a sentence."""
        if self.current is None:
            return "The next call begins with a new session."
        return f"The current session is now {self.current.id}."


@define(eq=False)
class HeldSession:
    """A session that the server has created for a conversation, or for a client without one.

    Attributes:
        id: by which the agent names it. The service's id is a part of it; the other part cannot be guessed.
        session, sandbox: the session, and its files and programs.
        conversation: whose it is; None if its client has no conversation.
        calls: the calls in progress.
        idle_since: when the last one ended, on anyio's clock.
        released: set when it is not used any more.
        outputs: how many outputs were stored in files of it.
    """

    id: str
    session: AsyncSession
    sandbox: Sandbox
    conversation: Conversation | None
    calls: int = 0
    idle_since: float = field(factory=anyio.current_time)
    released: anyio.Event = field(factory=anyio.Event)
    outputs: int = 0


class Conversations:
    """All conversations of a server, and their sessions.

    Args:
        connect: makes the client of the service.
        options: images and limits.
    """

    def __init__(self, connect: Callable[[], AsyncAGB], options: Options) -> None:
        self.options = options
        self._connect = connect
        self._agb: AsyncAGB | None = None
        self._tasks: TaskGroup | None = None
        self._conversations: dict[str, Conversation] = {}
        self._held: dict[str, HeldSession] = {}
        self._creations: set[anyio.Event] = set()
        """Those in progress; each is set when its session is held, or there is none."""
        self._is_closing = False
        self._released: OrderedDict[str, tuple[Conversation | None, str]] = OrderedDict()
        """Why sessions were released that a call may still name."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold sessions for the time of a block; all of them are released at its end, also if it is cancelled."""
        async with self._connect() as agb, anyio.create_task_group() as tasks:
            self._agb, self._tasks, self._is_closing = agb, tasks, False
            try:
                yield
            finally:
                with anyio.CancelScope(shield=True):
                    await self._release_all()
                tasks.cancel_scope.cancel()

    async def _release_all(self) -> None:
        """Release all sessions, also those that are still being created by requests whose clients have gone."""
        self._is_closing = True
        self._conversations.clear()
        for creation in list(self._creations):
            await creation.wait()
        async with anyio.create_task_group() as deletions:
            for held in list(self._held.values()):
                deletions.start_soon(self._release, held, "the server has ended")

    # --- conversations -----------------------------------------------------------------------------------------------

    def conversation(self, key: str) -> Conversation:
        """Return the conversation with this key; it begins with its first call."""
        if key not in self._conversations:
            self._drop_old()
        return self._conversations.setdefault(key, Conversation())

    def _drop_old(self) -> None:
        """Forget the oldest conversation without a session: its client may have gone without ending it."""
        if len(self._conversations) >= REMEMBERED:
            busy = {id(held.conversation) for held in self._held.values()}
            old = (key for key, one in self._conversations.items() if id(one) not in busy and not one.creating.locked())
            self._conversations.pop(next(old, ""), None)

    def end(self, key: str) -> None:
        """End a conversation: its sessions are released in the background."""
        conversation = self._conversations.pop(key, None)
        if conversation is None or self._tasks is None:
            return
        conversation.is_over = True
        for held in [held for held in self._held.values() if held.conversation is conversation]:
            self._tasks.start_soon(self._release, held, "the conversation has ended")

    # --- sessions ----------------------------------------------------------------------------------------------------

    async def create(self, conversation: Conversation | None, image: str | None = None) -> HeldSession:
        """Create a session, which becomes the current one of its conversation.

        Raises:
            Refused: there are as many sessions as there may be, or the conversation has ended meanwhile.
            AGBError: it was not created.
        """
        if self._is_closing:
            raise Refused("the server ends")
        if len(self._held) + len(self._creations) >= self.options.max_sessions:
            raise Refused(
                f"the server has {self.options.max_sessions} sessions, which is its limit: delete one, or wait until "
                "an idle one is released"
            )
        assert self._agb is not None  # requests are served inside of `running`
        params = CreateSessionParams(
            image_id=image or self.options.image,
            idle_release_timeout=math.ceil(self.options.idle_time) + SERVICE_MARGIN,
        )
        creation = anyio.Event()
        self._creations.add(creation)
        try:
            created = await self._agb.create(params, owner=self.options.owner)
            session = created.raise_for_error().session
            # No checkpoint from here on: a session that was created is held, and so released.
            held = HeldSession(f"{session.session_id}.{secrets.token_hex(16)}", session, Sandbox(session), conversation)
            self._held[held.id] = held
        finally:
            self._creations.remove(creation)
            creation.set()
        return self._begin(held)

    def _begin(self, held: HeldSession) -> HeldSession:
        conversation = held.conversation
        assert self._tasks is not None
        if conversation is not None and conversation.is_over:
            self._tasks.start_soon(self._release, held, "the conversation has ended")
            raise Refused("the conversation has ended")
        if conversation is not None:
            conversation.current, conversation.lost = held, None
        if not self._is_closing:
            self._tasks.start_soon(self._watch, held)
        return held

    async def delete(self, held: HeldSession) -> None:
        """Delete a session that the agent does not need any more.

        Raises:
            AGBError: it may still exist.
        """
        error = await self._end(held, "it was deleted")
        if held.conversation is not None:
            held.conversation.lost = None  # the agent knows
        if error is not None:
            raise error

    @asynccontextmanager
    async def use(self, conversation: Conversation | None, session_id: str | None) -> AsyncIterator[HeldSession]:
        """Use a session for the time of a call: the one that is named, or the current one, which is created if needed.

        Raises:
            Refused: there is no such session in this conversation, or it has ended.
            AGBError: it was not created; or what the block raised.
        """
        held = await self._current(conversation) if session_id is None else self._named(conversation, session_id)
        held.calls += 1
        try:
            yield held
        except AGBError as error:
            if await self._has_ended(held, error):
                self._forget(held, "it has ended")
                raise Refused(_loss(conversation) or _gone(held.id, "it has ended")) from error
            raise
        finally:
            held.calls -= 1
            held.idle_since = anyio.current_time()

    def _named(self, conversation: Conversation | None, session_id: str) -> HeldSession:
        held = self._held.get(session_id)
        if held is not None and held.conversation is conversation:
            return held
        owner, reason = self._released.get(session_id, (None, ""))
        if reason and owner is conversation:
            raise Refused(_gone(session_id, reason))
        raise Refused(f"there is no session {session_id!r} in this conversation: create_session makes one")

    async def _current(self, conversation: Conversation | None) -> HeldSession:
        if conversation is None:
            raise Refused(
                "this client has no MCP session, so the server cannot know which session is meant: call "
                "create_session, and pass the session_id that it returns to every call"
            )
        async with conversation.creating:
            if (loss := _loss(conversation)) is not None:
                raise Refused(loss)
            return conversation.current or await self.create(conversation)

    async def _has_ended(self, held: HeldSession, error: AGBError) -> bool:
        """Return whether an error is that of a session that has ended; a missing file is of the same kind."""
        if error.kind is not ErrorKind.NOT_FOUND or held.released.is_set():
            return False
        status = await held.session.get_status()
        return has_ended(status.status, status.error)

    # --- the end of sessions -----------------------------------------------------------------------------------------

    async def _watch(self, held: HeldSession) -> None:
        """Release a session after its idle time; a call in progress keeps it."""
        idle_time = self.options.idle_time
        while not held.released.is_set():
            since = anyio.current_time() if held.calls else held.idle_since
            left = since + idle_time - anyio.current_time()
            if left <= 0:
                await self._release(held, f"it was released after {idle_time:g} seconds without a call")
                return
            with anyio.move_on_after(left):
                await held.released.wait()

    async def _release(self, held: HeldSession, reason: str) -> None:
        """End a session; one that may still exist is reported by a warning."""
        error = await self._end(held, reason)
        if error is not None:
            warn_left_behind(held.session.session_id, error)

    async def _end(self, held: HeldSession, reason: str) -> AGBError | None:
        if held.released.is_set():
            return None
        self._forget(held, reason)
        return await shielded(lambda: delete_surely(held.session))

    def _forget(self, held: HeldSession, reason: str) -> None:
        """Take a session away from its conversation; it is not used any more."""
        held.released.set()
        self._held.pop(held.id, None)
        self._released[held.id] = held.conversation, reason
        while len(self._released) > REMEMBERED:
            self._released.popitem(last=False)
        conversation = held.conversation
        if conversation is not None and conversation.current is held:
            others = [other for other in self._held.values() if other.conversation is conversation]
            conversation.current = others[-1] if others else None
            conversation.lost = _gone(held.id, reason)


def _loss(conversation: Conversation | None) -> str | None:
    """Return, once, that the current session is gone with its files, and which one is next."""
    if conversation is None or conversation.lost is None:
        return None
    reason, conversation.lost = conversation.lost, None
    return f"{reason} {conversation.following}"


def _gone(session_id: str, reason: str) -> str:
    return f"the session {session_id} is gone with its files, because {reason}."
