"""The connection pool of a client, for tests that look into it."""

from __future__ import annotations

from typing import Any


def pool_of(agb: Any) -> Any:
    """Return the pool of the running event loop that a client of either flavour uses."""
    transport = agb.client._http()._transport
    assert transport is not None, "the client has a transport that the caller passed"
    return transport.pool
