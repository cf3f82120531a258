"""The pause between two looks at something that announces no change."""

from __future__ import annotations

import time

import anyio

PAUSE = 0.02


def pause() -> None:
    """Leave the processor to what is waited for."""
    time.sleep(PAUSE)  # waits on purpose: see above


async def apause() -> None:
    """Leave the processor and the event loop to what is waited for."""
    await anyio.sleep(PAUSE)  # waits on purpose: see above
