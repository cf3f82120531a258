"""One file between this machine and a context: a pre-signed URL, the transfer, and further attempts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ..._ops import contexts as ops
from ..._wire.call import Call
from ..._wire.deadline import IdleTimeout
from ..._wire.signed import REDIRECTS, signed_call
from ...exceptions import AGBError, ErrorKind, FileError
from ..host.local_files import AsyncSourceFile, AsyncTargetFile, OnMoved

if TYPE_CHECKING:
    from ..api import AsyncAPI

PIECE = 1 << 16
"""Bytes that are sent at a time."""
RANGE_BEYOND_END = 416
"""The HTTP status of a store for bytes beyond the end of a file."""
STEP = "step"
"""In an error's ``extra``: ``url`` if the call for the URL has failed."""


@frozen
class Moved:
    """A file that was transferred."""

    size: int
    http_status: int
    etag: str
    url_request_id: str
    """The service's id of the request that returned the URL."""


async def put_file(
    api: AsyncAPI,
    context_id: str,
    local: str | PathLike[str],
    remote: str,
    idle_timeout: IdleTimeout,
    on_moved: OnMoved,
    *,
    content_type: str = "",
    redirects: int = REDIRECTS,
    session_id: str = "",
) -> Moved:
    """Upload a file of this machine, with as many attempts as the retry policy allows, each with a new URL.

    Raises:
        AGBError: it could not be sent, or the store refused it; a `FileError` if it cannot be read.
    """
    description = f"upload {str(local)!r} to {remote!r} in the context {context_id}"
    call = signed_call("PUT", description, error=FileError, session_id=session_id)
    source = AsyncSourceFile(Path(local), on_moved, _to_error(call))
    try:
        size = await source.open()

        async def put(signed: dict[str, Any]) -> tuple[int, str]:
            url = signed["url"]
            if signed["attributes"]:
                url = ops.with_attributes(url, source.mode, source.mtime)
            reply = await api.upload(
                url, source, size, call, idle_timeout, content_type=content_type, redirects=redirects
            )
            return reply.status, reply.header(b"etag")

        url_call = ops.get_context_file_upload_url(context_id, remote)
        (status, etag), request_id = await _with_retries(api, url_call, put, source.rewind, idle_timeout)
        return Moved(size, status, etag, request_id)
    finally:
        await source.aclose()


async def get_file(
    api: AsyncAPI,
    context_id: str,
    remote: str,
    local: Path,
    idle_timeout: IdleTimeout,
    on_moved: OnMoved,
    *,
    overwrite: bool = True,
    max_size: int | None = None,
    redirects: int = REDIRECTS,
    session_id: str = "",
) -> Moved:
    """Download a file to this machine, with as many attempts as the retry policy allows, each with a new URL.

    It is written beside its place, and moved there when it is complete; missing directories are made. It has the mode
    and time with which it was stored, if the store returns them. A file of more than ``max_size`` bytes is an error.

    Raises:
        AGBError: it could not be received; a `FileError` if it cannot be written, or exists and is not overwritten.
    """
    description = f"download {remote!r} of the context {context_id} to {str(local)!r}"
    call = signed_call("GET", description, error=FileError, session_id=session_id)
    target = AsyncTargetFile(local, on_moved, _to_error(call), overwrite=overwrite, max_size=max_size)
    try:
        await target.open()

        attributes: tuple[int | None, float | None] = (None, None)

        async def get(signed: dict[str, Any]) -> tuple[int, str]:
            nonlocal attributes
            async with api.download(signed["url"], call, idle_timeout, redirects=redirects) as download:
                while piece := await download.receive():
                    await target.write(piece)
                attributes = ops.stored_attributes(download.reply)
                return download.reply.status, download.reply.header(b"etag")

        url_call = ops.get_context_file_download_url(context_id, remote)
        (status, etag), request_id = await _with_retries(api, url_call, get, target.rewind, idle_timeout)
        return Moved(await target.commit(*attributes), status, etag, request_id)
    finally:
        await target.aclose()


async def put_bytes(api: AsyncAPI, context_id: str, data: bytes, remote: str, idle_timeout: IdleTimeout) -> str:
    """Store bytes as a file, as `put_file` stores one; return the service's id of the request that returned the URL.

    Raises:
        AGBError: they could not be sent, or the store refused them.
    """
    call = signed_call("PUT", f"write {remote!r} in the context {context_id}", error=FileError)
    source = _BytesSource(data)

    async def put(signed: dict[str, Any]) -> tuple[int, str]:
        reply = await api.upload(signed["url"], source, len(data), call, idle_timeout)
        return reply.status, reply.header(b"etag")

    url_call = ops.get_context_file_upload_url(context_id, remote)
    _, request_id = await _with_retries(api, url_call, put, source.rewind, idle_timeout)
    return request_id


async def get_bytes(
    api: AsyncAPI,
    context_id: str,
    remote: str,
    idle_timeout: IdleTimeout,
    *,
    offset: int,
    limit: int | None,
    max_size: int | None,
) -> tuple[bytes, str]:
    """Return the bytes of a stored file from ``offset``, ``limit`` of them at most, and the request's id.

    Raises:
        AGBError: they could not be received, or there are more than ``max_size``.
    """
    call = signed_call("GET", f"read {remote!r} of the context {context_id}", error=FileError)
    most = max_size if limit is None else limit
    last = "" if limit is None else offset + max(limit, 1) - 1
    part = f"bytes={offset}-{last}" if offset or limit is not None else ""
    content = bytearray()

    async def get(signed: dict[str, Any]) -> tuple[int, str]:
        content.clear()
        async with api.download(signed["url"], call, idle_timeout, part=part) as download:
            skipped = offset if download.reply.status == 200 else 0  # the store has no ranges
            while piece := await download.receive():
                content.extend(piece[skipped:])
                skipped = max(0, skipped - len(piece))
                if most is not None and len(content) > most:
                    break
            return download.reply.status, ""

    async def rewind() -> None:
        content.clear()

    url_call = ops.get_context_file_download_url(context_id, remote)
    try:
        _, request_id = await _with_retries(api, url_call, get, rewind, idle_timeout)
    except AGBError as error:
        if error.http_status != RANGE_BEYOND_END:
            raise
        return b"", error.extra.get("url_request_id", "")
    if limit is None and max_size is not None and len(content) > max_size:
        raise FileError(
            f"Could not {call.description}: it has more than {max_size:,} bytes; pass another max_size or download it",
            kind=ErrorKind.TOO_LARGE,
        )
    return bytes(content[:limit]), request_id


class _BytesSource:
    """Bytes to be uploaded."""

    def __init__(self, data: bytes) -> None:
        self._left = memoryview(data)
        self._data = data

    async def receive(self) -> bytes:
        """Return the next bytes, ``b""`` at the end."""
        piece, self._left = bytes(self._left[:PIECE]), self._left[PIECE:]
        return piece

    async def rewind(self) -> None:
        """Begin again."""
        self._left = memoryview(self._data)


def _to_error(call: Call[Any]) -> Callable[[OSError], AGBError]:
    def to_error(error: OSError) -> AGBError:
        return call.error(f"Could not {call.description}: {error}", session_id=call.session_id)

    return to_error


async def _with_retries(
    api: AsyncAPI,
    url_call: Call[dict[str, Any]],
    move: Callable[[dict[str, Any]], Awaitable[tuple[int, str]]],
    rewind: Callable[[], Awaitable[None]],
    idle_timeout: IdleTimeout,
) -> tuple[tuple[int, str], str]:
    """Ask for a URL and transfer the file, until it has arrived or no further attempt is worth it."""
    attempt, is_refused = 1, False
    while True:
        try:
            signed, request_id = await api.call(url_call, timeout=left(idle_timeout, url_call.description))
        except AGBError as error:
            error.extra[STEP] = "url"
            raise
        try:
            return await move(signed), request_id
        except AGBError as error:
            error.extra["url_request_id"] = request_id
            # A URL may have expired in the queue; if a new one is refused as well, the refusal is final.
            may_have_expired = error.http_status == 403 and not is_refused
            if may_have_expired:
                is_refused = error.retryable = True
            try:
                pause = api.next_try(error, attempt, idle_timeout)
            except AGBError:  # no attempt is left, or no time
                error.retryable &= not may_have_expired
                raise
        await api.sleep(pause)
        await rewind()
        attempt += 1


def left(idle_timeout: IdleTimeout, description: str) -> float:
    """Return the seconds that the next step may take; raise a `FileError` if there are none."""
    if seconds := idle_timeout.left():
        return seconds
    raise FileError(
        f"Could not {description}: not done {idle_timeout.description}", kind=ErrorKind.TIMED_OUT, retryable=True
    )
