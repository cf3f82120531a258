"""Transfers: a stored file behind its pre-signed URL, sent and received in pieces, the event loop never blocked."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from email.utils import formatdate
from typing import IO

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..._wire.reply import RANGE_NOT_SATISFIABLE
from ..contexts.service import Contexts
from ..contexts.stored import StoredFile
from ..contexts.writing import Writing, too_large
from ..errors import Refused, invalid
from ..sessions.runtime import Runtime
from .answers import early_refusal, refusal
from .file_urls import FileUrls

PIECE = 1 << 20
"""Bytes read, written and hashed at a time."""

_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.IGNORECASE)

_MODE = re.compile(r"[0-7]{1,3}")
_TIME = re.compile(r"(-?[0-9]{1,11}(\.[0-9]{1,9})?)?")


class ContextFiles:
    """The stored files of a runtime behind their URLs."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def serve(self, request: Request) -> Response:
        """Answer a GET, HEAD or PUT of a pre-signed URL."""
        return await (self._put(request) if request.method == "PUT" else self._get(request))

    async def _get(self, request: Request) -> Response:
        contexts = self._runtime.contexts
        grant = FileUrls.of(contexts).read(request.path_params["token"], request.method)
        file, stored = await contexts.run(contexts.store.use, grant.context_id, grant.path)
        headers = {
            "content-type": "application/octet-stream",
            "etag": _etag(stored),
            "last-modified": _last_modified(stored),
            "accept-ranges": "bytes",
            "cache-control": "no-store",
            "x-agb-mode": f"{stored.mode & 0o777:o}",
            "x-agb-mtime": f"{stored.mtime:.6f}",
        }
        requested = _requested_range(request, stored)
        if requested is None:
            file.close()
            return Response(status_code=304, headers=headers)
        if requested.count == 0 and requested.is_part:
            file.close()
            size = f"{stored.size:,} bytes"
            answer = refusal(request, Refused(RANGE_NOT_SATISFIABLE, f"The file has only {size}", http_status=416))
            answer.headers["content-range"] = f"bytes */{stored.size}"
            return answer
        headers["content-length"] = str(requested.count)
        if requested.is_part:
            headers["content-range"] = f"bytes {requested.first}-{requested.first + requested.count - 1}/{stored.size}"
        return _Sending(contexts, file, requested, headers)

    async def _put(self, request: Request) -> Response:
        contexts = self._runtime.contexts
        writing: Writing | None = None
        stored: StoredFile | None = None
        is_read = False
        try:
            grant = FileUrls.of(contexts).read(request.path_params["token"], request.method)
            limit = self._runtime.limits.stored_file
            length = int(request.headers.get("content-length", "0"))
            if length > limit:
                raise too_large(limit)
            mode, mtime = _attributes(request)
            writing = await contexts.run(
                contexts.store.writing,
                grant.context_id,
                grant.path,
                mode=mode,
                mtime=mtime,
                size_limit=limit,
                expected=length,
            )
            rest = await _receive(request, contexts, writing)
            is_read = True
            stored = await contexts.run(_finish, writing, rest)
            return Response(headers={"etag": _etag(stored), "cache-control": "no-store"})
        except Refused as refused:
            return (refusal if is_read else early_refusal)(request, refused)
        finally:
            if writing is not None and stored is None:
                await contexts.run(writing.close)


def _attributes(request: Request) -> tuple[int, float | None]:
    """Return the mode and time of a file that is uploaded, from the parameters of its URL."""
    mode, mtime = request.query_params.get("mode", "644"), request.query_params.get("mtime", "")
    if not _MODE.fullmatch(mode) or not _TIME.fullmatch(mtime):
        raise invalid("mode must be an octal number such as 755, and mtime a number of seconds since 1970")
    return int(mode, 8), float(mtime) if mtime else None


async def _receive(request: Request, contexts: Contexts, writing: Writing) -> bytearray:
    """Write a request's body, one piece while the next is received, and return the rest, the last piece.

    Raises ``ClientDisconnect`` when the client goes before the end of the body.
    """
    at_work: asyncio.Future[None] | None = None
    piece = bytearray()
    try:
        async for data in request.stream():
            piece += data
            if len(piece) >= PIECE:
                if at_work is not None:
                    await at_work
                at_work = asyncio.ensure_future(contexts.run(writing.write, piece))
                piece = bytearray()
    finally:
        if at_work is not None:
            await at_work
    return piece


def _finish(writing: Writing, rest: bytearray) -> StoredFile:
    writing.write(rest)
    return writing.commit()


# --- the bytes that are requested --------------------------------------------------------------------------------


@frozen
class _ByteRange:
    """The bytes to send; a part without any is beyond the end of the file."""

    first: int
    count: int
    is_part: bool


def _etag(stored: StoredFile) -> str:
    return f'"{stored.etag}"'


def _last_modified(stored: StoredFile) -> str:
    return formatdate(stored.modified, usegmt=True)


def _requested_range(request: Request, stored: StoredFile) -> _ByteRange | None:
    """Return which bytes a request asks for, None if the client has them already."""
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if "*" in known or _etag(stored) in known:
        return None
    whole = _ByteRange(0, stored.size, is_part=False)
    unchanged = request.headers.get("if-range") in (None, _etag(stored), _last_modified(stored))
    given = _RANGE.fullmatch(request.headers.get("range", "")) if request.method == "GET" and unchanged else None
    if given is None or given.groups() == ("", ""):  # several ranges, or another unit: the whole is an answer to them
        return whole
    first, last = given.groups()
    if not first:
        count = min(int(last), stored.size)
        return _ByteRange(stored.size - count, count, is_part=True)
    if last and int(last) < int(first):
        return whole
    end = min(int(last) + 1, stored.size) if last else stored.size
    return _ByteRange(int(first), max(0, end - int(first)), is_part=True)


class _Sending(Response):
    """The answer that is a file or a part of one: the next piece is read while one is sent."""

    def __init__(self, contexts: Contexts, file: IO[bytes], requested: _ByteRange, headers: Mapping[str, str]) -> None:
        super().__init__(status_code=206 if requested.is_part else 200, headers=headers)
        self._contexts = contexts
        self._file = file
        self._requested_range = requested

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        at, end = self._requested_range.first, self._requested_range.first + self._requested_range.count
        if scope["method"] == "HEAD":
            end = at
        gone = asyncio.create_task(_gone(receive))
        reading = self._read(at, end)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while at < end and not gone.done():
                piece = await reading
                if not piece:
                    raise EOFError(f"a stored file ends after {at} of {end} bytes")
                at += len(piece)
                reading = self._read(at, end)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            await asyncio.wait({reading})  # it uses the descriptor
            self._file.close()

    def _read(self, at: int, end: int) -> asyncio.Future[bytes]:
        return asyncio.ensure_future(self._contexts.run(os.pread, self._file.fileno(), min(PIECE, end - at), at))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
