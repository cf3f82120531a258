"""The commands about browser extensions: ``agb extension ...``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from .output import NOT_FOUND, CommandFailed, Output
from .parser import Shared, command
from .sessions import F
from .settings import client


def _context_option() -> Callable[[F], F]:
    return click.option(
        "--context",
        "name",
        metavar="NAME",
        default="extensions",
        show_default=True,
        help="The context that holds them; it is made if needed.",
    )


@command("agb extension ls")
@_context_option()
@click.pass_obj
def ls(shared: Shared, name: str) -> None:
    """List the browser extensions of a context."""
    from .. import ExtensionsService

    with client(shared) as agb:
        rows = [{"id": one.id, "created_at": one.created_at} for one in ExtensionsService(agb, name).list()]
    Output(shared).values(rows, ("id", "created_at"), "no extensions")


@command("agb extension add adblock.zip")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@_context_option()
@click.pass_obj
def add(shared: Shared, files: tuple[Path, ...], name: str) -> None:
    """Store browser extensions, which are .zip files, and print their ids."""
    from .. import ExtensionsService

    with client(shared) as agb:
        service = ExtensionsService(agb, name)
        try:
            rows = [{"id": service.create(file).id, "file": str(file)} for file in files]
        except FileNotFoundError as error:
            raise CommandFailed(str(error), NOT_FOUND) from error
    Output(shared).values(rows, ("id", "file"), "")


@command("agb extension rm ext_0123.zip")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@_context_option()
@click.pass_obj
def rm(shared: Shared, ids: tuple[str, ...], name: str) -> None:
    """Delete browser extensions."""
    from .. import ExtensionsService

    with client(shared) as agb:
        service = ExtensionsService(agb, name)
        there = {one.id for one in service.list()}
        if missing := [one for one in ids if one not in there]:
            raise CommandFailed(f"there is no extension {', '.join(missing)} in {name!r}", NOT_FOUND)
        failed = [one for one in ids if not service.delete(one)]
        if failed:
            raise CommandFailed(f"not deleted: {', '.join(failed)}")
    Output(shared).values([{"id": one} for one in ids], ("id",), "")
