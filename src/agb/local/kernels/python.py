"""Python: a Jupyter kernel inside the sandbox, connected by sockets in a directory of the session."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
import socket
import stat
from collections.abc import Mapping
from typing import Any

from ..inside.python_kernel import DISCARDED, DISPLAYS, MOST
from ..sandbox.sandbox import Process, Sandbox
from .base import CodeError, Execution, Kernel, KernelDied, how_it_ended
from .jupyter_messages import JupyterMessages
from .output import KernelOutput
from .zmtp import Connection, SocketType

_START_SECONDS = 60.0
_REPLY_SECONDS = 1.0
"""How long the reply of interrupted code may still be on its way when its kernel is idle."""
_LAST_SECONDS = 0.2
_END_SECONDS = 1.0
"""How long the end of a kernel may still be on its way when its sockets are closed."""
_MAX_MESSAGE = MOST + (1 << 20)
_SOCKETS: Mapping[str, tuple[int, SocketType]] = {"shell": (1, "DEALER"), "iopub": (2, "SUB")}
"""Channel -> the number of its socket, and the type of socket that it serves."""
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class PythonKernel(Kernel):
    """An IPython kernel: state, rich results, displays, tracebacks, interrupts."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self._name = f"k{secrets.token_hex(4)}"
        self._process: Process | None = None
        self._was_interrupted = False
        self._receipts = -1
        """A pipe: the kernel reads a byte from it for each display that was recorded."""
        self._messages = JupyterMessages(secrets.token_hex(32))
        self._channels: dict[str, Connection] = {}

    @property
    def is_alive(self) -> bool:
        """Whether it can take code."""
        return bool(self._channels) and self._process is not None and not self._process.exited.done()

    async def start(self) -> None:
        """Start it and return once it answers. Raises ``KernelDied``."""
        self.output = output = KernelOutput(self.sandbox)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._launch(output)
                await self._connect()
                await self._shake_hands()
        except (OSError, ValueError, TimeoutError) as error:
            words = output.start_message()
            await self.stop()
            why = str(error) or f"no answer within {_START_SECONDS:g} s"
            raise KernelDied(f"did not start: {why}{f' ({words})' if words else ''}") from error
        except BaseException:
            await self.stop()
            raise
        output.start_message()  # of no interest after a start that succeeded

    async def _launch(self, output: KernelOutput) -> None:
        state = f"{self.sandbox.sockets}/{self._name}"
        directories = {"IPYTHONDIR": "ipython", "JUPYTER_RUNTIME_DIR": "runtime", "JUPYTER_CONFIG_DIR": "config"}
        ready, theirs = socket.socketpair()
        stdout, stderr = output.captures
        reader, self._receipts = os.pipe()
        with ready, theirs:
            os.write(self._receipts, self._messages.key + b"\n")
            os.set_blocking(self._receipts, False)
            try:
                self._process = await self.sandbox.spawn(
                    [
                        self.sandbox.python,
                        self.sandbox.program("python_driver.py"),
                        self.sandbox.sockets,
                        self._name,
                    ],
                    env={name: f"{state}/{directory}" for name, directory in directories.items()},
                    stdin=reader,
                    stdout=stdout,
                    stderr=stderr,
                    extra_fd=theirs.fileno(),
                )
            finally:
                os.close(reader)
                theirs.close()
            ready.setblocking(False)
            if not await asyncio.get_running_loop().sock_recv(ready, 1):
                raise ConnectionError("it ended at once")

    async def _connect(self) -> None:
        """Connect to the sockets by their descriptors.

        The directory belongs to the session, which may put a link to a socket of the machine in the place of its own; a
        descriptor was looked at before it is connected to, and cannot be exchanged.
        """
        directory = os.open(self.sandbox.directories.sockets, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            for channel, (number, kind) in _SOCKETS.items():
                fd = os.open(f"{self._name}-{number}", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
                try:
                    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                        raise ConnectionError("the session has replaced a socket by something else")
                    self._channels[channel] = await Connection.open(f"/proc/self/fd/{fd}", kind, largest=_MAX_MESSAGE)
                finally:
                    os.close(fd)
        finally:
            os.close(directory)

    async def _shake_hands(self) -> None:
        """Return once a request was answered on both sockets: only from then on is no output lost."""
        while True:
            asked = await self._request("kernel_info_request", {})
            await self._reply_to(asked)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    while not _is_idle(await self._receive("iopub"), asked):
                        pass
                    return

    async def evaluate(self, code: str, execution: Execution) -> None:
        """Run code to its end and fill ``execution``. Raises ``KernelDied``."""
        self._was_interrupted = False
        options = {"silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": False}
        running = await self._request("execute_request", {"code": code, "user_expressions": {}, **options})
        while True:
            message = await self._receive("iopub")
            if message["header"]["msg_type"] in DISPLAYS:
                self._acknowledge_display()
            if message.get("parent_header", {}).get("msg_id") != running:
                continue  # of a thread that an earlier piece of code left
            if _is_idle(message, running):
                break
            if message["header"]["msg_type"] == "execute_input":
                self.note_begun()
            _record(message["header"]["msg_type"], message["content"], execution)
            _record_discarded(message, execution)
        reply = await self._last_reply(running)
        if reply is None:
            execution.error = CodeError("KeyboardInterrupt", "")
            return
        count = reply["content"].get("execution_count")
        execution.count = count if type(count) is int else None
        if reply["content"].get("status") == "error" and execution.error is None:
            execution.error = _code_error(reply["content"])

    def _acknowledge_display(self) -> None:
        """Read the text that was written before a display, and let the kernel write the text that comes after it."""
        if self.output is not None:
            self.output.drain()
        # A pipe that is full, or was closed by the code: the kernel goes on after a short time.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._receipts, b"\n")

    async def _last_reply(self, request: str) -> dict[str, Any] | None:
        """Return the reply to a request that has ended, None if an interrupt has left it without one.

        The kernel sends the reply before it reports that it is idle. An interrupt that comes after the code was
        announced and before its first line ends the request in the kernel's own code: then there is no reply.
        """
        if not self._was_interrupted:
            return await self._reply_to(request)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REPLY_SECONDS):
                return await self._reply_to(request)
        return None

    async def _request(self, kind: str, content: dict[str, Any]) -> str:
        """Send a request and return its id. Raises ``KernelDied``."""
        request_id, parts = self._messages.request(kind, content)
        try:
            await self._channel("shell").send(parts)
        except ConnectionError as error:
            raise KernelDied(await self._how_it_ended()) from error
        return request_id

    async def _reply_to(self, request: str) -> dict[str, Any]:
        while True:
            message = await self._receive("shell")
            if message.get("parent_header", {}).get("msg_id") == request:
                return message

    async def _receive(self, channel: str) -> dict[str, Any]:
        """Return the next message. Raises ``KernelDied`` when there will be none."""
        connection, process = self._channel(channel), self._running_process()
        received = asyncio.ensure_future(connection.receive())
        try:
            # Forked children of the kernel may hold its sockets open, so their end is not the only sign of its end.
            waiting: set[asyncio.Future[Any]] = {received, process.exited}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            # A message that was sent before its end may still be on its way.
            await asyncio.wait({received}, timeout=_LAST_SECONDS)
        finally:
            if not received.done():
                received.cancel()
                await asyncio.wait({received})
        if received.cancelled():
            raise KernelDied(await self._how_it_ended())
        try:
            message = self._messages.read(received.result())
            _ = message["header"]["msg_type"]
        except ConnectionError as error:
            raise KernelDied(await self._how_it_ended()) from error
        except (ValueError, KeyError, RecursionError) as error:
            raise KernelDied("sent an invalid message") from error
        return message

    async def _how_it_ended(self) -> str:
        """Return how the kernel ended, whose sockets are closed."""
        if not self._channels:
            return "was stopped"
        try:
            async with asyncio.timeout(_END_SECONDS):
                return how_it_ended(await self._running_process().wait())
        except TimeoutError:
            return "has closed its connection"

    def _running_process(self) -> Process:
        if self._process is None:
            raise KernelDied("was stopped")
        return self._process

    def _channel(self, name: str) -> Connection:
        if name not in self._channels:
            raise KernelDied("was stopped")
        return self._channels[name]

    async def send_interrupt(self) -> None:
        """Send SIGINT to the kernel and the programs its code has started."""
        if self._process is not None:
            self._was_interrupted = True
            await self._process.signal(signal.SIGINT)

    async def stop(self) -> None:
        """End it, at once. May be called twice."""
        while self._channels:
            self._channels.popitem()[1].close()
        if self._receipts >= 0:
            os.close(self._receipts)
            self._receipts = -1
        if self._process is not None:
            await self._process.signal(signal.SIGKILL)
            await self._process.wait()
        if self.output is not None:
            self.output.close()


def _is_idle(message: Mapping[str, Any], request: str) -> bool:
    return bool(
        message["header"]["msg_type"] == "status"
        and message["content"].get("execution_state") == "idle"
        and message["parent_header"].get("msg_id") == request
    )


def _record(kind: str, content: Mapping[str, Any], execution: Execution) -> None:
    match kind:
        case "execute_result":
            execution.add(content.get("data", {}), main=True)
        case "display_data":
            execution.add(content.get("data", {}), display_id=content.get("transient", {}).get("display_id"))
        case "update_display_data":
            execution.update(content.get("data", {}), str(content.get("transient", {}).get("display_id")))
        case "error":
            execution.error = _code_error(content)


def _record_discarded(message: Mapping[str, Any], execution: Execution) -> None:
    """Count what the driver has left out of a message that was too large."""
    metadata = message.get("metadata")
    discarded = metadata.get(DISCARDED) if isinstance(metadata, Mapping) else None
    if type(discarded) is int and discarded > 0:
        execution.discard("results", discarded)


def _code_error(content: Mapping[str, Any]) -> CodeError:
    traceback = "\n".join(str(line) for line in content.get("traceback") or [])
    return CodeError(str(content.get("ename", "")), str(content.get("evalue", "")), _ANSI.sub("", traceback))
