"""Tools that read, write and search the files of a session."""

from __future__ import annotations

from typing import Annotated, Any, Final

from mcp_types import CallToolResult
from pydantic import Field
from typing_extensions import TypedDict

from ..sandbox import Entry, Match
from .answers import PICTURE_LIMIT, answer, page_of, paged, picture, picture_type, whole_characters
from .conversations import Refused
from .tool import Call, SessionId, tool

LONGEST_LINE: Final = 500
"""Characters of a line that a search returns."""
LONGEST_CHARACTER: Final = 4
"""Bytes of a character in UTF-8: the least that a part of a file has, so that reading goes on."""
MOST_MATCHES: Final = 10_000
"""Lines that a search finds at most."""

Path = Annotated[str, Field(description="The path; a relative one starts at the home of the session.")]
Directory = Annotated[
    str | None, Field(description="The directory; a relative one starts at the home, and without it, it is the home.")
]
Offset = Annotated[int, Field(ge=0, description="The number of the first one to return, to get the rest of a list.")]


class EntryValues(TypedDict):
    """A file or directory, as values."""

    name: str
    is_dir: bool
    size: int


class EntriesValues(TypedDict):
    """A part of a directory, as values."""

    entries: list[EntryValues]
    total: int
    next_offset: int | None


class PathsValues(TypedDict):
    """A part of the paths that match, as values."""

    paths: list[str]
    total: int
    next_offset: int | None


class MatchValues(TypedDict):
    """A line that matches, as values."""

    path: str
    line: int
    text: str


class MatchesValues(TypedDict):
    """A part of the lines that match, as values."""

    matches: list[MatchValues]
    total: int
    next_offset: int | None


@tool("Read a file", reads=True)
async def read_file(
    call: Call,
    path: Path,
    offset: Annotated[int, Field(ge=0, description="The byte to begin with.")] = 0,
    limit: Annotated[int | None, Field(ge=1, description="Bytes to return; without it, as many as fit.")] = None,
    session_id: SessionId = None,
) -> CallToolResult:
    """Return the text of a file, or a picture (PNG, JPEG, GIF, WebP) as an image.

    A file that is longer than an answer is returned part by part: the note at the end says with which offset to go on.
    """
    size = min(max(limit or call.options.answer_limit, LONGEST_CHARACTER), call.options.answer_limit)
    async with call.session(session_id) as held:
        data = await held.sandbox.read(path, offset=offset, limit=size + 1)
        kind = picture_type(data) if offset == 0 else ""
        if kind and len(data) > size:
            data = await held.sandbox.read(path, limit=PICTURE_LIMIT + 1)
    if kind:
        return _picture_of(path, data)
    is_all = len(data) <= size
    try:
        text, length = whole_characters(data[:size], is_all=is_all)
    except UnicodeDecodeError as error:
        raise Refused(
            f"{path} is no text in UTF-8 (byte {offset + error.start} is wrong): look at it with run_command, such as "
            "with file, xxd or strings"
        ) from error
    if not is_all:
        text += f"\n[the file goes on: call again with offset={offset + length} for more]"
    return answer(text or ("[the file ends before this offset]" if offset else "[the file is empty]"))


def _picture_of(path: str, data: bytes) -> CallToolResult:
    try:
        return answer(path, [picture(data)])
    except ValueError as error:
        raise Refused(f"{path} is not returned: {error}") from error


@tool("Write a file", destroys=True, repeatable=True)
async def write_file(
    call: Call,
    path: Path,
    content: Annotated[str, Field(description="The whole text of the file.")],
    session_id: SessionId = None,
) -> CallToolResult:
    """Write a text file, in place of one that exists; missing directories are made."""
    async with call.session(session_id) as held:
        await held.sandbox.write(path, content)
    return answer(f"Wrote {len(content.encode())} bytes to {path}.")


@tool("Edit a file", destroys=True)
async def edit_file(
    call: Call,
    path: Path,
    old: Annotated[str, Field(min_length=1, description="The text to replace, exactly as it is in the file.")],
    new: Annotated[str, Field(description="The text in its place.")],
    replace_all: Annotated[bool, Field(description="Replace every occurrence; otherwise there must be one.")] = False,
    session_id: SessionId = None,
) -> CallToolResult:
    """Replace a text in a file."""
    async with call.session(session_id) as held:
        count = await held.sandbox.edit(path, old, new, replace_all=replace_all)
    return answer(f"Replaced {count} occurrence{'' if count == 1 else 's'} in {path}.")


@tool("List a directory", reads=True)
async def list_files(
    call: Call, path: Directory = None, offset: Offset = 0, session_id: SessionId = None
) -> Annotated[CallToolResult, EntriesValues]:
    """Return the files and directories in a directory, with their sizes in bytes."""

    def value(entry: Entry) -> EntryValues:
        return {"name": _shown(entry.name), "is_dir": entry.is_dir, "size": entry.size}

    async with call.session(session_id) as held:
        entries = await held.sandbox.list(path or ".")
    values, following = page_of(entries, offset, call.options.answer_limit, value)
    lines = [f"{one['name']}/" if one["is_dir"] else f"{one['name']}  {one['size']}" for one in values]
    text = paged(lines, offset, len(entries), following, "entries")
    return answer(text, values=_values("entries", values, len(entries), following))


@tool("Find files", reads=True)
async def find_files(
    call: Call,
    pattern: Annotated[str, Field(description="Such as *.py, or src/**/*.py for all directories below src.")],
    path: Directory = None,
    offset: Offset = 0,
    session_id: SessionId = None,
) -> Annotated[CallToolResult, PathsValues]:
    """Return the paths of files and directories that match a pattern of names, sorted."""
    async with call.session(session_id) as held:
        paths = await held.sandbox.glob(pattern, path)
    values, following = page_of(paths, offset, call.options.answer_limit, _shown)
    text = paged(values, offset, len(paths), following, "paths")
    return answer(text, values=_values("paths", values, len(paths), following))


@tool("Search in files", reads=True)
async def search_files(
    call: Call,
    pattern: Annotated[str, Field(min_length=1, description="The text, or with regex=true the regular expression.")],
    path: Annotated[
        str | None, Field(description="A directory, searched with all below it, or a file; without it, the home.")
    ] = None,
    glob: Annotated[str | None, Field(description="Only files with such names, such as *.py.")] = None,
    regex: Annotated[bool, Field(description="Whether the pattern is an extended regular expression.")] = False,
    ignore_case: Annotated[bool, Field(description="Whether upper and lower case are the same.")] = False,
    offset: Offset = 0,
    session_id: SessionId = None,
) -> Annotated[CallToolResult, MatchesValues]:
    """Return the lines of files that contain a text, with path and line number."""

    def value(match: Match) -> MatchValues:
        return {"path": _shown(match.path), "line": match.line, "text": match.text[:LONGEST_LINE]}

    async with call.session(session_id) as held:
        matches = await held.sandbox.grep(
            pattern, path, glob=glob, regex=regex, ignore_case=ignore_case, max_matches=MOST_MATCHES
        )
    values, following = page_of(matches, offset, call.options.answer_limit, value)
    lines = [f"{one['path']}:{one['line']}: {one['text']}" for one in values]
    text = paged(lines, offset, len(matches), following, "lines")
    return answer(text, values=_values("matches", values, len(matches), following))


def _values(name: str, values: list[Any], total: int, following: int | None) -> dict[str, Any]:
    return {name: values, "total": total, "next_offset": following}


def _shown(name: str) -> str:
    """Return a name as text: bytes that are not UTF-8, which JSON cannot represent, become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
