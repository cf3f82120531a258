"""A sandbox: one agent, isolated or not, and the processes and connections it makes for us."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from attrs import frozen

from .. import inside
from ..limits import Limits
from . import pasta
from .bubblewrap import RUN, SOCKETS, Bubblewrap
from .capture import Capture
from .control_socket import Channel
from .directories import HOME, TMP, Directories
from .pasta import NetworkFailed, Pasta

_START_SECONDS = 20.0
_REPLY_SECONDS = 15.0
_END_SECONDS = 5.0
_STRAYS_SECONDS = 1.0
"""For processes that were killed and are nobody's children here; whoever adopted them may be slow to take note."""
_LEFTOVERS = 64
"""Pipes of background programs that go on being read; beyond it the oldest is closed."""
_INSIDE = Path(inside.__file__).parent
"""Where the programs that run inside sessions are on the machine."""
_PROGRAMS = (
    "agent.py",
    "file_helper.py",
    "file_watch.py",
    "mount_helper.py",
    "python_driver.py",
    "node_driver.js",
    "java_driver.java",
    "r_driver.R",
)
_KILLED = -int(signal.SIGKILL)


class SandboxGone(Exception):  # noqa: N818 - says what happened
    """The sandbox ended, by itself or because it was closed."""


class StartFailed(Exception):  # noqa: N818 - says what happened
    """A sandbox could not be started."""


@frozen(kw_only=True)
class Isolation:
    """How the sandboxes of a runtime are made; ``bubblewrap`` is None for programs without a sandbox."""

    bubblewrap: Bubblewrap | None
    path: tuple[str, ...]
    """Directories in which programs are found."""
    pasta: Pasta | None = None
    """What connects sessions to the network, if anything does."""

    def program(self, name: str) -> str:
        """Return where one of the runtime's own programs is, seen from inside."""
        return str((RUN if self.bubblewrap else _INSIDE) / name)

    def why_no_mount(self, place: Path) -> str:
        """Return why nothing can be mounted at a place inside; "" if it can."""
        if self.bubblewrap is not None:
            return self.bubblewrap.why_no_mount(place)
        if place.is_relative_to(HOME) or (place.is_relative_to(TMP) and place != TMP):
            return ""
        return (
            f"this runtime does not isolate sessions, so there are only {HOME} and {TMP}, "
            "which stand for the session's HOME and TMPDIR"
        )

    def agent(self, directories: Directories, control: int, limits: Limits, user: int | None) -> list[str]:
        """Return the command line of a session's agent."""
        plain = self.bubblewrap is None
        config = {"control": control, "plain": plain, "uid": user, "limits": _resource_limits(limits, plain=plain)}
        interpreter = os.path.realpath(sys.executable)
        command = [interpreter, "-I", "-S", self.program("agent.py"), json.dumps(config)]
        if self.bubblewrap is None:
            return command
        return self.bubblewrap.command(directories, user=os.getuid() if user is None else user, program=command)


def own_programs() -> tuple[Path, ...]:
    """Return the programs of ours that sandboxes must see."""
    return tuple(_INSIDE / name for name in _PROGRAMS)


def _resource_limits(limits: Limits, *, plain: bool) -> dict[str, int]:
    binding = {"core": 0, "fsize": limits.file_size, "data": limits.memory, "nofile": limits.open_files}
    # Before Linux 5.14 an ordinary user's processes are counted all together, not per namespace.
    if not plain and (os.getuid() == 0 or _kernel() >= (5, 14)):
        binding["nproc"] = limits.processes
    return binding


@functools.cache
def _kernel() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(itertools.takewhile(str.isdigit, minor)))


class Process:
    """A program started in a sandbox. ``exited`` gives its exit code, negative for the signal that ended it."""

    def __init__(self, number: int, sandbox: Sandbox) -> None:
        self.pid = 0
        """Its number as the session sees it."""
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._number = number
        self._sandbox = sandbox

    async def wait(self) -> int:
        """Return its exit code once it has ended."""
        # Whoever stops waiting must not take the answer from the others.
        return await asyncio.shield(self.exited)

    async def signal(self, signum: int, *, group: bool = True) -> None:
        """Send a signal to its process group, or to it alone; nothing happens when it has ended."""
        if not self.exited.done():
            await self._sandbox.send({"op": "signal", "id": self._number, "signal": signum, "group": group})


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
        self.pid = 0
        """The agent's process id on the machine."""
        self.user = user
        self.directories = directories
        self.limits = limits
        self.ended = asyncio.Event()
        """Set when everything in it is gone."""
        self._isolation = isolation
        self._on_end = on_end
        self._numbers = itertools.count(1)
        self._processes: dict[int, Process] = {}
        self._replies: dict[int, asyncio.Future[tuple[dict[str, Any], list[int]]]] = {}
        self._leftovers: list[Capture] = []
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._diagnostics = Capture(1 << 16)
        self._program: subprocess.Popen[bytes] | None = None
        self._network: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._handle: int | None = None
        self._is_closed = False

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
        """Return where a mount is, seen from inside: a directory that is the runtime's own, and the way from there."""
        top, way = self.directories.on_machine(Path(place))
        if self.is_isolated:
            top = Path(place).parents[len(way.parts) - 1] if way.parts else Path(place)
        return str(top), way.parts

    def program(self, name: str) -> str:
        """Return where one of the runtime's own programs is, seen from inside."""
        return self._isolation.program(name)

    @functools.cached_property
    def environment(self) -> dict[str, str]:
        """The environment every program of the session starts from; nothing of the runtime's own is in it."""
        tmp = str(TMP if self.is_isolated else self.directories.tmp)
        return {
            "HOME": self.home,
            "LANG": "C.UTF-8",
            "LOGNAME": "user",
            "PATH": os.pathsep.join(self._isolation.path),
            "SHELL": "/bin/bash",
            "TERM": "dumb",
            "TMPDIR": tmp,
            "USER": "user",
        }

    # --- life ---

    async def open(self) -> None:
        """Start the agent and return once it is ready. Raises ``StartFailed`` or ``NetworkFailed``."""
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours, self._on_event, self._on_hangup)
        with theirs:
            command = self._isolation.agent(self.directories, theirs.fileno(), self.limits, self.user)
            try:
                self._program = subprocess.Popen(  # noqa: S603
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

    async def close(self) -> None:
        """End everything in the sandbox and return when it is gone. May be called twice."""
        self._hang_up()
        if self._network is not None:
            network, self._network = self._network, None
            await asyncio.to_thread(pasta.end, network)
        if self._program is not None:
            await self._end_program(self._program)
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        self._diagnostics.close()

    async def _end_program(self, program: subprocess.Popen[bytes]) -> None:
        """Wait for the end that the hang-up brings.

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
        if not self.is_isolated and program.returncode != 0:
            await asyncio.to_thread(_end_strays, self.environment["TMPDIR"])

    def _hang_up(self) -> None:
        self._is_closed = True
        if self._channel is not None:
            self._channel.close()
        if not self._ready.done():
            self._ready.set_exception(SandboxGone("the session's agent ended"))
            self._ready.exception()  # whoever waits gets it; nobody may be waiting
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
            self._on_hangup()

        loop.add_reader(handle, ended)

    def _on_hangup(self) -> None:
        if self._is_closed:
            return
        self._hang_up()
        self._on_end()

    # --- what it does ---

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | None = None,
        stdout: Capture,
        stderr: Capture,
        channel: int | None = None,
    ) -> Process:
        """Start a program in a process group of its own; return once it runs.

        ``env`` extends the environment of the session. ``channel`` is a descriptor the program finds as number 3.
        Raises ``OSError`` when it cannot be started (its ``filename`` says what was not found) and ``SandboxGone``.
        The writing ends of the captures are closed.
        """
        number = next(self._numbers)
        process = self._processes[number] = Process(number, self)
        request = {
            "op": "spawn",
            "id": number,
            "argv": list(argv),
            "env": {**self.environment, **(env or {})},
            "cwd": cwd or self.home,
        }
        with open(os.devnull, "rb") as null:  # noqa: PTH123 - never waits
            fds = [null.fileno() if stdin is None else stdin, stdout.writer, stderr.writer]
            fds += [channel] if channel is not None else []
            try:
                event, _ = await self._ask({**request, "fds": len(fds)}, fds)
            except BaseException:
                self._processes.pop(number, None)
                # Whoever was cancelled meanwhile will not end it; the agent serves in order, so it exists by then.
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
        """Go on reading a pipe that background programs still hold, until they close it or the sandbox ends."""
        capture.let_go()
        if self._is_closed or not capture.is_open:
            capture.close()
            return
        self._leftovers = [kept for kept in self._leftovers if kept.is_open]
        self._leftovers.append(capture)
        if len(self._leftovers) > _LEFTOVERS:
            self._leftovers.pop(0).close()

    async def send(self, request: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
        """Send the agent a request that has no answer; nothing happens when it is gone."""
        if self._channel is not None:
            with contextlib.suppress(ConnectionError):
                await self._channel.send(request, fds)

    async def _ask(self, request: Mapping[str, Any], fds: Sequence[int] = ()) -> tuple[dict[str, Any], list[int]]:
        if self._is_closed or self._channel is None:
            raise SandboxGone("the session ended")
        reply = self._replies[request["id"]] = asyncio.get_running_loop().create_future()
        try:
            await self._channel.send(request, fds)
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
            case "ready" if not self._ready.done() and self._channel is not None:
                self.pid = self._channel.peer_pid
                self._handle = os.pidfd_open(self.pid)
                self._ready.set_result(None)
            case "started" | "failed" | "connected" if reply is not None and not reply.done():
                reply.set_result((event, fds))
                return
            case "exited" if type(number) is int and (process := self._processes.pop(number, None)) is not None:
                code = event.get("code")
                process.exited.set_result(code if type(code) is int else _KILLED)
        _close_all(fds)  # nobody asked, or whoever asked has gone


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _error(event: Mapping[str, Any]) -> OSError:
    number = event.get("errno")
    number = number if type(number) is int else errno.EIO
    return OSError(number, os.strerror(number), str(event.get("file") or "") or None)


def _end_strays(tmp: str) -> None:
    """End what a session without a sandbox left when its agent was killed, known by the session's own TMPDIR."""
    strays = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TMPDIR") == tmp:
                process.kill()
                strays.append(process)
    psutil.wait_procs(strays, _STRAYS_SECONDS)
