# Generated from src/agb/_async/net/signed.py by tools/unasync.py. Do not edit.
"""Files at pre-signed URLs: put there and got from there, once, without any credential of the API."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from typing import Any, Protocol

from ..._wire.call import Call
from ..._wire.deadline import Deadline, IdleTimeout
from ..._wire.reply import PLAIN_HEADERS, Reply, error_for, without_query
from ..._wire.signed import SignedUrl, moved, refused
from ...config import is_header_value
from ...exceptions import ErrorKind, Sent
from .connection import Headers
from .errors import call_failure, failure_of
from .http import HTTP, IncomingTransfer

_log = logging.getLogger("agb")
_STORED = frozenset({200, 201, 204})
"""What a store answers when it has a file."""
_BEGINNING = 64 * 1024
"""Bytes that are read of an answer that says what went wrong."""


class Source(Protocol):
    """What is uploaded, piece by piece."""

    def receive(self) -> bytes:
        """Return the next bytes, ``b""`` at the end."""
        ...

    def rewind(self) -> None:
        """Begin again."""
        ...


class Download:
    """A file that is received from a pre-signed URL.

    Attributes:
        size: its bytes, None if the store does not say.
        reply: the head of the answer.
        received: the bytes that were received so far.
    """

    def __init__(self, incoming: IncomingTransfer, call: Call[Any]) -> None:
        self.reply = Reply(call, incoming.status, incoming.headers, b"")
        self._incoming = incoming
        self._call = call
        length = "" if self.reply.header(b"transfer-encoding") else self.reply.header(b"content-length")
        self.size = int(length) if length.isdecimal() else None
        self.received = 0
        encoding = self.reply.header(b"content-encoding")
        if encoding not in ("", "identity"):
            message = f"the store sends the file encoded ({encoding}), which was not asked for"
            raise error_for(call, message, ErrorKind.INVALID_ANSWER, http_status=incoming.status)
        digest = self.reply.header(b"content-md5")
        self._md5 = (md5(usedforsecurity=False), digest) if digest and incoming.status == 200 else None

    def receive(self) -> bytes:
        """Return the next bytes, ``b""`` at the end.

        Raises:
            AGBError: the connection broke, or what was received is not the whole file.
        """
        piece = self._incoming.receive()
        self.received += len(piece)
        if self._md5 is not None:
            self._md5[0].update(piece)
        if not piece:
            self._check()
        return piece

    def _check(self) -> None:
        message = ""
        if self.size is not None and self.received != self.size:
            message = f"received {self.received:,} of {self.size:,} bytes"
        elif self._md5 is not None and b64encode(self._md5[0].digest()).decode() != self._md5[1]:
            message = "the file received does not have the digest that the store sent (Content-MD5)"
        if message:
            raise error_for(self._call, message, ErrorKind.UNREACHABLE, sent=Sent.YES)


def put_file(
    http: HTTP,
    url: str,
    source: Source,
    size: int,
    call: Call[Any],
    timeout: IdleTimeout,
    content_type: str,
    redirects: int,
) -> Reply:
    """Put a file at a pre-signed URL, and return the answer; `API.upload` has the details."""
    headers = [(b"Content-Length", b"%d" % size)]
    if content_type:
        if not is_header_value(content_type):
            raise ValueError(f"content_type {content_type!r} is not one that a header can carry")
        headers.append((b"Content-Type", content_type.encode("ascii")))
    with _exchange(http, url, call, headers, timeout, redirects, source) as incoming:
        body = _beginning(incoming)
        if incoming.status not in _STORED:
            raise refused(call, incoming.status, incoming.headers, body)
    return Reply(call, incoming.status, incoming.headers, body)


@contextmanager
def get_file(http: HTTP, url: str, call: Call[Any], timeout: Deadline, redirects: int, part: str) -> Iterator[Download]:
    """Get a file from a pre-signed URL, to be received inside the block; `API.download` has the details."""
    headers = [(b"Accept-Encoding", b"identity")]
    if part:
        headers.append((b"Range", part.encode("ascii")))
    with _exchange(http, url, call, headers, timeout, redirects) as incoming:
        if incoming.status not in ((200, 206) if part else (200,)):
            raise refused(call, incoming.status, incoming.headers, _beginning(incoming))
        yield Download(incoming, call)


@contextmanager
def _exchange(
    http: HTTP,
    url: str,
    call: Call[Any],
    more: Headers,
    timeout: Deadline,
    redirects: int,
    source: Source | None = None,
) -> Iterator[IncomingTransfer]:
    """Make a request to a pre-signed URL, and to where it redirects; its answer is received inside the block.

    httpx's own redirects are not for this: a file is sent again from its beginning, the method stays what it was, and
    no redirect leads from https to http.
    """
    try:
        to = SignedUrl.parse(url)
    except ValueError as error:  # the service sent it
        raise error_for(call, str(error), ErrorKind.INVALID_ANSWER) from None
    followed = 0
    while True:
        headers = [(b"Host", to.endpoint.netloc.encode("ascii")), *PLAIN_HEADERS, *more]
        body = None if source is None else source.receive
        try:
            with http.transfer(call.method, to, headers, body, timeout) as incoming:
                _log.debug("%s at %s -> %d", call.description, to.endpoint, incoming.status)
                moved_to = moved(call, to, incoming.status, incoming.headers, followed, redirects)
                if moved_to is None:
                    yield incoming
                    return
                _beginning(incoming)
        except Exception as error:
            if failure_of(error) is None:
                raise
            raise call_failure(call, without_query(str(to.endpoint)), timeout, error) from error
        to, followed = moved_to, followed + 1
        if source is not None:
            source.rewind()


def _beginning(incoming: IncomingTransfer) -> bytes:
    """Return the first bytes of a body that is no file."""
    parts: list[bytes] = []
    size = 0
    while size < _BEGINNING and (piece := incoming.receive()):
        parts.append(piece)
        size += len(piece)
    return b"".join(parts)
