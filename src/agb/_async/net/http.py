"""HTTP: every request of the SDK, sent through one httpx client, the SDK's own or the caller's.

All of it takes the same way: an `httpx.Request` is made and given to ``client.send``. So event hooks, mocks and tracing
see each request, and a caller's client, proxy and certificates apply to all of them, WebSockets included. What httpx
has no argument for travels in the request's extensions (`extensions.py`); transports that do not know them ignore them.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import httpcore

from ..._wire.deadline import Deadline
from ..._wire.reply import too_large
from ..._wire.signed import SignedUrl
from ...config import Endpoint
from ...exceptions import Sent
from ...limits import Limits, PoolStats
from .._compat.cancellation import run_to_completion, shielded
from .._compat.http import client_over, library_of
from .._compat.iteration import each
from .connection import Body, Headers, time_left
from .errors import AnswerTooLarge, failure_of
from .extensions import DEADLINE, FINISH, MOST_BYTES, READ_WHOLE, REPEATABLE, TRANSFER, Answer
from .streams import abort
from .transport import AsyncPoolTransport, own_client
from .urls import api_url, masked_url_class

if TYPE_CHECKING:
    from .routes import Verify

IfCancelled = Callable[[Answer], Awaitable[object]]
"""Called with the answer to a request whose caller was cancelled."""

_PHASES = ("connect", "read", "write", "pool")
_SMALL_ANSWER = 64 * 1024
"""Bytes of an answer that are received before ``client.send`` returns, so that the connection is free by then."""
_PARTS_AFTER_CLOSE = 100
"""Parts of an answer that are skipped after it was closed, so that its generators come to their end."""
_SENDING = "send_request_headers.started"
"""The end of the name of the event by which httpcore reports that it begins to send: ``http11.`` comes before it."""


class AsyncHTTP:
    """Sends requests; holds the SDK's own client, or one that the caller passed and closes."""

    def __init__(self, http_client: Any, transport: Any, limits: Limits, proxy: str | None, verify: Verify) -> None:
        self.answer_bytes = limits.answer_bytes
        self._transport: AsyncPoolTransport | None = None
        self._client: Any
        if http_client is not None or transport is not None:
            self._client = http_client if transport is None else client_over(transport)
        else:
            self._transport = AsyncPoolTransport(limits=limits, proxy=proxy, verify=verify)
            self._client = own_client(self._transport)
        self._library = sys.modules[library_of(self._client)]

    @property
    def is_closed(self) -> bool:
        """Whether the caller has closed the client that was passed."""
        return self._transport is None and bool(getattr(self._client, "is_closed", False))

    async def fetch(
        self,
        method: str,
        endpoint: Endpoint,
        target: str,
        headers: tuple[tuple[bytes, bytes], ...],
        body: bytes | None,
        deadline: Deadline,
        *,
        repeatable: bool = False,
        has_secret_query: bool = False,
        if_cancelled: IfCancelled | None = None,
        on_sent: Callable[[], object] | None = None,
    ) -> Answer:
        """Send a request of the API, and return the whole answer as it was sent; errors are the library's.

        With ``if_cancelled`` a request that has a connection is not given up when the caller is cancelled: its answer
        is awaited and goes there. ``on_sent`` is called before anything is sent, at the latest with the answer. A
        request that a kept connection, dead by then, did not take is sent once more on a new one, if it is
        ``repeatable`` or was not written. With ``has_secret_query`` the library logs host and method only.
        """
        extensions = {
            "timeout": dict.fromkeys(_PHASES, time_left(deadline, "connect")),
            DEADLINE: deadline,
            REPEATABLE: repeatable,
            READ_WHOLE: _SMALL_ANSWER,
        }
        if on_sent is not None:
            extensions["trace"] = _when_sending(on_sent)
        if if_cancelled is not None and self._transport is not None:
            extensions[FINISH] = if_cancelled
            extensions[MOST_BYTES] = self.answer_bytes
        library = self._library
        address = f"{endpoint.scheme}://{endpoint.netloc}{target}"
        if has_secret_query:
            extensions["target"] = target.encode("ascii")
        request = library.Request(
            method,
            library.URL(address) if has_secret_query else api_url(library, address),
            headers=_headers(library, headers),
            stream=library.ByteStream(body or b""),
            extensions=extensions,
        )
        if has_secret_query:
            request.url = masked_url_class(library)(address)
        try:
            if if_cancelled is None or self._transport is not None:
                answer = await self._whole(request, deadline)
            else:  # a transport that does not know the extension: the whole request is protected
                answer = await run_to_completion(lambda: self._whole(request, deadline), if_cancelled)
        except Exception as error:
            failure = failure_of(error)
            if on_sent is not None and failure is not None and failure[1] is not Sent.NO:
                on_sent()
            raise
        if on_sent is not None:  # a transport need not know the extension trace
            on_sent()
        return answer

    async def _whole(self, request: Any, deadline: Deadline) -> Answer:
        response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        parts = []
        size = 0
        try:
            if response.is_stream_consumed:  # an event hook has read it, and so it is decoded
                headers = [(key, value) for key, value in response.headers.raw if key.lower() != b"content-encoding"]
                self._check_size(len(response.content))
                return response.status_code, headers, response.content
            parts_left = None
            async for part in response.aiter_raw():
                if parts_left is not None:
                    # What was received before comes first. A caller's transport may go on although it was closed.
                    parts_left -= 1
                    if not parts_left:
                        break
                    continue
                size += len(part)
                parts.append(part)
                if deadline.left() <= 0 or size > self.answer_bytes:
                    parts.clear()
                    await response.aclose()  # a read that follows ends, and so every generator comes to its end
                    parts_left = _PARTS_AFTER_CLOSE
            self._check_size(size)
            time_left(deadline, "read")
        except Exception as error:
            self._check_size(size)
            if deadline.left() <= 0:
                raise httpcore.ReadTimeout from error
            raise
        finally:
            await response.aclose()
        return response.status_code, response.headers.raw, b"".join(parts)

    def _check_size(self, size: int) -> None:
        if size > self.answer_bytes:
            raise AnswerTooLarge(too_large(self.answer_bytes))

    @asynccontextmanager
    async def transfer(
        self, method: str, url: SignedUrl, headers: Headers, body: Body | None, deadline: Deadline
    ) -> AsyncIterator[AsyncIncomingTransfer]:
        """Send a request of any size to a pre-signed URL; its answer is received piece by piece inside the block."""
        content = None if body is None else _Pieces(body)
        request = self._signed_request(method, url, headers, content, deadline)
        request.extensions[TRANSFER] = True
        response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        # A mock's answer is there already, and so is one that an event hook has read.
        pieces = each([response.content]) if response.is_stream_consumed else response.aiter_raw()

        async def receive() -> bytes:
            time_left(deadline, "read")
            try:
                piece: bytes = await pieces.__anext__()
            except StopAsyncIteration:
                return b""
            return piece

        try:
            yield AsyncIncomingTransfer(response.status_code, response.headers.raw, receive)
        finally:
            await shielded(partial(_close, response, pieces))

    async def upgrade(self, url: SignedUrl, headers: Headers, deadline: Deadline) -> AsyncUpgrade:
        """Send the handshake of a WebSocket, and return the answer, with the stream of the connection if it is 101."""
        request = self._signed_request("GET", url, headers, None, deadline)
        response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        if response.status_code == 101:
            return AsyncUpgrade(response)
        await shielded(response.aclose)
        return AsyncUpgrade(response)

    def _signed_request(self, method: str, url: SignedUrl, headers: Headers, content: Any, deadline: Deadline) -> Any:
        """Return a request to a URL that is a secret. The target is sent exactly as it was signed."""
        extensions = {
            "timeout": dict.fromkeys(_PHASES, time_left(deadline, "connect")),
            DEADLINE: deadline,
            "target": url.target.encode("ascii"),  # httpx would normalise it
        }
        address = f"{url.endpoint.scheme}://{url.endpoint.netloc}{url.target}"
        request = self._library.Request(method, address, headers=headers, content=content, extensions=extensions)
        request.url = masked_url_class(self._library)(address)  # which the constructor would make an ordinary one
        return request

    # --- connections ---------------------------------------------------------------------------------------------

    def connections(self) -> PoolStats:
        """Return how many connections there are, those of all event loops together."""
        pools = [] if self._transport is None else [pool.stats() for pool in self._transport.pools]
        return PoolStats(
            open=sum(pool.open for pool in pools),
            idle=sum(pool.idle for pool in pools),
            in_use=sum(pool.in_use for pool in pools),
            waiting=sum(pool.waiting for pool in pools),
            opened=sum(pool.opened for pool in pools),
            longest_wait=max((pool.longest_wait for pool in pools), default=0.0),
        )

    async def aclose(self) -> None:
        """Close the connections of all event loops; a client that the caller passed stays open."""
        if self._transport is not None:
            await self._transport.aclose()


class AsyncIncomingTransfer:
    """An answer whose body is received piece by piece.

    Attributes:
        receive: returns the next bytes of the body, ``b""`` at its end.
    """

    __slots__ = ("headers", "receive", "status")

    def __init__(self, status: int, headers: Headers, receive: Body) -> None:
        self.status = status
        self.headers = headers
        self.receive = receive


class AsyncUpgrade:
    """The answer to the handshake of a WebSocket.

    Attributes:
        stream: of the connection, which is its caller's now; None if the answer was not 101, or if the transport of the
            caller's client does not hand over its connections (the extension ``network_stream``).
    """

    def __init__(self, response: Any) -> None:
        self._response = response
        self.status: int = response.status_code
        self.reason: str = response.reason_phrase
        self.headers: Headers = response.headers.raw
        is_accepted = self.status == 101
        self.stream: httpcore.AsyncNetworkStream | None = (
            response.extensions.get("network_stream") if is_accepted else None
        )

    def abort(self) -> None:
        """Close the connection, whose event loop cannot do it."""
        if self.stream is not None:
            abort(self.stream)

    async def aclose(self) -> None:
        """Close the connection, and what the transport holds of it."""
        if self.stream is not None:
            await self.stream.aclose()
        await self._response.aclose()


async def _close(response: Any, pieces: AsyncIterator[bytes]) -> None:
    """Close an answer, and let the generators that read it come to their end, which trio asks for."""
    await response.aclose()
    with suppress(Exception):  # there is nothing more to be read
        async for _ in pieces:
            pass


class _Pieces(AsyncIterable[bytes]):
    """A body as httpx takes it."""

    def __init__(self, body: Body) -> None:
        self._body = body

    def __aiter__(self) -> _Pieces:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._body()
        if not piece:
            raise StopAsyncIteration
        return piece


def _when_sending(on_sent: Callable[[], object]) -> Callable[[str, Any], Awaitable[None]]:
    """Return a callback for the extension ``trace`` that reports the beginning of sending."""

    async def trace(name: str, info: Any) -> None:
        del info
        if name.endswith(_SENDING):
            on_sent()

    return trace


@lru_cache(maxsize=256)
def _headers(library: Any, headers: tuple[tuple[bytes, bytes], ...]) -> Any:
    """Return headers as the library has them; those of a client are the same again and again."""
    return library.Headers(headers)
