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
from typing import Any, Literal

from attrs import frozen

from ..browser.agent.agent import PageAgent
from ..browser.session_browser import SessionBrowser
from ..contexts.session_mounts import SessionMounts
from ..desktop.desktop import REPLY_SECONDS
from ..errors import session_not_found
from ..kernels.interpreters import Interpreter, Languages
from ..sandbox.helper import Reply
from ..sandbox.sandbox import SandboxGone
from . import metrics
from .metrics import Meter, ProcessInfo
from .programs import Programs
from .screenshots import Screenshots

State = Literal["RUNNING", "DELETING", "FINISH"]

TICKET_SECONDS = 1800.0
_MOST_TICKETS = 100
_RECENT_CALLS = 50


@frozen
class CallRecord:
    """A tool call as the session's page shows it; ``route`` is api, link or stream."""

    number: int
    """Of the calls of its session, from 1."""
    at: datetime
    tool: str
    route: str
    seconds: float
    ok: bool
    summary: str
    reply: str = ""
    """The beginning of its text."""


@frozen
class RunningCall:
    """A tool call under way; ``began`` is on the clock of `time.perf_counter`."""

    number: int
    at: datetime
    tool: str
    route: str
    began: float
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
        self.running_calls: list[RunningCall] = []
        self.calls = 0
        """How many calls there were."""
        self.sandbox = programs.sandbox
        self.browser = browser
        self.agent = agent
        self.mounts = mounts
        self.mounts.on_end = self.touch
        self.languages = languages
        self.shell = shell
        self.files = programs.files
        self.screenshots = Screenshots(self.sandbox.directories.root / "screenshots", clock)
        self.began = clock()
        self.meter = self.new_meter()
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

    def new_meter(self) -> Meter:
        """Return a meter of the session; each one measures rates since its own last measurement."""
        directories = self.sandbox.directories
        own = (directories.home, directories.tmp, directories.var_tmp, *directories.elsewhere.values())
        return Meter(self.sandbox.pid, own)

    @property
    def has_desktop(self) -> bool:
        """Whether its image has a desktop."""
        return self._programs.desktop is not None

    async def connect(self, port: int) -> socket.socket:
        """Return a connected, non-blocking TCP socket to a port of the session's loopback.

        Raises ``ConnectionRefusedError`` when nothing listens there, or another ``OSError``.
        """
        try:
            return await self.sandbox.connect(port)
        except SandboxGone as error:
            raise ConnectionResetError(str(error)) from error

    async def look(self, tool: str, args: Mapping[str, Any]) -> Reply:
        """Return the reply of a file tool that only reads; it does not count as activity.

        Raises ``Refused`` when the session has ended.
        """
        try:
            return await self.files.call(tool, args)
        except SandboxGone as error:
            raise session_not_found(self.id) from error

    async def processes(self) -> list[ProcessInfo]:
        """Return the session's processes, by their numbers inside."""
        if self.sandbox.is_closed:
            return []  # another process may have its id by now
        return await asyncio.to_thread(metrics.processes, self.sandbox.pid)

    async def on_desktop(self, tool: str, args: Mapping[str, Any], *, seconds: float = REPLY_SECONDS) -> Reply:
        """Run a tool of the desktop in it; a failure, or no answer in time, is a reply. Raises ``SandboxGone``."""
        if self._programs.desktop is None:
            return Reply.failure(f"{tool}: the image {self.image_id} has no desktop")
        return await self._programs.desktop.call(tool, args, seconds=seconds)

    async def type_on_desktop(self, text: str) -> str:
        """Type a text into the window that has the focus; return why it was not typed, or an empty text."""
        try:
            reply = await self.on_desktop("input_text", {"text": text})
        except SandboxGone as error:
            return str(error)
        return "" if reply.ok else reply.text

    async def connect_to_screen(self) -> socket.socket:
        """Return a non-blocking socket connected to the VNC server of the desktop. Raises ``OSError``."""
        if self._programs.desktop is None:
            raise OSError(f"the image {self.image_id} has no desktop")
        try:
            return await self._programs.desktop.connect_to_screen()
        except SandboxGone as error:
            raise ConnectionResetError(str(error)) from error

    async def ready_for_programs(self) -> None:
        """Return when the desktop, if there is one, takes programs."""
        if self._programs.desktop is not None:
            await self._programs.desktop.start()

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
