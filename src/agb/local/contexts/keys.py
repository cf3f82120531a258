"""Keys of stored files: absolute paths inside a session, in the one form in which they are kept and compared."""

from __future__ import annotations

from typing import NoReturn

from ..errors import invalid

LONGEST_PATH = 4095
"""Bytes of the longest key: what Linux takes as a path."""
LONGEST_PART = 255
"""Bytes of the longest part of a key: what Linux takes as a file's name."""
LONGEST_NAME = 255
"""Characters of the longest name of a context."""


def file_key(path: str) -> str:
    """Return the key of a file, ``/tmp/x.txt`` for ``/tmp//./x.txt``; raise `Refused` if it cannot be one.

    A path must be absolute, since a relative one would have no base, and may not contain ``..``:
    what that means depends on links, which the store does not know.
    """
    key = folder_key(path)
    if path.endswith(("/", "/.")) or not key:
        _refuse(path, "names a directory; give the path of a file")
    return key


def folder_key(path: str) -> str:
    """Return the key of a directory, without a slash at its end, hence ``""`` for ``/``; raise as `file_key` does."""
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        _refuse(path, "is not UTF-8")
    if size > LONGEST_PATH:
        _refuse(path, f"is longer than {LONGEST_PATH:,} bytes")
    if not path.startswith("/"):
        _refuse(path, "is not absolute: give the path inside a session, such as /tmp/report.txt")
    if "\0" in path:
        _refuse(path, "contains a NUL")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        _refuse(path, "contains '..'")
    if any(len(part.encode()) > LONGEST_PART for part in parts):
        _refuse(path, f"has a part that is longer than {LONGEST_PART} bytes")
    return "".join(f"/{part}" for part in parts)


def parent_of(key: str) -> str:
    """Return the key of the directory a key is in."""
    return key.rpartition("/")[0]


def above(key: str) -> list[str]:
    """Return the keys of all directories that a key is below."""
    parts = key.split("/")
    return ["/".join(parts[:count]) for count in range(2, len(parts))]


def below(key: str) -> tuple[str, str]:
    """Return the bounds of all keys below a directory: from the first, up to but without the second."""
    return f"{key}/", f"{key}0"  # "0" is the character after "/"


def context_name(name: str) -> str:
    """Return the name of a context; raise `Refused` if it cannot be one."""
    if not name.strip():
        raise invalid("the name of a context must not be blank")
    if len(name) > LONGEST_NAME:
        raise invalid(f"the name of a context must not be longer than {LONGEST_NAME} characters, not {len(name):,}")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise invalid("the name of a context must be UTF-8") from error
    if "\0" in name:
        raise invalid("the name of a context must not contain a NUL")
    return name


def _refuse(path: str, why: str) -> NoReturn:
    shown = path if len(path) <= 200 else path[:200] + "..."
    raise invalid(f"the path {shown!a} {why}")
