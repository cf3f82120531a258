"""Archives of directories, made and unpacked in a session by `tar`; as scripts for `shell`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from ..._wire.toolcall import ToolCall, ToolReply
from .file_scripts import LONG, decoded_name, not_understood, quote, run_script


@frozen
class Failures:
    """The files that `tar` could not take, by their names (``""`` if it named none), with the reasons."""

    reasons: dict[str, str]
    request_id: str


# tar goes on after a file that it cannot take, and reports it in a line of its error output. Its messages are read in
# the C locale, in which they are known, and with escape sequences for characters that a line cannot hold. Its status
# is the last line, since the status of a pipeline is that of its last program.
_REPORT = """\
s=$(tail -n 1 "$e")
if grep -q '^tar: Error is not recoverable' "$e" || { [ "$s" -ne 0 ] && ! grep -q '^tar: ' "$e"; }; then
  sed '$d' "$e" >&2; rm -f -- "$e"; exit 1
fi
head -c 200000 "$e" | base64 -w0; rm -f -- "$e"
"""


_LINE = re.compile(r"tar: ((?:[^\\]|\\.)+?): ((?:Cannot|File shrank|Read error)\b.*)")
"""A line on a file; a colon in its name is escaped."""


def _tar(arguments: str) -> str:
    return f'{{ LC_ALL=C TAR_OPTIONS= tar {arguments} 2>"$e"; echo "$?" >>"$e"; }}'


def pack(directory: str, archive: str, most: int | None, *, session_id: str) -> ToolCall[Failures]:
    """Return the call that packs the contents of a directory, of at most ``most`` bytes."""
    script = f'd={quote(directory)}; [ -d "$d" ] || {{ echo "Not a directory, or not found: $d" >&2; exit 1; }}\n'
    script += f"f={quote(archive)}; e=$(mktemp) || exit 1\n"
    if most is None:
        script += _tar('-cf "$f" -C "$d" .') + "\n"
    else:
        # One byte more than allowed shows that there is more. Then tar is ended, whatever it has left to read.
        script += _tar('-cf - -C "$d" .') + f' | head -c {most + 1} > "$f" || {{ rm -f -- "$e"; exit 1; }}\n'
        script += (
            f'if [ "$(wc -c < "$f")" -gt {most} ]; then rm -f -- "$e"; '
            f'echo "$d has more than {most:,} bytes; max_size allows more" >&2; exit 1; fi\n'
        )
    return _call(script, session_id, f"pack {directory!r}")


def unpack(archive: str, directory: str, damaged: Sequence[str] = (), *, session_id: str) -> ToolCall[Failures]:
    """Return the call that unpacks an archive into a directory, which is created if needed.

    Args:
        archive: the archive.
        directory: the directory.
        damaged: members that changed while they were packed; they are removed.
        session_id: the session.
    """
    script = f'd={quote(directory)}; mkdir -p -- "$d" || exit 1\ne=$(mktemp) || exit 1\n'
    script += _tar(f'-xpf {quote(archive)} -C "$d" --no-same-owner') + "\n"
    script += "".join(f'rm -f -- "$d"/{quote(name)}\n' for name in damaged)
    return _call(script, session_id, f"unpack the files into {directory!r}")


def _call(script: str, session_id: str, description: str) -> ToolCall[Failures]:
    def read(text: str, reply: ToolReply) -> Failures:
        return _failures(text, reply, session_id)

    return run_script(script + _REPORT, read, session_id, description, seconds=LONG)


def _failures(text: str, reply: ToolReply, session_id: str) -> Failures:
    try:
        lines = decoded_name(text).splitlines()
    except ValueError as error:
        raise not_understood(reply, session_id) from error
    reasons: dict[str, str] = {}
    for line in lines:
        if named := _LINE.fullmatch(line):
            reasons.setdefault(_unescaped(named[1]).removeprefix("./"), named[2].rpartition(": ")[2])
    if not reasons and lines[-1:] not in (["0"], ["1"]):  # 1: a file changed while it was read
        reasons[""] = "; ".join(lines[:-1][:3])
    return Failures(reasons, reply.request_id)


def _unescaped(name: str) -> str:
    """Return the name for which tar printed escape sequences."""
    single = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "\\": 92, ":": 58}

    def byte(found: re.Match[bytes]) -> bytes:
        code = found[1].decode("ascii")
        return bytes([single[code] if code in single else int(code, 8)])

    raw = name.encode("utf-8", "surrogateescape")
    return re.sub(rb"\\([abtnvfr\\:]|[0-3][0-7]{2})", byte, raw).decode("utf-8", "surrogateescape")
