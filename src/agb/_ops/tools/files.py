"""The file tools: one function each, what is sent and how the answer is read.

The readers raise what the tool says when it fails; a method makes a result of it.

Source: data-plane.md 2.3, 5.5, 5.6 and 6 ("Files", "Watching").
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import frozen

from ..._wire.toolcall import ToolCall, ToolReply
from ...exceptions import AGBError, ErrorKind, FileError, Sent
from ...results.base import BoolResult
from ...results.files import DirectoryListResult, FileChangeEvent, FileChangeResult, FileInfoResult, FileSearchResult
from ...results.sessions import McpTool

T = TypeVar("T")

MODES = ("overwrite", "append")
NO_MATCHES = "No matches found"


@frozen
class Chunk:
    """Some bytes of a file."""

    data: bytes
    request_id: str


def takes_bytes(tools: Iterable[McpTool]) -> bool | None:
    """Return whether the `write_file` in a list of tools takes bytes as base64, None if the list does not say.

    That is more than the protocol asks for: an argument ``format``, ``binary`` as with `read_file`.
    """
    for tool in tools:
        properties = tool.input_schema.get("properties")
        if tool.name == "write_file" and isinstance(properties, Mapping):
            return "format" in properties
    return None


# --- arguments ---------------------------------------------------------------------------------------------------


def check_path(path: object, name: str = "path") -> str:
    """Return ``path`` if a service can be asked for it; else raise ``TypeError`` or ``ValueError``."""
    if not isinstance(path, str):
        raise TypeError(f"{name} is a string, a path inside the session, not {type(path).__name__}")
    if not path:
        raise ValueError(f"{name} is empty; it is a path inside the session, such as '/tmp/data.txt'")
    if "\0" in path:
        raise ValueError(f"{name} holds a NUL character, which no path can: {path!r}")
    return _unicode(path, name)


def check_text(text: object, name: str) -> str:
    """Return ``text`` if it is a string that UTF-8 can carry; else raise ``TypeError`` or ``ValueError``."""
    if not isinstance(text, str):
        raise TypeError(f"{name} is a string, not {type(text).__name__}")
    return _unicode(text, name)


def _unicode(text: str, name: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} holds a lone surrogate at character {error.start}, which is no text") from error
    return text


def mode_refused(mode: object) -> str:
    """Return why files are not written in this mode, ``""`` if they are; a result says so, as in 0.12."""
    return "" if mode in MODES else f"Invalid write mode: {mode}. Must be 'overwrite' or 'append'."


# --- tools -------------------------------------------------------------------------------------------------------


def create_directory(path: str, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that makes a directory (2.3.1)."""
    return _call("create_directory", {"path": check_path(path)}, _done, session_id)


def edit_file(
    path: str, edits: Sequence[Mapping[str, str]], dry_run: bool = False, *, session_id: str
) -> ToolCall[BoolResult]:
    """Return the call that replaces pieces of a text file (2.3.2)."""
    if isinstance(edits, (str, bytes, Mapping)) or not isinstance(edits, Sequence):
        raise TypeError(f"edits is a list of dicts with oldText and newText, not {type(edits).__name__}")
    sent = []
    for number, edit in enumerate(edits):
        if not isinstance(edit, Mapping) or not {"oldText", "newText"} <= edit.keys():
            raise ValueError(f"edits[{number}] is a dict with oldText and newText, not {edit!r}")
        sent.append({key: check_text(edit[key], f"edits[{number}][{key!r}]") for key in ("oldText", "newText")})
    args = {"path": check_path(path), "edits": sent, "dryRun": bool(dry_run)}
    return _call("edit_file", args, _done, session_id)


def get_file_info(path: str, *, session_id: str) -> ToolCall[FileInfoResult]:
    """Return the call that tells size and kind of a file (2.3.3)."""

    def read(said: ToolReply) -> FileInfoResult:
        return FileInfoResult(said.request_id, True, parse_info(said.text or ""))

    return _call("get_file_info", {"path": check_path(path)}, read, session_id, repeatable=True)


def list_directory(path: str, *, session_id: str) -> ToolCall[DirectoryListResult]:
    """Return the call that tells what a directory holds (2.3.4)."""

    def read(said: ToolReply) -> DirectoryListResult:
        return DirectoryListResult(said.request_id, True, parse_entries(said.text or ""))

    return _call("list_directory", {"path": check_path(path)}, read, session_id, repeatable=True)


def move_file(source: str, destination: str, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that gives a file or directory another path (2.3.5)."""
    args = {"source": check_path(source, "source"), "destination": check_path(destination, "destination")}
    return _call("move_file", args, _done, session_id)


def delete_file(path: str, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that removes a file (2.3.6)."""
    return _call("delete_file", {"path": check_path(path)}, _done, session_id)


def read_file(path: str, offset: int, length: int, *, session_id: str) -> ToolCall[Chunk]:
    """Return the call that reads ``length`` bytes from ``offset`` on (2.3.7), always as bytes.

    Text is made of them here, since only who has all the bytes can tell where its characters end.
    """
    args = {"path": path, "offset": offset, "length": length, "format": "binary"}

    def read(said: ToolReply) -> Chunk:
        try:
            return Chunk(base64.b64decode(said.text or "", validate=True), said.request_id)
        except (binascii.Error, ValueError) as error:
            raise FileError(
                f"cannot read {path!r}: the answer is not base64: {error}",
                kind=ErrorKind.INVALID_ANSWER,
                request_id=said.request_id,
                session_id=session_id,
                sent=Sent.YES,
            ) from error

    return _call("read_file", args, read, session_id, repeatable=True)


def write_file(path: str, content: str | bytes, mode: str = "overwrite", *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that writes one piece (2.3.8); bytes only where `takes_bytes` says so."""
    args: dict[str, Any] = {"path": path, "content": content, "mode": mode}
    if not isinstance(content, str):
        args |= {"content": base64.b64encode(content).decode("ascii"), "format": "binary"}
    return _call("write_file", args, _done, session_id, repeatable=mode == "overwrite")


def search_files(
    path: str, pattern: str, exclude_patterns: Sequence[str] | None = None, *, session_id: str
) -> ToolCall[FileSearchResult]:
    """Return the call that finds files below a directory by their names (2.3.10)."""
    args: dict[str, Any] = {"path": check_path(path), "pattern": check_path(pattern, "pattern")}
    if isinstance(exclude_patterns, str):
        raise TypeError("exclude_patterns is a list of patterns, not a string")
    if exclude_patterns:
        args["excludePatterns"] = [check_text(one, "a pattern of exclude_patterns") for one in exclude_patterns]

    def read(said: ToolReply) -> FileSearchResult:
        return FileSearchResult(said.request_id, True, parse_matches(said.text or ""))

    return _call("search_files", args, read, session_id, repeatable=True)


def get_file_change(path: str, *, session_id: str) -> ToolCall[FileChangeResult]:
    """Return the call that tells what changed since the call before (2.3.11)."""

    def read(said: ToolReply) -> FileChangeResult:
        text = said.text or "[]"
        try:
            return FileChangeResult(said.request_id, True, parse_changes(text), text)
        except ValueError as error:
            raise FileError(
                f"cannot tell what changed below {path!r}: {error}",
                kind=ErrorKind.INVALID_ANSWER,
                request_id=said.request_id,
                session_id=session_id,
                sent=Sent.YES,
            ) from error

    return _call("get_file_change", {"path": check_path(path)}, read, session_id)


def _call(
    name: str, args: Mapping[str, Any], read: Callable[[ToolReply], T], session_id: str, *, repeatable: bool = False
) -> ToolCall[T]:
    def read_or_raise(said: ToolReply) -> T:
        if said.is_error:
            raise file_failure(name, said, session_id)
        return read(said)

    return ToolCall(name, args, read_or_raise, repeatable=repeatable, error=FileError)


_MISSING = re.compile(r"not found|no such file|does not exist|not exist", re.IGNORECASE)


def file_failure(name: str, said: ToolReply, session_id: str) -> FileError:
    """Return the error for a file tool that failed; its kind tells a missing file from all else."""
    text = said.text or f"the tool {name!r} failed and gave no reason"
    kind = ErrorKind.NOT_FOUND if _MISSING.search(text) else ErrorKind.REFUSED
    return FileError(text, kind=kind, request_id=said.request_id, session_id=session_id, sent=Sent.YES, tool=name)


def _done(said: ToolReply) -> BoolResult:
    return BoolResult(said.request_id, True, True)


# --- texts of the tools ------------------------------------------------------------------------------------------

_WORDS = frozenset({"name", "path", "type", "owner", "group", "mode", "permissions", "target", "symlinkTarget"})
"""Values that are text whatever they look like: a file may be called ``123``, and ``0644`` is no 644."""


def parse_info(text: str) -> dict[str, Any]:
    """Return the lines ``key: value`` as a dict; the first of a key counts, since a name may hold a line of its own."""
    info: dict[str, Any] = {}
    for line in text.split("\n"):
        key, colon, value = line.partition(":")
        if colon and key.strip():
            info.setdefault(key.strip(), _value(key.strip(), value))
    return info


def _value(key: str, value: str) -> Any:
    if key in _WORDS:
        return value.removeprefix(" ").removesuffix("\r")
    value = value.strip()
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    if re.fullmatch(r"-?[0-9]{1,40}", value, re.ASCII):
        return int(value)
    if re.fullmatch(r"-?[0-9]+\.[0-9]+", value, re.ASCII):
        return float(value)
    return value


def parse_entries(text: str) -> list[dict[str, Any]]:
    """Return the entries of a directory; a name is all that stands behind ``[DIR] `` or ``[FILE] ``."""
    entries = []
    for line in text.split("\n"):
        for mark, is_directory in (("[DIR]", True), ("[FILE]", False)):
            if line.startswith(mark):
                entries.append({"name": line.removeprefix(mark).removeprefix(" "), "isDirectory": is_directory})
    return entries


def parse_matches(text: str) -> list[str]:
    """Return the paths, one in each line."""
    if text.strip() == NO_MATCHES:
        return []
    return [line.removesuffix("\r") for line in text.split("\n") if line.strip()]


def parse_changes(text: str) -> list[FileChangeEvent]:
    """Return the events in a JSON array; raise ``ValueError`` if it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the answer is not JSON: {error}") from error
    if not isinstance(value, list):
        raise ValueError("the answer is not a JSON array")
    return [FileChangeEvent.from_dict(item) for item in value if isinstance(item, dict)]


def decoded(content: bytes, path: str, session_id: str) -> str:
    """Return the text in the bytes of a file, or raise `FileError` with the place of what is no UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise FileError(
            f"{path!r} is not UTF-8 text: the byte 0x{content[error.start]:02x} at offset {error.start} "
            f'({error.reason}); read it with format="bytes"',
            session_id=session_id,
            sent=Sent.YES,
            offset=error.start,
        ) from error


def is_session_gone(error: AGBError) -> bool:
    """Return whether an error says that the session is no more, rather than a file (2.3.11 for the words)."""
    if error.kind is ErrorKind.NOT_FOUND and "tool" not in error.extra:
        return True
    text = str(error).lower()
    return "session" in text and any(word in text for word in ("expired", "invalid", "released"))
