"""The files of a session: a helper process inside it does the work; it is started when first needed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from ..inside.messages import FRAME
from ..sandbox.capture import Capture
from ..sandbox.sandbox import Process, Sandbox, SandboxGone

_MAX_HEADER = 1 << 12
_MAX_BLOB = 128 << 20
"""Replies are not trusted: this is more than any reply of an unmodified helper."""
_BUFFER = 1 << 20
_REPEATABLE = frozenset(
    {
        "create_directory",
        "get_file_change",
        "get_file_info",
        "list_directory",
        "read_file",
        "read_multiple_files",
        "search_files",
    }
)


class HelperDied(Exception):
    """The helper ended before it had answered."""


@frozen
class FileReply:
    """The reply of a file tool: its text, or a sentence on the failure."""

    text: str
    ok: bool


class Files:
    """The file tools of one session."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._starting = asyncio.Lock()
        self._helper: _Helper | None = None
        self._watched: set[str] = set()

    async def start_ahead(self) -> None:
        """Start the helper before there is a call; if that fails, the first call starts one and reports why not."""
        with contextlib.suppress(OSError, SandboxGone):
            await self._started()

    async def call(self, tool: str, args: Mapping[str, Any], content: bytes = b"") -> FileReply:
        """Run a tool in the helper; ``content`` is the new content of a file.

        Programs of the session can end the helper. It is then started again, and a call that may be repeated is
        repeated. Raises ``SandboxGone``.
        """
        for attempt in itertools.count():
            try:
                helper = await self._started()
                return await helper.request(tool, args, content)
            except HelperDied:
                if attempt or tool not in _REPEATABLE or self._sandbox.is_closed:
                    return FileReply(
                        f"{tool}: the program that works on the session's files was ended before it had answered; "
                        "check the files, then call again",
                        ok=False,
                    )
            except OSError as error:
                why = error.strerror or str(error)
                text = f"{tool}: the program that works on the session's files could not be started: {why}"
                return FileReply(text, ok=False)
        raise AssertionError("unreachable")

    async def changes(self, path: str) -> FileReply:
        """Return the changes beneath a path since the previous call, as the tool ``get_file_change`` reports them.

        A helper that does not watch a path it is expected to watch, since it was started again or since the path was
        deleted meanwhile, reports that changes were lost.
        """
        reply = await self.call("get_file_change", {"path": path, "expected": path in self._watched})
        if reply.ok:
            self._watched.add(path)
        return reply

    async def close(self) -> None:
        """End the helper. May be called twice."""
        helper, self._helper = self._helper, None
        if helper is not None:
            await helper.close()

    async def _started(self) -> _Helper:
        async with self._starting:
            if self._helper is not None and not self._helper.is_alive:
                await self.close()
            if self._helper is None:
                self._helper = await _Helper.start(self._sandbox)
            return self._helper


class _Helper:
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
        self._replies: dict[int, asyncio.Future[FileReply]] = {}
        self._is_alive = True
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, sandbox: Sandbox) -> _Helper:
        """Start it. Raises ``OSError`` and ``SandboxGone``."""
        # Its output is for debugging only.
        outputs = (Capture(1 << 16, owner=sandbox.user), Capture(1 << 16, owner=sandbox.user))
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            reader, writer = await asyncio.open_connection(sock=ours, limit=_BUFFER)
            try:
                process = await sandbox.spawn(
                    sandbox.helper("file_helper"),
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

    async def request(self, tool: str, args: Mapping[str, Any], content: bytes) -> FileReply:
        """Return its answer. Raises ``HelperDied``."""
        if not self.is_alive:
            raise HelperDied
        number = next(self._numbers)
        reply: asyncio.Future[FileReply] = asyncio.get_running_loop().create_future()
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
                    reply.set_result(FileReply(blob.decode("utf-8", "replace"), header.get("ok") is True))
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
