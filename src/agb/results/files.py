"""Results of file operations."""

from __future__ import annotations

from typing import Any, Self

from attrs import field, frozen

from ..exceptions import AGBError
from .base import Result, entries, error_field, mapping, strings


@frozen
class FileInfoResult(Result):
    """What is known of a file or directory: at least ``size`` (bytes) and ``isDirectory``, if it is there."""

    file_info: dict[str, Any] = field(default=None, converter=mapping)
    error_message: str = ""
    error: AGBError | None = error_field()


@frozen
class DirectoryListResult(Result):
    """What a directory holds: a dict with ``name`` and ``isDirectory`` for each entry."""

    entries: list[dict[str, Any]] = field(default=None, converter=entries)
    error_message: str = ""
    error: AGBError | None = error_field()


@frozen
class FileContentResult(Result):
    """The text of a file."""

    content: str = field(default="", repr=False)
    error_message: str = ""
    error: AGBError | None = error_field()


@frozen
class BinaryFileContentResult(Result):
    """The bytes of a file; ``size`` is how many there are."""

    content: bytes = field(default=b"", repr=False)
    error_message: str = ""
    size: int | None = None
    error: AGBError | None = error_field()


@frozen
class MultipleFileContentResult(Result):
    """The texts of several files by their paths; ``errors`` tells why those that are not there could not be read."""

    contents: dict[str, str] = field(default=None, converter=mapping, repr=False)
    error_message: str = ""
    errors: dict[str, AGBError] = field(default=None, converter=mapping, kw_only=True, eq=False)
    error: AGBError | None = error_field()


@frozen
class FileSearchResult(Result):
    """The paths that match."""

    matches: list[str] = field(default=None, converter=strings)
    error_message: str = ""
    error: AGBError | None = error_field()


@frozen
class FileChangeEvent:
    """One change below a watched directory.

    ``event_type`` is the service's word: ``create``, ``modify`` or ``delete``; ``path_type`` is ``file`` or
    ``directory``.
    """

    event_type: str = ""
    path: str = ""
    path_type: str = ""

    @property
    def is_deletion(self) -> bool:
        """Whether something was removed; services have several words for it."""
        return self.event_type.lower() in ("delete", "destroy", "remove")

    def to_dict(self) -> dict[str, str]:
        """Return the event as the wire has it."""
        return {"eventType": self.event_type, "path": self.path, "pathType": self.path_type}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the event in an object of the wire; what is missing is ``""``."""

        def text(key: str) -> str:
            value = data.get(key, data.get(key[0].upper() + key[1:]))
            return value if isinstance(value, str) else ""

        return cls(text("eventType"), text("path"), text("pathType"))


@frozen
class FileChangeResult(Result):
    """What changed since one asked last, and the text it was read from as ``raw_data``."""

    events: list[FileChangeEvent] = field(default=None, converter=entries)
    raw_data: str = field(default="", repr=False)
    error_message: str = ""
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
