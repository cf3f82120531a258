"""The file tools: the arguments of each, and the request to the session's file helper."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from .arguments import Arguments, Text
from .session import LocalSession
from .tools import Tool, ToolReply

_SERVER: Final = "wuying_filesystem"

Path = Annotated[Text, Meta(description="Path inside the session; a relative one starts at its home.")]
Format = Literal["text", "binary"]
_MOST_BYTES: Final = 2**62


class PathArguments(Arguments, frozen=True):
    """Arguments of the tools that take a path and nothing else."""

    paths_of_files = frozenset({"path"})
    path: Path


class Edit(Arguments, frozen=True, rename="camel"):
    """One replacement."""

    old_text: Annotated[str, Meta(description="Text to look for; every occurrence is replaced.")]
    new_text: Annotated[str, Meta(description="Text to put in its place.")]


class EditArguments(Arguments, frozen=True, rename="camel"):
    """Arguments of ``edit_file``."""

    paths_of_files = frozenset({"path"})
    path: Path
    edits: Annotated[list[Edit], Meta(description="Replacements, made in this order; all of them or none.")]
    dry_run: Annotated[bool, Meta(description="Whether to return the difference and change nothing.")] = False
    replace_all: Annotated[
        bool, Meta(description="Whether every occurrence is replaced; otherwise there must be exactly one.")
    ] = True
    report: Annotated[
        Literal["difference", "counts"],
        Meta(
            description="What is returned: the difference, or the number of occurrences of each text that was looked "
            "for, as a JSON array; it ends with the first text whose number is not as wanted: nothing was changed then."
        ),
    ] = "difference"


class MoveArguments(Arguments, frozen=True):
    """Arguments of ``move_file``."""

    paths_of_files = frozenset({"source", "destination"})
    source: Annotated[Text, Meta(description="Path of the file or directory.")]
    destination: Annotated[Text, Meta(description="Path it is to have; nothing may be there.")]


class DeleteArguments(Arguments, frozen=True):
    """Arguments of ``delete_file``."""

    paths_of_files = frozenset({"path"})
    path: Path
    recursive: Annotated[bool, Meta(description="Whether a directory is deleted with everything in it.")] = False


class ReadArguments(Arguments, frozen=True):
    """Arguments of ``read_file``."""

    paths_of_files = frozenset({"path"})
    path: Path
    offset: Annotated[int, Meta(description="Byte to begin with.", ge=0, le=_MOST_BYTES)] = 0
    length: Annotated[int, Meta(description="Bytes to read; 0 reads to the end.", ge=0, le=_MOST_BYTES)] = 0
    format: Annotated[
        Format, Meta(description="text (UTF-8; the characters that begin in the range) or binary (base64).")
    ] = "text"


class WriteArguments(Arguments, frozen=True):
    """Arguments of ``write_file``."""

    paths_of_files = frozenset({"path"})
    path: Path
    content: Annotated[str, Meta(description="The new content.")]
    mode: Annotated[
        Literal["overwrite", "append", "create_new"],
        Meta(description="overwrite, append, or create_new, which fails if the file exists."),
    ] = "overwrite"
    format: Annotated[
        Format, Meta(description="How the content is given: text (written as UTF-8) or binary (base64 of the bytes).")
    ] = "text"


class ReadMultipleArguments(Arguments, frozen=True):
    """Arguments of ``read_multiple_files``."""

    paths_of_files = frozenset({"paths"})
    paths: Annotated[list[Text], Meta(description="Paths inside the session; relative ones start at its home.")]


class SearchArguments(Arguments, frozen=True, rename="camel"):
    """Arguments of ``search_files``."""

    paths_of_files = frozenset({"path"})
    path: Annotated[Text, Meta(description="Directory to search, with all beneath it.")]
    pattern: Annotated[
        Text,
        Meta(
            description="Glob for the name (for the path from there if it has a slash), or a part of the name; "
            "upper and lower case are the same."
        ),
    ]
    exclude_patterns: Annotated[
        list[Text] | None, Meta(description="Globs, or whole names, to leave out with all beneath them.")
    ] = None


def _tool(name: str, description: str, kind: type[Arguments], *, summarized: str = "path") -> Tool:
    async def call(session: LocalSession, given: Any) -> ToolReply:
        reply = await session.files.call(name, msgspec.to_builtins(given))
        return ToolReply(reply.text, is_error=not reply.ok, errno=reply.errno)

    return Tool(name, _SERVER, description, kind, call, summarized=summarized)


async def write_file(session: LocalSession, given: WriteArguments) -> ToolReply:
    """Write a file; the content goes beside the other arguments, as the bytes it is."""
    args = {"path": given.path, "mode": given.mode, "format": given.format}
    reply = await session.files.call("write_file", args, given.content.encode())
    return ToolReply(reply.text, is_error=not reply.ok, errno=reply.errno)


async def get_file_change(session: LocalSession, given: PathArguments) -> ToolReply:
    """Return the changes since the previous call; the text is a JSON array."""
    reply = await session.files.changes(given.path)
    return ToolReply(reply.text, is_error=not reply.ok, errno=reply.errno)


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
        "Return the changes at a path, or beneath it, since the previous call, as a JSON array; the first call "
        "begins to watch and returns none.",
        PathArguments,
        get_file_change,
        summarized="path",
    ),
)
