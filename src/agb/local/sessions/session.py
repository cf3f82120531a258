"""A session: its state, and the operations on it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

from attrs import frozen

from ..browser.agent.agent import PageAgent
from ..browser.session_browser import SessionBrowser
from ..contexts.session_mounts import SessionMounts
from ..kernels.interpreters import Interpreter, Languages
from ..sandbox.sandbox import SandboxGone
from . import metrics
from .metrics import Meter, ProcessInfo
from .programs import Programs

State = Literal["RUNNING", "DELETING", "FINISH"]

TICKET_SECONDS = 1800.0
_MOST_TICKETS = 100
_RECENT_CALLS = 50


@frozen
class CallRecord:
    """A tool call as the session's page shows it; ``route`` is api, link or stream."""

    at: datetime
    tool: str
    route: str
    seconds: float
    ok: bool
    summary: str


class LocalSession:
    """One session. The runtime creates and ends it; all other code reads and uses it."""

    def __init__(
        self,
        session_id: str,
        *,
        number: int,
        image_id: str,
        labels: Mapping[str, str],
        idle_timeout: float,
        policy_id: str,
        programs: Programs,
        browser: SessionBrowser,
        agent: PageAgent,
        mounts: SessionMounts,
        languages: Languages,
        shell: str,
        clock: Callable[[], float],
    ) -> None:
        self.id = session_id
        self.number = number
        """Place in the order of creation."""
        self.image_id = image_id
        self.labels = dict(labels)
        self.state: State = "RUNNING"
        self.created_at = datetime.now(UTC)
        self.idle_timeout = idle_timeout
        """Seconds without activity after which the session is released."""
        self.policy_id = policy_id
        self.token = secrets.token_urlsafe(32)
        """The secret that authorises calls of the session's own addresses."""
        self.app_instance_id = f"ai-{secrets.token_hex(8)}"
        self.resource_id = f"r-{secrets.token_hex(8)}"
        self.recent_calls: deque[CallRecord] = deque(maxlen=_RECENT_CALLS)
        self.sandbox = sandbox = programs.sandbox
        self.browser = browser
        self.agent = agent
        self.mounts = mounts
        self.mounts.on_end = self.touch
        self.languages = languages
        self.shell = shell
        self.files = programs.files
        self.began = clock()
        directories = sandbox.directories
        self.meter = Meter(sandbox.pid, (directories.home, directories.tmp, *directories.elsewhere.values()))
        self._clock = clock
        self._last_activity = self.began
        self._activities = 0
        self._secret = secrets.token_bytes(32)
        self._tickets: dict[str, float] = {}
        self._programs = programs

    def __repr__(self) -> str:
        return f"<LocalSession {self.id} {self.state} {self.image_id}>"

    # --- time ---

    def touch(self) -> None:
        """Count this moment as activity."""
        self._last_activity = self._clock()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Count the time until the block is left as activity."""
        self._activities += 1
        try:
            yield
        finally:
            self._activities -= 1
            self.touch()

    @property
    def idle_for(self) -> float:
        """Seconds since the last activity; calls, requests through links and syncs are activity until they end."""
        return 0.0 if self._activities or self.mounts.is_busy else self._clock() - self._last_activity

    def due(self, life: float) -> float:
        """Return when the session is to be released, on the runtime's clock."""
        end = self.began + life
        return min(end, self._clock() - self.idle_for + self.idle_timeout)

    # --- labels, tickets, tokens ---

    def set_labels(self, labels: Mapping[str, str]) -> None:
        """Replace all labels."""
        self.labels = dict(labels)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether the session has all these labels."""
        return all(self.labels.get(key) == value for key, value in labels.items())

    def new_ticket(self) -> str:
        """Return a new auth code for the session's page, valid for 30 minutes."""
        now = self._clock()
        live = [(ticket, end) for ticket, end in self._tickets.items() if end > now]
        ticket = secrets.token_urlsafe(24)
        self._tickets = dict([*live[1 - _MOST_TICKETS :], (ticket, now + TICKET_SECONDS)])
        return ticket

    def check_ticket(self, ticket: str) -> bool:
        """Return whether an auth code is one of the session's and still valid."""
        now = self._clock()
        # All are compared, so that the time does not depend on which one matches.
        matching = [end for known, end in self._tickets.items() if _same(ticket, known)]
        return any(end > now for end in matching)

    def link_token(self, port: int) -> str:
        """Return the token of links to a port; the same for the same port.

        It is short enough for a host name: a label has at most 63 characters, and its case does not count.
        """
        digest = hmac.new(self._secret, f"port {port}".encode(), hashlib.sha256)
        return digest.hexdigest()[:32]

    def check_link_token(self, port: int, token: str) -> bool:
        """Return whether a token is the one for this port."""
        return _same(token, self.link_token(port))

    # --- inside the session ---

    async def connect(self, port: int) -> socket.socket:
        """Return a connected, non-blocking TCP socket to a port of the session's loopback.

        Raises ``ConnectionRefusedError`` when nothing listens there, or another ``OSError``.
        """
        try:
            return await self.sandbox.connect(port)
        except SandboxGone as error:
            raise ConnectionResetError(str(error)) from error

    async def processes(self) -> list[ProcessInfo]:
        """Return the session's processes, by their numbers inside."""
        if self.sandbox.is_closed:
            return []  # another process may have its id by now
        return await asyncio.to_thread(metrics.processes, self.sandbox.pid)

    def interpreter(self, language: str) -> Interpreter:
        """Return the interpreter of one of the languages found; its kernel starts with the first code."""
        return self._programs.interpreter(language)

    async def close(self) -> None:
        """End everything in the session and return when no process of it is left; its sandbox is closed after this."""
        await self.mounts.close()
        await self._programs.end()


def _same(given: str, known: str) -> bool:
    # As bytes: compare_digest raises on text that is not ASCII.
    return hmac.compare_digest(given.encode("utf-8", "replace"), known.encode())
