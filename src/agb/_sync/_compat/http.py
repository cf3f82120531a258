"""Names that differ between the two clients of httpx: the synchronous flavour."""

from __future__ import annotations

import sys
from inspect import iscoroutinefunction
from typing import Any


def check_client(client: Any) -> None:
    """Raise `TypeError` unless ``client`` has the interface of httpx's synchronous client."""
    send = getattr(client, "send", None)
    if not (hasattr(client, "build_request") and callable(send)) or iscoroutinefunction(send):
        raise TypeError(f"http_client is an httpx.Client (or httpx2's), not {type(client).__qualname__}")


def check_transport(transport: Any) -> None:
    """Raise `TypeError` unless ``transport`` is one of httpx's synchronous transports, or of httpx2's."""
    if not (hasattr(transport, "handle_request") and _is_transport(transport)):
        raise TypeError(f"transport is an httpx.BaseTransport (or httpx2's), not {type(transport).__qualname__}")


def client_over(transport: Any) -> Any:
    """Return a client of its own library around a transport; it adds nothing of the environment."""
    return sys.modules[library_of(transport)].Client(transport=transport, trust_env=False)


def library_of(client: Any) -> str:
    """Return the library of a client or a transport: httpx, or httpx2, which has the same interface."""
    names = (base.__module__.partition(".")[0] for base in type(client).__mro__)
    return next((name for name in names if name in ("httpx", "httpx2")), "httpx")


def _is_transport(transport: Any) -> bool:
    return any(base.__name__ == "BaseTransport" for base in type(transport).__mro__)
