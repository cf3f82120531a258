"""The server: one runtime behind one listening socket, from start-up until all of it is gone."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import uvicorn
from attrs import define, evolve, frozen
from starlette.applications import Starlette

from .api.app import build_app
from .api.dashboard.pages import dashboard_url
from .api.hosts import Hosts
from .api.localhost_names import localhost_addresses
from .api.open_requests import OpenRequests
from .api.proxy_websocket import MESSAGE_LIMIT
from .desktop.desktop import ScreenSize
from .errors import CannotStart
from .limits import Limits
from .options import Options, sizes
from .planner import load
from .report import Report
from .sessions.runtime import Runtime

GRACE = 2
"""Seconds that requests under way have to end when the server stops (links are cut at once)."""

IDLE_CONNECTION = 75
"""Seconds a connection without requests is kept, longer than clients usually keep theirs."""


@frozen
class Listening:
    """A server that accepts connections."""

    url: str
    dashboard_url: str
    """An address at which one browser is let in to the dashboard."""
    report: Report


async def serve(
    options: Options,
    ready: Callable[[Listening], None],
    *,
    lifeline: int | None = None,
    outlives_parent: bool = False,
) -> None:
    """Serve a runtime until SIGINT or SIGTERM, then release all its sessions; ``ready`` is called when it listens.

    A second signal does not wait for requests under way, a third one ends the process at once. With a
    ``lifeline``, a file descriptor, its end of file counts as such a signal, and so does the end of the parent process
    unless the runtime ``outlives_parent``.
    Raises `CannotStart` if the address cannot be used or the runtime cannot start.
    """
    stop = _Stop()
    limits = Limits() if options.idle_timeout is None else Limits(idle=options.idle_timeout)
    runtime = Runtime(
        data_dir=options.data_dir,
        isolation=options.isolation,
        network=options.network,
        limits=limits,
        allow_none=options.allow_none,
        warm=options.warm,
        screen=ScreenSize(*sizes(options.screen)),
        planner=None if options.planner is None else load(options.planner, options.planner_path),
    )
    with stop.on_signals(lifeline, outlives_parent), bind(options.host, options.port) as listener, ExitStack() as stack:
        # Meanwhile the runtime starts. A resolver that asks a name server takes its time.
        asked = asyncio.ensure_future(asyncio.to_thread(localhost_addresses))
        try:
            await runtime.__aenter__()
        except OSError as error:
            raise CannotStart(f"the runtime cannot start: {error}") from error
        try:
            addresses = await asked
            others = stack.enter_context(also_at(addresses, listener)) if addresses else []
            hosts = Hosts(options.host, options.public_url, frozenset() if others is None else addresses)
            links, note = hosts.link_form(str(urlsplit(url_of(listener)).hostname))
            if others is None:
                links, note = "path", "by path, since another program has this port on another address of localhost"
            app = build_app(runtime, options.api_key, hosts)
            url = url_of(listener)
            dashboard = dashboard_url(url, app.state.dashboard.access.new_code())
            listening = Listening(url, dashboard, evolve(runtime.report, links=links, links_note=note))
            server = _Server(runtime, app, lambda: ready(listening))
            stop.attach(server)
            await server.serve(sockets=[listener, *(others or [])])
        finally:
            await runtime.__aexit__(None, None, None)


class _Server(uvicorn.Server):
    """Uvicorn that calls ``ready``, leaves signals alone, and ends sessions before it waits for their calls."""

    def __init__(self, runtime: Runtime, app: Starlette, ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="websockets-sansio",
                lifespan="off",
                log_config=None,
                access_log=False,
                # A client must not change its address here by the header X-Forwarded-For.
                proxy_headers=False,
                # Answers of programs behind links have their own.
                server_header=False,
                date_header=False,
                ws_max_size=MESSAGE_LIMIT,
                # Clients that read only on demand do not answer pings; TCP keep-alive finds the dead ones.
                ws_ping_interval=None,
                # Compression costs more than it saves between two programs of one machine.
                ws_per_message_deflate=False,
                timeout_keep_alive=IDLE_CONNECTION,
                timeout_graceful_shutdown=GRACE,
                # The protocol puts whole documents into the query, browserOption for one.
                h11_max_incomplete_event_size=1 << 20,
            )
        )
        # The application answers for its errors and logs them itself, with the request id.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._runtime = runtime
        self._requests: OpenRequests = app.state.requests
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `_Stop`: uvicorn would raise them again at the end, and the exit code would not be 0."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._requests.cancel()
        self._runtime.begin_to_stop()
        await super().shutdown(sockets)


@define
class _Stop:
    """The requests to stop: how many there were, and the server to stop."""

    times: int = 0
    server: uvicorn.Server | None = None

    def attach(self, server: uvicorn.Server) -> None:
        """Set the server, and stop it at once if a request to stop came before."""
        self.server = server
        server.should_exit = self.times > 0

    def ask(self) -> None:
        """Stop; a second request does not wait, and after it a signal ends the process."""
        self.times += 1
        if self.server is not None:
            self.server.should_exit = True
            self.server.force_exit = self.times > 1
        if self.times == 2:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)

    @contextmanager
    def on_signals(self, lifeline: int | None, outlives_parent: bool) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM, and when the lifeline or the parent process ends."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.ask)
        if lifeline is not None:
            loop.add_reader(lifeline, self._read, lifeline)
        if lifeline is not None and not outlives_parent:
            # A fork of the parent would hold the lifeline open; the pidfd is of the parent alone.
            with suppress(OSError):
                parent = os.pidfd_open(os.getppid())
                loop.add_reader(parent, self._read_end, parent)
        yield

    def _read(self, lifeline: int) -> None:
        if not os.read(lifeline, 4096):
            self._read_end(lifeline)

    def _read_end(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        self.ask()


@contextmanager
def bind(host: str, port: int) -> Iterator[socket.socket]:
    """Return a listening socket; raise `CannotStart` if the address cannot be used."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address, family=family, backlog=1024)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise CannotStart(f"cannot listen on {host} port {port}: {why}; choose another address or port") from error
    with listener:
        listener.setblocking(False)
        # Inherited by every connection: head and body of an answer are two writes, and the second would wait 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Inherited as well: a client whose machine has vanished is noticed within a minute, and its code stopped.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3)):
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
        yield listener


@contextmanager
def also_at(addresses: frozenset[str], listener: socket.socket) -> Iterator[list[socket.socket] | None]:
    """Return sockets that listen at the port of ``listener`` on the other addresses; None if one of them is taken.

    Names below ``localhost`` may lead to several addresses. What listens at another one receives the requests of links,
    and with them their tokens, so it must not be the program of another user. An address that the machine does not have
    (``::1`` without IPv6) leads nowhere.
    """
    own, port = listener.getsockname()[:2]
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        is_taken = False
        for address in sorted(addresses - {own}) if own in addresses else []:
            try:
                sockets.append(stack.enter_context(bind(address, port)))
            except CannotStart as error:
                if getattr(error.__cause__, "errno", None) not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    is_taken = True
        yield None if is_taken else sockets


def url_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket; one that listens on all addresses is reached on loopback."""
    host, port = str(listener.getsockname()[0]), listener.getsockname()[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
