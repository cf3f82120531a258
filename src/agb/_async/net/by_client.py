"""The ordinary path: requests by a client with httpx's interface, a caller's own or one around a caller's transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpcore

from ..._wire.deadline import Deadline
from ...config import Endpoint
from .connection import READ_BYTES, Answer, AsyncIncoming, Body, Headers, time_left


async def exchange_by_client(
    client: Any,
    endpoint: Endpoint,
    method: str,
    target: str,
    headers: Headers,
    body: bytes | None,
    deadline: Deadline,
) -> Answer:
    """Send a request by a client with httpx's interface, and return the answer; redirects are not followed."""
    url = f"{endpoint.scheme}://{endpoint.netloc}{target}"
    # A request made by hand takes nothing of the client's own headers, cookies and parameters.
    request = type(client.build_request(method, url))(
        method,
        url,
        headers=headers,
        content=body,
        extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), time_left(deadline, "connect"))},
    )
    response = await client.send(request, stream=True, auth=None, follow_redirects=False)
    parts = []
    try:
        async for part in response.aiter_bytes():
            parts.append(part)
            if deadline.left() <= 0:
                await response.aclose()  # the read that follows fails, and so every generator comes to its end
        time_left(deadline, "read")
    except Exception as error:
        if deadline.left() <= 0:
            raise httpcore.ReadTimeout from error
        raise
    finally:
        await response.aclose()
    # the body is decoded by now
    kept = [(key, value) for key, value in response.headers.raw if key.lower() != b"content-encoding"]
    return response.status_code, kept, b"".join(parts)


@asynccontextmanager
async def begin_by_client(
    client: Any,
    endpoint: Endpoint,
    method: str,
    target: str,
    headers: Headers,
    body: Body | None,
    deadline: Deadline,
) -> AsyncIterator[AsyncIncoming]:
    """Send a request of any size by a client with httpx's interface, as `AsyncPool.begin` does."""
    url = f"{endpoint.scheme}://{endpoint.netloc}{target}"
    request = type(client.build_request(method, url))(
        method,
        url,
        headers=headers,
        content=None if body is None else _Pieces(body),
        extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), time_left(deadline, "connect"))},
    )
    response = await client.send(request, stream=True, auth=None, follow_redirects=False)
    pieces = response.aiter_raw(READ_BYTES)

    async def receive() -> bytes:
        time_left(deadline, "read")
        try:
            piece: bytes = await pieces.__anext__()
        except StopAsyncIteration:
            return b""
        return piece

    try:
        yield AsyncIncoming(response.status_code, response.headers.raw, receive)
    finally:
        await pieces.aclose()
        await response.aclose()


class _Pieces:
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
