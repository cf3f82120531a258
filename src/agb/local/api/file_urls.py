"""Pre-signed URLs: each allows to read or to write one file of one context, until it expires, and nothing else."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Callable
from typing import Literal, cast

from attrs import field, frozen

from ..._wire.call import json_bytes
from ..._wire.reply import URL_EXPIRED, URL_NOT_VALID
from ..contexts.service import Contexts
from ..errors import Refused
from .request import same_secret

Method = Literal["GET", "PUT"]

VALID = 3600
"""Seconds for which a URL is valid."""

PREFIX = "/contexts/files/"
"""The path below which the URLs are."""


@frozen
class Grant:
    """The permission in a URL: one method on one file, until a time in seconds since the epoch."""

    method: Method
    context_id: str
    path: str
    expires: int


@frozen
class FileUrls:
    """Makes tokens for URLs, and reads them. ``clock`` returns seconds since the epoch.

    A token is ``<grant>.<signature>``, both in the alphabet of URLs: the grant as JSON, and the HMAC-SHA256 of exactly
    these characters, so that none of them can be changed.
    """

    _key: bytes = field(repr=False)
    _clock: Callable[[], float]

    @classmethod
    def of(cls, contexts: Contexts) -> FileUrls:
        """Return those for the files of a runtime's contexts."""
        return cls(contexts.signing_key, contexts.clock)

    def grant(self, method: Method, context_id: str, path: str) -> Grant:
        """Return the grant of a method on a file, valid from now on."""
        return Grant(method, context_id, path, int(self._clock()) + VALID)

    def token(self, grant: Grant) -> str:
        """Return the token that carries a grant."""
        payload = _encoded(json_bytes([grant.method, grant.context_id, grant.path, grant.expires]))
        return f"{payload}.{self._signature(payload)}"

    def read(self, token: str, method: str) -> Grant:
        """Return the grant of a token; raise `Refused` unless it is ours, unaltered, for this method and not expired.

        ``HEAD`` is granted with ``GET``.
        """
        payload, _, signature = token.partition(".")
        if not same_secret(signature, self._signature(payload)):
            raise _refused(URL_NOT_VALID, "The URL was altered, or is not of this server: its signature does not match")
        grant = _granted(payload)
        if method not in ((grant.method, "HEAD") if grant.method == "GET" else (grant.method,)):
            raise _refused(URL_NOT_VALID, f"The URL is for {grant.method}, not for {method[:20]}")
        if self._clock() >= grant.expires:
            raise _refused(URL_EXPIRED, "The URL has expired: ask for a new one")
        return grant

    def _signature(self, payload: str) -> str:
        return _encoded(hmac.digest(self._key, payload.encode("utf-8", "surrogatepass"), "sha256"))


def _granted(payload: str) -> Grant:
    """Return the grant in the first half of a token, whose signature is known to be ours."""
    try:
        grant = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        method, context_id, path, expires = grant if isinstance(grant, list) else []
    except (binascii.Error, ValueError) as error:  # signed with our key by another version of this program
        raise _refused(URL_NOT_VALID, "The URL is not one of this version of the server: ask for a new one") from error
    return Grant(cast("Method", method), context_id, path, expires)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _refused(code: str, why: str) -> Refused:
    return Refused(code, why, http_status=403)
