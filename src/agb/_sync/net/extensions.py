# Generated from src/agb/_async/net/extensions.py by tools/unasync.py. Do not edit.
"""Extensions of a request: what the SDK asks of its pool beyond httpx's arguments. Other transports ignore them.

The documented extensions of httpcore that the pool knows as well are ``timeout``, ``trace`` and ``target``.
"""

from __future__ import annotations

from typing import Final

DEADLINE: Final = "agb.deadline"
"""A `Deadline` that every step of the request takes its time from, in place of ``timeout``."""
REPEATABLE: Final = "agb.repeatable"
"""Whether the request may be sent once more when a kept connection proves to be dead; GET, HEAD and OPTIONS may."""
READ_WHOLE: Final = "agb.read_whole"
"""Bytes of the body that are received before the answer is returned, so that its connection is free by then."""
FINISH: Final = "agb.finish"
"""A function. Once the request has a connection it is not given up when its caller is cancelled: the answer is awaited,
and passed to this function as `Answer`."""
MOST_BYTES: Final = "agb.most_bytes"
"""Bytes that the answer of a request with `FINISH` may have."""
TRANSFER: Final = "agb.transfer"
"""Present for a request that may take long; such requests use three quarters of the connections at most."""

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers and the whole body."""
