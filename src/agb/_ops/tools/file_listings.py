"""Lists of names: what a pattern matches, and what a directory holds, with any names; as scripts for `shell`."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Callable, Sequence

from attrs import frozen

from ..._wire.toolcall import ToolCall, ToolReply
from ...results.files import FileMatch
from .file_scripts import LONG, not_understood, quote, run_script

_INLINE = 1 << 18
"""Bytes of a list that the script returns itself; a longer list is read from a file."""


@frozen
class Listing:
    """The names that a script found, or the file that holds them if there are many."""

    names: bytes
    """Each is followed by a NUL."""
    file: str
    request_id: str


def find(pattern: str, *, session_id: str) -> ToolCall[Listing]:
    """Return the call that finds the paths that a glob pattern may match; `matching` selects those that it does.

    The script compares bytes, since a name may have bytes that are no characters of any locale.
    """
    base, regex, depth = _for_find(pattern)
    limit = "" if depth is None else f" -maxdepth {depth}"
    kind = " -xtype d" if pattern.endswith("/") else ""
    return _listing(
        f'b={quote(_start(base))}; [ -e "$b" ] || exit 0; r={quote(regex)}',
        f'LC_ALL=C find "$b"{limit} -regextype posix-extended -regex "$r"{kind} -print0',
        session_id,
        f"find {pattern!r}",
    )


def odd_names(directory: str, *, session_id: str) -> ToolCall[Listing]:
    """Return the call that lists the paths below a directory, relative to it, that are not plain ASCII."""
    plain = r"*[!] -[^-~]*"  # all of ASCII that can be printed, without the backslash
    command = f"LC_ALL=C find \"$d/.\" -mindepth 1 -path {shlex.quote(plain)} -printf '%P\\0'"
    return _listing(f"d={quote(directory)}", command, session_id, f"search {directory!r}")


def list_names(directory: str, *, session_id: str) -> ToolCall[Listing]:
    """Return the call that lists a directory: for each entry its type, ``d`` for a directory, and its name."""
    command = "LC_ALL=C find \"$d/.\" -mindepth 1 -maxdepth 1 -printf '%Y%f\\0'"
    return _listing(f"d={quote(directory)}", command, session_id, f"list {directory!r}")


def grep(
    pattern: str,
    path: str,
    *,
    glob: str | None,
    is_regex: bool,
    ignore_case: bool,
    most: int | None,
    session_id: str,
) -> ToolCall[Listing]:
    """Return the call that finds lines in files; `matches_in` reads its output.

    Names are selected by `grep` itself; a pattern of paths is one of `find`, for `matching` to select from.
    """
    options = f"-{'E' if is_regex else 'F'}nHIZ{'i' if ignore_case else ''}"
    prepare = (
        f'p={quote(path)}; r={quote(pattern)}; [ -e "$p" ] || {{ echo "No such file or directory" >&2; exit 1; }}\n'
        f'{_UTF8} grep {options} -e "$r" /dev/null; [ $? -le 1 ] || exit 1'
    )
    if glob is not None and "/" in glob:
        base, regex, depth = _for_find(f"{path}/{glob}")
        limit = "" if depth is None else f" -maxdepth {depth}"
        found = f"LC_ALL=C find {quote(_start(base))}{limit} -regextype posix-extended -regex {quote(regex)}"
        command = f'{found} -type f -print0 | {_UTF8} xargs -0r grep {options} -e "$r" --'
    else:
        include = "" if glob is None else f" --include={quote(glob)}"
        command = f'{_UTF8} grep -r {options}{include} -e "$r" -- "$p"'
    if most is not None:
        command = f"{{ {command}; }} | head -n {most + 1}"
    return _listing(prepare, command, session_id, f"search {path!r}")


def matches_in(listing: bytes) -> list[FileMatch]:
    """Return the lines that `grep` has found, by file and line; the last one may be incomplete, and is left out then.

    A name is followed by a NUL, and may contain line breaks; a line contains none.
    """
    matches, position = [], 0
    while (end_of_name := listing.find(b"\0", position)) >= 0 and (end := listing.find(b"\n", end_of_name)) >= 0:
        name = listing[position:end_of_name].decode("utf-8", "surrogateescape").removeprefix("./")
        number, _, text = listing[end_of_name + 1 : end].partition(b":")
        matches.append(FileMatch(name, int(number), text.decode("utf-8", "replace")))
        position = end + 1
    return sorted(matches, key=lambda match: (match.path, match.line))


_UTF8 = "LC_ALL=C.UTF-8"


def _listing(prepare: str, command: str, session_id: str, description: str) -> ToolCall[Listing]:
    """Return the call that runs a command whose output is names, each followed by a NUL."""
    script = (
        f'{prepare}\nf=$(mktemp) || exit 1\n{command} > "$f" 2>/dev/null\n'
        f's=$(wc -c < "$f"); if [ "$s" -le {_INLINE} ]; then echo inline; base64 -w0 "$f"; rm -f -- "$f"; '
        'else echo file; printf %s "$f" | base64 -w0; fi'
    )

    def read(text: str, reply: ToolReply) -> Listing:
        where, _, content = text.partition("\n")
        try:
            given = base64.b64decode(content)
            file = given.decode() if where == "file" else ""
        except ValueError as error:
            raise not_understood(reply, session_id) from error
        return Listing(b"" if file else given, file, reply.request_id)

    return run_script(script, read, session_id, description, seconds=LONG)


def _for_find(pattern: str) -> tuple[str, str, int | None]:
    """Return the start directory, the regular expression for the whole path, and the greatest depth (None: any)."""
    pattern = _without_here(pattern)
    parts = pattern.rstrip("/").split("/") if pattern.strip("/") else [""]
    literal = next((i for i, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts))
    base = "/".join(parts[:literal])
    if literal == len(parts):
        base = base or "/"
        return base, _regex(_start(base), [], _escaped, _loose), 0
    base = base or ("/" if pattern.startswith("/") else ".")
    rest = parts[literal:]
    regex = _regex(_start(base).rstrip("/"), rest, _escaped, _loose)
    return base, regex, None if "**" in rest else len([part for part in rest if part])


def _start(base: str) -> str:
    """Return the directory as an argument of `find`, for which a dash at the beginning would be that of an option."""
    return base if base.startswith("/") or base == "." else f"./{base}"


def _without_here(pattern: str) -> str:
    """Return a pattern without the ``./`` that it begins with, as paths are returned: `names_in` removes theirs."""
    return re.sub(r"^(\./+)+(?=.)", "", pattern)


def matching(names: Sequence[str], pattern: str) -> list[str]:
    """Return the names that a glob pattern matches."""
    parts = _without_here(pattern).split("/")
    literal = next((i for i, part in enumerate(parts) if re.search(r"[*?\[]", part)), len(parts))
    if literal == len(parts):
        return list(names)
    regex = re.compile(_regex("/".join(parts[:literal]).rstrip("/"), parts[literal:], re.escape, _exact))
    above = "" if literal else "/"  # a pattern that begins with a wildcard is for paths that begin with a name
    return [name for name in names if regex.fullmatch(above + name)]


def _regex(top: str, parts: Sequence[str], escaped: Callable[[str], str], one: Callable[[str, bool], str]) -> str:
    """Return the expression for paths below ``top``; ``one`` returns that for one character of a name."""
    regex = escaped(top)
    for i, part in enumerate(parts):
        if part == "**":
            regex += "(/[^/.][^/]*)*" if i + 1 < len(parts) else "(/[^/.][^/]*)+"
        elif part:
            regex += "/" + _part(part, escaped, one)
    return regex


def _part(part: str, escaped: Callable[[str], str], one: Callable[[str, bool], str]) -> str:
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
            regex += one("", first)
        elif char == "[" and (end := part.find("]", i + 3 if part[i + 1 : i + 2] in ("!", "^") else i + 2)) > 0:
            regex += one(part[i + 1 : end], first)
            i = end
        else:
            regex += escaped(char)
        i += 1
    return regex


def _loose(inner: str, is_first: bool) -> str:
    """Return the expression of `find` for the bytes of any character that a class may contain."""
    if inner and inner[0] not in "!^" and inner.isascii():
        return f"[{inner}]"
    return "[^/.][^/]{0,3}" if is_first else "[^/]{1,4}"


def _exact(inner: str, is_first: bool) -> str:
    """Return Python's expression for a character of a class; an empty class contains all."""
    never = "/." if is_first else "/"
    if not inner:
        return f"[^{never}]"
    safe = re.sub(r"([\\\[\]&~|^])", r"\\\1", inner.lstrip("!^") if inner[0] in "!^" else inner)
    return f"[^{never}{safe}]" if inner[0] in "!^" else f"[{safe}]"


def _escaped(text: str) -> str:
    return re.sub(r"([\\.*+?^$(){}|\[\]])", r"\\\1", text)


def names_in(listing: bytes) -> list[str]:
    """Return the names in a list, sorted; bytes that are not UTF-8 become surrogates, as with `os.fsdecode`."""
    names = [name for name in listing.decode("utf-8", "surrogateescape").split("\0") if name]
    return sorted(name.removeprefix("./") for name in names)
