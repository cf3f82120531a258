"""Transports that show each exchange of a client to observers, which may answer a request in place of the service.

The two transports do the I/O of the two flavours; an observer does none, so there is one for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import httpx
from attrs import field, frozen

from .._async.net.transport import AsyncPoolTransport
from .._sync.net.transport import PoolTransport


@frozen
class SentRequest:
    """A request as it is sent."""

    method: str
    scheme: str
    netloc: str
    target: str = field(repr=False)
    """Path and query, which of a pre-signed URL are a secret."""
    content_type: str
    body: bytes = field(repr=False)
    is_upgrade: bool
    """Whether it is the handshake of a WebSocket."""

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]

    @classmethod
    def of(cls, request: httpx.Request, body: bytes) -> SentRequest:
        """Return what a request consists of."""
        target = request.extensions.get("target") or request.url.raw_path
        return cls(
            request.method,
            request.url.scheme,
            request.url.netloc.decode("ascii"),
            target.decode("ascii"),
            request.headers.get("content-type", ""),
            body,
            request.headers.get("upgrade", "").lower() == "websocket",
        )


@frozen
class ReceivedAnswer:
    """An answer as it was received, its body decoded."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes = field(repr=False)

    @classmethod
    def of(cls, response: httpx.Response, body: bytes) -> ReceivedAnswer:
        """Return what an answer consists of."""
        left_out = {"content-encoding", "content-length", "transfer-encoding"}
        headers = [(name, value) for name, value in response.headers.items() if name not in left_out]
        return cls(response.status_code, headers, body)

    def response(self, request: httpx.Request) -> httpx.Response:
        """Return it as an answer of httpx."""
        return httpx.Response(self.status, headers=list(self.headers), content=self.body, request=request)


class Observer(Protocol):
    """Looks at exchanges."""

    def wants(self, path: str) -> bool:
        """Return whether exchanges with this path are shown to it; the bodies of others are not read."""
        ...

    def before(self, request: SentRequest) -> ReceivedAnswer | None:
        """Take a request that is about to be sent; an answer keeps it from being sent."""

    def after(self, request: SentRequest, answer: ReceivedAnswer) -> None:
        """Take the answer of the service."""


class ObservedTransport(httpx.BaseTransport):
    """The SDK's own transport of blocking clients, with observers."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._inner = PoolTransport()
        self._observers = observers

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, or answer it as an observer does."""
        observers = _interested(self._observers, request)
        if not observers:
            return self._inner.handle_request(request)
        sent = SentRequest.of(request, request.read())
        for observer in observers:
            if (known := observer.before(sent)) is not None:
                return known.response(request)
        response = self._inner.handle_request(request)
        try:
            answer = ReceivedAnswer.of(response, response.read())
        finally:
            response.close()
        for observer in observers:
            observer.after(sent, answer)
        return answer.response(request)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


class AsyncObservedTransport(httpx.AsyncBaseTransport):
    """The same for asynchronous clients."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._inner = AsyncPoolTransport()
        self._observers = observers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, or answer it as an observer does."""
        observers = _interested(self._observers, request)
        if not observers:
            return await self._inner.handle_async_request(request)
        sent = SentRequest.of(request, await request.aread())
        for observer in observers:
            if (known := observer.before(sent)) is not None:
                return known.response(request)
        response = await self._inner.handle_async_request(request)
        try:
            answer = ReceivedAnswer.of(response, await response.aread())
        finally:
            await response.aclose()
        for observer in observers:
            observer.after(sent, answer)
        return answer.response(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def _interested(observers: Sequence[Observer], request: httpx.Request) -> list[Observer]:
    target: bytes = request.extensions.get("target") or request.url.raw_path
    path = target.decode("ascii").partition("?")[0]
    return [observer for observer in observers if observer.wants(path)]
