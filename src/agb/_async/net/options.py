"""Options of connections: checked before a connection is made, without an HTTP library."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Any

from ..._wire.proxy import Proxy

if TYPE_CHECKING:
    from .routes import Verify


def check_connections(http_client: Any, transport: Any, proxy: str | None, verify: Verify) -> None:
    """Raise unless the options for connections fit together."""
    given = [name for name, value in (("http_client", http_client), ("transport", transport)) if value is not None]
    if len(given) > 1:
        raise TypeError("http_client and transport are both given: a client has a transport of its own")
    if proxy is not None and not isinstance(proxy, str):
        raise TypeError(f"proxy is a URL such as 'http://proxy.example:3128', not {type(proxy).__name__}")
    if not isinstance(verify, bool | str | os.PathLike | ssl.SSLContext):
        raise TypeError(f"verify is True, False, a path or an ssl.SSLContext, not {type(verify).__name__}")
    if isinstance(verify, str | os.PathLike) and not os.path.exists(verify):  # noqa: PTH110 - it may be either
        raise ValueError(f"verify is the path of certificates, and {os.fspath(verify)!r} is not there")
    for name, is_given in (("proxy", proxy is not None), ("verify", verify is not True)):
        if given and is_given:
            raise TypeError(f"{name} is an option of this client's own connections, and with {given[0]} it has none")
    if proxy:
        Proxy.parse(proxy).check()
