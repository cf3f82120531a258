# Generated from src/agb/_async/net/transport.py by tools/unasync.py. Do not edit.
"""The pool as a transport for the clients of httpx and httpx2, where a call costs the same however many there are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cache
from types import TracebackType
from typing import Any, Self

import httpcore
import httpx

from ..._wire.deadline import PhaseTimeouts
from ..._wire.proxy import Proxy
from ...config import Endpoint
from ...limits import Limits
from .._compat.http import BYTE_STREAM
from .._compat.iteration import each
from .._compat.loop import close_when_dropped
from .connection import Incoming
from .pool import Pool, Verify
from .pools import Pools


class PoolTransport(httpx.BaseTransport):
    """A transport for `httpx.Client`, or httpx2's, over this package's pool of connections.

    What a request costs does not grow with the connections that are open, which with httpx's own transport it does.
    HTTP/1.1; time-outs, errors, streams both ways are httpx's. Nothing is sent twice but a GET, HEAD or OPTIONS that a
    kept connection, dead by then, took no notice of.

    Args:
        limits: how many connections there may be, and how many requests may wait for one.
        proxy: as of `AGB`; the environment is asked without it, ``""`` for none.
        verify: which certificates are trusted, as of `AGB`.

    Raises:
        ValueError: ``proxy`` is not the address of one.
        ImportError: a SOCKS proxy without ``agb[socks]``.

    Example:
        >>> import httpx
        >>> from agb import PoolTransport
        >>> with httpx.Client(transport=PoolTransport(proxy="")) as client:
        ...     answer = client.get(f"{agb.endpoint}/sdk/ListSession")
        >>> answer.status_code
        401
    """

    def __init__(self, *, limits: Limits | None = None, proxy: str | None = None, verify: Verify = True) -> None:
        if proxy:
            Proxy.parse(proxy).check()
        self._pools = Pools(limits or Limits(), proxy, verify)
        close_when_dropped(self, self._pools)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._pools.here()!r}>"

    @property
    def pool(self) -> Pool:
        """The pool of the running event loop; ``pool.stats()`` tells how many connections there are."""
        return self._pools.here()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return its answer when its head is there; called by the client."""
        library = _library_of(request)
        url = request.url
        if url.scheme not in _PORTS:
            raise library.UnsupportedProtocol(f"{url.scheme}:// is not a protocol of this transport", request=request)
        endpoint = Endpoint(url.scheme, url.raw_host.decode("ascii").strip("[]"), url.port or _PORTS[url.scheme], "")
        headers = list(request.headers.raw)
        limits = request.extensions.get("timeout", {})
        target = url.raw_path.decode("ascii")
        has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        stream: Any = request.stream
        pieces: Any = each(stream)

        def receive() -> bytes:
            for piece in pieces:
                if piece:
                    return bytes(piece)
            return b""

        body = receive if has_body else None
        begun = self.pool.begin(endpoint, request.method, target, headers, body, PhaseTimeouts(limits), is_long=False)
        try:
            incoming = begun.__enter__()
        except _ERRORS as error:
            raise _theirs(library, error, request) from error
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        made: httpx.Response = library.Response(
            incoming.status,
            headers=incoming.headers,
            stream=_stream_class(library)(incoming, begun, library, request),
            extensions={"http_version": b"HTTP/1.1"},
        )
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections of this event loop."""
        pool = self._pools.pop()
        if pool is not None:
            pool.close()


_PORTS = {"http": 80, "https": 443}
_ERRORS = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError)


def _library_of(request: Any) -> Any:
    """Return the library whose client has made a request: httpx or httpx2."""
    names = {base.__module__.partition(".")[0] for base in type(request).__mro__}
    return sys.modules["httpx2" if "httpx2" in names else "httpx"]


def _theirs(library: Any, error: BaseException, request: Any) -> Exception:
    """Return an error of the network as one of a library: they have the same names."""
    names = [base.__name__ for base in type(error).__mro__]
    kind = next((getattr(library, name) for name in names if hasattr(library, name)), library.TransportError)
    made: Exception = kind(str(error) or type(error).__name__, request=request)
    return made


@cache
def _stream_class(library: Any) -> Any:
    """Return the class of a body that is received, which is one of the library's own."""

    class Stream(getattr(library, BYTE_STREAM)):  # type: ignore[misc]
        """The body of an answer; its connection is free again when it was received, or is closed."""

        def __init__(
            self, incoming: Incoming, begun: AbstractContextManager[Incoming], library: Any, request: Any
        ) -> None:
            self._incoming, self._begun = incoming, begun
            self._library, self._request = library, request
            self._is_over = False

        def __iter__(self) -> Iterator[bytes]:
            try:
                while piece := self._incoming.receive():
                    yield piece
            except _ERRORS as error:
                self.close()
                raise _theirs(self._library, error, self._request) from error

        def close(self) -> None:
            if self._is_over:
                return
            self._is_over = True
            self._begun.__exit__(None, None, None)

    return Stream
