"""``agb serve``: the local runtime in this process, until Ctrl-C."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
from attrs import asdict

from ..config import found_outside
from ..local.errors import CannotStart
from ..local.options import Isolation, Network, Options
from .output import USAGE, CommandFailed, Output
from .parser import DURATION, Shared, command

if TYPE_CHECKING:
    from ..local.server import Listening


@command(
    "agb serve",
    "agb serve --port 8000 --data-dir ~/agb-data",
    "agb serve --env-file .env    # programs started in this directory find it",
    "agb serve --json --quiet | head -1",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=int, default=0, help="The port to listen on; default: any free one.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="For the files of sessions; default: temporary.")
@click.option("--isolation", type=click.Choice(get_args(Isolation)), default="auto", help="How sessions are separated.")
@click.option("--network", type=click.Choice(get_args(Network)), default="auto", help="What sessions can reach.")
@click.option("--idle-timeout", type=DURATION, metavar="TIME", help="Release idle sessions then; default: 300s.")
@click.option("--public-url", metavar="URL", help="The URL by which other machines reach it.")
@click.option("--warm", type=int, metavar="N", help="Sandboxes made ahead of the next sessions; default: 1.")
@click.option("--screen", metavar="WxH", help="The screen of desktops, in pixels; default: 1920x1080.")
@click.option("--planner", metavar="MODULE:FUNCTION", help="What decides what browser agents do; default: built in.")
@click.option(
    "--env-file", type=click.Path(dir_okay=False, path_type=Path), help="Write endpoint and key to this file."
)
@click.pass_obj
def serve(
    shared: Shared,
    host: str,
    port: int,
    data_dir: Path | None,
    isolation: Isolation,
    network: Network,
    idle_timeout: float | None,
    public_url: str | None,
    warm: int | None,
    screen: str | None,
    planner: str | None,
    env_file: Path | None,
) -> None:
    """Serve AGB sessions from this machine: a local runtime that speaks the cloud's protocol.

    It listens on this machine only, unless --host says otherwise. Clients need the key: --api-key, else AGB_API_KEY,
    else a new one, which is shown. With --json, endpoint and key are printed as one line once it listens. With
    --env-file they are written to a file that only you can read; its other lines are kept.
    """
    from ..local.command import banner, serve_here

    out = Output(shared)
    found = found_outside("AGB_API_KEY")
    key = shared.api_key if shared.api_key is not None else found.value if found is not None else None

    def ready(listening: Listening) -> None:
        if env_file is not None:
            _write(env_file, {"AGB_ENDPOINT": listening.url, "AGB_API_KEY": options.api_key})
        if out.is_json:
            report = asdict(listening.report)
            out.data(
                {
                    "endpoint": listening.url,
                    "api_key": options.api_key,
                    "dashboard": listening.dashboard_url,
                    "report": report,
                }
            )
        elif shared.quiet:
            click.echo(listening.url)
        else:
            click.echo(banner(options, listening, shows_key=key is None))

    try:
        options = Options.from_mapping(
            {
                "host": host,
                "port": port,
                "api_key": key,
                "data_dir": data_dir,
                "isolation": isolation,
                "network": network,
                "idle_timeout": idle_timeout,
                "public_url": public_url,
                "warm": warm,
                "screen": screen,
                "planner": planner,
                "planner_path": [str(Path.cwd())],
            }
        )
        serve_here(options, ready)
    except CannotStart as error:
        raise CommandFailed(str(error), USAGE) from error


def _write(path: Path, values: dict[str, str]) -> None:
    """Set variables in a file of the form of ``.env``; a new file can be read by this user only."""
    from dotenv import set_key

    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    for name, value in values.items():
        set_key(path, name, value, quote_mode="never")
