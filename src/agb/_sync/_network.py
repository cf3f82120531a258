"""How a connection is opened, in the synchronous flavour; ``_async/_network.py`` has the same names."""

from __future__ import annotations

import ssl

import httpcore


def open_stream(host: str, port: int, tls: ssl.SSLContext | None, timeout: float) -> httpcore.NetworkStream:
    """Return a stream to a host; raise httpcore's `ConnectError` or `ConnectTimeout`."""
    stream = httpcore.SyncBackend().connect_tcp(host, port, timeout=timeout)
    if tls is None:
        return stream
    try:
        return stream.start_tls(tls, server_hostname=host, timeout=timeout)
    except BaseException:
        stream.close()
        raise
