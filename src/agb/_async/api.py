"""The API: sends calls and returns their replies, within one deadline, with retries that know what was sent."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from .._wire.call import Call
from .._wire.deadline import Clock, Deadline, IdleTimeout, check_timeout
from .._wire.exchange import EVERYWHERE, Exchange, handshake
from .._wire.hints import add_hint
from .._wire.reply import CLIENT_CLOSED, PLAIN_HEADERS, Reply, error_for, without_query
from .._wire.retry import RetryPolicy, asks_to_slow_down
from .._wire.secrets import remember
from .._wire.signed import REDIRECTS
from .._wire.toolcall import ToolAccess, ToolCall, routed
from ..config import Endpoint, Settings, is_header_value
from ..exceptions import AGBError, ErrorKind, SessionError
from ..hooks import Hooks, RequestKind
from ..limits import Limits, PoolStats
from ._compat.cancellation import checkpoint
from ._compat.http import check_client, check_transport
from ._compat.loop import close_when_dropped, sleep
from .net.options import check_connections
from .net.per_loop import PerLoop

if TYPE_CHECKING:
    from ..results.narrowed import ResultKind
    from .net.extensions import Answer
    from .net.http import AsyncHTTP
    from .net.routes import Verify
    from .net.signed import AsyncDownload, AsyncSource
    from .net.websocket import AsyncWebSocket, AsyncWebSockets

T = TypeVar("T")
SuccessT = TypeVar("SuccessT")
FailureT = TypeVar("FailureT")

_clean_up: ContextVar[tuple[AsyncAPI, dict[str, Any]] | None] = ContextVar("agb_clean_up", default=None)
"""Whose clean-up is under way, and the HTTP client that it has made because that one was closed."""

_log = logging.getLogger("agb")
_log.addHandler(logging.NullHandler())


class AsyncAPI:
    """What a client and its sessions send their calls through.

    The HTTP client and what it needs are imported and made with the first call, since httpx takes a while to load.
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
        hooks: Hooks | None = None,
        retry: RetryPolicy | None = None,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = sleep,
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
        check_connections(http_client, transport, proxy, verify)
        self.settings = settings
        self.endpoint = Endpoint.parse(settings.endpoint.value)
        self.timeout = settings.timeout if timeout is None else timeout
        self._hooks = hooks or Hooks()
        self._has_hooks = bool(hooks)
        self._retry = retry or RetryPolicy()
        self._clock, self._sleep, self._random = clock, sleep, random
        self._api_key = settings.api_key.value
        self._authorization = f"Bearer {self._api_key}".encode("ascii")
        self._options = (http_client, transport, self.limits, proxy, verify)
        self._is_closed = False
        self._made: dict[str, Any] = {}
        """The HTTP client and the WebSockets, once they are needed."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self.endpoint}>"

    # --- calls ---------------------------------------------------------------------------------------------------

    async def call(
        self,
        call: Call[T],
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        compensate: Callable[[T], Awaitable[object]] | None = None,
        on_sent: Callable[[], object] | None = None,
        is_paced: bool = False,
        is_retried: bool = True,
    ) -> tuple[T, str]:
        """Send a call until it is answered or no retry is left; return the value and the request id.

        With ``compensate`` a request that was sent is not abandoned when the caller is cancelled: its value is passed
        to ``compensate``, and then the cancellation continues. ``on_sent`` is called each time before something is
        sent. With ``is_paced`` the caller handles the service's requests to slow down, and without ``is_retried`` every
        failure: it repeats the call itself.

        Raises:
            AGBError: the service refused, or there was no valid answer within ``timeout`` seconds (or by ``deadline``,
                which takes precedence).
        """
        deadline = deadline or self.deadline(timeout)
        attempt = 1
        while True:
            exchange = self._observed("api", call, attempt) if self._has_hooks or EVERYWHERE else None
            try:
                reply = await self._exchange(call, deadline, compensate, on_sent, exchange)
                value = call.read(reply)
                if exchange is not None:
                    exchange.end()
                return value, reply.request_id
            except AGBError as error:
                if not call.base:
                    add_hint(error, self.endpoint, self.settings)
                if exchange is not None:
                    exchange.end(error)
                if not is_retried or (is_paced and asks_to_slow_down(error)):
                    raise
                wait = self.next_try(error, attempt, deadline)
                if exchange is not None:
                    exchange.retry(error, wait)
            await self._sleep(wait)
            attempt += 1

    def check_open(self, call: Call[Any]) -> None:
        """Raise the error of a call if the client was closed, before it waits for anything."""
        if self._is_closed and self._made_by_clean_up() is None:
            raise error_for(call, CLIENT_CLOSED, ErrorKind.UNREACHABLE, permanent=True)

    @asynccontextmanager
    async def clean_up(self) -> AsyncIterator[None]:
        """Allow calls in the block also after the client was closed: they delete what an earlier call has created.

        Then they have connections of their own, which are closed when the block is left.
        """
        made: dict[str, Any] = {}
        token = _clean_up.set((self, made))
        try:
            yield
        finally:
            _clean_up.reset(token)
            http: AsyncHTTP | None = made.get("http")
            if http is not None:
                await http.aclose()

    def _made_by_clean_up(self) -> dict[str, Any] | None:
        """Return what a clean-up of this client has made, None outside of one."""
        clean_up = _clean_up.get()
        return clean_up[1] if clean_up is not None and clean_up[0] is self else None

    def deadline(self, timeout: float | None = None) -> Deadline:
        """Return the time for a call that begins now: ``timeout`` seconds, or the client's own time-out."""
        check_timeout(timeout)
        return Deadline(self.timeout if timeout is None else timeout, self._clock)

    def _observed(self, kind: RequestKind, call: Call[Any], attempt: int = 1) -> Exchange:
        """Return what the hooks see of a request."""
        path = call.path if kind == "api" else ""
        return Exchange(self._hooks, self._clock, kind, call.description, call.method, path, call.session_id, attempt)

    def next_try(self, error: AGBError, attempt: int, deadline: Deadline) -> float:
        """Return the seconds to wait before the next try; raise the error if none is worth it, or time is over."""
        error.extra["attempts"] = attempt
        wait = self._retry.delay(error, attempt, deadline.left(), self._random())
        if wait is None:
            raise error
        _log.debug("try %d failed, the next in %.2f s: %s", attempt, wait, error)
        return wait

    async def sleep(self, seconds: float) -> None:
        """Wait between two tries."""
        await self._sleep(seconds)

    async def result(
        self,
        call: Call[Any],
        kind: ResultKind[SuccessT, FailureT],
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
    ) -> SuccessT | FailureT:
        """Send a call and return its outcome as a result of that kind.

        Raises:
            AGBError: there was no valid answer, and the call is documented to raise then.
        """
        try:
            value, request_id = await self.call(call, timeout=timeout, deadline=deadline)
        except AGBError as error:
            if call.raises and not error.kind.is_refusal:
                raise
            return kind.failed(error)
        return kind.of(value, request_id)

    async def tool(
        self,
        tool: ToolCall[T],
        access: ToolAccess,
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
    ) -> T:
        """Call a tool by the route that the session offers and return what its text means.

        Without ``deadline`` it is ``timeout`` seconds, or the client's own time-out on top of what the tool itself may
        take.

        Raises:
            AGBError: the tool was not run, or there was no valid answer.
        """
        limit = self.timeout + tool.seconds if timeout is None else timeout
        reply, _ = await self.call(routed(tool, access), timeout=limit, deadline=deadline)
        return tool.read(reply)

    # --- files of any size ---------------------------------------------------------------------------------------

    def idle_timeout(self, timeout: float | None = None, step: float | None = None) -> IdleTimeout:
        """Return the limits of a transfer in seconds: ``timeout`` for all of it, ``step`` for each step of it.

        Without ``timeout`` there is no limit for all of it; without ``step`` a step may take the client's time-out.
        """
        check_timeout(timeout)
        return IdleTimeout(self.timeout if step is None else step, timeout, self._clock)

    async def upload(
        self,
        url: str,
        source: AsyncSource,
        size: int,
        call: Call[Any],
        timeout: IdleTimeout,
        *,
        content_type: str = "",
        redirects: int = REDIRECTS,
    ) -> Reply:
        """Put a file at a pre-signed URL, once, and return the answer; no Content-Type is sent unless one is given.

        An answer that arrives while the file is still sent ends the sending. A redirect that keeps the method is
        followed, and the file sent again.

        Args:
            url: the URL; neither it nor what it leads to gets the API key or a token.
            source: returns exactly ``size`` bytes, and can begin again.
            size: how many bytes are sent.
            call: describes the transfer in errors.
            timeout: the time for each step, and for all.
            content_type: of the file.
            redirects: how many are followed at most.

        Raises:
            AGBError: the store refused, or there was no valid answer.
            ValueError: ``content_type`` cannot be one.
        """
        from .net.signed import put_file

        http = self._http(call)
        with self._observed("transfer", call) as exchange:
            reply = await put_file(http, url, source, size, call, timeout, content_type, redirects)
            exchange.status, exchange.bytes_sent = reply.status, size
        return reply

    def download(
        self, url: str, call: Call[Any], timeout: Deadline, *, part: str = "", redirects: int = REDIRECTS
    ) -> AbstractAsyncContextManager[AsyncDownload]:
        """Get a file from a pre-signed URL, once, to be received piece by piece inside a ``with`` block.

        Args:
            url: the URL; neither it nor what it leads to gets the API key or a token.
            call: describes the transfer in errors.
            timeout: the time for all, or an `IdleTimeout` for each step.
            part: a value of the header Range; the reply's status is 206 if the store returns the part only.
            redirects: how many are followed at most.

        Raises:
            AGBError: the store refused, there was no valid answer, or the file received is not whole.
        """
        from .net.signed import get_file

        return self._received(get_file(self._http(call), url, call, timeout, redirects, part), call)

    @asynccontextmanager
    async def _received(
        self, file: AbstractAsyncContextManager[AsyncDownload], call: Call[Any]
    ) -> AsyncIterator[AsyncDownload]:
        with self._observed("transfer", call) as exchange:
            async with file as download:
                exchange.status = download.reply.status
                try:
                    yield download
                finally:
                    exchange.bytes_received = download.received

    # --- streams -------------------------------------------------------------------------------------------------

    def websocket(self, session_id: str, ws_url: str, token: str) -> AsyncWebSocket:
        """Return the WebSocket of a session; it is opened when a stream is started on it.

        Raises:
            SessionError: the client was closed.
        """
        if self._is_closed:
            text = f"Could not open a stream to session {session_id}: {CLIENT_CLOSED}"
            raise SessionError(text, kind=ErrorKind.UNREACHABLE, session_id=session_id)
        websockets: PerLoop[AsyncWebSockets] | None = self._made.get("websockets")
        if websockets is None:
            from .net.websocket import AsyncWebSockets  # loads websockets, which most programs do without

            http = self._http()
            make = partial(AsyncWebSockets, http, partial(handshake, self._hooks, self._clock))  # without this object
            made: PerLoop[AsyncWebSockets] = self._made.setdefault("websockets", PerLoop(make))
            close_when_dropped(self, made)
            websockets = made
        return websockets.here().get(session_id, ws_url, token)

    async def hang_up(self, session_id: str) -> None:
        """Close the WebSocket of a session that is gone."""
        websockets: PerLoop[AsyncWebSockets] | None = self._made.get("websockets")
        if websockets is not None and not self._is_closed:
            await websockets.here().hang_up(session_id)

    # --- one exchange --------------------------------------------------------------------------------------------

    async def _exchange(
        self,
        call: Call[T],
        deadline: Deadline,
        compensate: Callable[[T], Awaitable[object]] | None,
        on_sent: Callable[[], object] | None,
        exchange: Exchange | None,
    ) -> Reply:
        """Send a call once; return the reply, or raise what kept it from coming."""

        async def discard(answer: Answer) -> None:
            assert compensate is not None  # `discard` is passed on only with it
            await compensate(call.read(Reply(call, *answer, self.limits.answer_bytes)))

        if compensate is not None:
            await checkpoint()
        started = self._clock()
        endpoint = self._address(call)
        target = endpoint.prefix + call.path + (f"?{call.query}" if call.query else "")
        headers = self._headers(endpoint, call)
        http = self._http(call)
        if exchange is not None:
            headers += exchange.begin()
            exchange.bytes_sent = len(call.body or b"")
        try:
            status, received, body = await http.fetch(
                call.method,
                endpoint,
                target,
                headers,
                call.body,
                deadline,
                repeatable=call.repeatable,
                has_secret_query=call.has_secret_query,
                if_cancelled=None if compensate is None else discard,
                on_sent=on_sent,
            )
        except Exception as error:
            from .net.errors import call_failure, failure_of

            if failure_of(error) is None:
                raise
            failure = call_failure(call, without_query(str(endpoint)), deadline, error)
            _log.debug("%s %s: %s", call.method, call.path, failure)
            raise failure from error
        reply = Reply(call, status, received, body, self.limits.answer_bytes)
        if exchange is not None:
            exchange.status, exchange.bytes_received = status, len(body)
            exchange.request_id = reply.request_id
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
        except ValueError as error:  # it is from the service
            raise error_for(call, str(error), ErrorKind.INVALID_ANSWER) from error

    def _http(self, call: Call[Any] | None = None) -> AsyncHTTP:
        """Return the HTTP client, created when first used; two threads may create one each, of which one is used.

        Raises:
            AGBError: this client was closed, or the caller has closed the one that was passed.
        """
        if call is not None:
            self.check_open(call)
        late = self._made_by_clean_up() if self._is_closed else None
        made = self._made if late is None else late
        http: AsyncHTTP | None = made.get("http")
        if http is None:
            from .net.http import AsyncHTTP

            made_now: AsyncHTTP = made.setdefault("http", AsyncHTTP(*self._options))
            http = made_now
        if call is not None and http.is_closed:
            raise error_for(call, "the http_client that was passed is closed", ErrorKind.UNREACHABLE, permanent=True)
        return http

    def _headers(self, endpoint: Endpoint, call: Call[Any]) -> tuple[tuple[bytes, bytes], ...]:
        """Return the headers; only the API gets the API key, a session's host gets the token of the session."""
        if call.base and not is_header_value(call.token):
            raise error_for(call, "the session's token is not one that a header can carry", ErrorKind.INVALID_ANSWER)
        remember(call.token if call.base else self._api_key)
        host = (b"Host", endpoint.netloc.encode("ascii"))
        secret = (
            (b"X-Access-Token", call.token.encode("ascii")) if call.base else (b"Authorization", self._authorization)
        )
        if call.body is None:
            return (host, secret, *_SAME_HEADERS)
        return (host, secret, *_SAME_HEADERS, (b"Content-Length", b"%d" % len(call.body)))

    def connections(self) -> PoolStats:
        """Return how many connections there are, those of all event loops together."""
        http: AsyncHTTP | None = self._made.get("http")
        return PoolStats(0, 0, 0, 0, 0, 0.0) if http is None else http.connections()

    async def aclose(self) -> None:
        """Close the connections of all event loops, and make no further calls. May be called twice.

        Calls that are under way are finished, live output ends. A caller's own ``http_client`` stays open.
        """
        self._is_closed = True
        websockets: PerLoop[AsyncWebSockets] | None = self._made.get("websockets")
        if websockets is not None:
            await websockets.aclose()
        http: AsyncHTTP | None = self._made.get("http")
        if http is not None:
            await http.aclose()


_SAME_HEADERS = (
    (b"Content-Type", b"application/json"),
    (b"Accept-Encoding", b"gzip"),
    *PLAIN_HEADERS,
)


@lru_cache(maxsize=1024)
def _parsed(base: str) -> Endpoint:
    return Endpoint.parse(base, "link URL of the session")
