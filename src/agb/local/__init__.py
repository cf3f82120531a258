"""The local runtime: a server on this machine that speaks the cloud's protocol and really executes.

    with agb.local.serve() as server:
        client = agb.AGB(api_key=server.api_key, cfg=agb.Config(endpoint=server.endpoint))

Importing this package loads nothing of the server; it runs in a process of its own and needs the extra ``agb[local]``.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import CannotStart, IsolationUnavailable

if TYPE_CHECKING:
    from .child import LocalServer, ServerProcess
    from .options import Isolation, Network
    from .planner import Planner

__all__ = ["CannotStart", "IsolationUnavailable", "LocalServer", "aserve", "serve"]


def __getattr__(name: str) -> object:
    if name == "LocalServer":
        from .child import LocalServer

        return LocalServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@contextmanager
def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    api_key: str | None = None,
    data_dir: str | PathLike[str] | None = None,
    isolation: Isolation = "auto",
    network: Network = "auto",
    idle_timeout: float | None = None,
    public_url: str | None = None,
    allow_none: bool = False,
    warm: int = 1,
    screen: str = "1920x1080",
    planner: Planner | str | None = None,
) -> Iterator[LocalServer]:
    """Run a local runtime as long as the ``with`` block lasts, and yield it once it accepts connections.

    The runtime and all its sessions are gone when the block is left; if this program is killed, the runtime ends by
    itself. Blocks while it starts and ends; within a running event loop use `aserve`.

    Args:
        host: the address to listen on; the default is reached from this machine only.
        port: the port to listen on, 0 for any free one.
        api_key: the key that clients must send, a new one if not given.
        data_dir: the directory for the files of sessions, a temporary one if not given.
        isolation: how sessions are isolated: by ``"bubblewrap"`` (an error if it does not work here), ``"none"``
            (they run as ordinary processes of yours), or ``"auto"``, which is bubblewrap.
        network: ``"isolated"`` (a network of its own for each session), ``"host"`` (this machine's), or ``"auto"``.
        idle_timeout: seconds without activity after which a session is released, unless it asked for another time.
        public_url: scheme and host by which other machines reach the server, through a proxy for instance; the URLs
            that the server answers begin with it.
        allow_none: whether ``isolation="auto"`` may continue without isolation where bubblewrap does not work.
        warm: how many sandboxes are made ahead of the sessions that get them, from the second session on; 0 makes none.
        screen: width and height of the screen of desktops, in pixels.
        planner: what decides what the agents of browsers do, an asynchronous function of an importable module, or its
            name as ``"module:function"``; without one the runtime's own engine does. It runs in the runtime's process.

    Raises:
        CannotStart: the runtime cannot start here; its text says why and what to do.

    Example:
        >>> import agb.local
        >>> with agb.local.serve() as server:
        ...     server.endpoint.startswith("http://127.0.0.1:")
        True
    """
    process = _process(
        host, port, api_key, data_dir, isolation, network, idle_timeout, public_url, allow_none, warm, screen, planner
    )
    try:
        yield process.start()
    finally:
        process.stop()


@asynccontextmanager
async def aserve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    api_key: str | None = None,
    data_dir: str | PathLike[str] | None = None,
    isolation: Isolation = "auto",
    network: Network = "auto",
    idle_timeout: float | None = None,
    public_url: str | None = None,
    allow_none: bool = False,
    warm: int = 1,
    screen: str = "1920x1080",
    planner: Planner | str | None = None,
) -> AsyncIterator[LocalServer]:
    """Run a local runtime as long as the ``async with`` block lasts; `serve` for asyncio and trio.

    Arguments, result and errors are those of `serve`.
    """
    from anyio import CancelScope, to_thread

    process = _process(
        host, port, api_key, data_dir, isolation, network, idle_timeout, public_url, allow_none, warm, screen, planner
    )
    # In threads: a thread that has begun runs to its end, also when the task that waits for it is cancelled.
    try:
        yield await to_thread.run_sync(process.start)
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(process.stop)


def _process(
    host: str,
    port: int,
    api_key: str | None,
    data_dir: str | PathLike[str] | None,
    isolation: Isolation,
    network: Network,
    idle_timeout: float | None,
    public_url: str | None,
    allow_none: bool,
    warm: int,
    screen: str,
    planner: Planner | str | None,
) -> ServerProcess:
    """Return the process, not yet started."""
    from .child import ServerProcess

    return ServerProcess(
        {
            "host": host,
            "port": port,
            "api_key": api_key,
            "data_dir": None if data_dir is None else str(data_dir),
            "isolation": isolation,
            "network": network,
            "idle_timeout": idle_timeout,
            "public_url": public_url,
            "allow_none": allow_none,
            "warm": warm,
            "screen": screen,
            **planner_options(planner),
        }
    )


def planner_options(planner: Planner | str | None) -> dict[str, object]:
    """Return the options of a planner; the runtime's process finds its module where this one does."""
    if planner is None:
        return {}
    name = planner
    if not isinstance(name, str):
        module, attribute = getattr(planner, "__module__", None), getattr(planner, "__qualname__", "<")
        if not isinstance(module, str) or module == "__main__" or "<" in attribute:
            raise CannotStart(
                f"the planner {planner!r} cannot be imported by the runtime, which is another process: "
                "define it at the top level of a module"
            )
        name = f"{module}:{attribute}"
    return {"planner": name, "planner_path": [str(Path(directory or ".").absolute()) for directory in sys.path]}
