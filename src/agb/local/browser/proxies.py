"""The proxy of a browser: read from its options, and the forwarding program for one that wants a user name.

Chromium takes no credentials on its command line, and none at all for SOCKS5. It asks for those of an HTTP proxy by a
dialog, or a DevTools client that intercepts every request and answers. Such a client slows all traffic down, and does
not see the requests that the browser makes by itself. So the browser is given a proxy on the session's loopback that
adds the credentials (``inside/browser_proxy``). They are passed to that program through a socket: no command line,
environment or file holds them.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from ..sandbox.capture import Capture
from ..sandbox.sandbox import Process, Sandbox
from ..validation import refuse, shown

_PORTS: Final = {"http": 80, "https": 443, "socks4": 1080, "socks5": 1080}
_SCHEMES: Final = {**{scheme: scheme for scheme in _PORTS}, "socks": "socks5", "socks5h": "socks5"}
_START_SECONDS: Final = 20.0
_SOCKS_LONGEST: Final = 255
_LONGEST_ANSWER: Final = 64


class ForwarderFailed(Exception):
    """The forwarding program did not start."""


@frozen
class ProxyServer:
    """A proxy, and the credentials that it wants."""

    scheme: str
    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)

    @property
    def address(self) -> str:
        """Scheme, host and port, as Chromium takes them."""
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def read_proxy(server: str, username: str, password: str, *, what: str) -> ProxyServer:
    """Return the proxy of a custom configuration. Raises ``Refused``; no message has a password."""
    text = server if "://" in server else f"http://{server}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        refuse(f"{what}.server is no address: host:port was expected, such as proxy.example.com:8080")
    if (scheme := _SCHEMES.get(parts.scheme)) is None:
        refuse(f"{what}.server: there are no {shown(parts.scheme)} proxies, but {', '.join(_PORTS)}")
    if not host or parts.path not in ("", "/") or parts.query or parts.fragment or any(c in " ,;" for c in host):
        refuse(f"{what}.server is no address: host:port was expected, such as proxy.example.com:8080")
    proxy = ProxyServer(
        scheme,
        host,
        port or _PORTS[scheme],
        username or unquote(parts.username or ""),
        password or unquote(parts.password or ""),
    )
    _check_credentials(proxy, what)
    return proxy


def _check_credentials(proxy: ProxyServer, what: str) -> None:
    username, password = proxy.username.encode(), proxy.password.encode()
    if password and not username:
        refuse(f"{what} has a password but no username")
    if username and proxy.scheme == "socks4":
        refuse(f"{what}: the protocol SOCKS4 has no password; give a socks5:// server")
    if proxy.scheme == "socks5" and max(len(username), len(password)) > _SOCKS_LONGEST:
        refuse(f"{what}: username and password have at most {_SOCKS_LONGEST} bytes each in SOCKS5")
    if b":" in username and proxy.scheme != "socks5":
        refuse(f"{what}.username must not have a colon: HTTP separates it from the password by one")


class Forwarder:
    """The program in a session that passes a browser's traffic to a proxy and adds the credentials.

    :meth:`start` starts it; it lives until :meth:`close`, or the session's end.
    """

    def __init__(
        self, address: str, process: Process, outputs: tuple[Capture, Capture], control: socket.socket
    ) -> None:
        self.address = address
        """What the browser uses as its proxy."""
        self._process = process
        self._outputs = outputs
        self._control = control

    @classmethod
    async def start(cls, sandbox: Sandbox, proxy: ProxyServer) -> Self:
        """Start it and return once it listens. Raises ``ForwarderFailed`` and ``SandboxGone``."""
        outputs = (Capture(0, owner=sandbox.user), Capture(1 << 14, owner=sandbox.user))
        control, theirs = socket.socketpair()
        control.setblocking(False)
        process = None
        try:
            with theirs:
                process = await sandbox.spawn(
                    sandbox.helper("browser_proxy"), stdout=outputs[0], stderr=outputs[1], extra_fd=theirs.fileno()
                )
            port = await _configure(control, proxy)
        except BaseException as error:
            control.close()
            if process is not None:
                await process.signal(9)
                await process.wait()
            outputs[1].drain()
            why = outputs[1].text().strip().splitlines()[-1:] or [str(error)]
            for output in outputs:
                output.close()
            if isinstance(error, (OSError, ValueError)):
                raise ForwarderFailed(
                    f"the program that passes traffic to the proxy did not start: {why[0]}"
                ) from error
            raise
        # A SOCKS proxy is spoken to by SOCKS, which names the target once and then carries any bytes.
        scheme = "socks5" if proxy.scheme == "socks5" else "http"
        return cls(f"{scheme}://127.0.0.1:{port}", process, outputs, control)

    async def close(self) -> None:
        """End it. May be called twice."""
        self._control.close()
        if not self._process.exited.done():
            await self._process.signal(9)
            await self._process.wait()
        for output in self._outputs:
            output.close()


async def _configure(control: socket.socket, proxy: ProxyServer) -> int:
    """Send the program what it needs and return the port at which it listens. Raises ``OSError`` and ``ValueError``."""
    loop = asyncio.get_running_loop()
    config = {
        "scheme": proxy.scheme,
        "host": proxy.host,
        "port": proxy.port,
        "username": proxy.username,
        "password": proxy.password,
    }
    async with asyncio.timeout(_START_SECONDS):
        await loop.sock_sendall(control, json.dumps(config).encode() + b"\n")
        line = b""
        while not line.endswith(b"\n") and len(line) <= _LONGEST_ANSWER:
            if not (data := await loop.sock_recv(control, _LONGEST_ANSWER)):
                raise ConnectionResetError("it ended")
            line += data
    # It runs as the session's user, whose other programs can do anything to it.
    if not 0 < (port := int(line)) < 1 << 16:
        raise ValueError(f"{port} is no port")
    return port
