"""The agent: the program inside a session that starts processes and makes connections for the runtime.

It is run as ``python -I -S agent.py CONFIG`` and uses the standard library only. In a sandbox it is process 1 of its
own process namespace: nothing inside can kill it, orphans become its children, and when it ends the kernel ends all
other processes. Without a sandbox (``"plain"``) it is a child subreaper, and kills its descendants when it ends;
a program can evade that on purpose.

Its control socket is an inherited stream socket: JSON objects, each behind its length as four bytes, with file
descriptors as ancillary data. The socket is also what ties the session to the runtime: no program of the session
inherits it, so it reaches end of file exactly when the runtime closes it or ends, for whatever reason. Then the agent
exits, and with process 1 the whole session. Requests are served in the order in which they are sent, so a ``signal``
that follows a ``spawn`` always finds the process.

    runtime -> agent                                agent -> runtime
    {op: spawn, id, argv, env, cwd, fds: 3 or 4}    {event: started, id, pid} or {event: failed, id, errno, file},
                                                    {event: exited, id, code} when it has ended
    {op: signal, id, signal, group}
    {op: end_tree, id, mark}
    {op: connect, id, port}                         {event: connected, id} with the socket, or {event: failed, ...}
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import select
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time

TYPE_CHECKING = False  # typing is slow to import, and a session starts with this program
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HEADER = struct.Struct(">I")
EXTRA_FD = 3
"""Number under which a program finds its fourth descriptor."""

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
_CONNECT_ATTEMPTS = 3
_OOM_SCORE = 500
_LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


def main() -> None:
    """Confine this process, send the ready event, then serve until the runtime closes the control socket."""
    config = json.loads(sys.argv[1])
    # Duplicated to a number that programs do not expect.
    control = socket.socket(fileno=fcntl.fcntl(config["control"], fcntl.F_DUPFD_CLOEXEC, EXTRA_FD + 1))
    os.close(config["control"])
    _reserve_extra_fd()
    plain = bool(config["plain"])
    confine(config["limits"], uid=config["uid"], plain=plain)
    Agent(control, plain=plain).serve()


def confine(limits: dict[str, int], *, uid: int | None, plain: bool) -> None:
    """Set the limits every process of the session inherits, and give up all privileges for good."""
    os.umask(0o022)
    _be_killed_first()
    # Python's own handler would end the agent on a SIGINT from inside. Programs would inherit an ignored signal, and
    # nohup or a shell's background job ignores some; Popen resets those that Python itself ignores.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    for name, value in limits.items():
        _limit(getattr(resource, f"RLIMIT_{name.upper()}"), value)
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        _verify_unprivileged(uid)
    libc = ctypes.CDLL(None, use_errno=True)
    if plain:
        _prctl(libc, _PR_SET_CHILD_SUBREAPER, 1)
        return
    _drop_capabilities(libc)
    _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1)
    # Changing the user has cleared it; and not dumpable means that no program of the session can trace the agent.
    _prctl(libc, _PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(libc, _PR_SET_DUMPABLE, 0)


def _be_killed_first() -> None:
    """When the machine's memory is full, let the kernel end programs of sessions before the runtime and others.

    Programs inherit the value. Where /proc is read-only, or the value is higher already, the session works without it.
    """
    with contextlib.suppress(OSError):
        file = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
        try:
            if int(os.read(file, 16)) < _OOM_SCORE:
                os.write(file, b"%d" % _OOM_SCORE)
        finally:
            os.close(file)


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def _verify_unprivileged(uid: int) -> None:
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (uid, uid, uid) or os.getgroups():
        raise SystemExit("agent: the user was not changed")
    try:
        os.setuid(0)
    except PermissionError:
        return
    raise SystemExit("agent: the change of user can be undone")


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Drop what the change of user leaves: the inheritable set."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    if libc.capset(header, bytes(24)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"capset: {os.strerror(number)}")


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


class Agent:
    """Serves the runtime's requests, one after another, and reports processes that end."""

    def __init__(self, control: socket.socket, *, plain: bool) -> None:
        self._control = control
        self._plain = plain
        self._received = bytearray()
        self._fds: list[int] = []
        self._ids: dict[int, int] = {}  # pid -> the runtime's number
        self._pids: dict[int, int] = {}
        self._selector = selectors.DefaultSelector()
        self._wakeup = self._watch_children()
        self._selector.register(control, selectors.EVENT_READ, self._on_control)

    def serve(self) -> None:
        """Serve until the control socket reaches its end; never returns."""
        self._send({"event": "ready", "pid": os.getpid(), "uid": os.getuid()})
        while True:
            for key, _ in self._selector.select():
                handler: Callable[[], None] = key.data
                handler()

    def _watch_children(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        signal.set_wakeup_fd(theirs.detach(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(ours, selectors.EVENT_READ, self._reap)
        return ours

    # --- the control socket ---

    def _send(self, event: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        body = json.dumps({**event, "fds": len(fds)}).encode()
        try:
            socket.send_fds(self._control, [HEADER.pack(len(body)) + body], fds)
        except OSError:
            self._exit()

    def _on_control(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._control, 1 << 18, 16, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            data, fds = b"", []
        if not data:
            self._exit()
        self._received += data
        self._fds += fds
        while len(self._received) >= HEADER.size:
            (size,) = HEADER.unpack_from(self._received)
            end = HEADER.size + size
            if len(self._received) < end:
                return
            request = json.loads(bytes(self._received[HEADER.size : end]))
            del self._received[:end]
            self._serve_one(request)

    def _serve_one(self, request: dict[str, Any]) -> None:
        match request["op"]:
            case "spawn":
                fds, self._fds = self._fds[: request["fds"]], self._fds[request["fds"] :]
                self._spawn(request, fds)
            case "signal":
                self._signal(request["id"], request["signal"], group=request["group"])
            case "end_tree":
                self._end_tree(request["id"], os.fsencode(request["mark"]))
            case "connect":
                self._connect(request["id"], request["port"], list(_LOOPBACK))

    def _exit(self) -> None:
        if self._plain:
            end_descendants()
        os._exit(0)

    # --- processes ---

    def _spawn(self, request: dict[str, Any], fds: list[int]) -> None:
        number = request["id"]
        try:
            if len(fds) > 3:
                os.dup2(fds[3], EXTRA_FD, inheritable=True)
            # All descriptors of the agent close on exec, so nothing has to be closed one by one.
            program = subprocess.Popen(
                request["argv"],
                stdin=fds[0],
                stdout=fds[1],
                stderr=fds[2],
                cwd=request["cwd"],
                env=request["env"],
                close_fds=False,
                start_new_session=True,
            )
        except OSError as error:
            self._fail(number, error)
            return
        finally:
            for fd in fds:
                os.close(fd)
            if len(fds) > 3:
                _reserve_extra_fd()
        program.returncode = 0  # children are waited for in _reap; this keeps Popen from trying to
        self._ids[program.pid] = number
        self._pids[number] = program.pid
        self._send({"event": "started", "id": number, "pid": program.pid})

    def _fail(self, number: int, error: OSError) -> None:
        self._send(
            {"event": "failed", "id": number, "errno": error.errno or errno.EIO, "file": str(error.filename or "")}
        )

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wakeup.recv(4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = self._ids.pop(pid, None)
            if number is not None:
                del self._pids[number]
                self._send({"event": "exited", "id": number, "code": os.waitstatus_to_exitcode(status)})

    def _signal(self, number: int, signum: int, *, group: bool) -> None:
        pid = self._pids.get(number)
        if pid is None:
            return  # it has ended and may have been reaped, so the pid may belong to another process
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if group:
                os.killpg(pid, signum)
            else:
                os.kill(pid, signum)

    def _end_tree(self, number: int, mark: bytes) -> None:
        """Kill a program with everything it has started.

        A process belongs to it as a descendant, by its process group or session, or by a variable of its environment
        that all programs inherit: one that has made a session of its own and lost its parent is found by that alone.
        They are stopped first, until a search finds no others, so that none of them starts another meanwhile.
        """
        pid = self._pids.get(number)
        if pid is None:
            return
        stopped: set[int] = set()
        while new := _tree(pid, mark) - stopped:
            for one in new:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(one, signal.SIGSTOP)
            stopped |= new
        _kill(stopped)

    # --- connections ---

    def _connect(self, number: int, port: int, addresses: list[tuple[socket.AddressFamily, str]]) -> None:
        family, host = addresses.pop(0)
        try:
            link = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # no IPv6 here, or no descriptors left
            self._fail(number, error)
            return
        link.setblocking(False)
        # With a full backlog a connection waits: some seconds, not minutes.
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, _CONNECT_ATTEMPTS)

        def answer(code: int) -> None:
            with link:
                if code == 0:
                    self._send({"event": "connected", "id": number}, (link.fileno(),))
                elif addresses:
                    self._connect(number, port, addresses)
                else:
                    self._fail(number, OSError(code, os.strerror(code)))

        def settled() -> None:
            self._selector.unregister(link)
            answer(link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

        code = link.connect_ex((host, port))
        if code == errno.EINPROGRESS:
            self._selector.register(link, selectors.EVENT_WRITE, settled)
        else:
            answer(code)


def _reserve_extra_fd() -> None:
    """Keep the number of a program's fourth descriptor occupied, so that no descriptor of the agent gets it."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != EXTRA_FD:
        os.dup2(null, EXTRA_FD, inheritable=False)
        os.close(null)


def end_descendants() -> None:
    """Kill and reap until there is no child left; orphans become children, so they are killed as well."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    while True:
        for pid in _descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _kill(pids: set[int]) -> None:
    """Kill processes, and return when they are dead.

    A killed process lives on until it gets the processor: on a loaded machine the end of the program could be reported,
    and the next command find the others. One that has much memory to free is waited for a second at most, since the
    agent does nothing else meanwhile.
    """
    dying = select.poll()
    files = []
    for pid in pids:
        with contextlib.suppress(OSError):  # it is dead already, may not be killed, or there are no more descriptors
            os.kill(pid, signal.SIGKILL)
            files.append(os.pidfd_open(pid))
            dying.register(files[-1], select.POLLIN)
    left, end = len(files), time.monotonic() + 1
    while left and (ended := dying.poll(max(0, end - time.monotonic()) * 1000)):
        for file, _ in ended:
            dying.unregister(file)
        left -= len(ended)
    for file in files:
        os.close(file)


def _tree(root: int, mark: bytes) -> set[int]:
    """Return the processes that belong to a program that was started in a session of its own, itself included."""
    found = {root, *_descendants(root)}
    own = os.getpid()
    for pid, (_, group, session) in _processes().items():
        if pid != own and pid not in found and (root in (group, session) or _is_marked(pid, mark)):
            found |= {pid, *_descendants(pid)}
    return found


def _is_marked(pid: int, mark: bytes) -> bool:
    with contextlib.suppress(OSError):
        return mark in _contents(pid, "environ").split(b"\0")
    return False


def _descendants(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for pid, (parent, _, _) in _processes().items():
        parents.setdefault(parent, []).append(pid)
    found: list[int] = []
    waiting = [root]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _processes() -> dict[int, tuple[int, int, int]]:
    """Return the parent, the process group and the session of each process."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                fields = _contents(int(name), "stat").rpartition(b")")[2].split()
                found[int(name)] = (int(fields[1]), int(fields[2]), int(fields[3]))
    return found


def _contents(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


if __name__ == "__main__":
    main()
