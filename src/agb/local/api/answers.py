"""Answers: the result of a handler, or its refusal, in the envelope that is sent."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..._wire.call import json_bytes
from ..._wire.reply import NOT_OFFERED, TOOL_SESSION_NOT_FOUND, envelope
from ..errors import Refused

LINGER = 5.0
"""Seconds for which the rest of a refused body is read."""

_STATUS_IN_THE_BODY_ONLY = {NOT_OFFERED, TOOL_SESSION_NOT_FOUND}
"""Codes the service answers with HTTP 200; the status stands in the envelope."""


def enveloped(request: Request, *, http_status: int = 200, **parts: Any) -> Response:
    """Return the answer to a request, its id in the envelope and in a header."""
    return _enveloped(Response, request, http_status, parts)


def refusal(request: Request, refused: Refused) -> Response:
    """Return the answer to a request that is refused."""
    return _enveloped(Response, request, refused.http_status, _fields(refused))


def early_refusal(request: Request, refused: Refused) -> Response:
    """Return the answer to a request that is refused before its body was read."""
    return _enveloped(_Lingering, request, refused.http_status, _fields(refused))


def request_id(request: Request) -> str:
    """Return the id of a request, which the first call creates."""
    if not hasattr(request.state, "request_id"):
        request.state.request_id = str(uuid.uuid4()).upper()
    return str(request.state.request_id)


def _fields(refused: Refused) -> dict[str, Any]:
    return {"success": False, "code": refused.code, "message": refused.message}


def _enveloped(kind: type[Response], request: Request, http_status: int, parts: dict[str, Any]) -> Response:
    body = envelope(request_id=request_id(request), http_status=http_status, **parts)
    status = 200 if parts.get("code") in _STATUS_IN_THE_BODY_ONLY else http_status
    headers = {"x-request-id": request_id(request), "cache-control": "no-store"}
    return kind(_json(body), status, headers, "application/json")


def _json(body: dict[str, Any]) -> bytes:
    """Return JSON as UTF-8, which for much text that is not ASCII costs a third of escaping it."""
    try:
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a character, which only an escape can carry
        return json_bytes(body)


class _Lingering(Response):
    """An answer sent at once, while the client still sends; the connection is closed after it.

    The rest of the body is read and discarded for a while: closing a socket with unread bytes resets the connection,
    and a client that sends everything before it reads would never see the answer.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI has three
        headers = [*self.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        try:
            async with asyncio.timeout(LINGER):
                while (await receive()).get("more_body"):
                    pass
        except TimeoutError:  # the client had enough time to read the answer
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})
