"""File operations that the file tools do not offer, as scripts for `shell`, which every service has.

Every value of a caller is quoted by `shlex.quote`, so no shell interprets it.

A file that is replaced is written to a temporary file in the target's directory, and renamed over the target when its
size is right. The rename is atomic, so a reader sees the old file or the new one, and it keeps a symbolic link: the
file that the link leads to is replaced, with its mode. A special file (a device, a fifo) is refused, since a rename
would replace it by a regular one.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from shlex import quote
from typing import TypeVar

from attrs import evolve, frozen

from ..._wire.toolcall import ToolCall, ToolReply
from ...exceptions import ErrorKind, FileError, Sent
from ...results.base import BoolResult
from ...results.files import ExistsResult
from .files import file_failure
from .shell import shell

T = TypeVar("T")

PIECE = 72 * 1024
"""Bytes in one piece: as base64 they fit into one argument of a program, which Linux limits to 128 KiB."""
SECONDS = 60.0
"""Seconds that a script of a few steps may take."""
LONG = 600.0
"""Seconds that a script may take that works on many files."""
_INLINE = 1 << 18
"""Bytes of a list that the script returns itself; a longer list is read from a file."""


@frozen
class Place:
    """A temporary file, and the target in the same directory that it will replace."""

    temporary: str
    target: str
    """The path itself, or the file that it leads to as a symbolic link."""


# --- writing -----------------------------------------------------------------------------------------------------

_RESOLVE = """\
fail() { printf '%s\\n' "$1" >&2; exit 1; }
t=$p
if [ -L "$p" ]; then t=$(readlink -m -- "$p" && echo x) || exit 1; t=${t%x}; t=${t%?}; fi
[ ! -d "$t" ] || fail "$p is a directory"
[ ! -e "$t" ] || [ -f "$t" ] || fail "$p is not a regular file; write it in one piece, or with mode append"
[ ! -e "$t" ] || [ -w "$t" ] || fail "Permission denied: $p"
case $t in */*) d=${t%/*}/ ;; *) d= ;; esac
"""
_PLACE = """\
[ ! -e "$t" ] || chmod --reference="$t" -- "$n" || exit 1
mv -fT -- "$n" "$t"
"""


def begin(path: str, token: str, *, session_id: str) -> ToolCall[Place]:
    """Return the call that creates an empty file beside ``path``; ``token`` makes its name unique."""
    script = (
        f'p={quote(path)}\n{_RESOLVE}n=$d.agb-{token}.part\n(set -C; : > "$n") || exit 1\n'
        'printf %s "$n" | base64 -w0 && echo && printf %s "$t" | base64 -w0'
    )

    def read(text: str, reply: ToolReply) -> Place:
        try:
            temporary, target = (base64.b64decode(line).decode() for line in text.split())
        except ValueError as error:
            raise _not_understood(reply, session_id) from error
        return Place(temporary, target)

    return _script(script, read, session_id, f"write {path!r}")


def put_piece(place: Place, number: int, data: bytes, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that writes a piece of `PIECE` bytes (the last may be shorter) at its offset."""
    script = (
        f"printf %s {_base64(data)} | "
        f"{{ dd bs={PIECE} seek={number} count=0 conv=notrunc status=none </dev/null && base64 -d; }} "
        f"1<> {quote(place.temporary)}"
    )
    return _script(script, _done, session_id, f"write {place.target!r}", repeatable=True)


def finish(place: Place, size: int, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that moves the temporary file over the target, if it has ``size`` bytes."""
    script = (
        f'n={quote(place.temporary)}; t={quote(place.target)}; s=$(wc -c < "$n") || exit 1\n'
        f'[ "$s" -eq {size} ] || {{ echo "$s bytes arrived and {size} were sent; nothing was changed" >&2; exit 1; }}\n'
        f"{_PLACE}"
    )
    return _script(script, _done, session_id, f"write {place.target!r}")


def write_at_once(path: str, data: bytes, token: str, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that writes at most `PIECE` bytes; a reader sees the old file or the new one."""
    script = (
        f"p={quote(path)}\n{_RESOLVE}n=$d.agb-{token}.part\n"
        f'printf %s {_base64(data)} | base64 -d > "$n" || {{ rm -f -- "$n"; exit 1; }}\n'
        f'{{ {_PLACE}}} || {{ rm -f -- "$n"; exit 1; }}'
    )
    return _script(script, _done, session_id, f"write {path!r}")


def append(path: str, data: bytes, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that appends at most `PIECE` bytes to a file."""
    script = f"printf %s {_base64(data)} | base64 -d >> {quote(path)}"
    return _script(script, _done, session_id, f"append to {path!r}")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii") or "''"


# --- paths -------------------------------------------------------------------------------------------------------


def exists(path: str, *, session_id: str) -> ToolCall[ExistsResult]:
    """Return the call that checks whether a path exists, a broken symbolic link included."""
    script = f'p={quote(path)}; if [ -e "$p" ] || [ -L "$p" ]; then echo yes; else echo no; fi'

    def read(text: str, reply: ToolReply) -> ExistsResult:
        if text.strip() not in ("yes", "no"):
            raise _not_understood(reply, session_id)
        return ExistsResult(reply.request_id, True, text.strip() == "yes")

    return _script(script, read, session_id, f"check whether {path!r} exists", repeatable=True)


def remove_tree(path: str, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that removes a file, or a directory with everything below it."""
    return _script(f"rm -r -- {quote(path)} </dev/null", _done, session_id, f"remove {path!r}", seconds=LONG)


def remove_quietly(path: str, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that removes a temporary file, if it exists."""
    return _script(f"rm -f -- {quote(path)}", _done, session_id, f"remove {path!r}", repeatable=True)


@frozen
class Listing:
    """The names that a script found, or the file that holds them if there are many."""

    names: bytes
    """Each is followed by a NUL."""
    file: str
    request_id: str


def find(pattern: str, *, session_id: str) -> ToolCall[Listing]:
    """Return the call that finds the paths that match a glob pattern."""
    base, regex, depth = _for_find(pattern)
    limit = "" if depth is None else f" -maxdepth {depth}"
    # A name that begins with a dash would be an option of find, and "." is not part of what it prints.
    start = base if base.startswith("/") else f"./{base}"
    script = (
        f'b={quote(start)}; [ -e "$b" ] || exit 0; f=$(mktemp) || exit 1\n'
        f'find "$b"{limit} -regextype posix-extended -regex {quote(regex)} -print0 > "$f" 2>/dev/null\n'
        f's=$(wc -c < "$f"); if [ "$s" -le {_INLINE} ]; then echo inline; base64 -w0 "$f"; rm -f -- "$f"; '
        'else echo file; printf %s "$f" | base64 -w0; fi'
    )

    def read(text: str, reply: ToolReply) -> Listing:
        where, _, content = text.partition("\n")
        try:
            given = base64.b64decode(content)
            file = given.decode() if where == "file" else ""
        except ValueError as error:
            raise _not_understood(reply, session_id) from error
        return Listing(b"" if file else given, file, reply.request_id)

    return _script(script, read, session_id, f"find {pattern!r}", seconds=LONG)


def _for_find(pattern: str) -> tuple[str, str, int | None]:
    """Return the start directory, the regular expression for the whole path, and the greatest depth (None: any)."""
    parts = pattern.split("/")
    literal = next((i for i, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts))
    base = "/".join(parts[:literal])
    if literal == len(parts):
        return pattern, _escaped(pattern if pattern.startswith("/") else f"./{pattern}"), 0
    base = base or ("/" if pattern.startswith("/") else ".")
    start = base if base.startswith("/") else f"./{base}"
    regex = _escaped(start.rstrip("/"))
    rest = parts[literal:]
    for i, part in enumerate(rest):
        if part == "**":
            regex += "(/[^/.][^/]*)*" if i + 1 < len(rest) else "(/[^/.][^/]*)+"
        elif part:
            regex += "/" + _part(part)
    return base, regex, None if "**" in rest else len([part for part in rest if part])


def _part(part: str) -> str:
    """Return the expression for one name; a leading wildcard does not match a leading dot, as in a shell."""
    regex, i = "", 0
    while i < len(part):
        char = part[i]
        first = i == 0
        if char == "*":
            while part[i + 1 : i + 2] == "*":
                i += 1
            regex += "([^/.][^/]*)?" if first else "[^/]*"
        elif char == "?":
            regex += "[^/.]" if first else "[^/]"
        elif char == "[" and (end := part.find("]", i + 3 if part[i + 1 : i + 2] in ("!", "^") else i + 2)) > 0:
            inner = part[i + 1 : end]
            regex += _none_of(inner[1:], "/." if first else "/") if inner[0] in "!^" else f"[{inner}]"
            i = end
        else:
            regex += _escaped(char)
        i += 1
    return regex


def _none_of(inner: str, more: str) -> str:
    """Return the expression for any character but these; a bracket among them has to be the first."""
    return f"[^]{more}{inner[1:]}]" if inner.startswith("]") else f"[^{more}{inner}]"


def _escaped(text: str) -> str:
    return re.sub(r"([\\.*+?^$(){}|\[\]])", r"\\\1", text)


def names_in(listing: bytes) -> list[str]:
    """Return the names in a list, sorted; bytes that are not UTF-8 become surrogates, as with `os.fsdecode`."""
    names = [name for name in listing.decode("utf-8", "surrogateescape").split("\0") if name]
    return sorted(name.removeprefix("./") for name in names)


# --- archives ----------------------------------------------------------------------------------------------------


def temporary_name(token: str, *, session_id: str) -> ToolCall[str]:
    """Return the call that creates an empty temporary file and returns its path."""
    return _script(
        f'f=${{TMPDIR:-/tmp}}/agb-{token}; (set -C; umask 077; : > "$f") && printf %s "$f"',
        _text,
        session_id,
        "create a temporary file",
    )


def pack(directory: str, archive: str, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that packs the contents of a directory."""
    script = f'd={quote(directory)}; [ -d "$d" ] || {{ echo "Not a directory, or not found: $d" >&2; exit 1; }}\n'
    script += f'tar -cf {quote(archive)} -C "$d" .'
    return _script(script, _done, session_id, f"pack {directory!r}", seconds=LONG)


def unpack(archive: str, directory: str, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that unpacks an archive into a directory, which is created if needed."""
    script = f'd={quote(directory)}; mkdir -p -- "$d" && tar -xf {quote(archive)} -C "$d" --no-same-owner'
    return _script(script, _done, session_id, f"unpack the files into {directory!r}", seconds=LONG)


# --- scripts -----------------------------------------------------------------------------------------------------


def _script(
    script: str,
    read: Callable[[str, ToolReply], T],
    session_id: str,
    description: str,
    *,
    seconds: float = SECONDS,
    repeatable: bool = False,
) -> ToolCall[T]:
    """Return the call that runs a script and reads its output."""
    command = shell(script, int(seconds * 1000), session_id=session_id)

    def read_or_raise(reply: ToolReply) -> T:
        result = command.read(reply)
        if result.success:
            return read(result.stdout, reply)
        reason = (result.stderr or result.error_message).strip()
        failed = ToolReply(re.sub(r"^(?:ba|da|a)?sh: (?:line \d+: )?", "", reason), True, reply.request_id)
        failure = file_failure("shell", failed, session_id, description)
        if result.error is not None and result.error.kind is ErrorKind.TIMED_OUT:
            failure.kind = ErrorKind.TIMED_OUT
        raise failure

    return evolve(command, read=read_or_raise, repeatable=repeatable, error=FileError, description=description)  # type: ignore[arg-type, return-value]


def _done(text: str, reply: ToolReply) -> BoolResult:
    del text
    return BoolResult(reply.request_id, True, True)


def _text(text: str, reply: ToolReply) -> str:
    del reply
    return text


def _not_understood(reply: ToolReply, session_id: str) -> FileError:
    return FileError(
        f"the answer is not the output of the script: {(reply.text or '')[:200]!r}",
        kind=ErrorKind.INVALID_ANSWER,
        request_id=reply.request_id,
        session_id=session_id,
        sent=Sent.YES,
    )
