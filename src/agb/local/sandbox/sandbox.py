"""A sandbox: one agent, isolated or not, and the processes and connections it makes for the runtime.

The agent is process 1 of the sandbox and holds the other end of the control socket. The sandbox lives exactly as long
as this connection: closing it, here or by the end of this process, ends the agent, and the kernel ends every process in
the namespace with it. In the other direction, the end of the socket means that the agent is gone. So there is no state
in which processes run that the runtime cannot reach, and nothing to clean up after a runtime that was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import itertools
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from ..limits import Limits
from . import pasta
from .bubblewrap import SOCKETS
from .capture import Capture
from .control_socket import ControlSocket
from .directories import HOME, TMP, Directories
from .launch import Isolation
from .pasta import NetworkFailed

_START_SECONDS = 20.0
_REPLY_SECONDS = 15.0
_END_SECONDS = 5.0
_STRAYS_SECONDS = 1.0
"""Limit of the wait for killed processes that are no children of this one: their parent may be slow to reap them."""
_LEFTOVERS = 64
"""Pipes of background programs that are still read; beyond it the oldest is closed."""
_KILLED = -int(signal.SIGKILL)


class SandboxGone(Exception):
    """The sandbox ended, by itself or because it was closed."""


class StartFailed(Exception):
    """A sandbox could not be started."""


class Process:
    """A program started in a sandbox. ``exited`` results in its exit code, negative for a signal that ended it."""

    def __init__(self, number: int, sandbox: Sandbox) -> None:
        self.pid = 0
        """Its number as the session sees it."""
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._number = number
        self._sandbox = sandbox

    async def wait(self) -> int:
        """Return its exit code once it has ended."""
        # Shielded: a caller that is cancelled must not cancel the future for the others.
        return await asyncio.shield(self.exited)

    async def signal(self, signum: int, *, group: bool = True) -> None:
        """Send a signal to its process group, or to it alone; nothing happens when it has ended."""
        if not self.exited.done():
            await self._sandbox.send({"op": "signal", "id": self._number, "signal": signum, "group": group})

    async def end_tree(self, mark: str) -> None:
        """Kill it with everything it has started, which has ``mark``, a variable with its value, in its environment."""
        if not self.exited.done():
            await self._sandbox.send({"op": "end_tree", "id": self._number, "mark": mark})


class Sandbox:
    """A sandbox: :meth:`open` starts it, :meth:`close` ends it.

    ``on_end`` is called once when it ended by itself.
    """

    def __init__(
        self,
        isolation: Isolation,
        directories: Directories,
        limits: Limits,
        user: int | None,
        on_end: Callable[[], None],
    ) -> None:
        self.on_end = on_end
        self.pid = 0
        """The agent's process id on the machine."""
        self.user = user
        self.directories = directories
        self.limits = limits
        self.ended = asyncio.Event()
        """Set when everything in it is gone."""
        self._isolation = isolation
        self._numbers = itertools.count(1)
        self._processes: dict[int, Process] = {}
        self._replies: dict[int, asyncio.Future[tuple[dict[str, Any], list[int]]]] = {}
        self._leftovers: list[Capture] = []
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._diagnostics = Capture(1 << 16)
        self._program: subprocess.Popen[bytes] | None = None
        self._network: subprocess.Popen[bytes] | None = None
        self._control: ControlSocket | None = None
        self._handle: int | None = None
        self._is_closed = False
        self._has_ended_strays = False

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._is_closed

    # --- places ---

    @property
    def is_isolated(self) -> bool:
        """Whether there is a sandbox around the session's programs."""
        return self._isolation.bubblewrap is not None

    @property
    def home(self) -> str:
        """The session's home, seen from inside: where its programs start."""
        return str(HOME if self.is_isolated else self.directories.home)

    @property
    def sockets(self) -> str:
        """The directory of kernels' sockets, seen from inside."""
        return str(SOCKETS if self.is_isolated else self.directories.sockets)

    def mounted(self, place: str) -> tuple[str, tuple[str, ...]]:
        """Return where a mount is, seen from inside: a directory that only the runtime can replace, and the way on."""
        top, way = self.directories.on_machine(Path(place))
        if self.is_isolated:
            top = Path(place).parents[len(way.parts) - 1] if way.parts else Path(place)
        return str(top), way.parts

    def inside(self, path: str) -> str:
        """Return where a path that a caller names is seen from inside: without isolation, /tmp and the home differ."""
        if self.is_isolated:
            return path
        try:
            top, way = self.directories.on_machine(Path(path))
        except KeyError:
            return path
        return str(top / way)

    @property
    def python(self) -> str:
        """The session's own Python, seen from inside."""
        return str(self._isolation.prefix(self.directories) / "bin/python3")

    def seen(self, path: str) -> str:
        """Return where a program of the machine is seen from inside."""
        return self._isolation.seen(path)

    def program(self, name: str) -> str:
        """Return the path of one of the runtime's own programs, seen from inside."""
        return self._isolation.program(name)

    def helper(self, name: str) -> list[str]:
        """Return the command line of one of the runtime's own programs that is a Python package."""
        return self._isolation.helper(name)

    @functools.cached_property
    def environment(self) -> dict[str, str]:
        """The environment every program of the session starts from; it has nothing of the runtime's own environment."""
        tmp = str(TMP if self.is_isolated else self.directories.tmp)
        own = (f"{self.home}/.local/bin", f"{self._isolation.prefix(self.directories)}/bin")
        return {
            "HOME": self.home,
            "LANG": "C.UTF-8",
            "LOGNAME": "user",
            "PATH": os.pathsep.join((*own, *self._isolation.path)),
            "SHELL": "/bin/bash",
            "TERM": "dumb",
            "TMPDIR": tmp,
            "USER": "user",
        }

    # --- start and end ---

    async def open(self) -> None:
        """Start the agent and return once it is ready. Raises ``StartFailed`` or ``NetworkFailed``."""
        ours, theirs = socket.socketpair()
        self._control = ControlSocket(ours, self._on_event, self._on_disconnect)
        with theirs:
            command = self._isolation.agent(self.directories, theirs.fileno(), self.limits, self.user)
            try:
                self._program = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._diagnostics.writer,
                    cwd="/" if self.is_isolated else self.directories.home,
                    env=self.environment,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            except OSError as error:
                await self.close()
                raise StartFailed(str(error)) from error
        self._diagnostics.close_writer()
        self._watch_program(self._program)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._ready
            if self._isolation.pasta is not None:
                self._network = await self._isolation.pasta.attach(self.pid)
        except NetworkFailed:
            await self.close()
            raise
        except (TimeoutError, SandboxGone) as error:
            await self.close()
            raise StartFailed(self._diagnostics.text().strip() or str(error) or "it did not start in time") from error
        except BaseException:
            await self.close()
            raise

    async def end(self) -> None:
        """End everything in the sandbox and return when no process of it is left; `close` has to follow.

        The network program is killed and not awaited: when it ends, the operating system's kernel removes the network
        interface, which takes ten times as long as the end of the processes.
        """
        self._disconnect()
        if self._network is not None:
            self._network.kill()
        if self._program is not None:
            await self._end_program(self._program)

    async def close(self) -> None:
        """End everything in the sandbox and return when it is gone, the network too. May be called twice."""
        await self.end()
        if self._network is not None:
            network, self._network = self._network, None
            await asyncio.to_thread(pasta.end, network)
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        self._diagnostics.close()

    async def _end_program(self, program: subprocess.Popen[bytes]) -> None:
        """Wait for the end, which closing the control socket causes.

        Bubblewrap ends when process 1 of the sandbox is gone, and that one when the kernel has ended all the others.
        """
        if self._handle is not None and self.is_isolated:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self.ended.wait()
        except TimeoutError:
            program.kill()
            await self.ended.wait()
        if not self.is_isolated and program.returncode != 0 and not self._has_ended_strays:
            self._has_ended_strays = True
            await asyncio.to_thread(_end_strays, self.environment["TMPDIR"])

    def _disconnect(self) -> None:
        self._is_closed = True
        if self._control is not None:
            self._control.close()
        if not self._ready.done():
            self._ready.set_exception(SandboxGone("the session's agent ended"))
            self._ready.exception()  # marked as retrieved: it may be that no task waits
        for process in self._processes.values():
            process.exited.set_result(_KILLED)
        self._processes.clear()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(SandboxGone("the session ended"))
        self._replies.clear()
        for capture in self._leftovers:
            capture.close()
        self._leftovers.clear()

    def _watch_program(self, program: subprocess.Popen[bytes]) -> None:
        loop = asyncio.get_running_loop()
        handle = os.pidfd_open(program.pid)

        def ended() -> None:
            loop.remove_reader(handle)
            os.close(handle)
            program.wait()
            self._diagnostics.drain()
            self.ended.set()
            self._on_disconnect()

        loop.add_reader(handle, ended)

    def _on_disconnect(self) -> None:
        if self._is_closed:
            return
        self._disconnect()
        self.on_end()

    # --- processes and connections ---

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | None = None,
        stdout: Capture,
        stderr: Capture,
        extra_fd: int | None = None,
    ) -> Process:
        """Start a program in a process group of its own; return once it runs.

        ``env`` extends the environment of the session. ``cwd`` is relative to the home. ``extra_fd`` is a descriptor
        that the program inherits as number 3. Raises ``OSError`` when it cannot be started (its ``filename`` says what
        was not found) and ``SandboxGone``. The writing ends of the captures are closed.
        """
        number = next(self._numbers)
        process = self._processes[number] = Process(number, self)
        request = {
            "op": "spawn",
            "id": number,
            "argv": list(argv),
            "env": {**self.environment, **(env or {})},
            "cwd": str(Path(self.home, cwd or "")),
        }
        with open(os.devnull, "rb") as null:  # noqa: PTH123 - never waits
            fds = [null.fileno() if stdin is None else stdin, stdout.writer, stderr.writer]
            fds += [extra_fd] if extra_fd is not None else []
            try:
                event, _ = await self._ask({**request, "fds": len(fds)}, fds)
            except BaseException:
                self._processes.pop(number, None)
                # A caller that was cancelled cannot end it. The agent serves in order, so the process exists by then.
                await self.send({"op": "signal", "id": number, "signal": signal.SIGKILL, "group": True})
                raise
            finally:
                stdout.close_writer()
                stderr.close_writer()
        process.pid = event["pid"] if type(event.get("pid")) is int else 0
        return process

    async def connect(self, port: int) -> socket.socket:
        """Return a non-blocking TCP socket connected to ``port`` of the session's own loopback.

        Raises ``ConnectionRefusedError`` when nothing listens there, another ``OSError``, or ``SandboxGone``.
        """
        _, fds = await self._ask({"op": "connect", "id": next(self._numbers), "port": port})
        if len(fds) != 1:
            raise OSError(errno.EPROTO, "the session's agent sent no socket")
        link = socket.socket(fileno=fds[0])
        if link.family not in (socket.AF_INET, socket.AF_INET6) or link.type != socket.SOCK_STREAM:
            link.close()
            raise OSError(errno.EPROTO, "the session's agent sent something else than a TCP socket")
        link.setblocking(False)
        return link

    def adopt(self, capture: Capture) -> None:
        """Continue to read a pipe that background programs still hold, until they close it or the sandbox ends."""
        capture.discard_rest()
        if self._is_closed or not capture.is_open:
            capture.close()
            return
        self._leftovers = [kept for kept in self._leftovers if kept.is_open]
        self._leftovers.append(capture)
        if len(self._leftovers) > _LEFTOVERS:
            self._leftovers.pop(0).close()

    async def send(self, request: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
        """Send the agent a request that has no answer; nothing happens when it is gone."""
        if self._control is not None:
            with contextlib.suppress(ConnectionError):
                await self._control.send(request, fds)

    async def _ask(self, request: Mapping[str, Any], fds: Sequence[int] = ()) -> tuple[dict[str, Any], list[int]]:
        if self._is_closed or self._control is None:
            raise SandboxGone("the session ended")
        reply = self._replies[request["id"]] = asyncio.get_running_loop().create_future()
        try:
            await self._control.send(request, fds)
            async with asyncio.timeout(_REPLY_SECONDS):
                event, received = await reply
        except ConnectionError as error:
            raise SandboxGone("the session ended") from error
        except BaseException:
            if reply.done() and not reply.cancelled() and reply.exception() is None:
                _close_all(reply.result()[1])
            raise
        finally:
            self._replies.pop(request["id"], None)
        if event.get("event") == "failed":
            raise _error(event)
        return event, received

    def _on_event(self, event: dict[str, Any], fds: list[int]) -> None:
        number = event.get("id")
        reply = self._replies.get(number) if type(number) is int else None
        match event.get("event"):
            case "ready" if not self._ready.done() and self._control is not None:
                self.pid = self._control.peer_pid
                self._handle = os.pidfd_open(self.pid)
                self._ready.set_result(None)
            case "started" | "failed" | "connected" if reply is not None and not reply.done():
                reply.set_result((event, fds))
                return
            case "exited" if type(number) is int and (process := self._processes.pop(number, None)) is not None:
                code = event.get("code")
                process.exited.set_result(code if type(code) is int else _KILLED)
        _close_all(fds)  # no request waits for them, or its caller was cancelled


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _error(event: Mapping[str, Any]) -> OSError:
    number = event.get("errno")
    number = number if type(number) is int else errno.EIO
    return OSError(number, os.strerror(number), str(event.get("file") or "") or None)


def _end_strays(tmp: str) -> None:
    """End the processes of a session without a sandbox whose agent was killed; they have the session's TMPDIR."""
    strays = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TMPDIR") == tmp:
                process.kill()
                strays.append(process)
    psutil.wait_procs(strays, _STRAYS_SECONDS)
