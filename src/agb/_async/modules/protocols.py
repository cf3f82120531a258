"""What the parts of a session need of the session and of its client.

A part (`code`, `command`, `file`, `context`) is written for these Protocols, not for `AsyncSession`: the session loads
its parts, so the parts must not load the session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ...results.sessions import McpTool, McpToolsResult
    from ..api import AsyncAPI


class AsyncClientAccess(Protocol):
    """A client, as far as the parts of its sessions need it."""

    @property
    def client(self) -> AsyncAPI:
        """What calls are sent through."""
        ...


class AsyncSessionAccess(Protocol):
    """A session, as far as its parts need it.

    Attributes:
        session_id: the id.
        image_id: the image it was made from, ``""`` if not known.
        link_url, ws_url, token: the addresses of the session's own host, and the token for it.
        tool_list: the tools that the session's own host runs.
        needs_addresses: whether the service must be asked for ``ws_url`` and ``token`` before a stream is opened.
    """

    session_id: str
    image_id: str
    link_url: str
    ws_url: str
    token: str
    tool_list: list[McpTool]
    needs_addresses: bool

    @property
    def agb(self) -> AsyncClientAccess:
        """The client."""
        ...

    def get_client(self) -> AsyncAPI:
        """Return what the session's calls are sent through."""
        ...

    async def list_mcp_tools(self, image_id: str | None = None, *, timeout: float | None = None) -> McpToolsResult:
        """Return the tools of the session's image."""
        ...
