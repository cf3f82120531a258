"""Requests: what a caller of the API said, read and checked before a handler sees it."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from attrs import field, frozen
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request

from .._wire.reply import INVALID_REQUEST, UNAUTHORIZED
from .errors import Refused, invalid

BODY_LIMIT = 32 * 2**20
"""The largest body of an API request, in bytes: room for a large file in one tool call, not for filling the memory."""

_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@frozen
class ApiRequest:
    """One request to the API: its parameters from path, query and JSON body, and the address the caller used."""

    base: str
    """Scheme and host by which the caller reached this server, such as ``http://127.0.0.1:8080``."""
    path: Mapping[str, str] = field(factory=dict)
    query: Mapping[str, str] = field(factory=dict)
    body: Mapping[str, Any] = field(factory=dict)
    access_token: str = ""
    """The header ``X-Access-Token`` of a call straight to a session."""

    @classmethod
    async def read(cls, request: Request) -> ApiRequest:
        """Return the request with its body read and parsed; raise `Refused` if it is too large or no JSON object."""
        return cls(
            base=base_url(request),
            path=request.path_params,
            query=request.query_params,
            body=json_object(await _body(request), "the request body"),
            access_token=request.headers.get("x-access-token", ""),
        )

    def from_query(self, name: str) -> str:
        """Return a parameter of the query that must be there."""
        return self.query.get(name) or _refuse(f"{name} is missing: send it as a query parameter")

    def from_body(self, name: str) -> str:
        """Return a text of the JSON body that must be there."""
        value = self.body.get(name)
        if value is None or value == "":
            _refuse(f"{name} is missing: send it as a string in the JSON body")
        return value if isinstance(value, str) else _refuse(f"{name} must be a string, not {kind_of(value)}")

    def number_from_query(self, name: str, *, default: int, lowest: int, highest: int) -> int:
        """Return a whole number of the query within its bounds, ``default`` if it is not given."""
        text = self.query.get(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and lowest <= int(text) <= highest):
            _refuse(f"{name} must be a whole number from {lowest:,} to {highest:,}, not {shown(text)}")
        return int(text)


def base_url(connection: HTTPConnection) -> str:
    """Return scheme and host by which the caller reached this server, without a trailing slash."""
    scheme = "https" if connection.scope["scheme"] in ("https", "wss") else "http"
    return f"{scheme}://{host(connection)}"


def host(connection: HTTPConnection) -> str:
    """Return the host (and port) of a request: what the caller wrote if that can be a host, else the socket's."""
    given = connection.headers.get("host", "")
    if _HOST.fullmatch(given):
        return given
    name, port = connection.scope.get("server") or ("localhost", None)
    name = f"[{name}]" if ":" in name else name
    return f"{name}:{port}" if port else name


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


async def _body(request: Request) -> bytes:
    """Return the body; the limit holds for what arrives, whatever Content-Length promises."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise Refused(
                INVALID_REQUEST, f"The request body is larger than {BODY_LIMIT // 2**20} MiB", http_status=413
            )
    return bytes(body)


def json_value(text: str | bytes, what: str) -> Any:
    """Return the value of a JSON text; raise `Refused` for anything that is not JSON or cannot be sent on."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    try:
        value = json.loads(raw, parse_constant=_no_constant)
        if _SURROGATE.search(raw):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        _refuse(f"{what} contains half of a surrogate pair (\\ud800 to \\udfff), which is no character")
    except UnicodeDecodeError:
        _refuse(f"{what} is not UTF-8")
    except RecursionError:
        _refuse(f"{what} is nested too deeply")
    except ValueError as error:
        _refuse(f"{what} is not valid JSON: {error}")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def json_object(text: str | bytes, what: str) -> dict[str, Any]:
    """Return the object of a JSON text, ``{}`` for an empty text; raise `Refused` for anything else."""
    value = json_value(text, what) if text.strip() else {}
    return value if isinstance(value, dict) else _refuse(f"{what} must be a JSON object, not {kind_of(value)}")


def object_or_json(value: Any, what: str) -> dict[str, Any]:
    """Return an object that may come as JSON inside a string; nothing at all is the empty object."""
    if isinstance(value, dict):
        return value
    if value is None:
        return {}
    return json_object(value, what) if isinstance(value, str) else _refuse(f"{what} must be a JSON object")


def labels(value: Any, what: str) -> dict[str, str]:
    """Return labels, which come as JSON inside a string; raise `Refused` unless they map strings to strings."""
    found = object_or_json(value, what)
    if "" in found:
        _refuse(f"{what} must not have an empty key")
    for key, label in found.items():
        if not isinstance(label, str):
            _refuse(f"{what} must map strings to strings; the value of {shown(key)} is {kind_of(label)}")
    return found


def kind_of(value: Any) -> str:
    """Return what a JSON value is, in words."""
    names: dict[type, str] = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")


def shown(text: str, limit: int = 60) -> str:
    """Return a text as it may stand in a message: quoted, escaped and cut."""
    return ascii(text if len(text) <= limit else text[:limit] + "...")


def _refuse(why: str) -> NoReturn:
    raise invalid(why)
