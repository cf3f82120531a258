"""Pre-signed URLs: where a file is put or got without any other credential, so the URL itself is a secret.

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

REDIRECTS = 5
"""How many redirects are followed, one after the other, unless a caller says otherwise."""
_MOVED = frozenset({301, 302, 307, 308})
"""Statuses that say: the same request, elsewhere. Nothing is said for 303, which asks for another one."""
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


@frozen
class SignedUrl:
    """A pre-signed URL, ready to be asked for as it was signed."""

    endpoint: Endpoint
    target: str = field(repr=False)
    """Path and query, not a character of them changed but those that no request line can carry."""

    @classmethod
    def parse(cls, url: str) -> SignedUrl:
        """Return the parts of a URL; raise `ValueError`, which does not show it, if it is none."""
        try:
            parts = urlsplit(url)
            endpoint = Endpoint.parse(f"{parts.scheme}://{parts.netloc}", "address")
        except ValueError as error:
            raise ValueError(f"the pre-signed URL cannot be used: {error}") from None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(endpoint, quote(target, safe=_PRINTABLE))

    def moved_to(self, location: str) -> SignedUrl:
        """Return where a redirect leads; raise `ValueError` if it is not followed."""
        moved = SignedUrl.parse(urljoin(f"{self.endpoint}{self.target}", location))
        if self.endpoint.scheme == "https" and moved.endpoint.scheme != "https":
            raise ValueError("it leads from https to http, where others could read along")
        return moved


def signed_call(
    method: str, what: str, *, error: type[AGBError] = AGBError, session_id: str = "", repeatable: bool = True
) -> Call[None]:
    """Return what a transfer is called in errors and logs; both ways it may be repeated: a file is put or got whole."""
    return Call(what, method, "a pre-signed URL", _nothing, repeatable=repeatable, session_id=session_id, error=error)


def _nothing(reply: Reply) -> None:
    del reply


def moved(call: Call[Any], url: SignedUrl, status: int, headers: Headers, followed: int, most: int) -> SignedUrl | None:
    """Return where a redirect leads, None if the answer is none; raise if it is not one to be followed.

    ``followed`` were so far, of ``most``.
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
    """Return the error for a store's answer that says no: JSON as the API's, or XML as object stores have it."""
    reply = Reply(call, status, headers, body)
    code = message = request_id = ""
    if body.lstrip().startswith(b"{"):
        try:
            said = reply.json()
            code, message = str(said.get("code") or ""), str(said.get("message") or "")
        except AGBError:  # no JSON after all
            pass
    else:
        text = body.decode("utf-8", "replace")
        code, message, request_id = (_element(text, name) for name in ("Code", "Message", "RequestId"))
    message = f"the store answered with HTTP {status}" + (f": {message}" if message else "")
    error = reply.refused(message, code)
    error.request_id = error.request_id or request_id
    # Object stores also ask for another try by 500; whole files may be put and got again.
    error.retryable = error.retryable or (call.repeatable and status >= 500)
    return error


def _element(text: str, name: str) -> str:
    found = re.search(f"<{name}>([^<]{{1,300}})</{name}>", text)
    return found[1].strip() if found else ""
