"""Display: results as text and as HTML for a notebook, and the picture of a result that is saved to a file."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from html import escape
from pathlib import PurePath
from typing import Any

from attrs import fields

_PICTURES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".svg": "image/svg+xml",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".pdf": "application/pdf",
}
"""What can be saved, by the suffix of the file."""
_SHOWN_IN_IMG = ("image/png", "image/jpeg", "image/webp", "image/gif")

LONGEST_TEXT = 300
"""How many characters or bytes of one text are shown."""
LONGEST_LIST = 800
"""After how many characters the rest of a list or dict is only counted."""


def bounded_repr(item: Any, hidden: tuple[str, ...] = ()) -> str:
    """Return the bounded `repr` of an attrs object, without the fields that hold nothing."""
    parts = []
    for attribute in fields(type(item)):
        value = getattr(item, attribute.name)
        is_empty = value is None or (attribute.name == "error_message" and not value)
        if attribute.repr is False or is_empty or attribute.name in hidden:
            continue
        text = attribute.repr(value) if callable(attribute.repr) else short(value)
        parts.append(f"{attribute.name}={text}")
    return f"{type(item).__name__}({', '.join(parts)})"


def short(value: Any, limit: int = LONGEST_TEXT) -> str:
    """Return the `repr` of a value; of a text longer than ``limit`` only the beginning, and its size."""
    if isinstance(value, str | bytes):
        if len(value) <= limit:
            return repr(value)
        return f"{value[:limit]!r}... ({len(value)} {'characters' if isinstance(value, str) else 'bytes'})"
    if type(value) is dict:
        entries = (f"{short(key)}: {short(entry)}" for key, entry in value.items())
        return f"{{{_first_of(entries, len(value))}}}"
    if type(value) is list:
        return f"[{_first_of(map(short, value), len(value))}]"
    return repr(value)


def _first_of(entries: Iterable[str], count: int) -> str:
    """Return the first entries of a list or dict, and how many more there are."""
    parts: list[str] = []
    room = LONGEST_LIST
    for text in entries:
        parts.append(text)
        room -= len(text)
        if room <= 0 and len(parts) < count:
            parts.append(f"... {count - len(parts)} more")
            break
    return ", ".join(parts)


def html_of(item: Any) -> str:
    """Return one result as HTML: the richest of its formats that HTML can show."""
    data = item.data
    for mime in ("text/html", "image/svg+xml"):
        if mime in data:
            return str(data[mime])
    for mime in _SHOWN_IN_IMG:
        if mime in data:
            alt = escape(item.text or mime.removeprefix("image/"))
            return f'<img src="data:{mime};base64,{escape(str(data[mime]))}" alt="{alt}">'
    for mime in ("text/markdown", "text/latex", "text/plain"):
        if mime in data:
            return f"<pre>{escape(str(data[mime]))}</pre>"
    for value in data.values():
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
        return f"<pre>{escape(text)}</pre>"
    return ""


def html_of_run(run: Any) -> str:
    """Return a whole run as HTML: its output, every result, and the error."""
    parts = []
    if printed := "".join(run.logs.stdout):
        parts.append(f"<pre>{escape(printed)}</pre>")
    if printed := "".join(run.logs.stderr):
        parts.append(f'<pre style="color:#a00">{escape(printed)}</pre>')
    parts += [html_of(item) for item in run.results]
    if not run.success:
        text = (run.error.traceback or str(run.error)) if run.error is not None else run.error_message
        parts.append(f'<pre style="color:#a00">{escape(text)}</pre>')
    return "\n".join(parts)


def picture_bytes(item: Any, path: PurePath) -> bytes:
    """Return the picture for a file of that name, by its suffix; raise `ValueError` if there is none."""
    there = [mime for mime in dict.fromkeys(_PICTURES.values()) if mime in item.data]
    wanted = _PICTURES.get(path.suffix.lower())
    if wanted is None and path.suffix:
        *suffixes, last = (suffix for suffix in _PICTURES if suffix != ".jpeg")
        raise ValueError(
            f"{path.name}: a picture is saved as {', '.join(suffixes)} or {last}; this result has {_list(there)}"
        )
    if wanted is None and len(there) != 1:
        raise ValueError(f"{path.name}: its suffix says which picture to save; this result has {_list(there)}")
    mime = wanted or there[0]
    if mime not in there:
        raise ValueError(f"{path.name}: this result has {_list(there)}, no {_name(mime)}")
    value = str(item.data[mime])
    if mime == "image/svg+xml":
        return value.encode("utf-8")
    try:
        return base64.b64decode(value, validate=False)
    except binascii.Error as error:
        raise ValueError(f"{path.name}: the {_name(mime)} of this result is damaged: {error}") from error


def _list(mimes: list[str]) -> str:
    return " and ".join(map(_name, mimes)) or "no picture"


def _name(mime: str) -> str:
    return mime.partition("/")[2].partition("+")[0]
