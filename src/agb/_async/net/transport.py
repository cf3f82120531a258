"""The pool as a transport of httpx: beneath the SDK's own client, and for the clients of other programs."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx

from ..._wire.proxy import Proxy
from ...limits import Limits
from .._compat.loop import close_when_dropped
from .per_loop import PerLoop
from .pool import AsyncConnectionPool
from .routes import Verify
from .urls import masked_url_class


class AsyncPoolTransport(httpx.AsyncHTTPTransport):
    """A transport for `httpx.AsyncClient` over this package's connection pool.

    What a request costs does not grow with the connections that are open, which with httpx's own transport it does.
    HTTP/1.1; time-outs, errors, extensions and streams both ways are httpx's. Nothing is sent twice except a GET, HEAD
    or OPTIONS that a kept connection, dead by then, did not take.

    Args:
        limits: how many connections there may be, and how many requests may wait for one.
        proxy: as of `AsyncAGB`; the environment is read without it, ``""`` for none.
        verify: which certificates are trusted, as of `AsyncAGB`.

    Raises:
        ValueError: ``proxy`` is not the address of one.
        ImportError: a SOCKS proxy without ``agb[socks]``.

    Example:
        >>> import httpx
        >>> from agb import AsyncPoolTransport
        >>> async with httpx.AsyncClient(transport=AsyncPoolTransport(proxy="")) as http:
        ...     answer = await http.get(f"{client.endpoint}/sdk/ListSession")
        >>> answer.status_code
        401
    """

    def __init__(self, *, limits: Limits | None = None, proxy: str | None = None, verify: Verify = True) -> None:
        # The base class is not initialised: it would make a pool of its own, and load certificates for it.
        if proxy:
            Proxy.parse(proxy).check()
        most = limits or Limits()
        self._pools: PerLoop[AsyncConnectionPool] = PerLoop(lambda: AsyncConnectionPool(most, proxy, verify))
        close_when_dropped(self, self._pools)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.pool!r}>"

    @property
    def pool(self) -> AsyncConnectionPool:
        """The pool of the running event loop; ``pool.stats()`` returns how many connections there are."""
        return self._pools.here()

    @property
    def _pool(self) -> AsyncConnectionPool:  # type: ignore[override]  # where the base class has httpcore's
        return self._pools.here()

    @property
    def pools(self) -> list[AsyncConnectionPool]:
        """The pools of all event loops of this process."""
        return self._pools.all()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return its answer when its head is there; called by the client.

        Raises:
            TypeError: the client is not httpx's: httpx2 has other classes of requests and errors.
        """
        if not isinstance(request, httpx.Request):
            raise TypeError(
                f"{type(self).__name__} is a transport for clients of httpx, not of {type(request).__module__}"
            )
        if isinstance(request.url, _MASKED):
            request = _without_query(request)
        return await super().handle_async_request(request)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections of all event loops; those in use are closed when their answer was read."""
        await self._pools.aclose()


def _without_query(request: httpx.Request) -> httpx.Request:
    """Return a request whose URL has no query, for what is between here and the pool, such as tracing.

    The query of a pre-signed URL is a secret. What is sent is in the extension ``target``, exactly as it was signed.
    """
    url = httpx.URL(scheme=request.url.scheme, netloc=request.url.netloc, path=request.url.path)
    return httpx.Request(
        request.method, url, headers=request.headers, stream=request.stream, extensions=request.extensions
    )


class AsyncCookielessClient(httpx.AsyncClient):
    """An httpx client that keeps no cookies: the API sets none, and a load balancer's would be another state."""

    @property
    def cookies(self) -> httpx.Cookies:
        """An empty jar that stays empty."""
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, cookies: Any) -> None:
        del cookies


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        del response


_NO_COOKIES = _NoCookies()
_HTTPX: Any = httpx
_MASKED = masked_url_class(_HTTPX)


def own_client(transport: AsyncPoolTransport) -> httpx.AsyncClient:
    """Return the SDK's own client around a transport: no cookies, no redirects, nothing from the environment."""
    return AsyncCookielessClient(transport=transport, trust_env=False, follow_redirects=False)
