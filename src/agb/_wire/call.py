"""Calls: one request to the API and how to read its reply."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlencode

from attrs import frozen

from ..exceptions import AGBError, SessionError
from .shape import Shape

if TYPE_CHECKING:
    from .reply import Reply

T = TypeVar("T")


@frozen
class Call(Generic[T]):
    """One request and how to read its reply; built by the functions of ``agb._ops``, sent by the transport."""

    description: str
    """What is attempted, as a verb phrase for error texts: "get the labels of session s-1"."""
    method: str
    path: str
    """The path below the endpoint (or below `base`), with a leading slash and without the query."""
    read: Callable[[Reply], T]
    """Return the value in the reply, or raise an `AGBError`."""
    query: str = ""
    """The encoded query string, without the question mark."""
    body: bytes | None = None
    """The JSON body; None for methods that have none."""
    repeatable: bool = False
    """Whether repeating it has no further effect, so that it is retried when its answer is lost."""
    raises: bool = False
    """Whether the documented contract raises failures (no valid answer) instead of returning them in a result."""
    session_id: str = ""
    base: str = ""
    """The address of a session's own host, if the request goes there and not to the API."""
    token: str = ""
    """The session's access token, sent in place of the API key when `base` is given."""
    error: type[AGBError] = SessionError
    """The class of errors of this operation."""
    has_secret_query: bool = False
    """Whether the query contains secrets, so that no log of the HTTP library may show it."""
    shape: Shape | None = None
    """What a successful answer contains beside the envelope; None if nothing of it is read."""


def get(description: str, path: str, params: Mapping[str, str | int | bool | None], **more: Any) -> Call[Any]:
    """Return a GET call with ``params`` in the query; those that are None or empty are left out."""
    return Call(description, "GET", path, query=query(params), **more)


def post(
    description: str,
    path: str,
    params: Mapping[str, str | int | bool | None] | None = None,
    body: Mapping[str, Any] | None = None,
    **more: Any,
) -> Call[Any]:
    """Return a POST call with ``params`` in the query and ``body`` as JSON (an empty object if there is none)."""
    return Call(description, "POST", path, query=query(params or {}), body=json_bytes(body or {}), **more)


def query(params: Mapping[str, str | int | bool | None]) -> str:
    """Return the form-encoded query; values that are None or ``""`` are left out."""
    return urlencode([(name, _scalar(value)) for name, value in params.items() if value is not None and value != ""])


def _scalar(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def json_text(value: Any) -> str:
    """Return JSON for a field whose value is JSON inside a string."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def json_bytes(value: Any) -> bytes:
    """Return JSON as bytes; non-ASCII is escaped, so that any text can be sent, including lone surrogates."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")
