"""``agb images``: the images of the service and what each can do."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from .._ops import sessions as ops
from .._sync._compat.concurrency import gather
from ..exceptions import AGBError, ErrorKind
from .output import NOT_FOUND, CommandFailed, Output
from .parser import Shared, command
from .settings import client

if TYPE_CHECKING:
    from .. import AGB

KNOWN: Final = (
    "agb-code-space-1",
    "agb-browser-use-1",
    "agb-computer-use-1",
    "agb-computer-use-ubuntu-2204",
)
"""The documented images; the API has no list of them, so each is asked for its tools."""
_ABILITIES: Final = {
    "code": "run_code",
    "commands": "shell",
    "files": "read_file",
    "browser": "stopChrome",
    "desktop": "click_mouse",
}
"""What an image can do -> a tool by which it is known."""


@command("agb images", "agb images --image my-image", "agb images --json")
@click.option("--image", "images", multiple=True, metavar="IMAGE", help="This image; default: the known ones.")
@click.pass_obj
def images(shared: Shared, images: tuple[str, ...]) -> None:
    """List images, and what the sessions of each can do."""
    out = Output(shared)
    with client(shared) as agb:
        wanted = images or KNOWN
        rows = [row for row in gather([partial(_row, agb, image) for image in wanted]) if row is not None]
    if images and len(rows) < len(images):
        missing = sorted(set(images) - {row["image"] for row in rows})
        raise CommandFailed(f"there is no image {', '.join(missing)}", NOT_FOUND)
    out.values(rows, ("image", *_ABILITIES), "no images", key="image")


def _row(agb: AGB, image: str) -> dict[str, Any] | None:
    try:
        tools, _ = agb.client.call(ops.list_tools(image))
    except AGBError as error:
        if error.kind is ErrorKind.NOT_FOUND or error.kind is ErrorKind.REFUSED:
            return None
        raise
    names = {tool.name for tool in tools}
    return {
        "image": image,
        **{ability: tool in names for ability, tool in _ABILITIES.items()},
        "tools": sorted(names),
    }
