"""Tools that create and delete sessions, and make links to programs in them."""

from __future__ import annotations

from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field
from typing_extensions import TypedDict

from .answers import answer
from .conversations import Refused
from .tool import Call, SessionId, tool


class SessionValues(TypedDict):
    """A session, as values."""

    session_id: str
    image: str


class LinkValues(TypedDict):
    """A link, as values."""

    url: str


@tool("Create a session")
async def create_session(
    call: Call,
    image: Annotated[
        str | None,
        Field(
            description="What is installed in it: agb-code-space-1 (code, files, commands), agb-browser-use-1 (with a "
            "browser), agb-computer-use-ubuntu-2204 (with a browser and a desktop). Without it, the server's default."
        ),
    ] = None,
) -> Annotated[CallToolResult, SessionValues]:
    """Create a new session, an isolated Linux machine with files of its own, and make it the current one.

    The first call of another tool creates a session by itself, so this is only needed for another image, for a second
    machine, or if the client has no MCP session. Returns the session_id.
    """
    held = await call.conversations.create(call.conversation, image)
    values = {"session_id": held.id, "image": image or call.options.image}
    return answer(f"Created the session {held.id} with the image {values['image']}.", values=values)


@tool("Delete a session", destroys=True, repeatable=True)
async def delete_session(call: Call, session_id: SessionId = None) -> CallToolResult:
    """Delete a session with all its files and processes, when it is not needed any more."""
    if session_id is None and call.conversation is not None and call.conversation.current is None:
        raise Refused("there is no current session in this conversation")
    async with call.session(session_id) as held:
        await call.conversations.delete(held)
    following = "" if held.conversation is None else f" {held.conversation.following}"
    return answer(f"Deleted the session {held.id}.{following}")


@tool("Make a link", reads=True, outside=True)
async def make_link(
    call: Call,
    port: Annotated[int, Field(ge=1, le=65_535, description="The port that the program listens on: 30100 to 30199.")],
    session_id: SessionId = None,
) -> Annotated[CallToolResult, LinkValues]:
    """Return a URL by which a program in the session is reached from outside, such as a web server.

    The program must listen on 0.0.0.0. Start it with run_command and background=true.
    """
    async with call.session(session_id) as held:
        url = (await held.session.get_link(port=port)).raise_for_error().data
    return answer(url, values={"url": url})
