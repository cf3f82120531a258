"""``agb quickstart``: every step of a session's life, with the time each took."""

from __future__ import annotations

import click

from .output import CommandFailed
from .parser import Shared, command
from .settings import connection


@command("agb quickstart", "agb quickstart --cloud")
@click.option("--cloud", is_flag=True, help="Use the configured endpoint and key in place of a local runtime.")
@click.pass_obj
def quickstart(shared: Shared, cloud: bool) -> int:
    """Take a session through its whole life, for real, and show each step.

    It starts a local runtime of its own; with --cloud it uses the configured service.
    """
    from ..local import CannotStart
    from ..quickstart import in_the_cloud, on_this_machine

    try:
        return in_the_cloud(*connection(shared)) if cloud else on_this_machine()
    except CannotStart as error:
        raise CommandFailed(str(error)) from error
