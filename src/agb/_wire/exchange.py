"""Exchanges: what hooks see of a request and of its end."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from ..config import is_header_name
from ..exceptions import AGBError
from ..hooks import Hooks, RequestEvent, RequestKind, ResponseEvent, RetryEvent
from .deadline import Clock

EventT = TypeVar("EventT")

EVERYWHERE: list[Hooks] = []
"""Hooks of all clients of the process; instrumentation adds its own here."""

_OF_THE_CLIENT = frozenset({"host", "authorization", "x-access-token", "content-length", "content-type", "connection"})
"""Headers that a hook cannot add: they say who asks for what, or how the body is read."""


def checked_hooks(**functions: Callable[[Any], object] | None) -> Hooks:
    """Return the hooks of a client.

    Raises:
        TypeError: one is not a function, or a coroutine function, which would never be awaited.
    """
    for name, function in functions.items():
        if function is None:
            continue
        if not callable(function):
            raise TypeError(f"{name} is a function of one argument, not {type(function).__name__}")
        if inspect.iscoroutinefunction(function):
            raise TypeError(
                f"{name} is a plain function, not a coroutine function: it is called in the midst of a call"
            )
    return Hooks(**functions)


class Exchange:
    """One request as its hooks see it, from before it is sent until it is answered or has failed.

    ``on_request`` comes before anything is sent, so its exception ends the call. The other two come when something was
    sent, perhaps the creation of a session that must not get lost: their exceptions are reported by a `RuntimeWarning`.
    A request whose caller is cancelled has no response.
    """

    def __init__(
        self,
        hooks: Hooks,
        clock: Clock,
        kind: RequestKind,
        description: str,
        method: str,
        path: str,
        session_id: str,
        attempt: int = 1,
    ) -> None:
        self._hooks = [*EVERYWHERE, hooks]
        self._clock = clock
        self.request = RequestEvent(kind, description, method, path, session_id, attempt)
        self._started = clock()
        self.status: int | None = None
        self.request_id = ""
        self.bytes_sent = self.bytes_received = 0
        self.headers: tuple[tuple[bytes, bytes], ...] = ()

    def begin(self) -> tuple[tuple[bytes, bytes], ...]:
        """Call ``on_request``; return the headers that it adds.

        Raises:
            ValueError: it adds a header that cannot be one, or that is the client's own.
            Any exception of the hook; nothing was sent.
        """
        for hooks in self._hooks:
            if hooks.on_request is not None:
                hooks.on_request(self.request)
        self._started = self._clock()
        return tuple(_encoded(name, value) for name, value in self.request.headers.items())

    def end(self, error: AGBError | None = None) -> None:
        """Call ``on_response``, with what was noted of the answer."""
        status, request_id = self.status, self.request_id
        if error is not None:
            status = error.http_status if status is None else status
            request_id = request_id or error.request_id
        event = ResponseEvent(
            self.request,
            self._clock() - self._started,
            status,
            request_id,
            self.bytes_sent,
            self.bytes_received,
            error,
        )
        for hooks in self._hooks:
            _report(hooks.on_response, "on_response", event)

    def retry(self, error: AGBError, delay: float) -> None:
        """Call ``on_retry``."""
        for hooks in self._hooks:
            _report(hooks.on_retry, "on_retry", RetryEvent(self.request, error, delay))

    def __enter__(self) -> Self:
        self.headers = self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, AGBError):
            self.end(error)


def handshake(hooks: Hooks, clock: Clock, session_id: str) -> Exchange:
    """Return what the hooks see of the handshake of a stream."""
    return Exchange(hooks, clock, "stream", f"open a stream to session {session_id}", "GET", "", session_id)


def _report(hook: Callable[[EventT], object] | None, name: str, event: EventT) -> None:
    if hook is None:
        return
    try:
        hook(event)
    except Exception as error:
        try:
            warnings.warn(f"the hook {name} has raised {type(error).__name__}: {error}", RuntimeWarning, stacklevel=2)
        except RuntimeWarning:  # warnings are errors; one must not replace the outcome of the call
            return


def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    if not is_header_name(name):
        raise ValueError(f"on_request adds a header named {name!r}, which is no name of a header")
    if name.lower() in _OF_THE_CLIENT:
        raise ValueError(f"on_request adds the header {name}, which the client sets itself")
    if not (isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip()):
        raise ValueError(f"on_request adds the header {name} with a value that a header cannot have")
    return name.encode("ascii"), value.encode("ascii")
