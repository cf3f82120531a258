"""Routes: by which proxy a host is reached, and which certificates are trusted on the way."""

from __future__ import annotations

import os
import ssl
import sys
from functools import cache
from urllib.request import getproxies, proxy_bypass

import httpcore

from ..._wire.proxy import Proxy, Route, named_by, needs_none, settings_of
from .tunnel import ProxyRefusal

Verify = bool | str | os.PathLike[str] | ssl.SSLContext
"""Which certificates are trusted: those that httpx trusts, any, those of a file or directory, or as a context says."""

_ROUTES_KEPT = 1024
_SYSTEMS = frozenset({"darwin", "win32"})
"""Systems with proxy settings of their own."""
_PORTS = {"http": 80, "https": 443}


class Routes:
    """The routes of a pool. The environment is read once for each host."""

    def __init__(self, proxy: str | None, verify: Verify) -> None:
        self._uses_environment = proxy is None
        self._proxy = Proxy.parse(proxy) if proxy else None
        self._verify = verify
        self._found: dict[tuple[bytes, bytes, int | None, bool], Route] = {}

    def find(self, scheme: bytes, host: bytes, port: int | None, *, is_upgrade: bool = False) -> Route:
        """Return how a host is reached; a connection that is upgraded (WebSocket) is never forwarded, but tunnelled.

        Raises:
            httpcore.UnsupportedProtocol: it is not HTTP.
            ProxyRefusal: the environment names a proxy that cannot be used.
        """
        key = (scheme, host, port, is_upgrade)
        route = self._found.get(key)
        if route is None:
            route = self._route(scheme.decode("ascii"), host.decode("ascii").strip("[]"), port, is_upgrade)
            if len(self._found) >= _ROUTES_KEPT:
                self._found.clear()
            self._found[key] = route
        return route

    def _route(self, scheme: str, host: str, port: int | None, is_upgrade: bool) -> Route:
        if scheme not in _PORTS:
            raise httpcore.UnsupportedProtocol(f"{scheme}:// is not a protocol of this transport")
        number = port or _PORTS[scheme]
        proxy = self._proxy_for(scheme, host, number) if self._uses_environment else self._proxy
        is_forwarded = proxy is not None and scheme == "http" and not proxy.is_socks and not is_upgrade
        return Route(scheme, host, number, proxy, is_forwarded)

    def _proxy_for(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Return the proxy that the environment names for a host."""
        settings = settings_of(os.environ)
        url = named_by(settings, scheme)
        if needs_none(host, port, settings.get("no", "")):
            return None
        if not (settings.keys() - {"no"}) and sys.platform in _SYSTEMS:  # as urllib does: the system's, without any
            url = "" if proxy_bypass(host) else named_by(getproxies(), scheme)
        if not url:
            return None
        try:
            proxy = Proxy.parse(url, "proxy that the environment names")
            proxy.check()
        except (ValueError, ImportError) as error:
            raise ProxyRefusal(str(error), permanent=True) from error
        return proxy

    def tls(self, route: Route) -> ssl.SSLContext | None:
        """Return the TLS context for a route, None if nothing on it is encrypted."""
        is_needed = route.scheme == "https" or (route.proxy is not None and route.proxy.scheme == "https")
        return tls_context(self._verify) if is_needed else None


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
