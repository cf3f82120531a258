"""Pasta: outgoing traffic for a session's own network namespace, without privileges inside.

The session gets an interface like the machine's and can reach what the machine can reach, except the machine's own
loopback: no port is forwarded into or out of the namespace, and the gateway's address is not the machine's.
"""

from __future__ import annotations

import asyncio
import fcntl
import ipaddress
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

from attrs import frozen

_READY_SECONDS = 10.0
_NS_GET_USERNS = 0xB701
_CLOSED = ("--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none", "--no-map-gw")
_TUN = Path("/dev/net/tun")
_RESOLV_CONFS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")


class NetworkFailed(Exception):
    """A session's network could not be connected."""


@frozen
class Pasta:
    """The program, and setpriv, which makes the kernel end it with the runtime."""

    path: str
    setpriv: str

    @classmethod
    def find(cls) -> Self | None:
        """Return it if both are installed."""
        path, setpriv = shutil.which("pasta"), shutil.which("setpriv")
        return cls(path, setpriv) if path and setpriv else None

    async def attach(self, pid: int) -> subprocess.Popen[bytes]:
        """Connect the network namespace of a process; return the program, which is killed to disconnect it.

        Raises ``NetworkFailed``.
        """
        ready, writer = os.pipe()
        fds = [writer]
        try:
            fds += _namespaces(pid)
            program = subprocess.Popen(
                self._command(*fds),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=fds,
                start_new_session=True,
            )
        except OSError as error:
            os.close(ready)
            raise NetworkFailed(str(error)) from error
        finally:
            for fd in fds:
                os.close(fd)
        try:
            is_ready = await _readable(ready)
        except BaseException:
            end(program)
            raise
        finally:
            os.close(ready)
        if not is_ready:
            program.send_signal(signal.SIGKILL)
            _, output = program.communicate()
            # Lines before the last one may be about a missing syslog.
            why = output.decode(errors="replace").strip().splitlines()[-1:]
            raise NetworkFailed(": ".join(["pasta did not start", *why, *_what_to_do()]))
        if program.stderr is not None:
            program.stderr.close()
        return program

    def _command(self, ready: int, network: int, user: int | None = None) -> list[str]:
        # The file for its process id is written when everything is set up, which a pipe turns into an event.
        command = [self.setpriv, "--pdeathsig", "KILL", self.path, "--foreground", "--quiet", "--config-net", *_CLOSED]
        command += ["--pid", f"/proc/self/fd/{ready}", "--netns", f"/proc/self/fd/{network}"]
        if user is None:
            return [*command, "--netns-only", "--runas", "0:0"]
        return [*command, "--userns", f"/proc/self/fd/{user}"]


def _what_to_do() -> list[str]:
    """Return a remedy if the tunnel device, without which pasta cannot work, is missing or closed to this user."""
    if not _TUN.exists():
        return [f"there is no {_TUN}; as root run `modprobe tun`, or use --network host"]
    if not os.access(_TUN, os.R_OK | os.W_OK):
        return [f"this user may not open {_TUN}; as root run `chmod a+rw {_TUN}`, or use --network host"]
    return []


def end(program: subprocess.Popen[bytes]) -> None:
    """End a program that :meth:`Pasta.attach` has started."""
    program.kill()
    program.wait()
    if program.stderr is not None:
        program.stderr.close()


def _namespaces(pid: int) -> list[int]:
    """Return descriptors of a process' network namespace and, for an ordinary user, of the user namespace it is in.

    Pasta drops the right to look into other processes first, so it gets descriptors rather than a process id.
    """
    network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if os.getuid() == 0:
        return [network]
    # Not the process' own one: bubblewrap nests another in it.
    try:
        return [network, fcntl.ioctl(network, _NS_GET_USERNS)]
    except OSError:
        os.close(network)
        raise


async def _readable(fd: int) -> bool:
    """Wait for a byte; return False for the end of file or a timeout."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        async with asyncio.timeout(_READY_SECONDS):
            await ready.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(fd)
    return bool(os.read(fd, 1))


def resolv_conf() -> str:
    """Return the machine's name servers as a session can reach them: those on its own loopback it cannot."""
    for path in map(Path, _RESOLV_CONFS):
        if not path.is_file():
            continue
        lines = [line for line in path.read_text(errors="replace").splitlines() if line.startswith("nameserver")]
        if reachable := [line for line in lines if not _is_loopback(line.split()[1:2])]:
            return "\n".join(reachable) + "\n"
    return "# The machine's name servers are on its own loopback.\n"


def _is_loopback(address: list[str]) -> bool:
    try:
        return not address or ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
    except ValueError:
        return True
