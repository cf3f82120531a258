"""The reverse proxy behind links: one HTTP exchange between a caller and a program inside a session.

Bodies are streamed both ways at the same time, each only as fast as its reader takes it. A proxy must change two
things: headers that concern one connection only, and addresses that would lead out of the link.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import h11
from attrs import frozen
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from ..sessions.session import LocalSession

logger = logging.getLogger("agb.local")

RawHeaders = list[tuple[bytes, bytes]]

CHUNK = 256 * 1024
"""Bytes read at once from a program's answer."""

_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
_ADDRESSES = (b"location", b"content-location")
_OF_A_WHOLE_ORIGIN = frozenset(
    b"alt-svc clear-site-data nel report-to service-worker-allowed strict-transport-security".split()
)
"""Headers that hold beyond the page that they come with: for the whole origin, and so for all links by path.

With ``NEL`` and ``Report-To``, for instance, a program would have browsers report to it the URLs of all requests to
this server, which contain the tokens of other links.
"""


@frozen
class Target:
    """Where a request through a link goes."""

    session: LocalSession
    port: int
    base: str
    """Scheme and host by which the caller reaches the link."""
    prefix: str
    """The path of the link, without a trailing slash; empty for a link with a host name of its own."""
    path: bytes
    """The path and query the program is asked for, percent-encoded as they came; empty if nothing follows."""

    @property
    def own_host(self) -> str:
        """The host, and port, by which the caller reaches the link."""
        return self.base.partition("://")[2]

    @property
    def seen_host(self) -> str:
        """The host that the program sees as its own.

        Programs refuse names that do not look like this machine (DNS rebinding). To a program behind a link with a
        host name of its own, the name is ``localhost``; the port is the server's, so that an absolute URL that the
        program makes of it leads to this server, which redirects it (`Links.behind_referer`).
        """
        return self.own_host if self.prefix else "localhost" + self.own_host[self.own_host.rfind(".localhost") + 10 :]


# --- headers -----------------------------------------------------------------------------------------------------


def request_headers(scope: Scope, target: Target) -> RawHeaders:
    """Return the headers for the program inside: the caller's own, and those that say where the request came from.

    ``Forwarded`` and all ``X-Forwarded-*`` are this server's; those of the caller are left out, whatever they say.
    """
    client = scope["client"][0] if scope.get("client") else "unknown"
    own_host, proto = target.own_host, target.base.partition(":")[0]
    node = f'"[{client}]"' if ":" in client else client
    own = {
        b"host": target.seen_host,
        b"forwarded": f'for={node};host="{own_host}";proto={proto}',
        b"x-forwarded-for": client,
        b"x-forwarded-proto": proto,
        b"x-forwarded-host": own_host,
    }
    if target.prefix:
        own[b"x-forwarded-prefix"] = target.prefix
    headers = [(name, value.encode("latin-1")) for name, value in own.items()]
    for name, value in end_to_end(scope["headers"]):
        # This server has already sent "100 Continue" to a caller that waits for it.
        if name in own or name == b"expect" or name.startswith(b"x-forwarded-"):
            continue
        if (seen := value if target.prefix else _seen_inside(name, value, target)) is not None:
            headers.append((name, seen))
    return headers


def _seen_inside(name: bytes, value: bytes, target: Target) -> bytes | None:
    """Return a header as a program behind a link with a host name of its own sees it, None if it is left out.

    The link's own ``Origin`` is left out, as browsers do for a GET: programs compare it with ``Host``, with
    ``X-Forwarded-Host`` or with a list of names, and no value satisfies all of them. Foreign ones are kept, so that a
    program refuses them as it would without the link.
    """
    if name == b"origin" and value.lower() == target.base.encode("latin-1"):
        return None
    own = target.base.encode("latin-1") + b"/"
    if name == b"referer" and value.startswith(own):
        return f"{target.base.partition(':')[0]}://{target.seen_host}/".encode("latin-1") + value[len(own) :]
    return value


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """Return the headers (names in lower case) without those that concern one connection only (RFC 9110, 7.6.1)."""
    headers = list(headers)
    named = {word.strip().lower() for name, value in headers if name == b"connection" for word in value.split(b",")}
    return [(name, value) for name, value in headers if name not in _HOP_BY_HOP and name not in named]


def response_headers(headers: Iterable[tuple[bytes, bytes]], target: Target) -> RawHeaders:
    """Return the headers of a program's answer with its addresses and cookies moved below the link."""
    moved: RawHeaders = []
    for name, value in end_to_end(headers):
        if name in _ADDRESSES:
            value = below_link(value.decode("latin-1"), target).encode("latin-1")
        elif name == b"set-cookie":
            value = cookie_below_link(value.decode("latin-1"), target.prefix).encode("latin-1")
        if name not in _OF_A_WHOLE_ORIGIN or not target.prefix:
            moved.append((name, value))
    return moved


def below_link(address: str, target: Target) -> str:
    """Return an address a program answered with, led through the link if it means the program itself."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    here = (f"{name}:{target.port}" for name in ("localhost", "127.0.0.1", "[::1]"))
    own = {target.own_host, target.seen_host, *here}
    if parts.netloc and (parts.netloc not in own or parts.scheme not in ("http", "https", "")):
        return address
    if not parts.netloc and not address.startswith("/"):
        return address
    path = parts._replace(scheme="", netloc="").geturl()
    if path.startswith("/") and _is_below(path, target.prefix):
        return path
    return target.prefix + ("" if path.startswith("/") else "/") + path


def cookie_below_link(cookie: str, prefix: str) -> str:
    """Return a Set-Cookie header that holds for the link only: no Domain, and its Path below the link's, if any."""
    pair, *attributes = cookie.split(";")
    kept = [pair]
    for attribute in attributes:
        name, _, value = attribute.strip().partition("=")
        if name.lower() == "path" and value.startswith("/") and not _is_below(value, prefix):
            kept.append(f" Path={prefix}{value}")
        elif name.lower() != "domain":
            kept.append(attribute)
    return ";".join(kept)


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith((prefix + "/", prefix + "?"))


# --- one exchange ------------------------------------------------------------------------------------------------


class _Upstream:
    """The connection to a program inside a session, speaking HTTP/1.1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=CHUNK)

    async def send(self, event: h11.Event) -> bool:
        """Write an event and wait until the program keeps up; return whether it still listens.

        One that does not want the rest of a request may still have answered it.
        """
        self._writer.write(self._protocol.send(event) or b"")
        try:
            await self._writer.drain()
        except OSError:
            return False
        return True

    async def next_event(self) -> h11.Event:
        """Return the next event of the program; raise `h11.RemoteProtocolError` if it sends no HTTP or closes early."""
        while not isinstance(event := self._protocol.next_event(), h11.Event):
            if event is h11.PAUSED:
                raise h11.RemoteProtocolError("it switched to another protocol")
            self._protocol.receive_data(await self._reader.read(CHUNK))
        return event


async def forward_http(connected: socket.socket, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
    """Carry one request to a program inside a session and its answer back; takes over the connected socket."""
    reader, writer = await asyncio.open_connection(sock=connected, limit=CHUNK)
    upstream = _Upstream(reader, writer)
    try:
        async with anyio.create_task_group() as both_ways:
            both_ways.start_soon(_send_request, upstream, target, scope, receive, both_ways.cancel_scope)
            await _send_response(upstream, target, scope, receive, send)
            both_ways.cancel_scope.cancel()
    finally:
        writer.transport.abort()


async def _send_request(
    upstream: _Upstream, target: Target, scope: Scope, receive: Receive, exchange: anyio.CancelScope
) -> None:
    """Pass the request on; when the caller leaves, the exchange is over, even if the program goes on."""
    headers = request_headers(scope, target)
    if any(name == b"transfer-encoding" for name, _ in scope["headers"]):
        headers = [(name, value) for name, value in headers if name != b"content-length"]
        headers.append((b"transfer-encoding", b"chunked"))
    is_listening = await upstream.send(h11.Request(method=scope["method"], target=target.path, headers=headers))
    while (message := await receive())["type"] == "http.request":
        if is_listening and message.get("body"):
            is_listening = await upstream.send(h11.Data(data=message["body"]))
        if is_listening and not message.get("more_body", False):
            is_listening = await upstream.send(h11.EndOfMessage())
    exchange.cancel()


async def _send_response(upstream: _Upstream, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
    """Pass the program's answer back; a caller gets status 502 in the place of an invalid one."""
    started = False
    try:
        while not isinstance(event := await upstream.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                if event.status_code > 599:
                    raise h11.RemoteProtocolError(f"there is no status {event.status_code}")
                headers = response_headers(event.headers, target)
                await send({"type": "http.response.start", "status": event.status_code, "headers": headers})
                started = True
            elif isinstance(event, h11.Data):
                await send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
                # With a program that is always ready nothing here waits, and only a task that waits is cancelled.
                await anyio.lowlevel.checkpoint()
            elif isinstance(event, h11.ConnectionClosed):
                raise h11.RemoteProtocolError("it closed the connection without an answer")
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except (OSError, h11.RemoteProtocolError) as error:
        # An answer already begun is left unfinished: the server closes the connection, and the caller sees the cut.
        if not started:
            why = f"The program on port {target.port} of session {target.session.id} gave no valid answer: {error}."
            await failure(target, why)(scope, receive, send)


def failure(target: Target, why: str, status: int = 502) -> Response:
    """Return the answer to a request that could not be served; once the session has ended, that is the reason."""
    if target.session.state != "RUNNING":
        why, status = f"Session {target.session.id} has ended: it was released, or its time is over.", 502
    return PlainTextResponse(f"{why}\n", status)
