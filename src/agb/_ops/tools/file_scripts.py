"""File operations that the file tools do not offer, as scripts for `shell`, which every service has.

Every value of a caller is quoted, so no shell interprets it.

A file that is replaced is written to a temporary file in the target's directory, and renamed over the target when its
size is right. The rename is atomic, so a reader sees the old file or the new one, and it keeps a symbolic link: the
file that the link leads to is replaced, with its mode. A special file (a device, a fifo) is refused, since a rename
would replace it by a regular one.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Callable
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


def quote(text: str) -> str:
    """Return a text for a shell; a byte that is not UTF-8, a surrogate, is written as the output of `printf`."""
    parts = re.split("([\udc80-\udcff]+)", text)
    quoted = [shlex.quote(part) if part else "" for part in parts[::2]]
    octal = ["".join(f"\\{ord(char) - 0xDC00:o}" for char in part) for part in parts[1::2]]
    bytes_ = [f"\"$(printf '{part}')\"" for part in octal]
    return "".join(one for pair in zip(quoted, [*bytes_, ""], strict=True) for one in pair) or "''"


def decoded_name(text: str) -> str:
    """Return the name that a script printed in base64."""
    return base64.b64decode(text).decode("utf-8", "surrogateescape")


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


def begin(path: str, token: str, *, makes_directory: bool = False, session_id: str) -> ToolCall[Place]:
    """Return the call that creates an empty file beside ``path``; ``token`` makes its name unique."""
    make = '[ -z "$d" ] || mkdir -p -- "$d" || exit 1\n' if makes_directory else ""
    script = (
        f'p={quote(path)}\n{_RESOLVE}{make}n=$d.agb-{token}.part\n(set -C; : > "$n") || exit 1\n'
        'printf %s "$n" | base64 -w0 && echo && printf %s "$t" | base64 -w0'
    )

    def read(text: str, reply: ToolReply) -> Place:
        try:
            temporary, target = (decoded_name(line) for line in text.split())
        except ValueError as error:
            raise not_understood(reply, session_id) from error
        return Place(temporary, target)

    return run_script(script, read, session_id, f"write {path!r}")


def put_piece(place: Place, number: int, data: bytes, *, size: int = PIECE, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that writes a piece of ``size`` bytes (the last may be shorter) at its offset."""
    script = (
        f"printf %s {_base64(data)} | "
        f"{{ dd bs={size} seek={number} count=0 conv=notrunc status=none </dev/null && base64 -d; }} "
        f"1<> {quote(place.temporary)}"
    )
    return run_script(script, done, session_id, f"write {place.target!r}", repeatable=True)


def finish(
    place: Place, size: int, attributes: tuple[int, float] | None = None, *, session_id: str
) -> ToolCall[BoolResult]:
    """Return the call that moves the temporary file over the target, if it has ``size`` bytes.

    It has the mode of the target then, if there is one, or the mode and time in ``attributes``.
    """
    put = _PLACE
    if attributes is not None:
        mode, mtime = attributes
        put = f'chmod {mode:o} -- "$n" && touch -d @{mtime:.6f} -- "$n" || exit 1\nmv -fT -- "$n" "$t"\n'
    script = (
        f'n={quote(place.temporary)}; t={quote(place.target)}; s=$(wc -c < "$n") || exit 1\n'
        f'[ "$s" -eq {size} ] || {{ echo "$s bytes arrived and {size} were sent; nothing was changed" >&2; exit 1; }}\n'
        f"{put}"
    )
    return run_script(script, done, session_id, f"write {place.target!r}")


def write_at_once(path: str, data: bytes, token: str, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that writes at most `PIECE` bytes; a reader sees the old file or the new one."""
    script = (
        f"p={quote(path)}\n{_RESOLVE}n=$d.agb-{token}.part\n"
        f'printf %s {_base64(data)} | base64 -d > "$n" || {{ rm -f -- "$n"; exit 1; }}\n'
        f'{{ {_PLACE}}} || {{ rm -f -- "$n"; exit 1; }}'
    )
    return run_script(script, done, session_id, f"write {path!r}")


def append(path: str, data: bytes, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that appends at most `PIECE` bytes to a file."""
    script = f"printf %s {_base64(data)} | base64 -d >> {quote(path)}"
    return run_script(script, done, session_id, f"append to {path!r}")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii") or "''"


# --- paths -------------------------------------------------------------------------------------------------------


def exists(path: str, *, session_id: str) -> ToolCall[ExistsResult]:
    """Return the call that checks whether a path leads to something that exists."""
    script = f'p={quote(path)}; if [ -e "$p" ]; then echo yes; else echo no; fi'

    def read(text: str, reply: ToolReply) -> ExistsResult:
        if text.strip() not in ("yes", "no"):
            raise not_understood(reply, session_id)
        return ExistsResult(reply.request_id, True, text.strip() == "yes")

    return run_script(script, read, session_id, f"check whether {path!r} exists", repeatable=True)


def remove_tree(path: str, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that removes a file, or a directory with everything below it."""
    return run_script(f"rm -r -- {quote(path)} </dev/null", done, session_id, f"remove {path!r}", seconds=LONG)


def remove_quietly(path: str, *, session_id: str) -> ToolCall[BoolResult]:
    """Return the call that removes a temporary file, if it exists."""
    return run_script(f"rm -f -- {quote(path)}", done, session_id, f"remove {path!r}", repeatable=True)


def temporary_name(token: str, *, session_id: str) -> ToolCall[str]:
    """Return the call that creates an empty temporary file and returns its path."""
    return run_script(
        f'f=${{TMPDIR:-/tmp}}/agb-{token}; (set -C; umask 077; : > "$f") && printf %s "$f"',
        _text,
        session_id,
        "create a temporary file",
    )


# --- scripts -----------------------------------------------------------------------------------------------------


def run_script(
    script: str,
    read: Callable[[str, ToolReply], T],
    session_id: str,
    description: str,
    *,
    seconds: float = SECONDS,
    repeatable: bool = False,
) -> ToolCall[T]:
    """Return the call that runs a script and reads its output."""
    command = shell(script, int(seconds * 1000), session_id=session_id, shown=description)

    def read_or_raise(reply: ToolReply) -> T:
        result = command.read(reply)
        if result.success:
            return read(result.stdout, reply)
        reason = (result.stderr or result.error_message).strip()
        failed = ToolReply(re.sub(r"^(?:ba|da|a)?sh: (?:line \d+: )?", "", reason), True, reply.request_id)
        failure = file_failure("shell", failed, session_id, description)
        if result.exit_code is not None:
            failure.extra["ran"] = True  # the script itself failed; the service has run it
        if result.error is not None and result.error.kind is ErrorKind.TIMED_OUT:
            failure.kind = ErrorKind.TIMED_OUT
        raise failure

    return evolve(command, read=read_or_raise, repeatable=repeatable, error=FileError, description=description)  # type: ignore[arg-type, return-value]


def done(text: str, reply: ToolReply) -> BoolResult:
    del text
    return BoolResult(reply.request_id, True, True)


def _text(text: str, reply: ToolReply) -> str:
    del reply
    return text


def not_understood(reply: ToolReply, session_id: str) -> FileError:
    return FileError(
        f"the answer is not the output of the script: {(reply.text or '')[:200]!r}",
        kind=ErrorKind.INVALID_ANSWER,
        request_id=reply.request_id,
        session_id=session_id,
        sent=Sent.YES,
    )
