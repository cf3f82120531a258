"""Results of file operations."""

from __future__ import annotations

from typing import Any, NotRequired, Self, TypedDict, cast

from attrs import field, frozen

from ..exceptions import AGBError
from .base import BoolResult, Result, Shown, entries, error_field, mapping, message_field, strings


class FileInfo(TypedDict):
    """The properties of a file or directory; the first two are always there, the others if the service reports them.

    ``size`` is in bytes; ``modified``, ``accessed`` and ``changed`` are seconds since 1970; ``mode`` is the form of
    ``ls -l``, and ``permissions`` are octal digits.
    """

    size: int
    isDirectory: bool
    name: NotRequired[str]
    path: NotRequired[str]
    type: NotRequired[str]
    isFile: NotRequired[bool]
    isSymlink: NotRequired[bool]
    modified: NotRequired[float]
    accessed: NotRequired[float]
    changed: NotRequired[float]
    mode: NotRequired[str]
    permissions: NotRequired[str]
    owner: NotRequired[int]
    group: NotRequired[int]
    readable: NotRequired[bool]
    writable: NotRequired[bool]


def _properties(value: Any) -> FileInfo:
    return cast("FileInfo", mapping(value))


class DirectoryEntry(TypedDict):
    """A file or directory in a directory."""

    name: str
    isDirectory: bool


@frozen(slots=False, repr=False)
class FileInfoResult(Result):
    """The properties of a file or directory."""

    file_info: FileInfo = field(default=None, converter=_properties)
    error_message: str = message_field()
    error: AGBError | None = error_field()

    @classmethod
    def _fields(cls, value: Any) -> dict[str, Any]:
        return {"file_info": value}


@frozen(slots=False, repr=False)
class DirectoryListResult(Result):
    """The contents of a directory."""

    entries: list[DirectoryEntry] = field(default=None, converter=entries)
    error_message: str = message_field()
    error: AGBError | None = error_field()


@frozen(slots=False, repr=False)
class FileContentResult(Result):
    """The text of a file."""

    content: str = ""
    error_message: str = message_field()
    error: AGBError | None = error_field()


@frozen(slots=False, repr=False)
class BinaryFileContentResult(Result):
    """The bytes of a file; ``size`` is their number."""

    content: bytes = b""
    error_message: str = message_field()
    size: int | None = None
    error: AGBError | None = error_field()


@frozen(slots=False, repr=False)
class MultipleFileContentResult(Result):
    """The texts of several files by their paths; ``errors`` holds the error of each file that could not be read."""

    contents: dict[str, str] = field(default=None, converter=mapping)
    error_message: str = message_field()
    errors: dict[str, AGBError] = field(default=None, converter=mapping, kw_only=True, eq=False)
    error: AGBError | None = error_field()


@frozen(slots=False, repr=False)
class FileWriteBatchResult(Result):
    """Whether several files were written; ``errors`` holds the error of each, or None, in the order of the files."""

    error_message: str = message_field()
    errors: list[AGBError | None] = field(default=None, converter=entries, kw_only=True, eq=False)
    error: AGBError | None = error_field()


@frozen(slots=False, repr=False)
class FileEditResult(BoolResult):
    """Whether a file was edited; ``replacements`` is how often each old text was replaced, empty if not known."""

    replacements: list[int] = field(default=None, converter=entries, kw_only=True)


@frozen
class FileMatch:
    """A line of a file that matches.

    Attributes:
        path: the file.
        line: the number of the line, from 1.
        text: the line without its line break; bytes that are not UTF-8 are U+FFFD.
    """

    path: str
    line: int
    text: str


@frozen(slots=False, repr=False)
class FileGrepResult(Result):
    """The lines that match; ``truncated`` is whether there may be more than the most that were wanted."""

    matches: list[FileMatch] = field(default=None, converter=entries)
    error_message: str = message_field()
    truncated: bool = field(default=False, kw_only=True)
    error: AGBError | None = error_field()


@frozen(slots=False, repr=False)
class FileSearchResult(Result):
    """The paths that match."""

    matches: list[str] = field(default=None, converter=strings)
    error_message: str = message_field()
    error: AGBError | None = error_field()


@frozen(slots=False, repr=False)
class ExistsResult(BoolResult):
    """Whether there is something at a path, as ``data``; the result itself is true if there is.

    A failed call has no answer: ``if result:`` raises its error then, since a false value would mean "no such file".
    """

    def __bool__(self) -> bool:
        return bool(self.raise_for_error().data)


@frozen(slots=False, repr=False)
class FileChangeEvent(Shown):
    """One change below a watched directory.

    ``event_type`` is the service's name: ``create``, ``modify`` or ``delete``; ``path_type`` is ``file`` or
    ``directory``.
    """

    event_type: str = ""
    path: str = ""
    path_type: str = ""

    @property
    def is_deletion(self) -> bool:
        """Whether something was removed; services have several names for it."""
        return self.event_type.lower() in ("delete", "destroy", "remove")

    def to_dict(self) -> dict[str, str]:
        """Return the event as an object of the protocol."""
        return {"eventType": self.event_type, "path": self.path, "pathType": self.path_type}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the event of an object of the protocol; a missing field is ``""``."""

        def text(key: str) -> str:
            value = data.get(key, data.get(key[0].upper() + key[1:]))
            return value if isinstance(value, str) else ""

        return cls(text("eventType"), text("path"), text("pathType"))


@frozen(slots=False, repr=False)
class FileChangeResult(Result):
    """The changes since the call before, and the service's text as ``raw_data``."""

    events: list[FileChangeEvent] = field(default=None, converter=entries)
    raw_data: str = field(default="", repr=False)
    error_message: str = message_field()
    error: AGBError | None = error_field()

    def has_changes(self) -> bool:
        """Return whether anything changed."""
        return bool(self.events)

    def get_modified_files(self) -> list[str]:
        """Return the paths of the files that were modified."""
        return self._files("modify")

    def get_created_files(self) -> list[str]:
        """Return the paths of the files that were created."""
        return self._files("create")

    def get_deleted_files(self) -> list[str]:
        """Return the paths of the files that were removed."""
        return [event.path for event in self.events if event.is_deletion and event.path_type == "file"]

    def _files(self, word: str) -> list[str]:
        return [event.path for event in self.events if event.event_type == word and event.path_type == "file"]
