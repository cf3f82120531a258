"""Names that differ between the two clients of httpx: the asynchronous flavour."""

from __future__ import annotations

import sys
from typing import Any

BYTE_STREAM = "AsyncByteStream"
"""httpx's class for the body of a response that is streamed."""


def check_client(client: Any) -> None:
    """Raise `TypeError` unless ``client`` has the interface of httpx's asynchronous client."""
    from inspect import iscoroutinefunction

    if not (hasattr(client, "build_request") and iscoroutinefunction(getattr(client, "send", None))):
        raise TypeError(f"http_client is an httpx.AsyncClient (or httpx2's), not {type(client).__qualname__}")


def check_transport(transport: Any) -> None:
    """Raise `TypeError` unless ``transport`` is one of httpx's asynchronous transports, or of httpx2's."""
    if not (hasattr(transport, "handle_async_request") and _library_of(transport)):
        raise TypeError(f"transport is an httpx.AsyncBaseTransport (or httpx2's), not {type(transport).__qualname__}")


def client_over(transport: Any) -> Any:
    """Return a client of its own library around a transport; it ignores the environment."""
    return sys.modules[_library_of(transport)].AsyncClient(transport=transport, trust_env=False)


def _library_of(transport: Any) -> str:
    bases = [base for base in type(transport).__mro__ if base.__name__ == "AsyncBaseTransport"]
    names = [base.__module__.partition(".")[0] for base in bases]
    return next((name for name in names if name in ("httpx", "httpx2")), "")
