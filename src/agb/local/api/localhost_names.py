"""Names below ``localhost``: the addresses to which this machine resolves them.

They should be loopback addresses (RFC 6761), but resolvers differ: systemd-resolved and the NSS module ``myhostname``
return these, while glibc alone asks a name server, which may not know the name or may take long to answer.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from concurrent.futures import Future

LIMIT = 1.0
"""Seconds for the answer of the resolver; a link should not need a resolver that takes longer."""

INSTALL = "install the NSS module myhostname (Debian and Ubuntu: apt install libnss-myhostname)"
"""The remedy where names below ``localhost`` are not resolved."""

_NAME = "agb.localhost"


def localhost_addresses(limit: float = LIMIT) -> frozenset[str]:
    """Return the addresses of names below ``localhost``; empty if some are not loopback, and without an answer in time.

    Blocks for ``limit`` seconds at most. The resolver itself has no limit, so it runs in a thread that may be left
    behind: a daemon, for which the end of the process does not wait.
    """
    answer: Future[frozenset[str]] = Future()
    threading.Thread(target=lambda: answer.set_result(resolved()), name="localhost-names", daemon=True).start()
    try:
        addresses = answer.result(limit)
    except TimeoutError:
        return frozenset()
    return addresses if all(ipaddress.ip_address(address).is_loopback for address in addresses) else frozenset()


def resolved() -> frozenset[str]:
    """Return the addresses that the resolver of this machine has for a name below ``localhost``."""
    try:
        found = socket.getaddrinfo(_NAME, None, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    return frozenset(str(address[0]) for *_, address in found)
