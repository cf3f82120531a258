"""What the tests of agent frameworks look at from outside: which sessions exist, and which processes run in them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from agb import AsyncAGB, AsyncSession, Config
from agb._async.lifecycle.reaper import owned
from agb._ops import ownership
from agb.local import LocalServer

SLEEP = "echo $$ >/tmp/started; exec sleep 600"
"""A command that does not end; the file shows that it runs."""
SLEEP_IN_CODE = "import subprocess; subprocess.run(['sleep', '600'])"


def client(runtime: LocalServer) -> AsyncAGB:
    """Return a client of the local runtime."""
    return AsyncAGB(runtime.api_key, Config(runtime.endpoint, 60_000))


async def sessions_of(agb: AsyncAGB, owner: str) -> list[AsyncSession]:
    """Return the sessions of an owner, such as ``"pydantic-ai:*"``."""
    found = await owned(agb, ownership.owned_by(owner), 60)
    return [agb.attach(one.session_id) for one in found]


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Return as soon as a condition holds.

    Raises:
        TimeoutError: it did not hold in time.
    """
    with anyio.fail_after(seconds):
        while not await condition():
            await anyio.sleep(0.05)  # waits on purpose: nothing announces such a change


async def sleeps(session: AsyncSession) -> bool:
    """Return whether a command that does not end runs in the session."""
    return (await session.command.run(["pgrep", "-x", "sleep"])).exit_code == 0
