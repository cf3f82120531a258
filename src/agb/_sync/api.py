# Generated from src/agb/_async/api.py by tools/unasync.py. Do not edit.
"""Transport: sends calls and brings back their replies, within one deadline, with retries that know what was sent."""

from __future__ import annotations

import logging
import os
import random
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from hashlib import md5
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .._version import __version__
from .._wire.call import Call
from .._wire.deadline import Clock, Deadline, IdleTimeout, check_timeout
from .._wire.proxy import Proxy
from .._wire.reply import Reply, error_for, without_query
from .._wire.retry import RetryPolicy, asks_to_slow_down
from .._wire.signed import REDIRECTS, SignedUrl, moved, refused
from .._wire.toolcall import ToolAccess, ToolCall, routed
from ..config import Endpoint, Settings, is_header_value
from ..exceptions import AGBError, ErrorKind, Sent
from ..limits import Limits, PoolStats
from ._compat.cancellation import checkpoint, run_to_completion
from ._compat.http import check_client, check_transport, client_over
from ._compat.loop import close_when_dropped, sleep
from .net.pools import Pools

if TYPE_CHECKING:
    from .net.connection import Answer, Body, Headers, Incoming
    from .net.pool import IfCancelled, Verify
    from .net.websocket import WebSocket

T = TypeVar("T")

_log = logging.getLogger("agb")
_log.addHandler(logging.NullHandler())


class API:
    """What a client and its sessions send their calls through.

    It holds one pool of connections per event loop and process, made when first needed.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        timeout: float | None = None,
        http_client: Any = None,
        transport: Any = None,
        limits: Limits | None = None,
        proxy: str | None = None,
        verify: Verify = True,
        retry: RetryPolicy | None = None,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        check_timeout(timeout)
        if not (limits is None or isinstance(limits, Limits)):
            raise TypeError(f"limits is a Limits, not {type(limits).__name__}")
        self.limits = Limits() if limits is None else limits
        if http_client is not None:
            check_client(http_client)
        if transport is not None:
            check_transport(transport)
        _check_connections(http_client, transport, proxy, verify)
        self.endpoint = Endpoint.parse(settings.endpoint.value)
        self.timeout = settings.timeout if timeout is None else timeout
        self._http_client = http_client if transport is None else client_over(transport)
        self._retry = retry or RetryPolicy()
        self._clock, self._sleep, self._random = clock, sleep, random
        self._authorization = f"Bearer {settings.api_key.value}".encode("ascii")
        self._pools = Pools(self.limits, proxy, verify)
        close_when_dropped(self, self._pools)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self.endpoint}>"

    # --- calls ---------------------------------------------------------------------------------------------------

    def call(
        self,
        call: Call[T],
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        compensate: Callable[[T], object] | None = None,
        on_sent: Callable[[], object] | None = None,
        is_paced: bool = False,
    ) -> tuple[T, str]:
        """Send a call until it is answered or no other try is worth it; return the value and the request id.

        With ``compensate`` a request that is on its way is not given up when the caller is cancelled: the value that it
        gives goes there, and then the cancellation goes on. ``on_sent`` is called each time before something is
        sent. With ``is_paced`` it is the caller who obeys when the service asks to slow down.

        Raises:
            AGBError: the service refused, or there was no valid answer within ``timeout`` seconds (or by ``deadline``,
                which goes before).
        """
        deadline = deadline or self.deadline(timeout)
        attempt = 1
        while True:
            try:
                reply = self._exchange(call, deadline, compensate, on_sent)
                return call.read(reply), reply.request_id
            except AGBError as error:
                if is_paced and asks_to_slow_down(error):
                    raise
                wait = self.next_try(error, attempt, deadline)
            self._sleep(wait)
            attempt += 1

    def deadline(self, timeout: float | None = None) -> Deadline:
        """Return the time for a call that begins now: ``timeout`` seconds, or the client's own time-out."""
        check_timeout(timeout)
        return Deadline(self.timeout if timeout is None else timeout, self._clock)

    def next_try(self, error: AGBError, attempt: int, deadline: Deadline) -> float:
        """Return the seconds to wait before the next try; raise the error if none is worth it, or time is over."""
        error.extra["attempts"] = attempt
        wait = self._retry.delay(error, attempt, deadline.left(), self._random())
        if wait is None:
            raise error
        _log.debug("try %d failed, the next in %.2f s: %s", attempt, wait, error)
        return wait

    def sleep(self, seconds: float) -> None:
        """Wait between two tries."""
        self._sleep(seconds)

    def result(
        self, call: Call[Any], kind: type[T], *, timeout: float | None = None, deadline: Deadline | None = None
    ) -> T:
        """Send a call and return its outcome as a result of that kind.

        Raises:
            AGBError: there was no valid answer, and the call is documented to raise then.
        """
        make: Any = kind
        try:
            value, request_id = self.call(call, timeout=timeout, deadline=deadline)
        except AGBError as error:
            if call.raises and not error.kind.is_refusal:
                raise
            return make.failed(error)  # type: ignore[no-any-return]
        return make.of(value, request_id)  # type: ignore[no-any-return]

    def tool(self, tool: ToolCall[T], access: ToolAccess, *, timeout: float | None = None) -> T:
        """Call a tool by the route that the session offers and return what its text means.

        The deadline is ``timeout`` seconds, or the client's own time-out on top of what the tool itself may take.

        Raises:
            AGBError: the tool was not run, or there was no valid answer.
        """
        said, _ = self.call(routed(tool, access), timeout=self.timeout + tool.seconds if timeout is None else timeout)
        return tool.read(said)

    # --- files of any size ---------------------------------------------------------------------------------------

    def patience(self, timeout: float | None = None, step: float | None = None) -> IdleTimeout:
        """Return the time for a transfer: ``timeout`` for all, and ``step`` each time that nothing moves.

        Without the one there is no limit to all; without the other a step may take the client's time-out.
        """
        check_timeout(timeout)
        return IdleTimeout(self.timeout if step is None else step, timeout, self._clock)

    def upload(
        self,
        url: str,
        source: Source,
        size: int,
        call: Call[Any],
        patience: IdleTimeout,
        *,
        content_type: str = "",
        redirects: int = REDIRECTS,
    ) -> Reply:
        """Put a file at a pre-signed URL, once, and return the answer; no Content-Type is sent unless one is given.

        An answer that comes while the file is still sent is heard, and the rest is not sent. A redirect that keeps
        the method is followed, and the file sent again.

        Args:
            url: the URL; neither it nor what it leads to gets the API key or a token.
            source: gives exactly ``size`` bytes, and can begin again.
            size: how many bytes are sent.
            call: what the transfer is called in errors.
            patience: the time for each step, and for all.
            content_type: of the file.
            redirects: how many are followed at most.

        Raises:
            AGBError: the store refused, or there was no valid answer.
            ValueError: ``content_type`` cannot be one.
        """
        more = [(b"Content-Length", b"%d" % size)]
        if content_type:
            if not is_header_value(content_type):
                raise ValueError(f"content_type {content_type!r} is not one that a header can carry")
            more.append((b"Content-Type", content_type.encode("ascii")))
        with self._signed(url, call, more, patience, redirects, source) as incoming:
            body = _beginning(incoming)
            if incoming.status not in _STORED:
                raise refused(call, incoming.status, incoming.headers, body)
        return Reply(call, incoming.status, incoming.headers, body)

    @contextmanager
    def download(
        self, url: str, call: Call[Any], patience: IdleTimeout, *, redirects: int = REDIRECTS
    ) -> Iterator[Download]:
        """Get a file from a pre-signed URL, once, to be received piece by piece inside the block.

        Args:
            url: the URL; neither it nor what it leads to gets the API key or a token.
            call: what the transfer is called in errors.
            patience: the time for each step, and for all.
            redirects: how many are followed at most.

        Raises:
            AGBError: the store refused, there was no valid answer, or the file that came is not whole.
        """
        more = [(b"Accept-Encoding", b"identity")]
        with self._signed(url, call, more, patience, redirects) as incoming:
            if incoming.status != 200:
                raise refused(call, incoming.status, incoming.headers, _beginning(incoming))
            yield Download(incoming, call)

    @contextmanager
    def _signed(
        self,
        url: str,
        call: Call[Any],
        more: Headers,
        patience: IdleTimeout,
        redirects: int,
        source: Source | None = None,
    ) -> Iterator[Incoming]:
        """Make a request to a pre-signed URL, and to where it redirects; its answer is received inside the block."""
        try:
            to = SignedUrl.parse(url)
        except ValueError as error:  # the service gave it
            raise error_for(call, str(error), ErrorKind.INVALID_ANSWER) from None
        followed = 0
        while True:
            headers = [(b"Host", to.endpoint.netloc.encode("ascii")), *_PLAIN_HEADERS, *more]
            body = None if source is None else source.receive
            where = to
            with self._failures(call, where.endpoint, patience):
                with self._begin(to.endpoint, call.method, to.target, headers, body, call, patience) as incoming:
                    _log.debug("%s at %s -> %d", call.description, to.endpoint, incoming.status)
                    moved_to = moved(call, to, incoming.status, incoming.headers, followed, redirects)
                    if moved_to is None:
                        yield incoming
                        return
                    _beginning(incoming)
            to, followed = moved_to, followed + 1
            if source is not None:
                source.rewind()

    def _begin(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        headers: Headers,
        body: Body | None,
        call: Call[Any],
        patience: IdleTimeout,
    ) -> AbstractContextManager[Incoming]:
        if self._http_client is None:
            return self._pools.here().begin(endpoint, method, target, headers, body, patience)
        from .net.by_client import begin_by_client

        self._check_open(call)
        return begin_by_client(self._http_client, endpoint, method, target, headers, body, patience)

    @contextmanager
    def _failures(self, call: Call[Any], endpoint: Endpoint, deadline: Deadline) -> Iterator[None]:
        """Raise the HTTP library's errors as ours."""
        try:
            yield
        except Exception as error:
            failure = _failure(call, endpoint, deadline, error)
            if failure is None:
                raise
            _log.debug("%s %s: %s", call.method, call.path, failure)
            raise failure from error

    # --- streams -------------------------------------------------------------------------------------------------

    def channel(self, session_id: str, ws_url: str, token: str) -> WebSocket:
        """Return the WebSocket of a session; it is opened when a stream is started on it."""
        from .net.websocket import WebSocket  # loads websockets, which most programs do without

        pool = self._pools.here()
        key = (session_id, ws_url, token)
        return pool.channels.get(key) or pool.channels.setdefault(
            key, WebSocket(ws_url, token, session_id, pool.stream)
        )

    def hang_up(self, session_id: str) -> None:
        """Close the WebSocket of a session that is gone."""
        channels = self._pools.here().channels
        for key in [key for key in list(channels) if key[0] == session_id]:
            channel = channels.pop(key, None)
            if channel is not None:
                channel.close()

    # --- one exchange --------------------------------------------------------------------------------------------

    def _exchange(
        self,
        call: Call[T],
        deadline: Deadline,
        compensate: Callable[[T], object] | None,
        on_sent: Callable[[], object] | None,
    ) -> Reply:
        """Send a call once; return the reply, or raise what kept it from coming."""

        def discard(answer: Answer) -> None:
            assert compensate is not None  # noqa: S101 - used with one only
            compensate(call.read(Reply(call, *answer)))

        if compensate is not None:
            checkpoint()
        started = self._clock()
        endpoint = self._address(call)
        target = endpoint.prefix + call.path + (f"?{call.query}" if call.query else "")
        with self._failures(call, endpoint, deadline):
            status, headers, body = self._send(
                endpoint, target, call, deadline, discard if compensate else None, on_sent
            )
        reply = Reply(call, status, headers, body)
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug(
                "%s %s -> %d, %d bytes in %.1f ms (session %s)",
                call.method,
                call.path,
                status,
                len(body),
                (self._clock() - started) * 1000,
                call.session_id or "-",
            )
        return reply

    def _address(self, call: Call[Any]) -> Endpoint:
        if not call.base:
            return self.endpoint
        try:
            return _parsed(call.base)
        except ValueError as error:  # the service gave it
            raise error_for(call, str(error), ErrorKind.INVALID_ANSWER) from error

    def _send(
        self,
        endpoint: Endpoint,
        target: str,
        call: Call[Any],
        deadline: Deadline,
        if_cancelled: IfCancelled | None,
        on_sent: Callable[[], object] | None,
    ) -> Answer:
        headers = self._headers(endpoint, call)
        if self._http_client is None:
            pool = self._pools.here()
            return pool.exchange(
                endpoint,
                call.method,
                target,
                headers,
                call.body,
                deadline,
                if_cancelled,
                on_sent,
                repeatable=call.repeatable,
            )

        self._check_open(call)
        from .net.by_client import exchange_by_client

        def talk() -> Answer:
            if on_sent is not None:
                on_sent()
            return exchange_by_client(self._http_client, endpoint, call.method, target, headers, call.body, deadline)

        return run_to_completion(talk, if_cancelled) if if_cancelled is not None else talk()

    def _check_open(self, call: Call[Any]) -> None:
        if getattr(self._http_client, "is_closed", False):
            raise error_for(call, "the http_client that was passed is closed", ErrorKind.UNREACHABLE, permanent=True)

    def _headers(self, endpoint: Endpoint, call: Call[Any]) -> Headers:
        """Return the headers; the API key goes to the API alone, a session's host gets the session's token."""
        if call.base and not is_header_value(call.token):
            raise error_for(call, "the session's token is not one that a header can carry", ErrorKind.INVALID_ANSWER)
        headers = [
            (b"Host", endpoint.netloc.encode("ascii")),
            (b"X-Access-Token", call.token.encode("ascii")) if call.base else (b"Authorization", self._authorization),
            *_SAME_HEADERS,
        ]
        if call.body is not None:
            headers.append((b"Content-Length", b"%d" % len(call.body)))
        return headers

    def connections(self) -> PoolStats:
        """Return how the connections stand, those of all event loops together."""
        pools = [pool.stats() for pool in self._pools.all()]
        return PoolStats(
            open=sum(pool.open for pool in pools),
            idle=sum(pool.idle for pool in pools),
            in_use=sum(pool.in_use for pool in pools),
            waiting=sum(pool.waiting for pool in pools),
            opened=sum(pool.opened for pool in pools),
            longest_wait=max((pool.longest_wait for pool in pools), default=0.0),
        )

    def close(self) -> None:
        """Close the connections of this event loop; a caller's own ``http_client`` stays open."""
        pool = self._pools.pop()
        if pool is not None:
            pool.close()


_PLAIN_HEADERS = ((b"Accept", b"*/*"), (b"User-Agent", f"agb-python/{__version__}".encode("ascii")))
_SAME_HEADERS = (
    (b"Content-Type", b"application/json"),
    (b"Accept-Encoding", b"gzip"),
    *_PLAIN_HEADERS,
)
_STORED = frozenset({200, 201, 204})
"""What a store answers when it has a file (control-plane.md 4.8)."""
_BEGINNING = 64 * 1024
"""Bytes that are read of an answer that says what went wrong."""


class Source(Protocol):
    """What is uploaded, piece by piece."""

    def receive(self) -> bytes:
        """Return the next bytes, ``b""`` at the end."""
        ...

    def rewind(self) -> None:
        """Begin again."""
        ...


class Download:
    """A file that comes from a pre-signed URL.

    Attributes:
        size: its bytes, None if the store does not tell.
        reply: the head of the answer.
    """

    def __init__(self, incoming: Incoming, call: Call[Any]) -> None:
        self.reply = Reply(call, incoming.status, incoming.headers, b"")
        self._incoming = incoming
        self._call = call
        length = "" if self.reply.header(b"transfer-encoding") else self.reply.header(b"content-length")
        self.size = int(length) if length.isdecimal() else None
        self._received = 0
        encoding = self.reply.header(b"content-encoding")
        if encoding not in ("", "identity"):
            message = f"the store sends the file encoded ({encoding}), which was not asked for"
            raise error_for(call, message, ErrorKind.INVALID_ANSWER, http_status=incoming.status)
        told = self.reply.header(b"content-md5")
        self._md5 = (md5(usedforsecurity=False), told) if told else None

    def receive(self) -> bytes:
        """Return the next bytes, ``b""`` at the end.

        Raises:
            AGBError: the connection broke, or what came is not the file.
        """
        piece = self._incoming.receive()
        self._received += len(piece)
        if self._md5 is not None:
            self._md5[0].update(piece)
        if not piece:
            self._check()
        return piece

    def _check(self) -> None:
        message = ""
        if self.size is not None and self._received != self.size:
            message = f"{self._received:,} bytes came of {self.size:,}"
        elif self._md5 is not None and b64encode(self._md5[0].digest()).decode() != self._md5[1]:
            message = "what came does not have the digest that the store gave (Content-MD5)"
        if message:
            raise error_for(self._call, message, ErrorKind.UNREACHABLE, sent=Sent.YES)


def _beginning(incoming: Incoming) -> bytes:
    """Return the first bytes of a body that is no file."""
    parts: list[bytes] = []
    size = 0
    while size < _BEGINNING and (piece := incoming.receive()):
        parts.append(piece)
        size += len(piece)
    return b"".join(parts)


def _check_connections(http_client: Any, transport: Any, proxy: str | None, verify: Verify) -> None:
    """Raise unless what was said about connections fits together."""
    given = [name for name, value in (("http_client", http_client), ("transport", transport)) if value is not None]
    if len(given) > 1:
        raise TypeError("http_client and transport are given both: a client has a transport of its own")
    if proxy is not None and not isinstance(proxy, str):
        raise TypeError(f"proxy is a URL such as 'http://proxy.example:3128', not {type(proxy).__name__}")
    if not isinstance(verify, bool | str | os.PathLike | ssl.SSLContext):
        raise TypeError(f"verify is True, False, a path or an ssl.SSLContext, not {type(verify).__name__}")
    if isinstance(verify, str | os.PathLike) and not os.path.exists(verify):  # noqa: PTH110 - it may be either
        raise ValueError(f"verify is the path of certificates, and {os.fspath(verify)!r} is not there")
    for name, is_given in (("proxy", proxy is not None), ("verify", verify is not True)):
        if given and is_given:
            raise TypeError(f"{name} is said of connections of this client, and with {given[0]} it has none")
    if proxy:
        Proxy.parse(proxy).check()


@lru_cache(maxsize=1024)
def _parsed(base: str) -> Endpoint:
    return Endpoint.parse(base, "link URL of the session")


# --- errors of the layers below ----------------------------------------------------------------------------------

_FAILURES = {
    "ConnectTimeout": (ErrorKind.TIMED_OUT, Sent.NO),
    "PoolTimeout": (ErrorKind.TIMED_OUT, Sent.NO),
    "TimeoutException": (ErrorKind.TIMED_OUT, Sent.MAYBE),
    "ConnectError": (ErrorKind.UNREACHABLE, Sent.NO),
    "ProxyError": (ErrorKind.UNREACHABLE, Sent.NO),
    "NetworkError": (ErrorKind.UNREACHABLE, Sent.MAYBE),
    "LocalProtocolError": (ErrorKind.UNREACHABLE, Sent.NO),
    "ProtocolError": (ErrorKind.UNREACHABLE, Sent.MAYBE),
    "DecodingError": (ErrorKind.INVALID_ANSWER, Sent.YES),
    "UnsupportedProtocol": (ErrorKind.UNREACHABLE, Sent.NO),
}
"""By the name of the error's class or of a base of it: httpx, httpx2, httpcore and httpcore2 use the same names."""

_HTTP_LIBRARIES = ("httpx", "httpx2", "httpcore", "httpcore2")


def _failure(call: Call[Any], endpoint: Endpoint, deadline: Deadline, error: Exception) -> AGBError | None:
    """Return our error for one of the HTTP library, None if it is none of its."""
    names = [c.__name__ for c in type(error).__mro__ if c.__module__.partition(".")[0] in _HTTP_LIBRARIES]
    kind, sent = next((_FAILURES[name] for name in names if name in _FAILURES), (None, None))
    if kind is None:
        return None
    permanent = "LocalProtocolError" in names or bool(getattr(error, "permanent", False))
    where = without_query(str(endpoint))
    if kind is ErrorKind.TIMED_OUT:
        before = "no connection to" if sent is Sent.NO else "no complete answer from"
        message = f"{before} {where} {deadline.description}"
        if sent is Sent.NO and str(error):
            message = f"{message}: {error}"
    elif "LocalProtocolError" in names:  # its text may quote a header, and so the key
        message = f"the request to {where} could not be written as HTTP"
    elif sent is Sent.NO:
        certificate = _certificate_error(error)
        permanent = permanent or certificate is not None
        message = f"no connection to {where}: {certificate or _described(error)}"
    else:
        message = f"the connection to {where} broke: {_described(error)}"
    more = {"busy": True} if getattr(error, "is_busy", False) else {}
    return error_for(call, message, kind, sent=sent, permanent=permanent, **more)


def _described(error: Exception) -> str:
    return str(error) or type(error).__name__


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error
