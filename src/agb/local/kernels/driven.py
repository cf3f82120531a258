"""Kernels that are driven by a small program of ours inside the sandbox: requests go in, JSON lines come back.

A driver sends one line each:

    {"ready": true}                            once
    {"id": n, "begun": true}                   when code begins; from here on SIGINT interrupts it
    {"id": n, "item": {mime type: value}}      for what the code displays
    {"id": n, "count": c, "text": ..., "error": {"name", "value", "traceback"}}

The last one ends the code: ``text`` is the value of the last expression, and both it and ``error`` may be missing. The
code's own output goes to the driver's stdout and stderr.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from ..sandbox.capture import Capture
from ..sandbox.sandbox import Process, Sandbox, SandboxGone
from .base import CodeError, Execution, Kernel, KernelDied, how_it_ended
from .output import KernelOutput

_START_SECONDS = 60.0
_MAX_REPLY = 32 << 20
_LAST_SECONDS = 0.2
"""How long data that a process sent before it ended may still be on its way."""


class DrivenKernel(Kernel):
    """A program that keeps its state; the value of the last expression is the result."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self._process: Process | None = None
        self._reader: asyncio.StreamReader | None = None
        self._transports: list[asyncio.BaseTransport] = []
        self._writer: asyncio.StreamWriter | None = None
        self._number = 0

    @abc.abstractmethod
    async def launch(self, stdout: Capture, stderr: Capture) -> Process:
        """Start the driver, connected by one of the methods below."""

    @abc.abstractmethod
    def request(self, number: int, code: str) -> bytes:
        """Return the bytes that ask the driver to run code."""

    @property
    def is_alive(self) -> bool:
        """Whether it can take code."""
        return self._process is not None and self._writer is not None and not self._process.exited.done()

    async def start(self) -> None:
        """Start it and return once it answers. Raises ``KernelDied``."""
        self.output = output = KernelOutput(self.sandbox)
        try:
            async with asyncio.timeout(_START_SECONDS):
                self._process = await self.launch(*output.captures)
                while not (await self._reply()).get("ready"):
                    pass
        except KernelDied as error:
            words = output.start_message()
            await self.stop()
            raise KernelDied(f"did not start: it {error}{f' ({words})' if words else ''}") from error
        except (OSError, TimeoutError) as error:
            await self.stop()
            why = str(error) or f"no answer within {_START_SECONDS:g} s"
            raise KernelDied(f"did not start: {why}") from error
        except BaseException:
            await self.stop()
            raise
        output.start_message()  # of no interest after a start that succeeded

    # --- connections ---

    async def connect_socket(self, argv: Sequence[str], stdout: Capture, stderr: Capture) -> Process:
        """Start a driver that has a socket as descriptor 3."""
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=_MAX_REPLY)
            return await self.sandbox.spawn(argv, stdout=stdout, stderr=stderr, extra_fd=theirs.fileno())

    async def connect_pipes(
        self, argv: Sequence[str], stdout: Capture, stderr: Capture, env: Mapping[str, str] | None = None
    ) -> Process:
        """Start a driver that finds requests at ``/dev/fd/4`` and puts replies to ``/dev/fd/3``; both are pipes.

        Not every language can use an inherited descriptor; all can open a file. Standard input is empty, so that
        programs started by the code do not take requests from it.
        """
        requests, replies = os.pipe(), os.pipe()
        theirs = [requests[0], replies[1]]
        try:
            for fd in theirs:
                if self.sandbox.user is not None:
                    os.fchown(fd, self.sandbox.user, self.sandbox.user)  # or it could not open it
            await self._connect(requests[1], replies[0])
            shell = ["/bin/sh", "-c", 'exec "$@" 4<&0 </dev/null', "sh", *argv]
            return await self.sandbox.spawn(
                shell, env=env, stdin=requests[0], stdout=stdout, stderr=stderr, extra_fd=replies[1]
            )
        finally:
            for fd in theirs:
                os.close(fd)

    async def _connect(self, requests: int, replies: int) -> None:
        loop = asyncio.get_running_loop()
        self._reader = reader = asyncio.StreamReader(limit=_MAX_REPLY)
        protocol = asyncio.StreamReaderProtocol(reader)
        reading, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(replies, "rb", buffering=0))
        self._transports.append(reading)
        writing, ends = await loop.connect_write_pipe(
            lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(requests, "wb", buffering=0)
        )
        self._writer = asyncio.StreamWriter(writing, ends, None, loop)

    # --- code ---

    async def evaluate(self, code: str, execution: Execution) -> None:
        """Run code to its end and fill ``execution``. Raises ``KernelDied``."""
        if self._writer is None:
            raise KernelDied("was stopped")
        self._number += 1
        self._writer.write(self.request(self._number, code))
        # The code may write to the channel, too.
        while (reply := await self._reply()).get("id") != self._number or self._is_intermediate(reply, execution):
            pass
        count = reply.get("count")
        execution.count = count if type(count) is int else None
        if type(discarded := reply.get("discarded")) is int and discarded > 0:
            execution.discard("results", discarded)
        if isinstance(text := reply.get("text"), str):
            execution.add({"text/plain": text}, main=True)
        if isinstance(error := reply.get("error"), dict):
            name, value, traceback = (str(error.get(name, "")) for name in ("name", "value", "traceback"))
            execution.error = CodeError(name, value, traceback)

    def _is_intermediate(self, reply: Mapping[str, Any], execution: Execution) -> bool:
        """Take a reply that comes before the last one; return whether it was one."""
        if reply.get("begun") is True:
            self.note_begun()
            return True
        item = reply.get("item")
        if not isinstance(item, dict):
            return False
        if self.output is not None:
            self.output.drain()  # output that was written before the item goes before it
        execution.add(item)
        return True

    async def _reply(self) -> dict[str, Any]:
        if self._reader is None or self._process is None:
            raise KernelDied("was stopped")
        line = asyncio.ensure_future(self._reader.readline())
        try:
            waiting: set[asyncio.Future[Any]] = {line, self._process.exited}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            # Programs in the background may hold its pipes open, so the end of the pipe is no sign of its end.
            await asyncio.wait({line}, timeout=_LAST_SECONDS)
        finally:
            if not line.done():
                line.cancel()
                await asyncio.wait({line})
        try:
            reply = None if line.cancelled() or not line.result() else json.loads(line.result())
        except (ValueError, RecursionError, ConnectionError) as error:
            raise KernelDied("sent an invalid reply") from error
        if reply is None:
            raise KernelDied(how_it_ended(await self._process.wait()))
        if not isinstance(reply, dict):
            raise KernelDied("sent an invalid reply")
        return reply

    async def send_interrupt(self) -> None:
        """Send SIGINT to the driver and the programs its code has started."""
        if self._process is not None:
            await self._process.signal(signal.SIGINT)

    async def stop(self) -> None:
        """End it, at once. May be called twice."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        while self._transports:
            self._transports.pop().close()
        if self._process is not None:
            with contextlib.suppress(SandboxGone):
                await self._process.signal(signal.SIGKILL)
            await self._process.wait()
        if self.output is not None:
            self.output.close()
