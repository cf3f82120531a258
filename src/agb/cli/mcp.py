"""``agb mcp``: an MCP server, by which agents work in sessions."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from .output import USAGE, CommandFailed, Output
from .parser import DURATION, Shared, command
from .settings import async_client, connection

if TYPE_CHECKING:
    from .. import AsyncAGB
    from ..integrations.mcp import Http, Options


@command(
    "agb mcp                                     # what a client of MCP starts: {command: agb, args: [mcp]}",
    "agb mcp --local                             # without an account: sessions of this machine",
    "agb mcp --image agb-browser-use-1",
    "agb mcp --transport http --port 8700",
    "AGB_MCP_TOKEN=... agb mcp --transport http --host 0.0.0.0 --port 8700 --allow-host sandboxes.example.com",
)
@click.option(
    "--transport",
    type=click.Choice(["stdio", "http"]),
    default="stdio",
    show_default=True,
    help="How clients reach it: they start it (stdio), or open a URL (streamable HTTP).",
)
@click.option("--host", help="HTTP: the address to listen on; default: 127.0.0.1, for this machine only.")
@click.option("--port", type=click.IntRange(0, 65535), help="HTTP: the port; default: any free one.")
@click.option(
    "--token",
    envvar="AGB_MCP_TOKEN",
    show_envvar=True,
    metavar="TOKEN",
    help="HTTP: the bearer token that clients must send; needed for other addresses than those of this machine.",
)
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="HTTP: a further name of this server.")
@click.option("--image", default="agb-code-space-1", show_default=True, help="The image of sessions.")
@click.option("--idle-time", type=DURATION, default="15m", show_default=True, metavar="TIME", help="Release them then.")
@click.option(
    "--answer-limit", type=int, default=30_000, show_default=True, metavar="N", help="Characters of an answer."
)
@click.option("--max-sessions", type=int, default=16, show_default=True, metavar="N", help="The most at a time.")
@click.option("--name", metavar="NAME", help="For 'agb gc --owner mcp:NAME'; default: a random one.")
@click.option("--local", is_flag=True, help="Run a local runtime for it, in place of the configured service.")
@click.pass_obj
def mcp(
    shared: Shared,
    transport: str,
    host: str | None,
    port: int | None,
    token: str | None,
    hosts: tuple[str, ...],
    image: str,
    idle_time: float,
    answer_limit: int,
    max_sessions: int,
    name: str | None,
    local: bool,
) -> None:
    """Serve the Model Context Protocol: an agent that speaks it gets sandboxes, with files, commands and code.

    Each conversation has a session of its own, created at its first call, and released at its end and after its idle
    time. With --transport http it prints its URL and serves until Ctrl-C.
    """
    if transport == "stdio" and (host is not None or port is not None or hosts):
        raise CommandFailed("--host, --port and --allow-host are for --transport http", USAGE)
    try:
        from ..integrations.mcp import BadOptions, Http, Options
    except ImportError as error:
        raise CommandFailed(str(error), USAGE) from error
    try:
        options = Options(image, idle_time, answer_limit, max_sessions, **({} if name is None else {"name": name}))
        http = Http(host or "127.0.0.1", port or 0, token, hosts) if transport == "http" else None
    except BadOptions as error:
        raise CommandFailed(str(error), USAGE) from error
    out = Output(shared)

    def ready(url: str) -> None:
        if out.is_json:
            out.data({"url": url, "owner": f"mcp:{options.name}"})
        else:
            click.echo(url if shared.quiet else f"agb mcp listens on {url}", err=not shared.quiet)

    _serve(shared, options, http, ready, local=local)


def _serve(shared: Shared, options: Options, http: Http | None, ready: Callable[[str], None], *, local: bool) -> None:
    import anyio

    from ..integrations.mcp import create_server, serve_http, serve_stdio
    from ..local import CannotStart

    async def main() -> None:
        async with _service(shared, local=local) as connect:
            server = create_server(connect, options)
            if http is None:
                await serve_stdio(server)
            else:
                await serve_http(server, http, ready)

    if not local:
        connection(shared)  # raises what is wrong with the settings, before anything is served
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        anyio.run(main)
    except CannotStart as error:
        raise CommandFailed(str(error)) from error


@asynccontextmanager
async def _service(shared: Shared, *, local: bool) -> AsyncIterator[Callable[[], AsyncAGB]]:
    """Return what makes the client: of the configured service, or of a local runtime for the time of the block."""
    if not local:
        yield lambda: async_client(shared)
        return
    from ..local import aserve

    async with aserve() as runtime:
        shared.endpoint, shared.api_key = runtime.endpoint, runtime.api_key
        yield lambda: async_client(shared)
