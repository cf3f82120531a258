"""Options of the MCP server: images, limits, and where it listens."""

from __future__ import annotations

import secrets
from ipaddress import ip_address
from typing import Any

from attrs import field, frozen

from ..._ops.tool_texts import TEXT_LIMIT
from ...owned import Owner

SHORTEST_TOKEN = 16
"""Characters that a bearer token needs at least."""
SMALLEST_ANSWER = 1000
"""Characters that an answer may be limited to at least: a note how to get the rest must fit in it."""


class BadOptions(ValueError):
    """Options that cannot be used; the text says which and why."""


def _above_zero(_: object, attribute: Any, value: float) -> None:
    if not value > 0:
        raise BadOptions(f"{attribute.name} is a number above zero, not {value!r}")


def _answer_limit(_: object, attribute: Any, value: int) -> None:
    if value < SMALLEST_ANSWER:
        raise BadOptions(f"{attribute.name} is a number of characters from {SMALLEST_ANSWER}, not {value!r}")


def _name(_: object, attribute: Any, value: str) -> None:
    del attribute
    try:
        Owner("mcp", value)
    except ValueError as error:
        raise BadOptions(str(error)) from error


@frozen
class Options:
    """Images and limits of the server.

    Attributes:
        image: the image of sessions, unless the agent asks for another one.
        idle_time: seconds without a call after which a session is released.
        answer_limit: the most characters of one answer; a longer one is cut, with a note how to get the rest.
        max_sessions: the most sessions at a time, of all conversations together.
        name: by which ``agb gc --owner mcp:NAME`` finds the sessions; a random one unless given.

    Raises:
        BadOptions: a value that cannot be used.
    """

    image: str = "agb-code-space-1"
    idle_time: float = field(default=900.0, validator=_above_zero)
    answer_limit: int = field(default=TEXT_LIMIT, validator=_answer_limit)
    max_sessions: int = field(default=16, validator=_above_zero)
    name: str = field(factory=lambda: secrets.token_hex(8), validator=_name)

    @property
    def owner(self) -> Owner:
        """What the sessions belong to."""
        return Owner("mcp", self.name)


@frozen
class Http:
    """Where the server listens, and for whom.

    Attributes:
        host: the address; only this machine reaches the default.
        port: the port, 0 for any free one.
        token: what clients send as ``Authorization: Bearer TOKEN``; None to ask for nothing.
        allowed_hosts: further names by which clients reach the server, as they appear in the header ``Host`` without
            the port.

    Raises:
        BadOptions: it would listen to other machines without a token, or under no name; or the token is short.
    """

    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise BadOptions(f"the port is a number from 0 to 65535, not {self.port}")
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise BadOptions(f"the token has less than {SHORTEST_TOKEN} characters, so it can be guessed")
        if not self.is_loopback and self.token is None:
            raise BadOptions(
                f"other machines reach {self.host}, and a client needs no key to run programs: give a token, "
                "or listen on 127.0.0.1"
            )
        if self._is_any_address and not self.allowed_hosts:
            raise BadOptions(
                f"{self.host} is every address of this machine: name those by which clients reach it (allowed hosts)"
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def _is_any_address(self) -> bool:
        try:
            return ip_address(self.host).is_unspecified
        except ValueError:
            return self.host == ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which it is reached, as in a URL: an IPv6 address has brackets."""
        own = ("127.0.0.1", "localhost", "[::1]") if self.is_loopback else ()
        listening = () if self._is_any_address else (f"[{self.host}]" if ":" in self.host else self.host,)
        return tuple(dict.fromkeys([*own, *listening, *self.allowed_hosts]))
