# Generated from src/agb/_async/host/chunks.py by tools/unasync.py. Do not edit.
"""The bytes that a caller passes: an iterable of chunks, or a file of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from .._compat.iteration import AnyBytesIterable
from .._compat.loop import in_thread
from .local_files import PIECE, SourceFile


def check_chunks(chunks: object) -> None:
    """Raise ``TypeError`` unless this can be an iterable of bytes, a path or an open file."""
    if isinstance(chunks, (str, bytes, bytearray, memoryview)):
        raise TypeError(f"chunks must be an iterable of bytes, not {type(chunks).__name__}: use write()")
    if not isinstance(chunks, (Iterable, Iterable, PathLike)) and not hasattr(chunks, "read"):
        raise TypeError(f"chunks must be an iterable of bytes, a path or an open file, not {type(chunks).__name__}")


@contextmanager
def opened_chunks(
    chunks: AnyBytesIterable | PathLike[str], to_error: Callable[[OSError], Exception]
) -> Iterator[tuple[AnyBytesIterable, int | None]]:
    """Return the chunks, and their bytes in all if they are those of a path, which is opened and closed here.

    A file is read in threads, in pieces of bounded size; iterating over it would return its lines, of any size.
    """
    if isinstance(chunks, PathLike):
        source = SourceFile(Path(chunks), _ignore, to_error)
        try:
            size = source.open()
            yield source, size
        finally:
            source.close()
    elif hasattr(chunks, "read") and not isinstance(chunks, Iterable):
        yield _OpenFile(chunks, to_error), None
    else:
        yield chunks, None


def _ignore(count: int) -> None:
    del count


class _OpenFile:
    """An open file of this machine, iterated over in pieces; it belongs to the caller, who closes it."""

    def __init__(self, file: Any, to_error: Callable[[OSError], Exception]) -> None:
        self._file = file
        self._to_error = to_error

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece: bytes = in_thread(partial(self._file.read, PIECE))
        except OSError as error:
            raise self._to_error(error) from error
        if not piece:
            raise StopIteration
        return piece
