"""Requests to the API, read and checked before a handler sees them."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from attrs import field, frozen
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request

from ..._wire.reply import INVALID_REQUEST, UNAUTHORIZED
from ..errors import Refused
from ..validation import json_object, kind_of, refuse, shown

BODY_LIMIT = 32 * 2**20
"""The largest body of an API request, in bytes: room for a large file in one tool call, not for filling the memory."""

BASE = "agb.base"
"""The key of an ASGI scope for scheme and host of the URLs that are answered (`hosts.Hosts.base`)."""

BY_NAME = "agb.by_name"
"""The key of an ASGI scope for whether links are answered by host name (`hosts.Hosts.link_by_name`)."""


@frozen
class ApiRequest:
    """One request to the API: its parameters from path, query and JSON body, and the address the caller used."""

    base: str
    """Scheme and host by which the caller reached this server, such as ``http://127.0.0.1:8080``."""
    by_name: bool = False
    """Whether links are answered by host name."""
    path: Mapping[str, str] = field(factory=dict)
    query: Mapping[str, str] = field(factory=dict)
    body: Mapping[str, Any] = field(factory=dict)
    access_token: str = ""
    """The header ``X-Access-Token`` of a call straight to a session."""
    hang_up: Callable[[], Coroutine[Any, Any, None]] | None = None
    """Returns once the caller has hung up."""

    @classmethod
    async def read(cls, request: Request) -> ApiRequest:
        """Return the request with its body read and parsed; raise `Refused` if it is too large or no JSON object."""
        return cls(
            base=base_url(request),
            by_name=request.scope[BY_NAME],
            path=request.path_params,
            query=request.query_params,
            body=json_object(await _body(request), "the request body"),
            access_token=request.headers.get("x-access-token", ""),
            hang_up=lambda: _hang_up(request),
        )

    def from_query(self, name: str) -> str:
        """Return a parameter of the query that must be there."""
        return self.query.get(name) or refuse(f"{name} is missing: send it as a query parameter")

    def from_body(self, name: str) -> str:
        """Return a text of the JSON body that must be there."""
        value = self.body.get(name)
        if value is None or value == "":
            refuse(f"{name} is missing: send it as a string in the JSON body")
        return value if isinstance(value, str) else refuse(f"{name} must be a string, not {kind_of(value)}")

    def number_from_query(self, name: str, *, default: int, lowest: int, highest: int) -> int:
        """Return a whole number of the query within its bounds, ``default`` if it is not given."""
        text = self.query.get(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and lowest <= int(text) <= highest):
            refuse(f"{name} must be a whole number from {lowest:,} to {highest:,}, not {shown(text)}")
        return int(text)


def base_url(connection: HTTPConnection) -> str:
    """Return scheme and host by which the caller reached this server, without a trailing slash."""
    return str(connection.scope[BASE])


def check_key(headers: Headers, api_key: str) -> None:
    """Raise `Refused` unless the request carries the API key."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if not given:
        raise Refused(
            UNAUTHORIZED, "The API key is missing: send the header 'Authorization: Bearer <API key>'", http_status=401
        )
    if scheme.lower() != "bearer" or not same_secret(given.strip(), api_key):
        raise Refused(UNAUTHORIZED, "The API key is not valid for this server", http_status=401)


def same_secret(given: str, expected: str) -> bool:
    """Compare in constant time; both are encoded first, since `hmac.compare_digest` raises on non-ASCII text."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))


async def _hang_up(request: Request) -> None:
    """Return once the caller of a request, whose body was read, has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _body(request: Request) -> bytes:
    """Return the body; the limit applies to the bytes that arrive, not to Content-Length."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise Refused(
                INVALID_REQUEST, f"The request body is larger than {BODY_LIMIT // 2**20} MiB", http_status=413
            )
    return bytes(body)
