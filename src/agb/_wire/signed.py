"""Pre-signed URLs: a file is uploaded or downloaded without any other credential, so the URL itself is a secret.

Requests to them carry nothing of the API: no key and no token. They carry a Content-Type only where the caller gave
one, because the stores' signatures cover it.

API: POST /sdk/GetContextFileUploadUrl and POST /sdk/GetContextFileDownloadUrl return them.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from attrs import field, frozen

from ..config import Endpoint
from ..exceptions import AGBError, ErrorKind
from .call import Call
from .reply import Headers, Reply, error_for
from .secrets import remember, remember_url

REDIRECTS = 5
"""How many redirects are followed in a row by default."""
_MOVED = frozenset({301, 302, 307, 308})
"""Redirects that repeat the same request elsewhere; 303 is not one of them, since it changes the method to GET."""
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


@frozen
class SignedUrl:
    """A pre-signed URL, split into the parts of a request; the signature covers the target, so it is not normalized."""

    endpoint: Endpoint
    target: str = field(repr=False)
    """Path and query, unchanged except for characters that a request line cannot contain, which are quoted."""

    @classmethod
    def parse(cls, url: str) -> SignedUrl:
        """Return the parts of a URL; raise `ValueError`, whose text does not contain the URL, if it is not one."""
        try:
            parts = urlsplit(url)
            endpoint = Endpoint.parse(f"{parts.scheme}://{parts.netloc}", "address")
        except ValueError as error:
            raise ValueError(f"the pre-signed URL cannot be used: {error}") from None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        remember_signed(url)
        return cls(endpoint, quote(target, safe=_PRINTABLE))

    def moved_to(self, location: str) -> SignedUrl:
        """Return the target of a redirect; raise `ValueError` if it is not followed."""
        moved = SignedUrl.parse(urljoin(f"{self.endpoint}{self.target}", location))
        if self.endpoint.scheme == "https" and moved.endpoint.scheme != "https":
            raise ValueError("it leads from https to http, which is not encrypted")
        return moved


def remember_signed(url: str) -> None:
    """Remember what is secret in a pre-signed URL: its query, or the last part of its path if it has none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return  # it is no URL, so nothing can be fetched with it
    remember_url(url)
    remember(f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path.rpartition("/")[2])


def signed_call(
    method: str, description: str, *, error: type[AGBError] = AGBError, session_id: str = "", repeatable: bool = True
) -> Call[None]:
    """Return the call that describes a transfer in errors and logs; it may be repeated, since files are sent whole."""
    return Call(
        description, method, "a pre-signed URL", _nothing, repeatable=repeatable, session_id=session_id, error=error
    )


def _nothing(reply: Reply) -> None:
    del reply


def moved(call: Call[Any], url: SignedUrl, status: int, headers: Headers, followed: int, most: int) -> SignedUrl | None:
    """Return the target of a redirect, None if the answer is not one; raise `AGBError` if it is not followed.

    ``followed`` redirects have been followed so far, and at most ``most`` are.
    """
    if not 300 <= status < 400 or status == 304:
        return None
    reply = Reply(call, status, headers, b"")
    location = reply.header(b"location")
    try:
        if status not in _MOVED or not location:
            raise ValueError("it is not one that can be followed")
        if followed >= most:
            raise ValueError(f"it is the one after {most} others" if most else "redirects are not followed")
        return url.moved_to(location)
    except ValueError as error:
        message = f"the store answered with a redirect (HTTP {status}), and {error}"
        raise error_for(call, message, ErrorKind.INVALID_ANSWER, http_status=status) from None


def refused(call: Call[Any], status: int, headers: Headers, body: bytes) -> AGBError:
    """Return the error for a refusal of a store: JSON as that of the API, or XML as that of object stores."""
    reply = Reply(call, status, headers, body)
    code = message = request_id = ""
    if body.lstrip().startswith(b"{"):
        try:
            fields = reply.json()
            code, message = str(fields.get("code") or ""), str(fields.get("message") or "")
        except AGBError:  # it only looked like JSON
            pass
    else:
        text = body.decode("utf-8", "replace")
        code, message, request_id = (_element(text, name) for name in ("Code", "Message", "RequestId"))
    said = f"the store answered with HTTP {status}" + (f": {message}" if message else "")
    error = reply.refused(said, code)
    error.request_id = error.request_id or request_id
    if status >= 500 and not body:
        error.kind = ErrorKind.UNAVAILABLE
    # Object stores also answer 500 when the request should be repeated, which is safe for whole files.
    error.retryable = error.retryable or (call.repeatable and status >= 500)
    return error


def _element(text: str, name: str) -> str:
    found = re.search(f"<{name}>([^<]{{1,300}})</{name}>", text)
    return found[1].strip() if found else ""
