"""The file tools: what each takes, and how it is put to the session's file helper."""

from __future__ import annotations

from typing import Any, Final

import attrs
from attrs import frozen

from .arguments import argument
from .session import LocalSession
from .tools import Tool, ToolReply

_SERVER: Final = "wuying_filesystem"
_PATH: Final = "Path inside the session; a relative one starts at its home."


def _path(description: str = _PATH) -> Any:
    return argument(description)


@frozen
class PathArguments:
    """Arguments of the tools that take a path and nothing else."""

    path: str = _path()


@frozen
class Edit:
    """One replacement."""

    oldText: str = argument("Text to look for; every occurrence is replaced.", content=True)  # noqa: N815 - the wire's
    newText: str = argument("Text to put in its place.", content=True)  # noqa: N815


@frozen
class EditArguments:
    """Arguments of ``edit_file``."""

    path: str = _path()
    edits: list[Edit] = argument("Replacements, made in this order; all of them or none.")
    dryRun: bool = argument("Whether to tell the difference and change nothing.", default=False)  # noqa: N815


@frozen
class MoveArguments:
    """Arguments of ``move_file``."""

    source: str = _path("Path of the file or directory.")
    destination: str = _path("Path it is to have; nothing may be there.")


@frozen
class DeleteArguments:
    """Arguments of ``delete_file``."""

    path: str = _path()
    recursive: bool = argument("Whether a directory is deleted, too, with all that is in it.", default=False)


@frozen
class ReadArguments:
    """Arguments of ``read_file``."""

    path: str = _path()
    offset: int = argument("Byte to begin with.", default=0, minimum=0, maximum=2**62)
    length: int = argument("Bytes to read; 0 reads to the end.", default=0, minimum=0, maximum=2**62)
    format: str = argument(
        "text (UTF-8; the characters that begin in the range) or binary (base64).",
        default="text",
        choices=("text", "binary"),
    )


@frozen
class WriteArguments:
    """Arguments of ``write_file``."""

    path: str = _path()
    content: str = argument("What to write.", content=True)
    mode: str = argument(
        "overwrite, append, or create_new, which fails if the file exists.",
        default="overwrite",
        choices=("overwrite", "append", "create_new"),
    )
    format: str = argument(
        "What the content is: text (written as UTF-8) or binary (base64 of the bytes).",
        default="text",
        choices=("text", "binary"),
    )


@frozen
class ReadMultipleArguments:
    """Arguments of ``read_multiple_files``."""

    paths: list[str] = argument("Paths inside the session; relative ones start at its home.")


@frozen
class SearchArguments:
    """Arguments of ``search_files``."""

    path: str = _path("Directory to search, with all beneath it.")
    pattern: str = argument(
        "Glob for the name (for the path from there if it has a slash), or a part of the name, in whatever case."
    )
    excludePatterns: list[str] | None = argument(  # noqa: N815 - the wire's
        "Globs, or whole names, of what is left out with all beneath it.", default=None
    )


def _tool(name: str, description: str, kind: type[attrs.AttrsInstance], *, summarized: str = "path") -> Tool:
    async def ask(session: LocalSession, given: Any) -> ToolReply:
        reply = await session.files.call(name, attrs.asdict(given))
        return ToolReply(reply.text, is_error=not reply.ok)

    return Tool(name, _SERVER, description, kind, ask, summarized=summarized)


async def write_file(session: LocalSession, given: WriteArguments) -> ToolReply:
    """Write a file; the content goes beside the other arguments, as the bytes it is."""
    args = {"path": given.path, "mode": given.mode, "format": given.format}
    reply = await session.files.call("write_file", args, given.content.encode())
    return ToolReply(reply.text, is_error=not reply.ok)


async def get_file_change(session: LocalSession, given: PathArguments) -> ToolReply:
    """Tell what has changed since the call before; the text is a JSON array."""
    reply = await session.files.changes(given.path)
    return ToolReply(reply.text, is_error=not reply.ok)


FILE_TOOLS: Final = (
    _tool("create_directory", "Make a directory, and those above it that are missing.", PathArguments),
    _tool("edit_file", "Replace text in a file and return the difference.", EditArguments),
    _tool("get_file_info", "Return size, kind, times and permissions, one 'key: value' per line.", PathArguments),
    _tool(
        "list_directory",
        "Return the entries of a directory, one '[DIR] name' or '[FILE] name' per line.",
        PathArguments,
    ),
    _tool(
        "move_file", "Move or rename a file or directory; nothing is overwritten.", MoveArguments, summarized="source"
    ),
    _tool("delete_file", "Delete a file, or a directory if asked to.", DeleteArguments),
    _tool("read_file", "Return the content of a file, or a range of its bytes.", ReadArguments),
    Tool(
        "write_file",
        _SERVER,
        "Write a file: readers see the old content or the new one. Its directory must exist.",
        WriteArguments,
        write_file,
        summarized="path",
    ),
    _tool(
        "read_multiple_files",
        "Return several files as text, divided by lines '---'.",
        ReadMultipleArguments,
        summarized="paths",
    ),
    _tool("search_files", "Return the paths beneath a directory whose names match, one per line.", SearchArguments),
    Tool(
        "get_file_change",
        _SERVER,
        "Return what has changed at a path, or beneath it, since the call before, as a JSON array; the first call "
        "begins to watch and gives none.",
        PathArguments,
        get_file_change,
        summarized="path",
    ),
)
