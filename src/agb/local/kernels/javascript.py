"""JavaScript: node inside the sandbox, driven over a socket by a small program of ours."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
from typing import Any

from ..capture import Capture
from ..sandbox import Process, Sandbox
from .base import CodeError, Decoder, Execution, Kernel, KernelDied, how_it_ended

_START_SECONDS = 30.0
_MAX_REPLY = 32 << 20


class JavaScriptKernel(Kernel):
    """A node process that keeps its state; the value of the last expression is the result."""

    def __init__(self, sandbox: Sandbox, node: str) -> None:
        super().__init__(sandbox)
        self._node = node
        self._process: Process | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._outputs: tuple[Capture, ...] = ()
        self._execution: Execution | None = None
        self._number = 0

    @property
    def is_alive(self) -> bool:
        """Whether it can take code."""
        return self._process is not None and self._writer is not None and not self._process.exited.done()

    async def start(self) -> None:
        """Start it and return once it answers. Raises ``KernelDied``."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._launch()
                await self._reply()
        except (OSError, TimeoutError) as error:
            await self.stop()
            raise KernelDied(f"did not start: {error}") from error
        except BaseException:
            await self.stop()
            raise

    async def _launch(self) -> None:
        self._outputs = (self._capture("stdout"), self._capture("stderr"))
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=_MAX_REPLY)
            self._process = await self.sandbox.spawn(
                [self._node, self.sandbox.program("kernels/node_driver.js")],
                stdout=self._outputs[0],
                stderr=self._outputs[1],
                channel=theirs.fileno(),
            )

    def _capture(self, name: str) -> Capture:
        decode = Decoder()

        def put(data: bytes) -> None:
            if self._execution is not None:
                self._execution.write(name, decode(data))

        # The execution has the limit; a kernel lives longer than one.
        return Capture(1 << 62, owner=self.sandbox.user, on_data=put)

    async def execute(self, code: str, execution: Execution) -> None:
        """Run code to its end and fill ``execution``. Raises ``KernelDied``."""
        if self._writer is None:
            raise KernelDied("was stopped")
        for output in self._outputs:
            output.drain()
        self._execution = execution
        self._number += 1
        self._writer.write(json.dumps({"id": self._number, "code": code}).encode() + b"\n")
        try:
            # The code may write to the channel, too.
            while (reply := await self._reply()).get("id") != self._number:
                pass
        finally:
            for output in self._outputs:
                output.drain()
            self._execution = None
        count = reply.get("count")
        execution.count = count if type(count) is int else None
        if isinstance(text := reply.get("text"), str):
            execution.add({"text/plain": text}, main=True)
        if isinstance(error := reply.get("error"), dict):
            execution.error = CodeError(*(str(error.get(name, "")) for name in ("name", "value", "traceback")))

    async def _reply(self) -> dict[str, Any]:
        if self._reader is None or self._process is None:
            raise KernelDied("was stopped")
        try:
            line = await self._reader.readline()
            reply = json.loads(line) if line else None
        except (ValueError, RecursionError, ConnectionError) as error:
            raise KernelDied("sent something that is no reply") from error
        if reply is None:
            raise KernelDied(how_it_ended(await self._process.wait()))
        if not isinstance(reply, dict):
            raise KernelDied("sent something that is no reply")
        return reply

    async def interrupt(self) -> None:
        """Ask the running code, and what it has started, to stop."""
        if self._process is not None:
            await self._process.signal(signal.SIGINT)

    async def stop(self) -> None:
        """End it, at once. May be called twice."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        if self._process is not None:
            await self._process.signal(signal.SIGKILL)
            await self._process.wait()
        for output in self._outputs:
            output.drain()
            output.close()
