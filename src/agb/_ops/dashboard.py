"""The dashboard of the local runtime, which the cloud does not have."""

from __future__ import annotations

from .._wire.call import Call, post
from .._wire.shape import NAME, Object, needed

ADDRESS = Object({"data": needed(Object({"url": needed(NAME)}))})


def dashboard_address() -> Call[str]:
    """POST /dashboard: an address at which one browser is let in."""
    return post(
        "get the address of the dashboard",
        "/dashboard",
        read=lambda reply: reply.content()["data"]["url"],
        shape=ADDRESS,
    )
