"""A client of the Chrome DevTools Protocol over one WebSocket: calls with time limits, and events."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

MESSAGE_LIMIT = 256 * 2**20
"""The largest message, in bytes: a screenshot of a long page is tens of megabytes."""
CALL_SECONDS = 30.0

_OPEN_SECONDS = 20.0
_CLOSE_SECONDS = 2.0

EventHandler = Callable[[str, dict[str, Any], str | None], None]
"""Called with the event's name, its parameters and the id of its session (None: the browser itself)."""


class CdpError(Exception):
    """The browser refused a call; ``code`` is the protocol's."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class CdpClosed(CdpError):
    """The connection was closed, by either side."""


class CdpTimeout(CdpError):
    """A call was not answered in time."""


class Cdp:
    """A connection to a browser, or to one of its targets. Calls may be concurrent.

    It takes over a WebSocket of :func:`open_websocket`; :meth:`close` it at the end. Events are passed to the handlers
    of :meth:`on_event` in the order of arrival; a handler must not block. One that has to call the browser begins a
    task by :meth:`run`.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._calls: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._handlers: list[EventHandler] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.ended = asyncio.Event()
        """Set when the connection is gone."""
        self.on_end: Callable[[], None] = lambda: None
        """Called when the connection is gone."""
        self._reader = asyncio.create_task(self._read())

    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        session: str | None = None,
        timeout: float = CALL_SECONDS,
    ) -> dict[str, Any]:
        """Return the result of a call, ``session`` being the id of an attached target.

        Raises ``CdpError`` when the browser refuses it, ``CdpTimeout`` after ``timeout`` seconds, ``CdpClosed`` when
        the connection ends.
        """
        if self._is_closed:
            raise CdpClosed(f"{method}: the connection to the browser is closed")
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": dict(params or {})}
        if session is not None:
            message["sessionId"] = session
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._calls[number] = answer
        try:
            async with asyncio.timeout(timeout):
                await self._connection.send(json.dumps(message))
                return await answer
        except TimeoutError:
            raise CdpTimeout(f"{method}: the browser did not answer within {timeout:g} s") from None
        except ConnectionClosed as error:
            raise CdpClosed(f"{method}: the connection to the browser is closed") from error
        finally:
            self._calls.pop(number, None)

    def on_event(self, handler: EventHandler) -> Callable[[], None]:
        """Pass all events to a handler from now on; return a function that ends this."""
        self._handlers.append(handler)
        return lambda: self._handlers.remove(handler)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work that an event has caused, in a task of its own, until it or the connection ends.

        It ends quietly with a ``CdpError``: what an event was about may be gone by then.
        """
        task = asyncio.create_task(_quiet(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Close the connection; calls under way raise ``CdpClosed``. May be called twice."""
        await self._connection.close()
        await asyncio.wait({self._reader})
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _read(self) -> None:
        try:
            async for text in self._connection:
                self._receive(json.loads(text))
        except ConnectionClosed:
            pass  # the calls under way are ended below
        finally:
            self._is_closed = True
            for answer in self._calls.values():
                if not answer.done():
                    answer.set_exception(CdpClosed("the connection to the browser is closed"))
            self.ended.set()
            self.on_end()

    def _receive(self, message: dict[str, Any]) -> None:
        if "id" not in message:
            for handler in list(self._handlers):
                handler(message["method"], message.get("params", {}), message.get("sessionId"))
            return
        answer = self._calls.get(message["id"])
        if answer is None or answer.done():
            return  # its caller was cancelled
        if (error := message.get("error")) is not None:
            answer.set_exception(CdpError(error.get("message", "the browser refused a call"), error.get("code", 0)))
        else:
            answer.set_result(message.get("result", {}))


async def open_websocket(connected: socket.socket, path: str) -> ClientConnection:
    """Return a WebSocket over a TCP socket to the port of the DevTools; takes over the socket. Raises ``CdpClosed``."""
    try:
        return await connect(
            # Only an address is accepted as the host: the DevTools refuse names, against DNS rebinding.
            f"ws://127.0.0.1:{connected.getpeername()[1]}{path}",
            sock=connected,
            max_size=MESSAGE_LIMIT,
            compression=None,
            # The end of a connection within one machine is always reported.
            ping_interval=None,
            open_timeout=_OPEN_SECONDS,
            close_timeout=_CLOSE_SECONDS,
            proxy=None,
        )
    except BaseException as error:
        connected.close()
        if not isinstance(error, (OSError, EOFError, WebSocketException)):
            raise
        raise CdpClosed(f"the browser's DevTools did not accept a connection: {error}") from error


async def _quiet(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except CdpError:
        return
