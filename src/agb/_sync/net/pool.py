# Generated from src/agb/_async/net/pool.py by tools/unasync.py. Do not edit.
"""Connections: kept per origin and used again, no more than allowed, first come, first served.

The list of idle connections is a stack, so the one used last is taken first, and taking one costs the same however
many there are. A connection is checked when it is taken, and kept only if its answer was read to the last byte and
nothing came after it.

What is limited is the connection slots (`Connection`). A slot is either idle, or has an owner (`PoolRequest`), so
none is lost. When all slots are taken, requests wait in a queue, and a slot that becomes free is handed to the first of
them, whatever connection is open there.
"""

from __future__ import annotations

import errno
import os
import ssl
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

import httpcore

from ..._wire.deadline import Deadline
from ..._wire.proxy import Proxy, Route, named_by
from ...config import Endpoint
from ...limits import Limits, PoolStats
from .._compat.cancellation import run_to_completion, shielded
from .._compat.primitives import ThreadSafeEvent
from .connection import Answer, Body, Connection, Headers, Incoming
from .tunnel import ProxyRefusal, open_route, refusal

if TYPE_CHECKING:
    from .websocket import WebSocket

IfCancelled = Callable[[Answer], object]
Verify = bool | str | os.PathLike[str] | ssl.SSLContext
"""Which certificates are trusted: those that httpx trusts, any, those of a file or directory, or as a context says."""

_STALE_AT_A_TIME = 4
_ROUTES_KEPT = 1024
_BROKEN = (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)


class PoolTimeout(httpcore.PoolTimeout):
    """There was no connection to be had, by this client's own limits."""


class PoolQueueFull(httpcore.ConnectError):
    """There are as many callers in line as may be."""

    is_busy = True


class PoolRequest:
    """One caller's turn, from asking for a connection to giving it back."""

    __slots__ = ("bell", "connection", "is_long", "route")

    def __init__(self, route: Route, *, is_long: bool = False) -> None:
        self.route = route
        self.is_long = is_long
        self.connection: Connection | None = None
        self.bell: ThreadSafeEvent | None = None


class Pool:
    """Connections to any number of origins, for one event loop."""

    def __init__(self, limits: Limits | None = None, proxy: str | None = None, verify: Verify = True) -> None:
        self._limits = limits or Limits()
        self._most_long = max(1, self._limits.connections * 3 // 4)
        self._looks_around = proxy is None
        """Whether the environment says which proxy."""
        self._proxy = Proxy.parse(proxy) if proxy else None
        self._verify = verify
        self._lock = Lock()  # never held across a wait
        self._places: set[Connection] = set()
        self._idle: OrderedDict[Hashable, deque[Connection]] = OrderedDict()
        """By where they lead; those used last are last."""
        self._line: OrderedDict[PoolRequest, None] = OrderedDict()
        self._long: set[PoolRequest] = set()
        self._long_line: OrderedDict[PoolRequest, None] = OrderedDict()
        self._routes: dict[tuple[str, str, int], Route] = {}
        self._longest_wait = 0.0
        self._is_closed = False
        self.channels: dict[tuple[str, str, str], WebSocket] = {}
        """The WebSockets of sessions, by session id, address and token."""
        self.opened = 0
        """How many connections were opened so far."""

    def __repr__(self) -> str:
        told = self.stats()
        open_now = f"{told.open} of {self._limits.connections} open" + (
            " and the pool closed" if self._is_closed else ""
        )
        name, opened = type(self).__name__, f"{told.opened} connections opened"
        return f"<{name}: {opened}, {open_now}, {told.in_use} in use, {told.waiting} waiting, {told.idle} idle>"

    def stats(self) -> PoolStats:
        """Return how many connections there are, and how many callers wait."""
        with self._lock:
            idle = sum(map(len, self._idle.values()))
            places, waiting = len(self._places), len(self._line) + len(self._long_line)
        return PoolStats(places, idle, places - idle, waiting, self.opened, self._longest_wait)

    # --- requests ------------------------------------------------------------------------------------------------

    def exchange(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: Headers,
        body: bytes | None,
        deadline: Deadline,
        if_cancelled: IfCancelled | None = None,
        on_sent: Callable[[], object] | None = None,
        *,
        repeatable: bool = False,
    ) -> Answer:
        """Send a request and return the answer; errors are httpcore's.

        With ``if_cancelled`` a request that is on its way is not given up when the caller is cancelled: its answer is
        awaited and goes there. ``on_sent`` is called before anything is sent. A request that a kept connection, dead
        by then, took no notice of goes out once more on a new one, if it is ``repeatable`` or was not written.
        """
        turn = PoolRequest(self._route(endpoint))
        target, headers = _forwarded(turn.route, endpoint, target, headers)

        def talk() -> Answer:
            if on_sent is not None:
                on_sent()
            answer = self._talk(turn, method, target, headers, body, deadline, repeatable)
            self._give_back(turn)
            return answer

        try:
            self._take(turn, deadline)
            return run_to_completion(talk, if_cancelled) if if_cancelled is not None else talk()
        except _BROKEN as error:
            self._abandon(turn)
            _tell_proxy(turn.route.proxy, error)
            raise
        except BaseException:
            self._abandon(turn)
            raise

    def _talk(
        self,
        turn: PoolRequest,
        method: str,
        target: str,
        headers: Headers,
        body: bytes | None,
        deadline: Deadline,
        repeatable: bool,
    ) -> Answer:
        """Exchange on a connection, and once more on a new one if it proves to be dead."""
        connection = _held(turn)
        try:
            answer = connection.exchange(method, target, headers, body, deadline)
        except _BROKEN:
            if not connection.is_dead(repeatable):
                raise
            self._reopen(connection, turn.route, deadline)
            answer = connection.exchange(method, target, headers, body, deadline)
        _check_forwarded(turn.route, answer[0])
        return answer

    @contextmanager
    def begin(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: Headers,
        body: Body | None,
        deadline: Deadline,
        *,
        is_long: bool = True,
    ) -> Iterator[Incoming]:
        """Send a request of any size, and give its answer to be received piece by piece; errors as of `exchange`.

        The connection is kept if the answer was received to its end when the block is left. What ``is_long`` does not
        take the last quarter of the connections.
        """
        turn = PoolRequest(self._route(endpoint), is_long=is_long)
        target, headers = _forwarded(turn.route, endpoint, target, headers)
        try:
            self._take(turn, deadline)
            connection = _held(turn)
            try:
                incoming = connection.begin(method, target, headers, body, deadline)
            except _BROKEN:
                if body is not None or not connection.is_dead(method in _SAFE):
                    raise
                self._reopen(connection, turn.route, deadline)
                incoming = connection.begin(method, target, headers, body, deadline)
            _check_forwarded(turn.route, incoming.status)
            yield incoming
            self._give_back(turn)
        except _BROKEN as error:
            self._abandon(turn)
            _tell_proxy(turn.route.proxy, error)
            raise
        except BaseException:
            self._abandon(turn, may_keep=True)
            raise

    def stream(self, is_secure: bool, host: str, port: int, deadline: Deadline) -> httpcore.NetworkStream:
        """Return a stream for a WebSocket; it is its caller's, and not counted."""
        scheme = "https" if is_secure else "http"
        found = self._route_to(scheme, host, port)
        route = Route(scheme, host, port, found.proxy) if found.is_forwarded else found
        return open_route(route, self._tls(route), deadline.phase("connect"))

    # --- taking a connection -------------------------------------------------------------------------------------

    def _take(self, turn: PoolRequest, deadline: Deadline) -> None:
        """Let a turn have a connection that is good."""
        self._ask(turn)
        if turn.connection is None:
            self._wait(turn, deadline.phase("pool"))
        connection = _held(turn)
        if not (connection.key == turn.route.key and connection.is_open and connection.is_good()):
            self._reopen(connection, turn.route, deadline)

    # Whatever is interrupted by Ctrl-C in the middle is made good by `_abandon`, which its turn always comes to. So a
    # place is given to its next owner before it is taken from where it was.

    def _ask(self, turn: PoolRequest) -> None:
        """Give a turn a place if there is one for it now, or let it stand in line; asking again changes nothing."""
        with self._lock:
            if turn.connection is not None or turn in self._line or turn in self._long_line:
                return
            if turn.is_long and turn not in self._long:
                if len(self._long) >= self._most_long:
                    self._stand(turn, self._long_line)
                    return
                self._long.add(turn)
            if self._line:
                self._stand(turn, self._line)
                return
            idle = self._idle.get(turn.route.key)
            if idle:
                self._own(turn, idle[-1])
            elif len(self._places) < self._limits.connections:
                self._own(turn, Connection())
            elif (another := self._longest_idle()) is not None:
                self._own(turn, another)
            else:
                self._stand(turn, self._line)

    def _longest_idle(self) -> Connection | None:
        """Return the connection that nobody used for longest, of the origin that nobody asked for longest."""
        while self._idle:
            key, idle = next(iter(self._idle.items()))
            if idle:
                return idle[0]
            del self._idle[key]
        return None

    def _own(self, turn: PoolRequest, place: Connection) -> None:
        """Give a place to a turn."""
        turn.connection = place
        place.owner = turn
        self._places.add(place)
        self._no_longer_idle(place)

    def _no_longer_idle(self, place: Connection) -> None:
        """Take a place out of the first or the last position of its list."""
        idle = self._idle.get(place.key)
        if not idle:
            return
        if idle[-1] is place:
            idle.pop()
        elif idle[0] is place:
            idle.popleft()
        if not idle:
            del self._idle[place.key]

    def _stand(self, turn: PoolRequest, line: OrderedDict[PoolRequest, None]) -> None:
        waiting = len(self._line) + len(self._long_line)
        if turn.bell is None and waiting >= self._limits.waiting:
            most = self._limits
            raise PoolQueueFull(
                f"{waiting:,} callers wait already for one of {most.connections:,} connections, "
                f"as many as Limits(waiting={most.waiting}) allows"
            )
        turn.bell = turn.bell or ThreadSafeEvent()
        line[turn] = None

    def _wait(self, turn: PoolRequest, deadline: Deadline) -> None:
        """Wait in line until there is a place; a turn that is long waits in two lines, one after the other."""
        began = time.monotonic()
        try:
            while turn.connection is None:
                seconds = deadline.left()
                if seconds <= 0 or turn.bell is None:
                    raise PoolTimeout(self._crowded(turn))
                turn.bell.wait(seconds)
                self._ask(turn)  # a long one has two lines to stand in
            if deadline.left() <= 0:
                raise PoolTimeout(self._crowded(turn))
        finally:
            self._longest_wait = max(self._longest_wait, time.monotonic() - began)

    def _crowded(self, turn: PoolRequest) -> str:
        most, which = self._limits.connections, "connections"
        if turn.is_long and turn not in self._long:
            most, which = self._most_long, "connections that transfers may take"
        return f"waited for one of {most:,} {which}, all of them in use (Limits.connections)"

    def _reopen(self, connection: Connection, route: Route, deadline: Deadline) -> None:
        """Open a new connection in a place."""
        if connection.is_open:
            shielded(connection.close)
        self._drop_stale()
        try:
            stream = open_route(route, self._tls(route), deadline.phase("connect"))
        except httpcore.ConnectError as error:
            if not _is_out_of_files(error):
                raise
            raise httpcore.ConnectError(self._out_of_files()) from error
        connection.open(stream, route.key)
        self.opened += 1

    def _out_of_files(self) -> str:
        return (
            f"this process may open no more files; {len(self._places):,} are connections of this client. "
            "Let it have fewer, by Limits(connections=...), or raise the limit (ulimit -n)"
        )

    def _tls(self, route: Route) -> ssl.SSLContext | None:
        is_needed = route.scheme == "https" or (route.proxy is not None and route.proxy.scheme == "https")
        return tls_context(self._verify) if is_needed else None

    # --- giving it back ------------------------------------------------------------------------------------------

    def _give_back(self, turn: PoolRequest) -> None:
        """Let the first in line have the place, or keep its connection for the next caller if it is good for that."""
        connection = _held(turn)
        if connection.is_open and not connection.is_good():
            shielded(connection.close)
        self._let_go(turn)
        if self._is_closed:
            self._close_idle()

    def _abandon(self, turn: PoolRequest, *, may_keep: bool = False) -> None:
        """Let go of all that a turn holds, whatever became of it; it may hold nothing any more."""
        connection = turn.connection
        try:
            is_open = connection is not None and self._is_owner(turn, connection) and connection.is_open
            if connection is not None and is_open and not (may_keep and connection.is_good()):
                shielded(connection.close)
        finally:
            self._let_go(turn)
            if self._is_closed:
                self._close_idle()

    def _is_owner(self, turn: PoolRequest, place: Connection) -> bool:
        with self._lock:
            if place.owner is turn and place.is_open and place.is_good() and place in self._idle.get(place.key, ()):
                place.owner = None  # it was about to be so
            return place.owner is turn

    def _let_go(self, turn: PoolRequest) -> None:
        with self._lock:
            self._line.pop(turn, None)
            self._long_line.pop(turn, None)
            if turn.is_long:
                self._long.discard(turn)
                self._admit_long()
            place = turn.connection
            if place is not None and place.owner is turn:
                self._pass_on(place)
            if self._line:
                self._admit()

    def _pass_on(self, place: Connection) -> None:
        """Hand a place to the first in line; without one keep its connection, or let the place go if it has none."""
        self._admit()
        if self._line:
            self._hand(place)
        elif place.is_open:
            idle = self._idle.get(place.key)
            if idle is None:
                idle = self._idle[place.key] = deque()
            else:
                self._idle.move_to_end(place.key)
            idle.append(place)
            place.owner = None
        else:
            place.owner = None
            self._places.discard(place)

    def _hand(self, place: Connection) -> None:
        """Give a place to the first in line and wake it."""
        turn = next(iter(self._line))
        self._own(turn, place)
        if turn.bell is not None:
            turn.bell.set()
        del self._line[turn]

    def _admit(self) -> None:
        """Let in as many as there are places for."""
        while self._line:
            turn = next(iter(self._line))
            if turn.connection is not None:  # whoever gave it was interrupted
                if turn.bell is not None:
                    turn.bell.set()
                del self._line[turn]
            elif len(self._places) < self._limits.connections:
                self._hand(Connection())
            else:
                return

    def _admit_long(self) -> None:
        while self._long_line and len(self._long) < self._most_long:
            turn = next(iter(self._long_line))
            self._long.add(turn)
            if turn.bell is not None:
                turn.bell.set()
            del self._long_line[turn]

    def _drop_stale(self) -> None:
        """Close what nobody may ever ask for again: a few of the connections longest not used, if they are dead.

        Called when a connection is opened, which costs so much more that this does not show.
        """
        stale = [PoolRequest(_NOWHERE) for _ in range(_STALE_AT_A_TIME)]
        try:
            with self._lock:
                for turn in stale:
                    idle = self._longest_idle()
                    if idle is None or idle.is_good():
                        break
                    self._own(turn, idle)
        finally:
            for turn in stale:
                if turn.connection is not None:
                    self._abandon(turn)

    def close(self) -> None:
        """Close all idle connections; those in use are closed when their answer is there."""
        with self._lock:
            self._is_closed = True
            channels, self.channels = self.channels, {}
        for channel in channels.values():
            channel.close()
        self._close_idle()

    def _close_idle(self) -> None:
        with self._lock:
            idle = [connection for connections in self._idle.values() for connection in connections]
            self._idle = OrderedDict()
            self._places.difference_update(idle)
        for connection in idle:
            shielded(connection.close)

    # --- routes --------------------------------------------------------------------------------------------------

    def _route(self, endpoint: Endpoint) -> Route:
        return self._routes.get(endpoint.origin) or self._route_to(*endpoint.origin)

    def _route_to(self, scheme: str, host: str, port: int) -> Route:
        """Return how a host is reached; the environment is asked once for each."""
        route = self._routes.get((scheme, host, port))
        if route is None:
            proxy = self._proxy_for(scheme, host, port) if self._looks_around else self._proxy
            is_forwarded = proxy is not None and scheme == "http" and not proxy.is_socks
            route = Route(scheme, host, port, proxy, is_forwarded)
            if len(self._routes) >= _ROUTES_KEPT:
                self._routes.clear()
            self._routes[scheme, host, port] = route
        return route

    def _proxy_for(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Return the proxy that the environment names for a host."""
        url = named_by(getproxies(), scheme)
        if not url or proxy_bypass(host) or proxy_bypass(f"{host}:{port}"):
            return None
        try:
            proxy = Proxy.parse(url, "proxy that the environment names")
            proxy.check()
        except (ValueError, ImportError) as error:
            raise ProxyRefusal(str(error), permanent=True) from error
        return proxy


_NOWHERE = Route("", "", 0)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of requests that may go out twice."""


def _held(turn: PoolRequest) -> Connection:
    assert turn.connection is not None  # noqa: S101 - asked for a turn that has one
    return turn.connection


def _forwarded(route: Route, endpoint: Endpoint, target: str, headers: Headers) -> tuple[str, Headers]:
    """Return target and headers as a proxy wants them that forwards; others see nothing of the requests."""
    if not route.is_forwarded or route.proxy is None:
        return target, headers
    return f"http://{endpoint.netloc}{target}", [*headers, *route.proxy.authorization]


def _check_forwarded(route: Route, status: int) -> None:
    """Raise if it is the proxy that has answered, to say that it does not know us."""
    if status == 407 and route.is_forwarded and route.proxy is not None:
        raise refusal(route.proxy, f"a request to {route.address}", status)


def _tell_proxy(proxy: Proxy | None, error: Exception) -> None:
    """Raise an error of the network as one that names the proxy by way of which it came, if there is one."""
    if proxy is not None:
        raise type(error)(f"{error} (by way of the proxy {proxy})") from error


def _is_out_of_files(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in _OUT_OF_FILES:
            return True
        error = error.__cause__ or error.__context__
    return False


_OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE})


def tls_context(verify: Verify = True) -> ssl.SSLContext:
    """Return the process's one TLS context for these certificates; making one takes some 20 ms."""
    if isinstance(verify, ssl.SSLContext):
        return verify
    return _tls_context(verify if isinstance(verify, bool) else os.fspath(verify))


@cache
def _tls_context(verify: bool | str) -> ssl.SSLContext:
    import httpx

    if isinstance(verify, bool):
        context = httpx.create_ssl_context(verify=verify)
    elif os.path.isdir(verify):  # noqa: PTH112
        context = ssl.create_default_context(capath=verify)
    else:
        context = ssl.create_default_context(cafile=verify)
    context.set_alpn_protocols(["http/1.1"])
    return context
