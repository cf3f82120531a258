"""Parts of files: ranges of bytes, and of lines."""

from __future__ import annotations

from attrs import frozen


def check_range(offset: int, limit: int | None) -> None:
    """Raise ``TypeError`` or ``ValueError`` unless these are a range of lines or bytes."""
    for name, value in (("offset", offset), ("limit", limit)):
        if value is None and name == "limit":
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be a whole number, not {value!r}")
        if value < 0:
            raise ValueError(f"{name} must not be below zero, and is {value}")


@frozen
class Range:
    """A range of the bytes of a file; without a limit, to its end."""

    offset: int = 0
    limit: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole file."""
        return self.offset == 0 and self.limit is None

    def left(self, position: int) -> int | None:
        """Return how many bytes of it are left from a position on, None for all of the file."""
        return None if self.limit is None else max(0, self.offset + self.limit - position)

    def size(self, file_size: int) -> int:
        """Return how many bytes of a file of this size it has."""
        left = max(0, file_size - self.offset)
        return left if self.limit is None else min(left, self.limit)


class Lines:
    """Selects a range of lines from the chunks of a file.

    Attributes:
        skipped: bytes before the first of these lines.
        is_complete: whether no line of the range is missing.
    """

    def __init__(self, offset: int, limit: int | None) -> None:
        self.skipped = 0
        self.is_complete = limit == 0
        self._before = offset
        self._limit = limit
        self._parts: list[bytes] = []

    def add(self, chunk: bytes) -> None:
        """Add the next chunk."""
        start = 0
        while self._before:
            end = chunk.find(b"\n", start) + 1
            if not end:
                self.skipped += len(chunk)
                return
            self._before -= 1
            start = end
        self.skipped += start
        if self._limit is None:
            self._parts.append(chunk[start:])
            return
        end = start
        while self._limit:
            end = chunk.find(b"\n", end) + 1
            if not end:
                self._parts.append(chunk[start:])
                return
            self._limit -= 1
        self._parts.append(chunk[start:end])
        self.is_complete = True

    def content(self) -> bytes:
        """Return the lines that were added."""
        return b"".join(self._parts)
