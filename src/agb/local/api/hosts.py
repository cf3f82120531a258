"""Host names: which ones are this server's, and which URLs are answered to a request.

A web page of anybody may have its own name resolve to 127.0.0.1 and then send requests here that its browser counts
as its own (DNS rebinding). The header ``Host`` still has the name of that page; so a request is served only under a
name by which this server is meant to be reached, and is refused with 421 under any other.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Literal
from urllib.parse import urlsplit

from attrs import Factory, field, frozen
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..._wire.reply import MISDIRECTED
from ..errors import Refused
from ..validation import shown
from .answers import early_refusal
from .cdp_links import CdpLinks, is_cdp_link
from .links import LOOPBACK, Links, is_link
from .localhost_names import INSTALL
from .request import BASE, BY_NAME

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?P<port>:\d{1,5})?")


@frozen
class Hosts:
    """The names of a server: those of this machine's loopback, the address it listens on, and its public URL's."""

    bound: str = "localhost"
    """The address that the server was asked to listen on."""
    public_url: str | None = None
    """The URL by which other machines reach the server, without a path; the URLs answered begin with it."""
    localhost_addresses: frozenset[str] = frozenset()
    """The addresses to which this machine resolves names below ``localhost``, empty if it does not."""
    _names: frozenset[str] = field(init=False, default=Factory(lambda self: self._all_names(), takes_self=True))

    def _all_names(self) -> frozenset[str]:
        public = urlsplit(self.public_url or "").hostname or ""
        return frozenset({"localhost", _plain(self.bound), public} - {""})

    def base(self, scope: Scope, given: str) -> str | None:
        """Return scheme and host of the URLs answered to a request; None if its ``Host`` is not a name of this server.

        ``given`` is that header. Its port is not compared: it may be forwarded from another one.
        """
        name, port = scope.get("server") or ("localhost", None)
        if given:  # HTTP/1.0 has none
            found = _HOST.fullmatch(given)
            if found is None or not self._is_own(_plain(found["name"]), _plain(name)):
                return None
        else:
            name = f"[{name}]" if ":" in name else name
            given = f"{name}:{port}" if port else name
        return self.public_url or f"{'https' if scope['scheme'] in ('https', 'wss') else 'http'}://{given}"

    def link_by_name(self, scope: Scope, given: str) -> bool:
        """Return whether a link that is answered to a request has a host name below ``localhost``.

        The caller has to resolve that name to this server. What is known is the resolver of this machine, so the caller
        must be on it: it must have used a loopback host with the server's own port, and the connection must have
        arrived at an address to which such names are resolved. Another port or address is that of a forwarding
        (``ssh -L``, the port of a container), which may begin on another machine. With a public URL, all callers get
        links below that one.
        """
        name, port = scope.get("server") or ("", None)
        found = _HOST.fullmatch(given)
        if found is None or self.public_url is not None or _plain(name) not in self.localhost_addresses:
            return False
        return _plain(found["name"]) in LOOPBACK and int((found["port"] or ":80")[1:]) == port

    def link_form(self, address: str) -> tuple[Literal["name", "path"], str]:
        """Return the form of the links of a server at an address as seen from this machine, and a note about it."""
        if self.public_url is not None:
            return "path", "by path, below the public URL"
        if not self.localhost_addresses:
            return "path", f"by path, since this machine does not resolve names below localhost; {INSTALL}"
        if _plain(address) not in self.localhost_addresses:
            return "path", f"by path, since names below localhost do not lead to {address}"
        return "name", "by host name, below localhost; by path for callers on other machines"

    def _is_own(self, name: str, local: str) -> bool:
        """Return whether a name is the server's; ``local`` is the address at which the connection has arrived.

        That one matters to a server that listens on all addresses.
        """
        if name in self._names or name == local:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


@frozen
class HostCheck:
    """ASGI middleware: leads requests for the host name of a link there, and refuses those for foreign hosts."""

    app: ASGIApp
    hosts: Hosts
    links: Links
    cdp_links: CdpLinks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on with its base."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        given = HTTPConnection(scope).headers.get("host", "")
        if is_link(given):
            return await self.links.serve_host(given, scope, receive, send)
        if is_cdp_link(given):
            return await self.cdp_links.serve_host(given, scope, receive, send)
        base = self.hosts.base(scope, given)
        if base is None:
            return await _misdirected(scope, given)(scope, receive, send)
        scope[BASE] = base
        scope[BY_NAME] = self.hosts.link_by_name(scope, given)
        return await self.app(scope, receive, send)


def _misdirected(scope: Scope, given: str) -> Response:
    why = (
        f"This server is not {shown(given, 100)}. It is reached by localhost, by the address it listens on, "
        "and by the URL that `agb serve --public-url` names"
    )
    if scope["type"] == "websocket":
        return PlainTextResponse(f"{why}\n", 421)
    return early_refusal(Request(scope), Refused(MISDIRECTED, why, http_status=421))


def _plain(name: str) -> str:
    """Return a host name or address as it is compared: without brackets and final dot, in lower case."""
    return name.strip("[]").removesuffix(".").lower()
