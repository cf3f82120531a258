"""The file tools: one function each, with the arguments that are sent and how the answer is read.

A reader raises the error of a tool that failed; a method makes a result of it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import evolve, frozen

from ..._wire.shape import NAME, TEXT, WHOLE, Array, JsonText, Object, ShapeError, maybe, needed
from ..._wire.toolcall import ToolCall, ToolReply
from ...exceptions import AGBError, ErrorKind, FileError, Sent
from ...results.base import BoolResult
from ...results.files import (
    DirectoryListResult,
    FileChangeEvent,
    FileChangeResult,
    FileEditResult,
    FileInfoResult,
    FileSearchResult,
)
from ...results.sessions import McpTool
from . import has_argument, invalid, kind_of_errno, reason_of
from .file_names import is_odd

T = TypeVar("T")

MODES = ("overwrite", "append")
NO_MATCHES = "No matches found"


CHANGES = JsonText(
    Array(
        Object(
            {
                "event_type": needed(NAME, "eventType", "EventType"),
                "path": maybe(TEXT, "Path"),
                "path_type": maybe(TEXT, "pathType", "PathType"),
            }
        )
    )
)
"""The text of the tool `get_file_change`."""
COUNTS = JsonText(Array(WHOLE))
"""The text of `edit_exactly`."""


@frozen
class Chunk:
    """Some bytes of a file."""

    data: bytes
    request_id: str


def takes_bytes(tools: Iterable[McpTool]) -> bool | None:
    """Return whether the `write_file` in a list of tools takes bytes as base64, None if the list does not say.

    The protocol does not require it; a service that takes bytes has an argument ``format``, which is ``binary`` as
    with `read_file`.
    """
    return has_argument(tools, "write_file", "format")


# --- arguments ---------------------------------------------------------------------------------------------------


def check_path(path: object, name: str = "path") -> str:
    """Return a path of a session without slashes at its end, so that every method names a directory alike.

    Bytes of a name that are not UTF-8 are surrogates, as of `os.fsdecode`.

    Raises:
        ValueError, TypeError: it can be no path.
    """
    path = check_pattern(path, name)
    return path.rstrip("/") or "/"


def check_pattern(pattern: object, name: str) -> str:
    """Return a pattern of paths if it can be one; otherwise raise ``TypeError`` or ``ValueError``."""
    if not isinstance(pattern, str):
        raise TypeError(f"{name} must be a string, a path inside the session, not {type(pattern).__name__}")
    if not pattern:
        raise ValueError(f"{name} must be a path inside the session, and is empty; an example is '/tmp/data.txt'")
    if "\0" in pattern:
        raise ValueError(f"{name} contains the character NUL, which no path can: {pattern!r}")
    return _unicode(pattern, name, "surrogateescape")


def check_text(text: object, name: str) -> str:
    """Return ``text`` if it is a string that UTF-8 can encode; otherwise raise ``TypeError`` or ``ValueError``."""
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a string, not {type(text).__name__}")
    return _unicode(text, name, "strict")


def _unicode(text: str, name: str, errors: str) -> str:
    try:
        text.encode("utf-8", errors)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} contains a lone surrogate at character {error.start}, which UTF-8 cannot encode"
        ) from error
    return text


def check_content(content: object) -> str | bytes:
    """Return a content that can be written; otherwise raise ``TypeError`` or ``ValueError``."""
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    return check_text(content, "content")


def check_mode(mode: object) -> None:
    """Raise ``ValueError`` unless files can be written in this mode; the text is that of 0.12."""
    if mode not in MODES:
        raise ValueError(f"Invalid write mode: {mode}. Must be 'overwrite' or 'append'.")


# --- tools -------------------------------------------------------------------------------------------------------


def create_directory(path: str, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that creates a directory."""
    return _call("create_directory", {"path": check_path(path)}, _done, session_id, f"create the directory {path!r}")


def check_edits(edits: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return edits as they are sent; raise ``TypeError`` or ``ValueError`` if they cannot be made."""
    if isinstance(edits, (str, bytes, Mapping)) or not isinstance(edits, Sequence):
        raise TypeError(f"edits must be a list of dicts with oldText and newText, not {type(edits).__name__}")
    sent = []
    for number, edit in enumerate(edits):
        if not isinstance(edit, Mapping) or not {"oldText", "newText"} <= edit.keys():
            raise ValueError(f"edits[{number}] must be a dict with oldText and newText, not {edit!r}")
        sent.append({key: check_text(edit[key], f"edits[{number}][{key!r}]") for key in ("oldText", "newText")})
    return sent


def edit_file(
    path: str, edits: Sequence[Mapping[str, str]], dry_run: bool = False, *, session_id: str
) -> ToolCall[FileEditResult]:
    """Return the call that replaces pieces of a text file."""

    def done(reply: ToolReply) -> FileEditResult:
        return FileEditResult(reply.request_id, True, True)

    args = {"path": check_path(path), "edits": check_edits(edits), "dryRun": bool(dry_run)}
    return _call("edit_file", args, done, session_id, f"edit {path!r}")


def edit_exactly(
    path: str, edits: list[dict[str, str]], dry_run: bool, replace_all: bool, *, session_id: str
) -> ToolCall[FileEditResult]:
    """Return the call that replaces every occurrence of each text, or the only one; see `can_edit_exactly`.

    The text of the answer is a JSON list of the number of occurrences of each; if they are not what is wanted, nothing
    was changed.
    """

    def read(reply: ToolReply) -> FileEditResult:
        try:
            counts = COUNTS.read(reply.text or "", "the text")
        except ShapeError as error:
            raise invalid("edit_file", str(error), reply, session_id, FileError) from error
        check_counts(counts, path, replace_all, session_id, reply.request_id)
        return FileEditResult(reply.request_id, True, True, replacements=counts)

    args = {"path": path, "edits": edits, "dryRun": dry_run, "replaceAll": replace_all, "report": "counts"}
    return evolve(_call("edit_file", args, read, session_id, f"edit {path!r}"), shape=COUNTS)


def can_edit_exactly(tools: Iterable[McpTool]) -> bool | None:
    """Return whether the `edit_file` in a list of tools has the arguments of `edit_exactly`, None if it is not said."""
    return has_argument(tools, "edit_file", "report")


def replaced(content: bytes, edits: list[dict[str, str]], replace_all: bool) -> tuple[bytes, list[int]]:
    """Return the content after the edits, made one after the other, and the number of occurrences of each.

    They end with the first whose number is not what is wanted.
    """
    counts: list[int] = []
    for edit in edits:
        old = edit["oldText"].encode()
        counts.append(content.count(old) if old else 0)
        if not counts[-1] or (counts[-1] > 1 and not replace_all):
            break
        content = content.replace(old, edit["newText"].encode())
    return content, counts


def check_counts(counts: list[int], path: str, replace_all: bool, session_id: str, request_id: str) -> None:
    """Raise `FileError` if a text to be replaced was not in the file, or more than once where only one is wanted."""
    for number, count in enumerate(counts):
        if count == 1 or (count and replace_all):
            continue
        found = "is not in the file" if not count else f"is in the file {count} times; replace_all replaces all of them"
        raise FileError(
            f"Could not edit {path!r}: the oldText of edits[{number}] {found}; nothing was changed",
            request_id=request_id,
            session_id=session_id,
            sent=Sent.YES,
            tool="edit_file",
            occurrences=count,
        )


def get_file_info(path: str, *, session_id: str, description: str = "") -> ToolCall[FileInfoResult]:
    """Return the call that returns the size and kind of a file; ``description`` is what they are wanted for."""

    def read(reply: ToolReply) -> FileInfoResult:
        info = parse_info(reply.text or "")
        if info and is_odd(path):  # a line of text cannot hold it
            info["name"] = path.rpartition("/")[2]
            if path.startswith("/"):
                info["path"] = path
        return FileInfoResult.of(info, reply.request_id)

    path = check_path(path)
    description = description or f"get the properties of {path!r}"
    return _call("get_file_info", {"path": path}, read, session_id, description, repeatable=True)


@frozen
class Listed:
    """The entries of a directory as a service lists them, one per line."""

    result: DirectoryListResult
    is_exact: bool
    """Whether these are certainly the names; otherwise some of them contain what a line of text cannot hold."""


def list_directory(path: str, *, session_id: str) -> ToolCall[Listed]:
    """Return the call that lists a directory."""

    def read(reply: ToolReply) -> Listed:
        text = reply.text or ""
        entries = parse_entries(text)
        is_exact = len(entries) == len([line for line in text.split("\n") if line.strip()])
        return Listed(DirectoryListResult(reply.request_id, True, entries), is_exact and not is_odd(text, lines=True))

    return _call("list_directory", {"path": check_path(path)}, read, session_id, f"list {path!r}", repeatable=True)


def move_file(source: str, destination: str, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that moves a file or directory."""
    args = {"source": check_path(source, "source"), "destination": check_path(destination, "destination")}
    return _call("move_file", args, _done, session_id, f"move {source!r} to {destination!r}")


def delete_file(path: str, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that removes a file."""
    return _call("delete_file", {"path": check_path(path)}, _done, session_id, f"remove {path!r}")


def read_file(path: str, offset: int, length: int, *, is_text: bool = False, session_id: str) -> ToolCall[Chunk]:
    """Return the call that reads ``length`` bytes from ``offset`` on.

    They are requested in base64, and decoded by the caller, who has all of them: a chunk may end inside a character.
    With ``is_text`` they are requested as text, in which a service returns the characters of that range.
    """
    args: dict[str, Any] = {"path": path, "offset": offset, "length": length}
    if not is_text:
        args["format"] = "binary"

    def read(reply: ToolReply) -> Chunk:
        if reply.text is None:  # an empty text is the end of the file
            raise invalid("read_file", "it contains no result", reply, session_id, FileError)
        if is_text:
            return Chunk(reply.text.encode("utf-8", "replace"), reply.request_id)
        try:
            return Chunk(base64.b64decode(reply.text, validate=True), reply.request_id)
        except (binascii.Error, ValueError) as error:
            why = f"the content of {path!r} is not base64: {error}"
            raise invalid("read_file", why, reply, session_id, FileError) from error

    return _call("read_file", args, read, session_id, f"read {path!r}", repeatable=True)


def write_file(path: str, content: str | bytes, mode: str = "overwrite", *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that writes one piece; bytes only where `takes_bytes` says so."""
    args: dict[str, Any] = {"path": path, "content": content, "mode": mode}
    if not isinstance(content, str):
        args |= {"content": base64.b64encode(content).decode("ascii"), "format": "binary"}
    description = f"append to {path!r}" if mode == "append" else f"write {path!r}"
    return _call("write_file", args, _done, session_id, description, repeatable=mode == "overwrite")


def search_files(
    path: str, pattern: str, exclude_patterns: Sequence[str] | None = None, *, session_id: str
) -> ToolCall[FileSearchResult]:
    """Return the call that finds files below a directory by their names."""
    args: dict[str, Any] = {"path": check_path(path), "pattern": check_pattern(pattern, "pattern")}
    if isinstance(exclude_patterns, str):
        raise TypeError("exclude_patterns must be a list of patterns, not a string")
    if exclude_patterns:
        args["excludePatterns"] = [check_text(one, "a pattern of exclude_patterns") for one in exclude_patterns]

    def read(reply: ToolReply) -> FileSearchResult:
        return FileSearchResult(reply.request_id, True, parse_matches(reply.text or ""))

    return _call("search_files", args, read, session_id, f"search {path!r}", repeatable=True)


def get_file_change(path: str, *, session_id: str) -> ToolCall[FileChangeResult]:
    """Return the call that returns the changes since the call before it."""

    def read(reply: ToolReply) -> FileChangeResult:
        text = reply.text or "[]"
        try:
            events = [FileChangeEvent(**event) for event in CHANGES.read(text, "the text")]
        except ShapeError as error:
            raise invalid("get_file_change", str(error), reply, session_id, FileError) from error
        return FileChangeResult(reply.request_id, True, events, text)

    call = _call("get_file_change", {"path": check_path(path)}, read, session_id, f"watch {path!r}")
    return evolve(call, shape=CHANGES)


def _call(
    name: str,
    args: Mapping[str, Any],
    read: Callable[[ToolReply], T],
    session_id: str,
    description: str,
    *,
    repeatable: bool = False,
) -> ToolCall[T]:
    def read_or_raise(reply: ToolReply) -> T:
        if reply.is_error:
            raise file_failure(name, reply, session_id, description)
        return read(reply)

    return ToolCall(name, args, read_or_raise, repeatable=repeatable, error=FileError, description=description)


_KINDS_BY_TEXT = (
    (re.compile(r"not found|no such file|does not exist|not exist", re.IGNORECASE), ErrorKind.NOT_FOUND),
    (re.compile(r"permission denied|operation not permitted", re.IGNORECASE), ErrorKind.PERMISSION_DENIED),
    (re.compile(r"not a directory", re.IGNORECASE), ErrorKind.NOT_A_DIRECTORY),
    (re.compile(r"is a directory", re.IGNORECASE), ErrorKind.IS_A_DIRECTORY),
    (re.compile(r"file exists|already exists", re.IGNORECASE), ErrorKind.EXISTS),
)
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_ATTEMPT = re.compile(r"cannot [a-z]+ (?:'[^']*'|\"[^\"]*\"): ")
_TOOL_WORDS = (
    ("give recursive true to delete it and all that is in it", "recursive=True removes it with everything in it"),
    ("make it with create_directory", "create it with mkdir"),
)
"""What the local runtime says to a caller of its tools, and what the caller of a method reads."""


def _kind_of(reply: ToolReply) -> ErrorKind:
    """Return the kind of a tool's failure: by the field for it, or by the tool's words, but never by a file's name."""
    if reply.errno:
        return kind_of_errno(reply)
    words = _QUOTED.sub("", reply.text or "")
    return next((kind for pattern, kind in _KINDS_BY_TEXT if pattern.search(words)), ErrorKind.REFUSED)


def file_failure(name: str, reply: ToolReply, session_id: str, description: str) -> FileError:
    """Return the error for a file tool that failed; its kind distinguishes a missing file from any other failure."""
    why = _ATTEMPT.sub("", reason_of(name, reply), count=1)  # the description says it, in the caller's words
    for theirs, ours in _TOOL_WORDS:
        why = why.replace(theirs, ours)
    text = f"Could not {description}: {why}"
    return FileError(
        text, kind=_kind_of(reply), request_id=reply.request_id, session_id=session_id, sent=Sent.YES, tool=name
    )


def check_regular(info: Mapping[str, Any], path: str, session_id: str, request_id: str) -> None:
    """Raise `FileError` unless `info` describes a file whose content has an end, as far as a service says so."""
    where = {"session_id": session_id, "request_id": request_id, "sent": Sent.YES}
    if not info or info.get("isDirectory") is True:
        why = "it is a directory" if info else "it does not exist, or has no properties"
        reason = ErrorKind.IS_A_DIRECTORY if info else ErrorKind.NOT_FOUND
        raise FileError(f"Could not read {path!r}: {why}", kind=reason, **where)
    kind = str(info.get("type", "")).lower()
    if info.get("isFile") is False or any(word in kind for word in ("device", "pipe", "fifo", "socket")):
        raise FileError(f"Could not read {path!r}: it is not a regular file{f' but a {kind}' if kind else ''}", **where)


def attributes_of(info: Mapping[str, Any]) -> tuple[int | None, float | None]:
    """Return the permissions and the time of modification of a file; None for what a service does not report so."""
    mode, mtime = info.get("permissions"), info.get("modified")
    found = re.fullmatch(r"0?[0-7]{1,4}", mode) if isinstance(mode, str) else None
    return int(found[0], 8) & 0o777 if found else None, mtime if isinstance(mtime, float) else None


def is_form_refused(error: AGBError) -> bool:
    """Return whether a call failed in such a way that an older form of it may succeed: not by a script's own error."""
    return error.kind in (ErrorKind.REFUSED, ErrorKind.INVALID_ANSWER) and not error.extra.get("ran")


def _done(reply: ToolReply) -> BoolResult:
    return BoolResult(reply.request_id, True, True)


# --- texts of the tools ------------------------------------------------------------------------------------------

_WORDS = frozenset({"name", "path", "type", "owner", "group", "mode", "permissions", "target", "symlinkTarget"})
"""Values that are always text: a file may be called ``123``, and the mode ``0644`` is not the number 644."""


def parse_info(text: str) -> dict[str, Any]:
    """Return the lines ``key: value`` as a dict; the first of a key counts, since a name may contain a line break."""
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
    """Return the entries of a directory; a name is everything after ``[DIR] `` or ``[FILE] ``."""
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


def decoded(content: bytes, path: str, session_id: str, offset: int = 0) -> str:
    """Return the bytes of a file as text, or raise `FileError` with the position of the first invalid byte.

    ``offset`` is the position of the first byte.
    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise FileError(
            f"{path!r} is not UTF-8 text: the byte 0x{content[error.start]:02x} at offset {offset + error.start} "
            f'({error.reason}); read it with format="bytes"',
            session_id=session_id,
            sent=Sent.YES,
            offset=offset + error.start,
        ) from error


def is_session_gone(error: AGBError) -> bool:
    """Return whether an error says that the session is gone, rather than a file; the words are those of services."""
    if error.kind is ErrorKind.NOT_FOUND and "tool" not in error.extra:
        return True
    text = str(error).lower()
    return "session" in text and any(word in text for word in ("expired", "invalid", "released"))
