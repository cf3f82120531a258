"""A helper: a program of the runtime inside a sandbox that serves requests over an inherited socket."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from ..inside.messages import FRAME
from .capture import Capture
from .sandbox import Process, Sandbox

_MAX_HEADER = 1 << 12
_MAX_BLOB = 128 << 20
"""Replies are not trusted: this is more than any reply of an unmodified helper."""
_BUFFER = 1 << 20


class HelperDied(Exception):
    """The helper ended before it had answered."""


@frozen
class Reply:
    """The reply of a helper: its content, or a sentence on the failure."""

    content: bytes
    ok: bool
    errno: str = ""
    """The name of the operating system's error by which a request failed, such as ``EACCES``; empty if there is none.
    """

    @classmethod
    def failure(cls, why: str) -> Reply:
        """Return the reply of a request that failed before it reached the helper."""
        return cls(why.encode(), ok=False)

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode("utf-8", "replace")


class Helper:
    """A running helper and the requests it has not answered yet."""

    def __init__(
        self,
        process: Process,
        outputs: tuple[Capture, Capture],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._outputs = outputs
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._replies: dict[int, asyncio.Future[Reply]] = {}
        self._is_alive = True
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, sandbox: Sandbox, command: Sequence[str]) -> Helper:
        """Start it by its command line. Raises ``OSError`` and ``SandboxGone``."""
        outputs = (Capture(1 << 16, owner=sandbox.user), Capture(1 << 16, owner=sandbox.user))
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            reader, writer = await asyncio.open_connection(sock=ours, limit=_BUFFER)
            try:
                process = await sandbox.spawn(
                    command,
                    stdout=outputs[0],
                    stderr=outputs[1],
                    extra_fd=theirs.fileno(),
                )
            except BaseException:
                writer.close()
                for output in outputs:
                    output.close()
                raise
        return cls(process, outputs, reader, writer)

    @property
    def is_alive(self) -> bool:
        """Whether it can take requests."""
        return self._is_alive and not self._process.exited.done()

    @property
    def diagnostics(self) -> str:
        """What it has written to stderr."""
        self._outputs[1].drain()
        return self._outputs[1].text()

    async def request(self, tool: str, args: Mapping[str, Any], content: bytes = b"") -> Reply:
        """Return its answer. Raises ``HelperDied``."""
        if not self.is_alive:
            raise HelperDied
        number = next(self._numbers)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[number] = reply
        try:
            self._send({"id": number, "tool": tool, "args": args}, content)
            await self._drain()
            return await reply
        except asyncio.CancelledError:
            if self.is_alive:
                self._send({"cancel": number}, b"")
            raise
        finally:
            self._replies.pop(number, None)
            if reply.done() and not reply.cancelled():
                reply.exception()  # read, since a caller that was cancelled does not

    def _send(self, header: Mapping[str, Any], content: bytes) -> None:
        data = json.dumps(header).encode()
        self._writer.write(FRAME.pack(len(data), len(content)) + data)
        if content:
            self._writer.write(content)

    async def _drain(self) -> None:
        try:
            await self._writer.drain()
        except ConnectionError as error:
            self._is_alive = False  # known here before the reader reaches the end of the data
            raise HelperDied from error

    async def _read(self) -> None:
        """Deliver the replies until the helper closes its end."""
        try:
            while True:
                header_size, blob_size = FRAME.unpack(await self._reader.readexactly(FRAME.size))
                if header_size > _MAX_HEADER or blob_size > _MAX_BLOB:
                    return
                header = json.loads(await self._reader.readexactly(header_size))
                blob = await self._reader.readexactly(blob_size)
                number = header.get("id") if isinstance(header, dict) else None
                reply = self._replies.get(number) if type(number) is int else None
                if reply is not None and not reply.done():
                    name = errno.errorcode.get(header["errno"], "") if type(header.get("errno")) is int else ""
                    reply.set_result(Reply(blob, header.get("ok") is True, name))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError, RecursionError):
            return
        finally:
            self._end()

    def _end(self) -> None:
        self._is_alive = False
        self._writer.close()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(HelperDied())

    async def close(self) -> None:
        """End it, at once. May be called twice."""
        self._writer.close()
        self._reading.cancel()
        await asyncio.wait({self._reading})
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        if not self._process.exited.done():
            await self._process.signal(9)
            await self._process.wait()
        for output in self._outputs:
            output.close()
